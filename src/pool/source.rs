//! What every source of jobs has in common: a Stratum pool, or the owner's own node.

use super::status::{PoolStatus, SourceKind};
use crate::work::{Job, SessionId, Share, UnitCount};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tokio::sync::{Notify, mpsc, watch};

/// A source's whole life as a future. It ends when `SourcePorts::wanted` has lost its sender.
pub type SourceTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Somewhere that jobs come from and shares go to. It reconnects by itself for ever; each
/// connection is a new session.
pub trait JobSource: Send {
    /// What it is.
    fn kind(&self) -> SourceKind;

    /// Its status before it has begun: address and user, nothing else known.
    fn initial_status(&self) -> PoolStatus;

    /// Equal for sources with equal settings, so that a change of pools leaves the unchanged ones
    /// alone.
    fn fingerprint(&self) -> String {
        let status = self.initial_status();
        format!("{:?} {} {}", status.kind, status.url, status.user)
    }

    /// Runs it.
    fn run(self: Box<Self>, ports: SourcePorts) -> SourceTask;
}

/// The numbers that name sessions and jobs, one set for the whole process so that none is ever used
/// twice.
#[derive(Debug, Default)]
pub struct Numbers {
    sessions: AtomicU32,
    jobs: AtomicU64,
    requests: AtomicU64,
}

impl Numbers {
    /// Name for a new session.
    pub fn next_session(&self) -> SessionId {
        SessionId(self.sessions.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Sequence number for a new job.
    pub fn next_job(&self) -> u64 {
        self.jobs.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Id for a new request to a pool, so that a late reply can never be taken for that of another
    /// session.
    pub fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A source's ends of the channels to the manager.
pub struct SourcePorts {
    /// Whether the strategy wants a session now. False: hang up and wait. Its sender gone: end.
    pub wanted: watch::Receiver<bool>,
    /// Whether the chains work for it now, so that it owes us something.
    pub at_work: watch::Receiver<bool>,
    /// Shares for this source; each names the session that made its job.
    pub shares: mpsc::Receiver<Share>,
    /// Names for sessions and jobs.
    pub numbers: Arc<Numbers>,
    pub(super) jobs: watch::Sender<Option<Arc<Job>>>,
    pub(super) status: watch::Sender<PoolStatus>,
    pub(super) changed: Arc<Notify>,
    pub(super) units: UnitCount,
}

impl SourcePorts {
    /// Makes this the source's current job. `None`: it has none to work on, and takes no shares of
    /// earlier ones.
    pub fn publish(&self, job: Option<Arc<Job>>) {
        if let Some(job) = &job {
            job.count_by(&self.units);
        }
        self.jobs.send_replace(job);
        self.changed.notify_one();
    }

    /// Tells how the source stands.
    pub fn report(&self, status: PoolStatus) {
        self.status.send_replace(status);
        self.changed.notify_one();
    }
}

/// The manager's ends of one source's channels; public so that a source can be tested by itself.
pub struct SourceHandle {
    /// Set to have a session, clear to hang up, drop to end.
    pub wanted: watch::Sender<bool>,
    /// Whether the chains work for it; so it is until something else is said.
    pub at_work: watch::Sender<bool>,
    /// The current job.
    pub jobs: watch::Receiver<Option<Arc<Job>>>,
    /// Where its shares go.
    pub shares: mpsc::Sender<Share>,
    /// How it stands.
    pub status: watch::Receiver<PoolStatus>,
    /// Units of work that were sent to chips for its jobs.
    pub units: UnitCount,
}

/// Shares that may wait for one source; its task takes them at once, so more than a few means that
/// it hangs.
const WAITING_SHARES: usize = 256;

/// Makes both ends of a source's channels. `changed` is notified at each new job or status.
pub fn source_channels(
    initial: PoolStatus,
    numbers: Arc<Numbers>,
    changed: Arc<Notify>,
) -> (SourceHandle, SourcePorts) {
    let (wanted_sender, wanted) = watch::channel(false);
    let (at_work_sender, at_work) = watch::channel(true);
    let (jobs, jobs_receiver) = watch::channel(None);
    let (shares_sender, shares) = mpsc::channel(WAITING_SHARES);
    let (status, status_receiver) = watch::channel(initial);
    let units = UnitCount::default();
    (
        SourceHandle {
            wanted: wanted_sender,
            at_work: at_work_sender,
            jobs: jobs_receiver,
            shares: shares_sender,
            status: status_receiver,
            units: units.clone(),
        },
        SourcePorts {
            wanted,
            at_work,
            shares,
            numbers,
            jobs,
            status,
            changed,
            units,
        },
    )
}
