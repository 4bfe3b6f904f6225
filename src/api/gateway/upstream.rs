//! The way from the gateway to `tiny_http`: few connections that are opened once and kept, and requests in the gateway's own
//! words.
//!
//! `tiny_http` copies the descriptor of each connection that it accepts and takes for granted that there is one: where
//! descriptors have run out it panics, which ends a process that is built to abort. So connections are opened before the
//! first stranger can take a descriptor, and one that has to be replaced is opened only while there are descriptors to spare
//! and no stranger is let in meanwhile.

use super::head::Head;
use crate::api::Answer;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::timeout;

/// For a whole answer. The endpoint is in this process; longer means that it hangs.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Bytes that an answer may have: far above any, so that a mistake cannot eat the memory.
const ANSWER_LIMIT: usize = 8 * 1024 * 1024;
/// Descriptors that must be to spare when a connection is opened, in pairs. It takes three; the rest is for whoever else of
/// this process opens something at the same moment.
const SPARE_PAIRS: usize = 8;
/// Asked of a fresh connection: its answer proves that both of the endpoint's descriptors are there.
const PROOF: &[u8] = b"GET /api/v1/version HTTP/1.1\r\nHost: local\r\nContent-Length: 0\r\n\r\n";

/// The endpoint behind the gateway.
pub struct Upstream {
    socket: PathBuf,
    /// Open connections that nobody uses at the moment.
    idle: Mutex<Vec<UnixStream>>,
    /// Whether one is being opened.
    opening: watch::Sender<bool>,
    /// Held meanwhile.
    alone: tokio::sync::Mutex<()>,
}

