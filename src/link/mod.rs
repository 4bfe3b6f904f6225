//! The bounded messages between the keeper and the miner.
//!
//! ```text
//!   miner ── Request, Alive ──►  keeper      at most MAXIMUM_DOWN bytes each
//!   miner ◄── Status, Reply ───  keeper      at most MAXIMUM_UP bytes each
//! ```
//!
//! What a status tells, and the states and causes in it, are the link's own types: both sides build on them, and neither on the other.
//! The same types go over a Unix socket pair between two processes and over channels between two tasks of one.

pub mod answer_socket;
pub mod cause;
pub mod codec;
pub mod end;
pub mod message;
pub mod process;
pub mod socket;
pub mod state;
pub mod status;

pub use answer_socket::AnswerSocket;
pub use cause::Cause;
pub use end::{KeeperEnd, LinkError, MinerEnd, in_process};
pub use message::{Down, Loop, Refusal, Request, RequestId, Up};
pub use state::State;
pub use status::KeeperStatus;
