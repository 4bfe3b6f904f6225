//! From a pool's job to units of work, and from a chip's nonce to a share.
//!
//! Three levels make work cheap: ntime (no hashing), version (one compression per midstate), extranonce2 (a coinbase, its
//! merkle path and a header).

pub mod job;
pub mod share;
pub mod target;

pub use job::{Job, JobId, SessionId};
pub use share::{Extranonce2, Share};
pub use target::{Difficulty, Target};
