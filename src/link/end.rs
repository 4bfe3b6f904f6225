//! The two ends of the link, the same whether a socket or a channel lies between.

use super::message::{Down, Loop, Refusal, Request, RequestId, Up};
use super::status::KeeperStatus;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// Messages that may wait in either direction.
const QUEUE: usize = 32;
/// Requests that may wait for their reply.
const IN_FLIGHT: usize = 16;
/// How long the keeper may take to answer. It never waits for hardware before it does.
const REPLY_DEADLINE: Duration = Duration::from_secs(3);

/// What can go wrong with the link itself.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum LinkError {
    /// The other end is gone.
    #[error("the link is closed: the other process has ended")]
    Closed,
    /// No reply came.
    #[error(
        "no reply from the keeper within {0:?}: it is busy or hangs; its log tells, and its watchdog ends what hangs"
    )]
    NoReply(Duration),
    /// The queue is full.
    #[error("the link's queue is full: the other process does not read")]
    Full,
    /// The keeper said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A message of another version.
    #[error("link message of version {0}, this is version {ours}: both processes must be the same binary", ours = super::codec::VERSION)]
    Version(u8),
    /// A message longer than its direction allows.
    #[error("link message of {length} bytes, {maximum} are allowed")]
    TooLong {
        /// Length announced.
        length: usize,
        /// Length allowed.
        maximum: usize,
    },
    /// A message that means nothing.
    #[error("link message cannot be read: {0}")]
    Malformed(String),
    /// The socket failed.
    #[error("link socket: {0}")]
    Socket(String),
}

/// The miner's end. Clones share one link.
#[derive(Clone)]
pub struct MinerEnd {
    down: mpsc::Sender<Down>,
    inbox: Arc<Inbox>,
}

/// Where messages from the keeper are put.
pub(super) struct Inbox {
    status: watch::Sender<Option<Arc<KeeperStatus>>>,
    stop: watch::Sender<bool>,
    waiting: Mutex<HashMap<u32, oneshot::Sender<Result<(), Refusal>>>>,
    next: AtomicU32,
}

/// The keeper's end.
pub struct KeeperEnd {
    down: mpsc::Receiver<Result<Down, LinkError>>,
    up: Outbox,
}

/// Where messages to the miner go.
enum Outbox {
    /// Straight into the other task's inbox.
    Direct(Arc<Inbox>),
    /// To the task that writes the socket.
    Socket(mpsc::Sender<Up>),
}

/// Both ends, for two roles that are tasks of one process.
#[must_use]
pub fn in_process() -> (MinerEnd, KeeperEnd) {
    let (miner, mut sent, inbox) = MinerEnd::open();
    let (forward, down) = mpsc::channel(QUEUE);
    let up = Outbox::Direct(inbox);
    tokio::spawn(async move {
        while let Some(message) = sent.recv().await {
            if forward.send(Ok(message)).await.is_err() {
                return;
            }
        }
    });
    (miner, KeeperEnd { down, up })
}

impl MinerEnd {
    /// A new end, the messages it sends, and the inbox to deliver to.
    pub(super) fn open() -> (Self, mpsc::Receiver<Down>, Arc<Inbox>) {
        let (down, sent) = mpsc::channel(QUEUE);
        let inbox = Arc::new(Inbox {
            status: watch::Sender::new(None),
            stop: watch::Sender::new(false),
            waiting: Mutex::new(HashMap::new()),
            next: AtomicU32::new(1),
        });
        (
            Self {
                down,
                inbox: Arc::clone(&inbox),
            },
            sent,
            inbox,
        )
    }

    /// The keeper's latest snapshot; `None` until the first.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Option<Arc<KeeperStatus>>> {
        self.inbox.status.subscribe()
    }

    /// Becomes `true` when the machine is being stopped on purpose, or the keeper is gone.
    #[must_use]
    pub fn stop(&self) -> watch::Receiver<bool> {
        self.inbox.stop.subscribe()
    }

    /// Says that a loop met its deadline. Never waits; a token that finds the queue full is dropped.
    pub fn alive(&self, which: Loop) {
        let _ = self.down.try_send(Down::Alive(which));
    }

    /// Asks the keeper, and waits for its answer.
    ///
    /// # Errors
    /// [`LinkError::Refused`] with the keeper's reason, or what is wrong with the link.
    pub async fn request(&self, request: Request) -> Result<(), LinkError> {
        let id = RequestId(self.inbox.next.fetch_add(1, Ordering::Relaxed));
        let reply = self.inbox.expect(id)?;
        let asked = Down::Request { id, request };
        let answer = timeout(REPLY_DEADLINE, async {
            self.down.send(asked).await.map_err(|_| LinkError::Closed)?;
            reply.await.map_err(|_| LinkError::Closed)
        });
        match answer.await {
            Ok(Ok(result)) => Ok(result?),
            Ok(Err(error)) => {
                self.inbox.forget(id);
                Err(error)
            }
            Err(_) => {
                self.inbox.forget(id);
                Err(LinkError::NoReply(REPLY_DEADLINE))
            }
        }
    }
}

