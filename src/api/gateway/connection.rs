//! One client from its first byte to its last.

use super::head::{HEAD_LIMIT, HEAD_TOO_LARGE, Head, parse_head};
use super::{BUSY, LIVE_PATH, Shared, upstream};
use crate::api::routes::{needed, order_of};
use crate::api::writes::CLAIM_PATH;
use crate::api::{Answer, Failure};
use crate::config::Role;
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

/// From the first byte of a head to its last.
const HEAD_TIME: Duration = Duration::from_secs(3);
/// For the first byte of the first head, and of each one after it.
const IDLE_TIME: Duration = Duration::from_secs(15);
/// For a body.
const BODY_TIME: Duration = Duration::from_secs(5);
/// For writing an answer.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// For a turn to be answered.
const TURN_TIME: Duration = Duration::from_secs(2);
/// Life of a connection, however busy: nobody holds a place for ever.
const LIFE_TIME: Duration = Duration::from_secs(10 * 60);

/// Which way a client came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// From the network, at this address.
    Network(IpAddr),
    /// Through the local socket, whose file bounds who may.
    Local,
}

/// What was read and not yet used.
struct Buffer {
    bytes: Vec<u8>,
}

/// Why a connection ends.
enum End {
    /// The client has gone, or took too long: there is nobody to tell.
    Silent,
    /// The client is told why.
    Told(Failure),
}

/// Serves requests until the client goes, misbehaves or is out of time.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, door: Door, shared: &Shared) {
    let life_ends = Instant::now() + LIFE_TIME;
    let mut buffer = Buffer { bytes: Vec::new() };
    let end = loop {
        match one_request(&mut stream, &mut buffer, door, shared, life_ends).await {
            Ok(true) => {}
            Ok(false) => break End::Silent,
            Err(end) => break end,
        }
    };
    if let End::Told(failure) = end {
        if write_answer(&mut stream, &failure.into(), false, true)
            .await
            .is_ok()
        {
            linger(&mut stream).await;
        }
    }
    let _ = stream.shutdown().await;
}

/// Says that there is no place. Never waits: what the socket's buffer does not take is lost.
pub fn turn_away<S: AsyncWrite + Unpin + Send + 'static>(mut stream: S) {
    let answer = Answer::from(BUSY);
    let mut bytes = head_of(&answer, false).into_bytes();
    bytes.extend_from_slice(&answer.body);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let _ = std::pin::Pin::new(&mut stream).poll_write(&mut context, &bytes);
}

/// True when the client may ask again.
async fn one_request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut Buffer,
    door: Door,
    shared: &Shared,
    life_ends: Instant,
) -> Result<bool, End> {
    let Some(head) = read_head(stream, buffer).await? else {
        return Ok(false);
    };
    if let Door::Network(_) = door {
        check_host(&head, shared).map_err(End::Told)?;
    }
    let caller = shared.identify(door, &head).map_err(End::Told)?;
    let path = head.target.split('?').next().unwrap_or_default();
    let method = if head.method == "HEAD" {
        "GET"
    } else {
        head.method
    };
    let is_live = method == "GET" && path == LIVE_PATH;
    let needed = if is_live {
        Some(Role::Viewer)
    } else {
        needed(method, path)
    };
    let claims = method == "POST" && path == CLAIM_PATH;
    if !(claims && shared.may_claim(&caller)) {
        shared.allow(&caller, needed).map_err(End::Told)?;
    }
    if is_live {
        // A listener that has gone is no news.
        let _ = shared.feed.tell(stream, &head, &stream_heading()).await;
        return Ok(false);
    }
    let body = read_body(stream, buffer, head.content_length).await?;
    let keep = head.keep_alive && Instant::now() < life_ends;
    if let Some(order) = order_of(method, path, &body) {
        check_content_type(&head).map_err(End::Told)?;
        let done = match order {
            Ok(order) => shared.control.orders.give(order, &caller.name).await,
            Err(failure) => Err(failure),
        };
        let answer = done
            .and_then(|outcome| Answer::json(&outcome))
            .unwrap_or_else(Answer::from);
        write_answer(stream, &answer, keep, head.method != "HEAD")
            .await
            .map_err(|_| End::Silent)?;
        return Ok(keep);
    }
    let Ok(Ok(turn)) = timeout(TURN_TIME, shared.answering.acquire()).await else {
        return Err(End::Told(BUSY));
    };
    let answer = match upstream::ask(&shared.inner_socket, &head, &body).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(%error, path = head.target, "the endpoint behind the gateway did not answer");
            return Err(End::Told(NO_ANSWER));
        }
    };
    drop(turn);
    write_answer(stream, &answer, keep, head.method != "HEAD")
        .await
        .map_err(|_| End::Silent)?;
    Ok(keep)
}

