//! From a pool's job to units of work, and from a chip's nonce to a share.
//!
//! Three levels make work cheap: ntime (no hashing), version (one compression per midstate),
//! extranonce2 (a coinbase, its merkle path and a header). No I/O, and no clock but the `now` that
//! callers pass in.
//!
//! ```text
//! Job -> WorkSource -> Work -> Registry (slot) ... chip ... ChipNonce -> Registry::check -> Share
//! ```

pub mod coinbase;
pub mod hex;
pub mod job;
pub mod partition;
pub mod registry;
mod roots;
mod seen;
pub mod sha256;
pub mod share;
pub mod source;
pub mod target;
pub mod ticket;
pub mod unit;
pub mod version;

pub use job::{CountedBy, Job, JobId, MerkleRoots, SessionId, UnitCount};
pub use partition::Extranonce2Partition;
pub use registry::{ChipNonce, Registry, Verdict};
pub use share::{ChainIndex, Extranonce2, Share};
pub use source::{MidstateCount, NoWork, VersionRolling, WorkSource};
pub use target::{Difficulty, Target};
pub use ticket::Ticket;
pub use unit::{RolledMidstate, Work};
