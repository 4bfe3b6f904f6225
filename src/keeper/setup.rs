//! What a keeper begins with, and how it ends.

use super::guard::Settings;
use super::status::KeeperStatus;
use super::worker::{Placement, Worker};
use cgminer_hal::watchdog::Watchdog;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::watch;

/// How many hashes the chips of a chain together had to compute so far, by the word of who emulates them.
pub type HashesDue = Arc<dyn Fn(u8) -> Option<f64> + Send + Sync>;

/// A machine to keep.
pub struct Machine {
    /// What the guard has to know of it.
    pub settings: Settings,
    /// Who touches its hardware.
    pub workers: Vec<Box<dyn Worker>>,
    /// The watchdog behind the keeper.
    pub watchdog: Option<Box<dyn Watchdog>>,
    /// What emulated chips are to do; none for silicon, where their clock says it.
    pub hashes_due: Option<HashesDue>,
}

/// Where the keeper keeps and listens.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The file that outlives a reboot.
    pub kept: PathBuf,
    /// Which start of the kernel this is, so that a crash is told from a reset; none where nobody knows.
    pub boot: Option<String>,
    /// The socket that an operator's tool speaks to; none: no such tool.
    pub socket: Option<PathBuf>,
    /// Where the workers run.
    pub placement: Placement,
    /// Where the snapshot is published, besides to the miner.
    pub status: watch::Sender<Option<Arc<KeeperStatus>>>,
    /// Fans that the owner's own files ask for, as this process read them last: a miner may ask for more, never for fewer.
    pub owners_fans: watch::Receiver<Option<u8>>,
}

/// Why a keeper cannot begin. The machine is without power then.
#[derive(Debug, Error)]
pub enum KeeperError {
    /// A worker has no thread.
    #[error(
        "the keeper's {name} loop cannot be started: {source}; the system may be short of memory or threads"
    )]
    Worker {
        /// Which.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The operator's socket cannot be opened.
    #[error(
        "the keeper's socket {path} cannot be opened: {source}; stop another cgminer-rs that runs, or name another `api.run_directory`"
    )]
    Socket {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// How a keeper ended, rail off either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it was asked to.
    Stopped,
    /// Because its reset button was held: [`super::factory_reset::FLAG`] is on disk.
    FactoryReset,
}
