//! The bounded messages between the keeper and the miner.
//!
//! ```text
//!   miner ── Request, Alive ──►  keeper      at most MAXIMUM_DOWN bytes each
//!   miner ◄── Status, Reply ───  keeper      at most MAXIMUM_UP bytes each
//! ```
//!
//! The same types go over a Unix socket pair between two processes and over channels between two tasks of one.

pub mod codec;
pub mod end;
pub mod message;
pub mod socket;

pub use end::{KeeperEnd, LinkError, MinerEnd, in_process};
pub use message::{Down, Loop, Refusal, Request, RequestId, Up};
