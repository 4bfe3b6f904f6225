//! One client from its first byte to its last.

use super::answer::{Manner, linger, preflight, stream_heading, write_answer};
use super::head::{HEAD_LIMIT, HEAD_TOO_LARGE, Head, UNKNOWN_METHOD, parse_head};
use super::live::{Guest, Topics};
use super::origin::{self, Page};
use super::places::Place;
use super::{BUSY, LIVE_PATH, Shared, socket, upload};
use crate::api::access::{Caller, Need};
use crate::api::routes::{needed, order_of};
use crate::api::writes::CLAIM_PATH;
use crate::api::{Answer, Failure};
use crate::config::Role;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::ready;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

/// From the first byte of a head to its last.
const HEAD_TIME: Duration = Duration::from_secs(3);
/// For the first byte of the first head, and of each one after it.
const IDLE_TIME: Duration = Duration::from_secs(15);
/// For a body.
const BODY_TIME: Duration = Duration::from_secs(5);
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
#[derive(Default)]
pub struct Buffer {
    bytes: Vec<u8>,
}

/// Why a connection ends.
enum End {
    /// The client has gone, or took too long: there is nobody to tell.
    Silent,
    /// The client is told why.
    Told(Failure),
}

/// What the client wants to have been told.
enum Reply {
    /// An answer.
    Answer(Answer),
    /// All is said, and the connection ends: it was a stream.
    Streamed,
}

/// A client's bytes, whichever way it came in.
pub trait Client: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Client for S {}

/// Serves requests until the client goes, misbehaves, is out of time, or somebody else wants the place that it only holds.
// Boxed, so that all that follows is compiled once, and not for each kind of stream.
pub async fn serve(mut stream: Box<dyn Client>, door: Door, shared: &Shared, place: &Place) {
    tokio::select! {
        biased;
        () = place.is_wanted() => {}
        () = requests(&mut stream, door, shared, place) => {
            let _ = stream.shutdown().await;
        }
    }
}

async fn requests<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    door: Door,
    shared: &Shared,
    place: &Place,
) {
    let life_ends = Instant::now() + LIFE_TIME;
    let mut buffer = Buffer::default();
    loop {
        place.waits(Instant::now());
        let failure = match read_head(stream, &mut buffer).await {
            Ok(Some(head)) => {
                // In a box of its own: thousands of clients only wait, and should cost little.
                let ports = (&mut *stream, &mut buffer);
                match Box::pin(one_request(ports, head, (door, shared), place, life_ends)).await {
                    Ok(true) => {
                        buffer.shrink();
                        continue;
                    }
                    Ok(false) => return,
                    Err(failure) => failure,
                }
            }
            Ok(None) | Err(End::Silent) => return,
            Err(End::Told(failure)) => (failure, None),
        };
        return Box::pin(refuse(stream, failure)).await;
    }
}

/// Tells why, and ends.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    (failure, origin): (Failure, Option<String>),
) {
    let manner = Manner {
        origin: origin.as_deref(),
        ..Manner::default()
    };
    if write_answer(stream, &failure.into(), manner).await.is_ok() {
        linger(stream).await;
    }
}

/// True when the client may ask again. A refusal comes with the origin whose page may read it.
async fn one_request<S: AsyncRead + AsyncWrite + Unpin>(
    (stream, buffer): (&mut S, &mut Buffer),
    head: Head,
    (door, shared): (Door, &Shared),
    place: &Place,
    life_ends: Instant,
) -> Result<bool, (Failure, Option<String>)> {
    let page = match door {
        Door::Network(_) => {
            let changes = !matches!(head.method, "GET" | "HEAD" | "OPTIONS");
            let changes = changes || head.upgrade.is_some();
            origin::check(&head, changes, shared).map_err(|failure| (failure, None))?
        }
        Door::Local => Page::Own,
    };
    let keep_alive = head.keep_alive && Instant::now() < life_ends;
    let reply = respond((&mut *stream, buffer), &head, (door, shared), place, page).await;
    let manner = Manner {
        keep_alive,
        without_body: head.method == "HEAD",
        origin: page.origin(),
    };
    match reply {
        Ok(Reply::Answer(answer)) => {
            let written = write_answer(stream, &answer, manner).await;
            Ok(written.is_ok() && keep_alive)
        }
        Ok(Reply::Streamed) | Err(End::Silent) => Ok(false),
        Err(End::Told(failure)) => Err((failure, page.origin().map(Into::into))),
    }
}