impl Upstream {
    /// The endpoint at this socket; nothing is opened yet.
    pub fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            idle: Mutex::default(),
            opening: watch::Sender::new(false),
            alone: tokio::sync::Mutex::default(),
        }
    }

    /// Where the endpoint is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Opens so many connections ahead. What fails is tried again when it is needed.
    pub async fn open_ahead(&self, count: usize) {
        for _ in 0..count {
            match timeout(ANSWER_TIME, self.open()).await {
                Ok(Ok(stream)) => self.idle().push(stream),
                Ok(Err(error)) => tracing::debug!(%error, "the endpoint cannot be reached yet"),
                Err(_) => tracing::debug!("the endpoint does not answer yet"),
            }
        }
    }

    /// Resolves when a connection is being opened, or none is any more. Safe to cancel.
    pub async fn is_opening(&self, wanted: bool) {
        // The sender lives as long as this borrow of it.
        let _ = self
            .opening
            .subscribe()
            .wait_for(|opening| *opening == wanted)
            .await;
    }

    /// Asks and waits for the whole answer.
    pub async fn ask(&self, head: &Head, body: &[u8]) -> io::Result<Answer> {
        timeout(ANSWER_TIME, self.ask_somehow(head, body))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn ask_somehow(&self, head: &Head, body: &[u8]) -> io::Result<Answer> {
        let request = request(head, body);
        let kept = self.idle().pop();
        if let Some(stream) = kept {
            // One that has been closed meanwhile is replaced; all that is asked here may be asked twice.
            match self.exchange(stream, &request).await {
                Err(error) if is_closed(&error) => {}
                outcome => return outcome,
            }
        }
        let stream = self.open().await?;
        self.exchange(stream, &request).await
    }

    /// A connection that fails, or is given up in the middle of an answer, is closed: only a whole answer leaves one of use.
    async fn exchange(&self, mut stream: UnixStream, request: &[u8]) -> io::Result<Answer> {
        let answer = converse(&mut stream, request).await?;
        self.idle().push(stream);
        Ok(answer)
    }

    async fn open(&self) -> io::Result<UnixStream> {
        let _alone = self.alone.lock().await;
        self.opening.send_replace(true);
        let _settled = Settled(&self.opening);
        let spare: Vec<_> = (0..SPARE_PAIRS)
            .map(|_| std::os::unix::net::UnixStream::pair())
            .collect::<io::Result<_>>()?;
        drop(spare);
        let mut stream = UnixStream::connect(&self.socket).await?;
        converse(&mut stream, PROOF).await?;
        Ok(stream)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<UnixStream>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets strangers in again, however the opening ended.
struct Settled<'a>(&'a watch::Sender<bool>);

impl Drop for Settled<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

fn request(head: &Head, body: &[u8]) -> Vec<u8> {
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
    let mut request = format!(
        "{method} {target} HTTP/1.1\r\nHost: local\r\n{content_type}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

async fn converse(stream: &mut UnixStream, request: &[u8]) -> io::Result<Answer> {
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(answer) = parse_answer(&bytes)? {
            return Ok(answer);
        }
        if bytes.len() > ANSWER_LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// The answer, once all of it has arrived.
fn parse_answer(bytes: &[u8]) -> io::Result<Option<Answer>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(invalid()),
    };
    let value = |name: &str| {
        let header = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let said = value("content-length").and_then(|text| text.parse::<usize>().ok());
    let said = said.ok_or_else(invalid)?;
    let body = bytes.get(length..).unwrap_or_default();
    if body.len() < said {
        return Ok(None);
    }
    // More than was said would be taken for the begin of the next answer.
    if body.len() > said {
        return Err(invalid());
    }
    let content_type = value("content-type").ok_or_else(invalid)?;
    Ok(Some(Answer {
        status: response.code.ok_or_else(invalid)?,
        content_type: content_type.to_owned().into(),
        body: body.to_vec(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::UnixListener;

    /// An endpoint that counts connections and closes each after so many answers.
    async fn endpoint(listener: UnixListener, connections: Arc<AtomicUsize>, answers: usize) {
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                for _ in 0..answers {
                    bytes.clear();
                    while !bytes.ends_with(b"\r\n\r\n") {
                        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let text =
                        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi";
                    // In two pieces, as a busy machine would send it.
                    let (one, two) = text.split_at(30);
                    let _ = stream.write_all(one.as_bytes()).await;
                    tokio::task::yield_now().await;
                    let _ = stream.write_all(two.as_bytes()).await;
                }
            });
        }
    }

    fn head() -> Head {
        super::super::parse_head(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap()
            .unwrap()
    }

    async fn connections_for(requests: usize, answers: usize) -> usize {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let connections = Arc::new(AtomicUsize::new(0));
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(endpoint(listener, connections.clone(), answers));
        let upstream = Upstream::new(path);
        upstream.open_ahead(1).await;
        for _ in 0..requests {
            let answer = upstream.ask(&head(), b"").await.unwrap();
            assert_eq!((answer.status, &answer.body[..]), (200, &b"hi"[..]));
        }
        connections.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn one_connection_serves_request_after_request_and_a_closed_one_is_replaced() {
        assert_eq!(connections_for(20, usize::MAX).await, 1);
        // Each answers the proof and three requests.
        assert_eq!(connections_for(12, 4).await, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_an_opening_to_end_hears_of_it() {
        let upstream = Upstream::new("/nowhere".into());
        let start = tokio::time::Instant::now();
        let waiting = async {
            upstream.is_opening(true).await;
            upstream.is_opening(false).await;
            start.elapsed().as_secs()
        };
        let opening = async {
            upstream.opening.send_replace(true);
            let _settled = Settled(&upstream.opening);
            tokio::time::sleep(Duration::from_secs(60)).await;
        };
        let (waited, ()) = tokio::join!(waiting, opening);
        assert_eq!(waited, 60);
    }

    #[test]
    fn an_answer_is_taken_whole_and_one_with_two_readings_not_at_all() {
        let text = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi";
        for end in 0..text.len() {
            assert!(parse_answer(&text.as_bytes()[..end]).unwrap().is_none());
        }
        assert!(parse_answer(text.as_bytes()).unwrap().is_some());
        for wrong in ["HTTP/1.1 200 OK\r\n\r\n", "nonsense\r\n\r\n"] {
            assert!(parse_answer(wrong.as_bytes()).is_err());
        }
        assert!(parse_answer(format!("{text}!").as_bytes()).is_err());
    }
}
