//! All pools together: which one the chains work for, and which one a share goes to.

use super::settings::{Place, StrategyKind};
use super::source::JobSource;
use super::status::PoolsStatus;
use crate::work::{Job, Share};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// A source with its place in the strategy. Their order is their priority.
pub struct ConfiguredSource {
    /// The source.
    pub source: Box<dyn JobSource>,
    /// Its part of the work.
    pub place: Place,
}

/// Changes while running; none of them touches the chips.
pub enum Command {
    /// Replace all pools and the strategy. Sources with the same address and user are kept with their sessions.
    Replace(Vec<ConfiguredSource>, StrategyKind),
    /// Put this pool first (`switchpool` of the cgminer API).
    Prefer(usize),
    /// Switch a pool on or off.
    Enable(usize, bool),
}

/// The manager's channels to the rest of the miner.
pub struct ManagerPorts {
    /// The job that all chains work on; `None`: idle.
    pub jobs: watch::Sender<Option<Arc<Job>>>,
    /// Shares of all chains.
    pub shares: mpsc::Receiver<Share>,
    /// All pools' status.
    pub status: watch::Sender<PoolsStatus>,
    /// Hashes that the chains have done since start, by their verified tickets. Pools are given parts of these.
    pub hashes_done: watch::Receiver<f64>,
    /// Changes while running. Its sender gone is no reason to end.
    pub commands: mpsc::Receiver<Command>,
}