impl Inbox {
    /// Takes one message from the keeper.
    pub(super) fn deliver(&self, message: Up) {
        match message {
            Up::Status(status) => {
                self.status.send_replace(Some(status));
            }
            Up::Reply { id, result } => {
                if let Some(asker) = self.waiting().remove(&id.0) {
                    // The asker may have given up just now; then nobody wants the answer.
                    let _ = asker.send(result);
                }
            }
            Up::Stop => {
                self.stop.send_replace(true);
            }
        }
    }

    /// The keeper is gone: nobody will answer, and the machine is about to be cut.
    pub(super) fn close(&self) {
        self.waiting().clear();
        self.stop.send_replace(true);
    }

    fn expect(&self, id: RequestId) -> Result<oneshot::Receiver<Result<(), Refusal>>, LinkError> {
        let (asker, reply) = oneshot::channel();
        let mut waiting = self.waiting();
        if waiting.len() >= IN_FLIGHT {
            return Err(Refusal::Busy.into());
        }
        waiting.insert(id.0, asker);
        Ok(reply)
    }

    fn forget(&self, id: RequestId) {
        self.waiting().remove(&id.0);
    }

    fn waiting(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<u32, oneshot::Sender<Result<(), Refusal>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeeperEnd {
    /// An end behind a socket: what its reader yields, and where its writer takes from.
    pub(super) fn behind_socket(
        down: mpsc::Receiver<Result<Down, LinkError>>,
        up: mpsc::Sender<Up>,
    ) -> Self {
        Self {
            down,
            up: Outbox::Socket(up),
        }
    }

    /// The next message, or [`LinkError::Closed`] once the miner is gone. Safe to cancel.
    ///
    /// # Errors
    /// What the miner sent that cannot be understood; nothing follows that.
    pub async fn receive(&mut self) -> Result<Down, LinkError> {
        self.down.recv().await.unwrap_or(Err(LinkError::Closed))
    }

    /// A message that is already there.
    ///
    /// # Errors
    /// As [`KeeperEnd::receive`].
    pub fn try_receive(&mut self) -> Result<Option<Down>, LinkError> {
        match self.down.try_recv() {
            Ok(message) => message.map(Some),
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => Err(LinkError::Closed),
        }
    }

    /// Sends without ever waiting, because the keeper has better things to do.
    ///
    /// # Errors
    /// [`LinkError::Full`] when the miner does not read, [`LinkError::Closed`] when it is gone.
    pub fn send(&self, message: Up) -> Result<(), LinkError> {
        match &self.up {
            Outbox::Direct(inbox) => {
                inbox.deliver(message);
                Ok(())
            }
            Outbox::Socket(writer) => writer.try_send(message).map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => LinkError::Full,
                mpsc::error::TrySendError::Closed(_) => LinkError::Closed,
            }),
        }
    }
}

impl Drop for KeeperEnd {
    fn drop(&mut self) {
        if let Outbox::Direct(inbox) = &self.up {
            inbox.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_gets_its_own_reply() {
        let (miner, mut keeper) = in_process();
        let asker =
            tokio::spawn(async move { miner.request(Request::SetPower { on: true }).await });
        let Ok(Down::Request { id, request }) = keeper.receive().await else {
            panic!("a request was sent")
        };
        assert_eq!(request, Request::SetPower { on: true });
        keeper
            .send(Up::Reply {
                id: RequestId(id.0 + 1),
                result: Ok(()),
            })
            .unwrap();
        keeper
            .send(Up::Reply {
                id,
                result: Err(Refusal::OperatorOnly),
            })
            .unwrap();
        assert_eq!(
            asker.await.unwrap(),
            Err(LinkError::Refused(Refusal::OperatorOnly))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_keeper_that_does_not_answer_is_an_error_in_time() {
        let (miner, _keeper) = in_process();
        let before = tokio::time::Instant::now();
        let answer = miner.request(Request::Locate { on: true }).await;
        assert_eq!(answer, Err(LinkError::NoReply(REPLY_DEADLINE)));
        assert!(before.elapsed() <= REPLY_DEADLINE + Duration::from_millis(10));
        assert!(miner.inbox.waiting().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn requests_in_flight_are_bounded() {
        let (miner, _keeper) = in_process();
        let asking: Vec<_> = (0..IN_FLIGHT)
            .map(|_| {
                let miner = miner.clone();
                tokio::spawn(async move { miner.request(Request::ClearLatch).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(
            miner.request(Request::ClearLatch).await,
            Err(LinkError::Refused(Refusal::Busy))
        );
        for one in asking {
            assert_eq!(one.await.unwrap(), Err(LinkError::NoReply(REPLY_DEADLINE)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_keeper_that_goes_stops_the_miner_and_frees_who_waits() {
        let (miner, keeper) = in_process();
        let mut stop = miner.stop();
        let asker = tokio::spawn(async move { miner.request(Request::ClearLatch).await });
        tokio::task::yield_now().await;
        drop(keeper);
        assert!(*stop.wait_for(|stop| *stop).await.unwrap());
        assert_eq!(asker.await.unwrap(), Err(LinkError::Closed));
    }
}
