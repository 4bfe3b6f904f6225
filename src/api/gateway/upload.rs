//! A firmware bundle on its way through: bounded in size and time, never whole in memory, and read by nobody here.

use super::connection::Buffer;
use super::head::Head;
use crate::api::access::Need;
use crate::api::{Answer, Failure};
use crate::config::Role;
use crate::updates::{self, ANSWER_LIMIT, Ask, BUNDLE_LIMIT, Bundle, SOCKET, Told};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Where bundles are sent to.
pub const UPLOAD_PATH: &str = "/api/v1/firmware/install";
/// Who may send one.
pub const NEED: Need = Need::of_token(Role::Admin);
/// For each piece to arrive.
const ARRIVAL: Duration = Duration::from_secs(15);
/// For each piece to be written: whoever takes it writes some megabytes down before the next one, and a flash may be slow.
const WRITING: Duration = Duration::from_secs(120);
/// For the answer once all is sent: what is still in memory is written down by then.
const ANSWER: Duration = Duration::from_secs(120);

/// Bytes that the body of a request may have that is a bundle; none: it is none.
pub fn limit_of(method: &str, target: &str) -> Option<usize> {
    let path = target.split('?').next().unwrap_or_default();
    (method == "POST" && path == UPLOAD_PATH)
        .then(|| usize::try_from(BUNDLE_LIMIT).unwrap_or(usize::MAX))
}

/// Passes a bundle on to the process that may install it.
pub async fn pass_on<S: AsyncRead + Unpin>(
    (stream, buffer): (&mut S, &mut Buffer),
    head: &Head,
    inner_socket: &Path,
    by: &str,
) -> Result<Answer, Failure> {
    let ask = asked(head)?;
    let mut office = UnixStream::connect(inner_socket.with_file_name(SOCKET))
        .await
        .map_err(|error| refused(503, format!("nobody takes updates here: {error}")))?;
    tracing::info!(by, bytes = head.content_length, "an update is being sent");
    let sent = send((stream, buffer), &mut office, head.content_length, ask).await;
    if sent == Err(Ended::Client) {
        return Err(TOO_SLOW);
    }
    // Who refuses early reads no further, and has said why.
    let mut bytes = Vec::new();
    let mut answer = office.take(ANSWER_LIMIT);
    match timeout(ANSWER, answer.read_to_end(&mut bytes)).await {
        // One that closes before all was read breaks the connection behind its answer.
        Ok(_) => match updates::read_answer(&bytes) {
            Ok(Told::Taken) => Answer::json(&json!({"done": true})),
            Ok(Told::Refused(why)) => Err(refused(409, why)),
            Ok(Told::Status(_)) => Err(refused(503, "an answer to something else".into())),
            Err(error) => Err(refused(503, format!("no answer about the update: {error}"))),
        },
        Err(_) => Err(refused(503, "no answer about the update in time".into())),
    }
}

/// Why sending ended before its end.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// The client went, or was too slow.
    Client,
    /// Nobody reads any more.
    Office,
}

async fn send<S: AsyncRead + Unpin>(
    (stream, buffer): (&mut S, &mut Buffer),
    office: &mut UnixStream,
    length: usize,
    ask: Ask,
) -> Result<(), Ended> {
    write(office, &updates::question(ask)).await?;
    let mut left = length;
    while left > 0 {
        if buffer.bytes().is_empty() {
            match timeout(ARRIVAL, buffer.read_more(stream)).await {
                Ok(Ok(count)) if count > 0 => {}
                _ => return Err(Ended::Client),
            }
        }
        let count = buffer.bytes().len().min(left);
        write(office, buffer.bytes().get(..count).unwrap_or_default()).await?;
        buffer.advance(count);
        left -= count;
    }
    Ok(())
}

async fn write(office: &mut UnixStream, bytes: &[u8]) -> Result<(), Ended> {
    match timeout(WRITING, office.write_all(bytes)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Ended::Office),
    }
}

/// What is wished: `?again=true&downgrade=true&reboot=true`.
fn asked(head: &Head) -> Result<Ask, Failure> {
    let kind = head.content_type.as_deref().unwrap_or_default();
    if !kind.eq_ignore_ascii_case("application/octet-stream") {
        return Err(NO_BUNDLE);
    }
    if head.content_length == 0 {
        return Err(EMPTY);
    }
    let mut bundle = Bundle {
        bytes: head.content_length as u64,
        again: false,
        downgrade: false,
        reboot: false,
    };
    let query = head.target.split_once('?').map_or("", |(_, query)| query);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (wish, value) = match pair {
            "again=true" => (&mut bundle.again, true),
            "downgrade=true" => (&mut bundle.downgrade, true),
            "reboot=true" => (&mut bundle.reboot, true),
            "again=false" => (&mut bundle.again, false),
            "downgrade=false" => (&mut bundle.downgrade, false),
            "reboot=false" => (&mut bundle.reboot, false),
            _ => return Err(BAD_QUERY),
        };
        *wish = value;
    }
    Ok(Ask::Install(bundle))
}

fn refused(status: u16, why: String) -> Failure {
    let hint = "GET /api/v1/firmware tells how updates stand; nothing was installed";
    Failure::told(status, "not_updated", why, hint)
}

