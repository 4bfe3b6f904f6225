//! The demo pool: a small Stratum v1 pool on this machine's loopback, for the demo and for tests.
//!
//! It is no pool that anybody is paid by. Its jobs are made of a "demo chain", whose blocks follow each other by hash but
//! stand for nothing. What it is good for: every share is worked out anew by code that shares nothing with the miner's, so
//! that a mistake of the miner shows as a reject.
//!
//! ```text
//! ticker --new job--> chain --watch--> client tasks <--lines--> miner
//!                       ^--- a share that meets the network target
//! ```

mod chain;
mod check;
mod client;
mod message;
mod server;
mod stats;
#[cfg(test)]
mod tests;
mod vardiff;

pub use server::{DemoPool, DemoPoolSettings};
pub use stats::{DemoPoolStats, RejectedShares};
