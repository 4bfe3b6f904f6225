//! What goes back to a client, in the gateway's own words.

use crate::api::{Answer, Failure};
use std::fmt::Write;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// For writing an answer.
const WRITE_TIME: Duration = Duration::from_secs(10);

/// How an answer is sent.
#[derive(Clone, Copy, Default)]
pub struct Manner<'a> {
    /// The client may ask again.
    pub keep_alive: bool,
    /// The body is left out: the method was HEAD.
    pub without_body: bool,
    /// The page of this origin may read it.
    pub origin: Option<&'a str>,
}

/// Sends an answer.
pub async fn write_answer<S: AsyncWrite + Unpin>(
    stream: &mut S,
    answer: &Answer,
    manner: Manner<'_>,
) -> io::Result<()> {
    let head = head_of(answer, manner);
    let write = async {
        stream.write_all(head.as_bytes()).await?;
        if !manner.without_body {
            stream.write_all(&answer.body).await?;
        }
        stream.flush().await
    };
    timeout(WRITE_TIME, write)
        .await
        .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

/// Says that there is no place. Never waits: what the socket's buffer does not take is lost.
pub fn turn_away<S: AsyncWrite + Unpin>(mut stream: S, failure: Failure) {
    let answer = Answer::from(failure);
    let mut bytes = head_of(&answer, Manner::default()).into_bytes();
    bytes.extend_from_slice(&answer.body);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let _ = std::pin::Pin::new(&mut stream).poll_write(&mut context, &bytes);
}

/// Reads on for a moment after a refusal: closing with bytes unread resets the connection, and the client would lose
/// the answer.
pub async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
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

/// The head of a stream of server-sent events.
pub fn stream_heading(origin: Option<&str>) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n{SAFETY_HEADERS}{}\r\n",
        cors(origin)
    )
}

/// What a browser asks before a page of another origin may send a request that is more than a form's.
pub fn preflight(origin: &str) -> String {
    format!(
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n{SAFETY_HEADERS}{}\
         Access-Control-Allow-Methods: GET, POST, PUT, PATCH, DELETE\r\n\
         Access-Control-Allow-Headers: Authorization, Content-Type\r\n\
         Access-Control-Max-Age: 600\r\n\r\n",
        cors(Some(origin))
    )
}

fn head_of(answer: &Answer, manner: Manner<'_>) -> String {
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
    let mut head = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\n",
        answer.status,
        answer.content_type,
        answer.body.len(),
        if manner.keep_alive {
            "keep-alive"
        } else {
            "close"
        },
    );
    // Writing to a text cannot fail.
    let _ = write!(head, "{SAFETY_HEADERS}{}\r\n", cors(manner.origin));
    head
}

fn cors(origin: Option<&str>) -> String {
    origin.map_or_else(String::new, |origin| {
        format!("Access-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n")
    })
}

/// Nothing is kept by caches, guessed at by browsers, framed by other pages, or loaded from another place.
const SAFETY_HEADERS: &str = "Cache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: no-referrer\r\n\
    Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";
