//! The live stream over a WebSocket: topics told, and chosen by messages such as `{"subscribe": ["pools"]}`.

use super::connection::Buffer;
use super::head::{SUBPROTOCOL, Upgrade};
use super::live::{Feed, Guest, Message, Told, Topics, write};
use super::websocket::{Kind, Messages, Said, close, frame, parse, proof};
use crate::api::Failure;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Between two pings.
const PING: Duration = Duration::from_secs(15);
/// Pings without any sign of life before the client counts as gone.
const SILENT_PINGS: u32 = 3;
/// Frames that a client may send between two pings.
const FRAMES: u32 = 256;

/// The client is going, or the server.
const NORMAL: u16 = 1000;
/// It may not listen any more, or says too much.
const POLICY: u16 = 1008;

/// A message of a client.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    subscribe: Vec<String>,
    #[serde(default)]
    unsubscribe: Vec<String>,
}

/// The answer to a client that asks for a WebSocket.
///
/// # Errors
/// When it does not ask as RFC 6455 has it.
pub fn heading(upgrade: &Upgrade) -> Result<String, Failure> {
    if upgrade.version.as_deref() != Some("13") {
        return Err(VERSION);
    }
    let proof = upgrade.key.as_deref().and_then(proof).ok_or(KEY)?;
    let chosen = if upgrade.speaks_ours {
        format!("Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n")
    } else {
        String::new()
    };
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {proof}\r\n{chosen}\r\n"
    ))
}

/// What there is to do next.
enum Step {
    Tell(io::Result<Arc<Told>>),
    Read(io::Result<usize>),
    Ping,
    Unwelcome,
}

/// Tells a listener until it says good-bye, has gone, takes nothing any more, breaks the protocol, or may no longer listen.
pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    feed: &Feed,
    (stream, buffer): (&mut S, &mut Buffer),
    mut topics: Topics,
    mut guest: Guest,
    heading: &str,
) -> io::Result<()> {
    write(stream, &[heading.as_bytes()]).await?;
    let mut listening = feed.listen();
    let mut pings = interval_at(Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut messages = Messages::default();
    let (mut silent, mut frames) = (0, 0);
    loop {
        // What came along with the request may hold frames already.
        while let Some((next, used)) = match parse(buffer.bytes()) {
            Ok(next) => next,
            Err(violation) => return part(stream, violation.code()).await,
        } {
            buffer.advance(used);
            (silent, frames) = (0, frames + 1);
            if frames > FRAMES {
                return part(stream, POLICY).await;
            }
            match messages.take(next) {
                Ok(None | Some(Said::Pong)) => {}
                Ok(Some(Said::Ping(payload))) => {
                    write(stream, &[&frame(Kind::Pong, &payload)]).await?;
                }
                Ok(Some(Said::Close(code))) => return part(stream, code).await,
                Ok(Some(Said::Text(text))) => {
                    if let Some(problem) = follow(&text, &mut topics) {
                        write(stream, &[&problem.frame]).await?;
                    }
                }
                Err(violation) => return part(stream, violation.code()).await,
            }
        }
        let step = tokio::select! {
            told = listening.next() => Step::Tell(told),
            read = buffer.read_more(stream) => Step::Read(read),
            _ = pings.tick() => Step::Ping,
            () = guest.is_unwelcome() => Step::Unwelcome,
        };
        match step {
            Step::Tell(told) => {
                let messages = listening.messages(&*told?, topics)?;
                let pieces: Vec<&[u8]> = messages.iter().map(|message| &*message.frame).collect();
                write(stream, &pieces).await?;
            }
            Step::Read(read) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            Step::Ping if silent >= SILENT_PINGS => return part(stream, NORMAL).await,
            Step::Ping => {
                (silent, frames) = (silent + 1, 0);
                write(stream, &[&frame(Kind::Ping, b"")]).await?;
            }
            Step::Unwelcome => return part(stream, POLICY).await,
        }
    }
}

/// Says good-bye.
async fn part<S: AsyncWrite + Unpin>(stream: &mut S, code: u16) -> io::Result<()> {
    write(stream, &[&close(code)]).await
}

/// Does what a message asks for; gives what to answer when it cannot be done.
fn follow(text: &str, topics: &mut Topics) -> Option<Message> {
    // A list would be taken for the members in their order.
    let object = serde_json::from_slice::<Map<String, Value>>(text.as_bytes());
    let wish = match object.and_then(|object| Wish::deserialize(Value::Object(object))) {
        Ok(wish) => wish,
        Err(error) => return problem(&error.to_string()),
    };
    let mut changed = *topics;
    let wishes = [(wish.subscribe, true), (wish.unsubscribe, false)];
    for (names, wanted) in wishes {
        if !names.iter().all(|name| changed.set(name, wanted)) {
            return problem("there is no such topic");
        }
    }
    *topics = changed;
    None
}

fn problem(message: &str) -> Option<Message> {
    let hint = "send {\"subscribe\": [...]} or {\"unsubscribe\": [...]} with status, devices, pools, events";
    let error = json!({"code": "bad_message", "message": message, "hint": hint});
    Message::of("error", &error).ok()
}

const VERSION: Failure = Failure::new(
    426,
    "upgrade_required",
    "only version 13 of WebSocket is spoken here",
    "send Sec-WebSocket-Version: 13",
);

const KEY: Failure = Failure::new(
    400,
    "bad_request",
    "Sec-WebSocket-Key is missing or is none",
    "send 16 random bytes in base64",
);

#[cfg(test)]
mod tests;