async fn respond<S: AsyncRead + AsyncWrite + Unpin>(
    (stream, buffer): (&mut S, &mut Buffer),
    head: &Head,
    (door, shared): (Door, &Shared),
    place: &Place,
    page: Page<'_>,
) -> Result<Reply, End> {
    let path = head.target.split('?').next().unwrap_or_default();
    let method = match head.method {
        "HEAD" => "GET",
        other => other,
    };
    let is_live = method == "GET" && path == LIVE_PATH;
    let is_upload = upload::limit_of(method, &head.target).is_some();
    // The token of a subprotocol opens a WebSocket and nothing else.
    let token = head
        .upgrade
        .as_ref()
        .filter(|_| is_live && head.method == "GET");
    let token = token.and_then(|upgrade| upgrade.token.as_deref());
    let caller = shared.identify(door, head, token).map_err(End::Told)?;
    let needed = if is_live {
        Some(LISTEN)
    } else if is_upload {
        Some(upload::NEED)
    } else {
        needed(method, path)
    };
    let claims = method == "POST" && path == CLAIM_PATH;
    if !(claims && shared.may_claim(&caller)) {
        shared.allow(&caller, needed).map_err(End::Told)?;
    }
    if is_live && head.method == "GET" {
        place.is_busy();
        return live((stream, buffer), head, shared, caller, page).await;
    }
    if is_upload {
        place.is_busy();
        let by = &caller.name;
        let taken = upload::pass_on((stream, buffer), head, shared.upstream.socket(), by).await;
        return taken.map(Reply::Answer).map_err(End::Told);
    }
    let body = read_body(stream, buffer, head.content_length).await?;
    place.is_busy();
    if method == "OPTIONS" {
        let origin = page.origin().ok_or(End::Told(UNKNOWN_METHOD))?;
        let text = preflight(origin);
        let written = stream.write_all(text.as_bytes()).await;
        written.map_err(|_| End::Silent)?;
        return Ok(Reply::Streamed);
    }
    if let Some(order) = order_of(method, path, &body) {
        check_content_type(head).map_err(End::Told)?;
        let done = match order {
            Ok(order) => shared.control.orders.give(order, &caller.name).await,
            Err(failure) => Err(failure),
        };
        let answer = done.and_then(|outcome| Answer::json(&outcome));
        return Ok(Reply::Answer(answer.unwrap_or_else(Answer::from)));
    }
    let Ok(Ok(turn)) = timeout(TURN_TIME, shared.answering.acquire()).await else {
        return Err(End::Told(BUSY));
    };
    let answer = shared.upstream.ask(head, &body).await;
    drop(turn);
    answer.map(Reply::Answer).map_err(|error| {
        tracing::warn!(%error, path = head.target, "the endpoint behind the gateway did not answer");
        End::Told(NO_ANSWER)
    })
}

/// What a listener to the live stream needs.
const LISTEN: Need = Need::to_read(Role::Viewer);

async fn live<S: AsyncRead + AsyncWrite + Unpin>(
    (stream, buffer): (&mut S, &mut Buffer),
    head: &Head,
    shared: &Shared,
    caller: Caller,
    page: Page<'_>,
) -> Result<Reply, End> {
    let topics = Topics::of(&head.target);
    let guest = Guest::new(caller, LISTEN, shared.control.access.clone());
    // A listener that has gone is no news.
    let _ = if let Some(upgrade) = &head.upgrade {
        let heading = socket::heading(upgrade).map_err(End::Told)?;
        socket::converse(&shared.feed, (stream, buffer), topics, guest, &heading).await
    } else {
        let heading = stream_heading(page.origin());
        shared.feed.tell(stream, topics, guest, &heading).await
    };
    Ok(Reply::Streamed)
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
    /// What was read and not yet used.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// So many bytes were used.
    pub fn advance(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
    }

    /// Reads one piece, by way of a stack that is free again while nothing comes: an idle client costs next to nothing. Safe
    /// to cancel.
    pub async fn read_more<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<usize> {
        poll_fn(|context| {
            let mut piece = [0; 2048];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut piece))?;
            self.bytes.extend_from_slice(piece.filled());
            std::task::Poll::Ready(Ok(piece.filled().len()))
        })
        .await
    }

    /// Gives the memory back while there is nothing to hold.
    fn shrink(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }
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
    use crate::api::gateway::places::Places;
    use crate::api::gateway::upstream::Upstream;
    use crate::telemetry::samples::Rooms;
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::sync::Semaphore;

    const NETWORK: Door = Door::Network(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    fn shared() -> Shared {
        Shared {
            upstream: Upstream::new("/nowhere/http.sock".into()),
            own_names: Vec::new(),
            control: crate::api::tests::no_control(),
            gatekeeper: std::sync::Mutex::default(),
            answering: Semaphore::new(1),
            feed: Feed::new(Rooms::silent().0),
            source: Rooms::silent().0,
        }
    }

    fn place() -> Place {
        Places::new(1).take(None, Instant::now()).unwrap()
    }

    /// Sends the pieces, each after its pause in seconds, and gives what came back and how long the connection lived.
    async fn dialogue(pieces: &'static [(u64, &'static str)]) -> (String, u64) {
        let start = Instant::now();
        let (mut client, server) = duplex(4096);
        let serving = tokio::spawn(async move {
            serve(Box::new(server), NETWORK, &shared(), &place()).await;
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
        let place = place();
        tokio::join!(serve(Box::new(server), NETWORK, &shared, &place), async {
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