async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Buffer,
) -> Result<Option<Head>, End> {
    let mut deadline = Instant::now() + IDLE_TIME;
    let mut begun = false;
    loop {
        // Empty lines between requests mean nothing (RFC 9112, 2.2).
        let blank = buffer
            .bytes
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        buffer.bytes.drain(..blank);
        if !buffer.bytes.is_empty() {
            if !begun {
                begun = true;
                deadline = Instant::now() + HEAD_TIME;
            }
            if let Some(head) = parse_head(&buffer.bytes).map_err(End::Told)? {
                buffer.bytes.drain(..head.length);
                return Ok(Some(head));
            }
        }
        if buffer.bytes.len() >= HEAD_LIMIT {
            return Err(End::Told(HEAD_TOO_LARGE));
        }
        match timeout_at(deadline, buffer.read_more(stream)).await {
            Ok(Ok(0)) if buffer.bytes.is_empty() => return Ok(None),
            Ok(Ok(0) | Err(_)) => return Err(End::Silent),
            Ok(Ok(_)) => {}
            Err(_) if begun => return Err(End::Told(HEAD_TOO_SLOW)),
            Err(_) => return Ok(None),
        }
    }
}

async fn read_body<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Buffer,
    length: usize,
) -> Result<Vec<u8>, End> {
    let deadline = Instant::now() + BODY_TIME;
    while buffer.bytes.len() < length {
        match timeout_at(deadline, buffer.read_more(stream)).await {
            Ok(Ok(0) | Err(_)) => return Err(End::Silent),
            Ok(Ok(_)) => {}
            Err(_) => return Err(End::Told(BODY_TOO_SLOW)),
        }
    }
    let rest = buffer.bytes.split_off(length);
    Ok(std::mem::replace(&mut buffer.bytes, rest))
}

impl Buffer {
    /// Reads one piece; small, so that an idle client costs little.
    async fn read_more<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<usize> {
        let mut piece = [0; 2048];
        let count = stream.read(&mut piece).await?;
        self.bytes
            .extend_from_slice(piece.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// A browser tells in Host which name it was given, and in Origin whose page it runs.
fn check_host(head: &Head, shared: &Shared) -> Result<(), Failure> {
    let Some(host) = &head.host else {
        return Ok(());
    };
    if !shared.allows_host(host) {
        return Err(HOST_NOT_ALLOWED);
    }
    let same_origin = |origin: &str| {
        let origin = origin
            .strip_prefix("http://")
            .or(origin.strip_prefix("https://"));
        origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host))
    };
    let reads = matches!(head.method, "GET" | "HEAD");
    if !reads
        && head
            .origin
            .as_deref()
            .is_some_and(|origin| !same_origin(origin))
    {
        return Err(ORIGIN_NOT_ALLOWED);
    }
    Ok(())
}

/// A form of a strange page cannot send JSON without the browser asking first, which nobody here answers.
fn check_content_type(head: &Head) -> Result<(), Failure> {
    let kind = head.content_type.as_deref().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if head.content_length == 0 || kind.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(NOT_JSON)
    }
}

async fn write_answer<S: AsyncWrite + Unpin>(
    stream: &mut S,
    answer: &Answer,
    keep_alive: bool,
    with_body: bool,
) -> io::Result<()> {
    let head = head_of(answer, keep_alive);
    let write = async {
        stream.write_all(head.as_bytes()).await?;
        if with_body {
            stream.write_all(&answer.body).await?;
        }
        stream.flush().await
    };
    timeout(WRITE_TIME, write)
        .await
        .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

fn head_of(answer: &Answer, keep_alive: bool) -> String {
    let reason = match answer.status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        // The words mean nothing to any client (RFC 9112, 4).
        _ => "Status",
    };
    format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\n{SAFETY_HEADERS}\r\n",
        answer.status,
        answer.content_type,
        answer.body.len(),
        if keep_alive { "keep-alive" } else { "close" },
    )
}

fn stream_heading() -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n{SAFETY_HEADERS}\r\n"
    )
}

