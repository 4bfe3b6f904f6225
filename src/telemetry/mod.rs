//! The one truth about the machine: what HTTP, RPC, metrics, page and command line read, and nothing else does.
//!
//! Rooms publish their status in `watch` channels; a [`SnapshotSource`] reads those when it is asked, so nobody waits
//! for an observer and nothing is copied while nobody looks.

pub mod alerts;
mod chip_health;
mod dues;
mod events;
mod from_chains;
mod from_keeper;
mod from_pools;
pub mod hash_rate;
mod health;
mod history;
mod level;
pub mod logs;
mod measured;
mod recorder;
#[cfg(test)]
pub mod samples;
mod snapshot;
mod source;
mod state;
mod storage;
pub mod syslog;
mod tuner;

pub use crate::chain::status::ChainPhase;
pub use crate::link::process::{Process, ProcessReader};
pub use alerts::{Alert, AlertLimits, Notice, Rule};
pub use chip_health::{ChipHealth, Verdict};
pub use events::{Event, EventKind, Severity};
pub use from_chains::ChainInput;
pub use hash_rate::{HashRateMeter, WindowRate};
pub use health::{Health, LoopHealth};
pub use history::{HISTORY_STEP, Moment as HistoryMoment};
pub use level::{BySwitch, LOG_LEVEL, LevelSwitch};
pub use logs::{LOG_RING, LogLine, LogRing};
pub use measured::{Measured, Unknown};
pub use snapshot::*;
pub use source::{API_VERSION, Inputs, SnapshotSource};
pub use state::SWITCHED_OFF;
pub use storage::Storage;
pub use tuner::{OperatingPoint, Tuner};
