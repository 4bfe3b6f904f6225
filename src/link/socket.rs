//! The link over a Unix stream socket.

use super::codec::{self, HEADER, MAXIMUM_DOWN, MAXIMUM_UP};
use super::end::{Inbox, KeeperEnd, LinkError, MinerEnd};
use super::message::{Down, Up};
use cgminer_hal::task::boxed;
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

/// Messages that may wait to be written to, or taken from, the socket.
const QUEUE: usize = 32;

/// The miner's end of a socket.
#[must_use]
pub fn miner_end(socket: UnixStream) -> MinerEnd {
    let (reader, writer) = socket.into_split();
    let (end, sent, inbox) = MinerEnd::open();
    tokio::spawn(boxed(write_all(writer, sent, MAXIMUM_DOWN)));
    tokio::spawn(boxed(deliver(reader, inbox)));
    end
}

/// The keeper's end of a socket.
#[must_use]
pub fn keeper_end(socket: UnixStream) -> KeeperEnd {
    let (reader, writer) = socket.into_split();
    let (up, sent) = mpsc::channel(QUEUE);
    let (received, down) = mpsc::channel(QUEUE);
    tokio::spawn(boxed(write_all(writer, sent, MAXIMUM_UP)));
    tokio::spawn(boxed(collect(reader, received)));
    KeeperEnd::behind_socket(down, up)
}

async fn deliver(mut reader: OwnedReadHalf, inbox: Arc<Inbox>) {
    loop {
        match read::<Up>(&mut reader, MAXIMUM_UP).await {
            Ok(message) => inbox.deliver(message),
            Err(error) => {
                // To a tool that has let go of its end this is no news.
                if Arc::strong_count(&inbox) > 1 {
                    tracing::warn!(%error, "the link to the keeper ended");
                }
                return inbox.close();
            }
        }
    }
}

async fn collect(mut reader: OwnedReadHalf, received: mpsc::Sender<Result<Down, LinkError>>) {
    loop {
        let message = read::<Down>(&mut reader, MAXIMUM_DOWN).await;
        let ended = message.is_err();
        if received.send(message).await.is_err() || ended {
            return;
        }
    }
}

async fn read<M: DeserializeOwned>(
    reader: &mut OwnedReadHalf,
    maximum: usize,
) -> Result<M, LinkError> {
    let mut header = [0; HEADER];
    fill(reader, &mut header).await?;
    let mut body = vec![0; codec::body_length(header, maximum)?];
    fill(reader, &mut body).await?;
    codec::decode(&body)
}

async fn fill(reader: &mut OwnedReadHalf, bytes: &mut [u8]) -> Result<(), LinkError> {
    match reader.read_exact(bytes).await {
        Ok(_) => Ok(()),
        // A process that is killed leaves its unread messages behind, which the other end sees as a reset.
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset
            ) =>
        {
            Err(LinkError::Closed)
        }
        Err(error) => Err(LinkError::Socket(error.to_string())),
    }
}

async fn write_all<M: Serialize>(
    mut writer: OwnedWriteHalf,
    mut sent: mpsc::Receiver<M>,
    maximum: usize,
) {
    while let Some(message) = sent.recv().await {
        let bytes = match codec::encode(&message, maximum) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "a link message was left out");
                continue;
            }
        };
        if writer.write_all(&bytes).await.is_err() {
            // The reader's half reports the end of the link.
            return;
        }
    }
}
