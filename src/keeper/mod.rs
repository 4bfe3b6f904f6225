//! The privileged process: it alone drives supply, fans and reset lines, and opens no socket to the network.
//!
//! Three things of its own unprivileged miner reach it, which may have been taken over from the network: messages of the
//! link (at most 512 bytes, checked against the board's limits) and, on threads of this process, questions about the
//! configuration (`config::scribe`: at most 129 KiB, checked as a whole configuration) and about updates (`updates`: a line of 256
//! bytes, and a bundle that is only written down). All are versioned, bounded in length and time, and fuzzed.
//!
//! ```text
//!   workers ── reports ──►┌───────┐── orders ──► workers ──► hardware
//!   miner ──── requests ─►│ guard │── status ──► miner
//!   operator ─ requests ─►└───────┘── food ────► watchdog
//! ```
//!
//! [`guard`] decides and touches nothing; [`task`] feeds it and does what it says; each of [`workers`] has hardware of its
//! own, so that a slow bus delays nobody else.

mod black_box;
pub mod cooling;
pub mod factory_reset;
mod files;
pub mod guard;
pub mod hardware;
pub mod host;
pub mod kept;
pub mod lights;
pub mod liveness;
pub mod operator;
pub mod proofs;
pub mod reason;
mod remarks;
pub mod requests;
mod resources;
pub mod setup;
mod snapshot;
pub mod state;
pub mod task;
pub mod worker;
pub mod workers;

pub use crate::link::{Cause, KeeperStatus, State, cause, status};
pub use setup::{Ended, HashesDue, KeeperError, Machine, Setup};
pub use task::run;
