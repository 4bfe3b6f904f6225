//! The way from the gateway to `tiny_http`: one request, one connection, in the gateway's own words.

use super::head::Head;
use crate::api::Answer;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// For a whole answer. The endpoint is in this process; longer means that it hangs.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Bytes that an answer may have: far above any, so that a mistake cannot eat the memory.
const ANSWER_LIMIT: u64 = 8 * 1024 * 1024;

/// Asks and waits for the whole answer.
pub async fn ask(socket: &Path, head: &Head, body: &[u8]) -> io::Result<Answer> {
    timeout(ANSWER_TIME, exchange(socket, head, body))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn exchange(socket: &Path, head: &Head, body: &[u8]) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket).await?;
    let method = if head.method == "HEAD" {
        "GET"
    } else {
        head.method
    };
    let target = &head.target;
    let content_type = head.content_type.as_ref();
    let content_type = content_type
        .map(|value| format!("Content-Type: {value}\r\n"))
        .unwrap_or_default();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: local\r\nConnection: close\r\n{content_type}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_LIMIT).read_to_end(&mut bytes).await?;
    parse_answer(&bytes).ok_or(io::ErrorKind::InvalidData.into())
}

fn parse_answer(bytes: &[u8]) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(bytes).ok()? else {
        return None;
    };
    let value = |name: &str| {
        let header = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let body = bytes.get(length..)?;
    let whole = value("content-length")?.parse() == Ok(body.len());
    whole.then_some(())?;
    Some(Answer {
        status: response.code?,
        content_type: value("content-type")?.to_owned().into(),
        body: body.to_vec(),
    })
}