/// Nothing is kept by caches, guessed at by browsers, framed by other pages, or loaded from another place.
const SAFETY_HEADERS: &str = "Cache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: no-referrer\r\n\
    Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";

/// Reads on for a moment after a refusal: closing with bytes unread resets the connection, and the client would lose
/// the answer.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let drain = async {
        let _ = stream.shutdown().await;
        let mut piece = [0; 2048];
        for _ in 0..128 {
            if !matches!(stream.read(&mut piece).await, Ok(count) if count > 0) {
                break;
            }
        }
    };
    let _ = timeout(Duration::from_millis(500), drain).await;
}

const NOT_JSON: Failure = Failure::new(
    415,
    "not_json",
    "the body is not said to be JSON",
    "send Content-Type: application/json",
);

const HEAD_TOO_SLOW: Failure = Failure::new(
    408,
    "request_timeout",
    "the head of the request took more than 3 seconds",
    "send it at once",
);

const BODY_TOO_SLOW: Failure = Failure::new(
    408,
    "request_timeout",
    "the body of the request took more than 5 seconds",
    "send it at once",
);

const HOST_NOT_ALLOWED: Failure = Failure::new(
    403,
    "host_not_allowed",
    "the Host header names another machine",
    "use the machine's address, or add the name to api.hosts",
);

const ORIGIN_NOT_ALLOWED: Failure = Failure::new(
    403,
    "origin_not_allowed",
    "a page of another origin may not change this machine",
    "use the machine's own page, or no browser",
);

const NO_ANSWER: Failure = Failure::new(
    503,
    "no_answer",
    "the machine did not answer in time",
    "ask again in a second; the log tells more",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::gateway::live::Feed;
    use crate::telemetry::samples::Rooms;
    use tokio::io::duplex;
    use tokio::sync::Semaphore;

    const NETWORK: Door = Door::Network(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    fn shared() -> Shared {
        Shared {
            inner_socket: "/nowhere/http.sock".into(),
            own_names: Vec::new(),
            control: crate::api::tests::no_control(),
            gatekeeper: std::sync::Mutex::default(),
            answering: Semaphore::new(1),
            feed: Feed::new(Rooms::silent().0),
            source: Rooms::silent().0,
        }
    }

    /// Sends the pieces, each after its pause in seconds, and gives what came back and how long the connection lived.
    async fn dialogue(pieces: &'static [(u64, &'static str)]) -> (String, u64) {
        let start = Instant::now();
        let (mut client, server) = duplex(4096);
        let serving = tokio::spawn(async move {
            serve(server, NETWORK, &shared()).await;
            start.elapsed().as_secs()
        });
        for (pause, piece) in pieces {
            tokio::time::sleep(Duration::from_secs(*pause)).await;
            let _ = client.write_all(piece.as_bytes()).await;
        }
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        drop(client);
        (answer, serving.await.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_let_go_without_a_word() {
        assert_eq!(dialogue(&[]).await, (String::new(), 15));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_in_is_refused_after_three_seconds() {
        let (answer, seconds) = dialogue(&[
            (0, "GET"),
            (1, " /"),
            (1, " HTTP"),
            (2, "/1.1\r\n"),
            (9, "X"),
        ])
        .await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert_eq!(seconds, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn empty_lines_do_not_hold_a_place_for_longer_than_silence() {
        let (answer, seconds) = dialogue(&[(5, "\r\n"), (5, "\r\n"), (4, "\r\n")]).await;
        assert_eq!((answer.as_str(), seconds), ("", 15));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_refused_after_five_seconds() {
        let (answer, seconds) = dialogue(&[(
            0,
            "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc",
        )])
        .await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert_eq!(seconds, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_is_gone_is_told_as_such() {
        let (answer, _) = dialogue(&[(0, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")]).await;
        assert!(
            answer.starts_with("HTTP/1.1 503 ") && answer.contains("no_answer"),
            "{answer}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_turns_are_taken_the_client_hears_so_after_two_seconds() {
        let shared = shared();
        let turn = shared.answering.acquire().await.unwrap();
        let (mut client, server) = duplex(4096);
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        let start = Instant::now();
        let mut answer = String::new();
        tokio::join!(serve(server, NETWORK, &shared), async {
            client.read_to_string(&mut answer).await.unwrap();
            assert_eq!(start.elapsed().as_secs(), 2);
            drop(client);
        });
        drop(turn);
        assert!(
            answer.starts_with("HTTP/1.1 503 ") && answer.contains("busy"),
            "{answer}"
        );
    }
}
