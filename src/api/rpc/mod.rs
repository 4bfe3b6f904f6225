//! The cgminer API: one request, one reply, end of connection. Write commands are for programs of allowed networks.
//!
//! cgminer itself serves one client after another, so a silent one blocks all. Here each has a task, a deadline and a bounded
//! place.

mod commands;
mod devices;
mod figures;
mod fleet;
mod keeping;
mod reply;
mod request;
mod stats;
mod writes;

pub use figures::rate_over;
pub use request::{Refusal, Request, parse};

use super::orders::Orders;
use super::{ApiError, Control};
use crate::telemetry::SnapshotSource;
use cgminer_hal::task::boxed;
use request::{REQUEST_LIMIT, is_whole_json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Clients at one time; another one is let go at once.
const CLIENTS: usize = 32;
/// For a whole request.
const REQUEST_TIME: Duration = Duration::from_secs(3);
/// A request in text has no end: it is whole when nothing more comes for so long.
const QUIET_TIME: Duration = Duration::from_millis(100);
/// For taking the reply.
const REPLY_TIME: Duration = Duration::from_secs(5);
/// Pause after the system refused to accept.
const PAUSE: Duration = Duration::from_millis(500);

/// The open door of the cgminer API.
pub struct Rpc {
    listener: TcpListener,
    source: SnapshotSource,
    control: Control,
}

/// Who asks.
#[derive(Default)]
struct Visitor<'a> {
    /// When it may change something.
    writer: Option<Writer<'a>>,
    /// The kind of machine that it is told of, when the owner wants that.
    fleet: Option<String>,
}

/// Who may change something, and by whom it is done.
struct Writer<'a> {
    orders: &'a Orders,
    name: String,
}

impl Rpc {
    /// Opens it. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn open(
        address: SocketAddr,
        source: SnapshotSource,
        control: Control,
    ) -> Result<Self, ApiError> {
        let failed = |source| ApiError::Listen {
            what: address.to_string(),
            source,
        };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self {
            listener: TcpListener::from_std(listener).map_err(failed)?,
            source,
            control,
        })
    }

    /// Where it is.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Serves until dropped.
    pub async fn run(self) {
        let permits = Arc::new(Semaphore::new(CLIENTS));
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        if let Ok(permit) = permits.clone().try_acquire_owned() {
                            let (source, control) = (self.source.clone(), self.control.clone());
                            clients.spawn(boxed(async move {
                                let visitor = visitor(peer.ip(), &control);
                                serve(stream, &source, visitor).await;
                                drop(permit);
                            }));
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a client of the cgminer API");
                        sleep(PAUSE).await;
                    }
                },
                Some(_) = clients.join_next() => {}
            }
        }
    }
}

fn visitor(peer: IpAddr, control: &Control) -> Visitor<'_> {
    let access = control.access.borrow();
    let allowed = access.writers.iter().any(|network| network.contains(peer));
    Visitor {
        writer: allowed.then(|| Writer {
            orders: &control.orders,
            name: format!("a program at {peer}"),
        }),
        fleet: access.fleet.clone(),
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    source: &SnapshotSource,
    visitor: Visitor<'_>,
) {
    let bytes = read_request(&mut stream).await;
    if bytes.is_empty() {
        return;
    }
    let mut reply = answer(&bytes, source, visitor).await.into_bytes();
    // Every reply ends with a zero, in both forms.
    reply.push(0);
    let write = async {
        stream.write_all(&reply).await?;
        stream.shutdown().await
    };
    // A client that has gone is no news.
    let _ = timeout(REPLY_TIME, write).await;
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Vec<u8> {
    let deadline = Instant::now() + REQUEST_TIME;
    let mut bytes = Vec::new();
    let mut piece = [0; 1024];
    while bytes.len() < REQUEST_LIMIT && !is_whole_json(&bytes) {
        let begins_json = bytes.first() == Some(&b'{');
        let until = if bytes.is_empty() || begins_json {
            deadline
        } else {
            deadline.min(Instant::now() + QUIET_TIME)
        };
        match timeout_at(until, stream.read(&mut piece)).await {
            Ok(Ok(count)) if count > 0 => {
                bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
            }
            _ => break,
        }
    }
    bytes.truncate(REQUEST_LIMIT);
    bytes
}

/// The reply to a whole request, without its closing zero.
async fn answer(bytes: &[u8], source: &SnapshotSource, visitor: Visitor<'_>) -> String {
    let Visitor { writer, fleet } = visitor;
    let when = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let Request {
        json,
        commands,
        parameter,
    } = match parse(bytes) {
        Ok(request) => request,
        Err(Refusal { json: true, reply }) => return reply.to_json(when),
        Err(Refusal { reply, .. }) => return reply.to_text(when),
    };
    let snapshot = source.snapshot();
    let joined = commands.len() > 1;
    let parameter = parameter.as_deref();
    // A command that changes something stands alone, as in cgminer.
    let written = match (commands.as_slice(), &writer) {
        ([command], Some(writer)) if writes::is_carried_out(command) => Some((command, writer)),
        _ => None,
    };
    if let Some((command, writer)) = written {
        let (orders, by) = (writer.orders, &writer.name);
        let reply = writes::carry_out(command, parameter, &snapshot, orders, by).await;
        return if json {
            reply.to_json(when)
        } else {
            reply.to_text(when)
        };
    }
    let may_write = writer.is_some();
    let reply = |command: &str| {
        let terms = commands::Terms {
            joined,
            may_write,
            fleet: fleet.as_deref(),
        };
        commands::answer(command, parameter, terms, &snapshot)
    };
    match (json, commands.as_slice()) {
        (true, [command]) => reply(command).to_json(when),
        (false, [command]) => reply(command).to_text(when),
        (true, commands) => {
            let member = |command: &String| {
                let name = serde_json::Value::from(command.as_str());
                format!("{name}:[{}]", reply(command).to_json(when))
            };
            let members: Vec<String> = commands.iter().map(member).collect();
            format!("{{{},\"id\":1}}", members.join(","))
        }
        (false, commands) => {
            let part = |command: &String| {
                let name: String = command.chars().filter(char::is_ascii_graphic).collect();
                format!("CMD={name}|{}", reply(command).to_text(when))
            };
            commands.iter().map(part).collect()
        }
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