/// More than a bundle may have.
pub const TOO_LARGE: Failure = Failure::new(
    413,
    "body_too_large",
    "the bundle has more than 256 MiB",
    "send a bundle for this machine",
);

const TOO_SLOW: Failure = Failure::new(
    408,
    "request_timeout",
    "a piece of the bundle took more than 15 seconds",
    "send it again; nothing was installed",
);

const NO_BUNDLE: Failure = Failure::new(
    415,
    "no_bundle",
    "the body is not said to be a bundle",
    "send Content-Type: application/octet-stream",
);

const EMPTY: Failure = Failure::new(
    400,
    "bad_body",
    "the bundle is empty",
    "send the file as the body",
);

const BAD_QUERY: Failure = Failure::new(
    400,
    "bad_query",
    "a wish that is not known",
    "there are again, downgrade and reboot, each true or false",
);

#[cfg(test)]
mod tests {
    use super::super::head::parse_head;
    use super::*;
    use tokio::net::UnixListener;

    fn head(query: &str, kind: &str, length: u64) -> Result<Head, Failure> {
        let text = format!(
            "POST {UPLOAD_PATH}{query} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        );
        parse_head(text.as_bytes()).map(Option::unwrap)
    }

    const KIND: &str = "application/octet-stream";

    #[test]
    fn only_a_bundle_may_be_long() {
        assert!(head("?again=true", KIND, BUNDLE_LIMIT).is_ok());
        assert_eq!(head("", KIND, BUNDLE_LIMIT + 1), Err(TOO_LARGE));
        let other = "POST /api/v1/pools HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n";
        assert_eq!(parse_head(other.as_bytes()).unwrap_err().status, 413);
        let other =
            format!("PUT {UPLOAD_PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n");
        assert_eq!(parse_head(other.as_bytes()).unwrap_err().status, 413);
    }

    #[test]
    fn wishes_stand_in_the_query() {
        let asked = |query| asked(&head(query, KIND, 9).unwrap());
        let plain = Bundle {
            bytes: 9,
            again: false,
            downgrade: false,
            reboot: false,
        };
        assert_eq!(asked(""), Ok(Ask::Install(plain)));
        let wished = Bundle {
            downgrade: true,
            reboot: true,
            ..plain
        };
        let query = "?downgrade=true&reboot=true&again=false";
        assert_eq!(asked(query), Ok(Ask::Install(wished)));
        for query in ["?force=true", "?again", "?again=yes"] {
            assert_eq!(asked(query), Err(BAD_QUERY), "{query}");
        }
    }

    #[test]
    fn what_is_no_bundle_is_refused_before_anybody_is_asked() {
        assert_eq!(asked(&head("", "text/plain", 9).unwrap()), Err(NO_BUNDLE));
        assert_eq!(asked(&head("", KIND, 0).unwrap()), Err(EMPTY));
    }

    /// Passes on what `client` sends, to an office that answers `told` after as many bytes.
    async fn passed(
        client: &[u8],
        length: u64,
        read: usize,
        told: Told,
    ) -> (Vec<u8>, Result<u16, u16>) {
        let directory = tempfile::tempdir().unwrap();
        let office = UnixListener::bind(directory.path().join(SOCKET)).unwrap();
        let taking = tokio::spawn(async move {
            let (mut stream, _) = office.accept().await.unwrap();
            let mut bytes = vec![0; read];
            stream.read_exact(&mut bytes).await.unwrap();
            let answer = serde_json::to_vec(&told).unwrap();
            // One whose client has gone has nobody to tell.
            let _ = stream.write_all(&answer).await;
            bytes
        });
        let mut client = client;
        let head = head("", KIND, length).unwrap();
        let mut buffer = Buffer::default();
        let inner = directory.path().join("http.sock");
        let answer = pass_on((&mut client, &mut buffer), &head, &inner, "me").await;
        let answer = answer.map(|answer| answer.status);
        (
            taking.await.unwrap(),
            answer.map_err(|failure| failure.status),
        )
    }

    #[tokio::test]
    async fn a_bundle_goes_on_as_it_came_behind_its_question() {
        let bundle = vec![7; 100_000];
        let question = updates::question(asked(&head("", KIND, 100_000).unwrap()).unwrap());
        let read = question.len() + bundle.len();
        let (bytes, answer) = passed(&bundle, 100_000, read, Told::Taken).await;
        assert_eq!(answer, Ok(200));
        assert_eq!(bytes, [question, bundle].concat());
    }

    #[tokio::test]
    async fn a_refusal_is_told_though_the_bundle_was_not_read() {
        let bundle = vec![7; 4_000_000];
        let told = Told::Refused("an update is under way".into());
        let (_, answer) = passed(&bundle, 4_000_000, 10, told).await;
        assert_eq!(answer, Err(409));
    }

    #[tokio::test]
    async fn a_client_that_goes_half_way_is_told_if_it_listens() {
        let question = updates::question(asked(&head("", KIND, 9).unwrap()).unwrap());
        let (_, answer) = passed(b"half", 9, question.len() + 4, Told::Taken).await;
        assert_eq!(answer, Err(408));
    }
}
