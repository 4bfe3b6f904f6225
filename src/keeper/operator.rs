//! The socket by which an operator's tool on the machine itself speaks to the keeper, in the messages of the link.
//!
//! Only the user that the keeper runs as may connect; nothing from the network gets here.

use super::status::KeeperStatus;
use crate::link::{Down, KeeperEnd, MinerEnd, Refusal, Request, Up, socket};
use cgminer_hal::task::boxed;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// Tools at one time.
const TOOLS: usize = 4;

/// A request of an operator's tool.
#[derive(Debug)]
pub struct Asked {
    /// What is asked for.
    pub request: Request,
    answer: oneshot::Sender<Result<(), Refusal>>,
}

impl Asked {
    /// Answers it.
    pub fn reply(self, result: Result<(), Refusal>) {
        // A tool that hung up wants no answer.
        let _ = self.answer.send(result);
    }
}

/// Opens the socket; what tools ask for comes out.
///
/// # Errors
/// When it cannot be opened, or another keeper answers there.
pub fn listen(
    path: &Path,
    status: watch::Receiver<Option<Arc<KeeperStatus>>>,
) -> io::Result<mpsc::Receiver<Asked>> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another keeper listens there",
            ));
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let owner = fs::metadata(path)?.uid();
    let (asked, asks) = mpsc::channel(TOOLS);
    tokio::spawn(boxed(accept(listener, owner, asked, status)));
    Ok(asks)
}

/// Connects to the keeper that listens there.
///
/// # Errors
/// When none does, or this user may not.
pub async fn connect(path: &Path) -> io::Result<MinerEnd> {
    Ok(socket::miner_end(UnixStream::connect(path).await?))
}

async fn accept(
    listener: UnixListener,
    owner: u32,
    asked: mpsc::Sender<Asked>,
    status: watch::Receiver<Option<Arc<KeeperStatus>>>,
) {
    let places = Arc::new(Semaphore::new(TOOLS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // The keeper is gone; a next one must find nobody here.
            () = asked.closed() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                // The file's mode keeps others out already; this holds where a file system ignores modes.
                let allowed = stream
                    .peer_cred()
                    .is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0);
                if !allowed {
                    tracing::warn!("a stranger knocked at the keeper's socket");
                    continue;
                }
                let (asked, status) = (asked.clone(), status.clone());
                tokio::spawn(boxed(async move {
                    serve(socket::keeper_end(stream), asked, status).await;
                    drop(place);
                }));
            }
            Err(error) => {
                tracing::warn!(%error, "the keeper's socket cannot accept");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
}

/// Serves one tool until it hangs up.
async fn serve(
    mut tool: KeeperEnd,
    asked: mpsc::Sender<Asked>,
    mut status: watch::Receiver<Option<Arc<KeeperStatus>>>,
) {
    status.mark_changed();
    loop {
        tokio::select! {
            changed = status.changed() => {
                let latest = status.borrow_and_update().clone();
                let sent = latest.map_or(Ok(()), |latest| tool.send(Up::Status(latest)));
                // One that takes nothing for so long that all of its queue waits is stopped or hangs, and others need its place.
                if changed.is_err() || sent.is_err() {
                    return;
                }
            }
            message = tool.receive() => match message {
                Ok(Down::Request { id, request }) => {
                    let (answer, answered) = oneshot::channel();
                    if asked.send(Asked { request, answer }).await.is_err() {
                        return;
                    }
                    let Ok(result) = answered.await else { return };
                    if tool.send(Up::Reply { id, result }).is_err() {
                        return;
                    }
                }
                // A tool has no loops to speak of.
                Ok(Down::Alive(_)) => {}
                Err(_) => return,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::guard::Guard;
    use crate::keeper::hardware::settings_for_tests;
    use crate::keeper::status::WatchdogStatus;
    use cgminer_board::file::Catalog;
    use cgminer_board::moment::Moment;
    use std::time::Duration;

    fn snapshot() -> Arc<KeeperStatus> {
        let catalog = Catalog::load(None).unwrap();
        let settings = settings_for_tests(catalog.get("emulated").unwrap());
        let watchdog = WatchdogStatus {
            armed: false,
            timeout_seconds: None,
            fed_seconds_ago: None,
        };
        let now = Moment::after_start(Duration::ZERO);
        Arc::new(Guard::new(settings, None, now).snapshot(watchdog, now))
    }

    #[tokio::test]
    async fn tools_that_hang_keep_no_place_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keeper.sock");
        let (status, heard) = watch::channel(None);
        let _asks = listen(&path, heard).unwrap();
        let connect_only = || std::os::unix::net::UnixStream::connect(&path).unwrap();
        let _stopped: Vec<_> = (0..TOOLS).map(|_| connect_only()).collect();
        let tool = connect(&path).await.unwrap();
        let seen = tool.status();
        let told = snapshot();
        for _ in 0..60_000 {
            status.send_replace(Some(Arc::clone(&told)));
            tokio::time::sleep(Duration::from_millis(1)).await;
            if seen.borrow().is_some() {
                return;
            }
        }
        panic!("the places are taken");
    }
}
