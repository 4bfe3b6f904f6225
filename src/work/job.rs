//! A job as every room sees it: immutable, shared, complete.

use super::target::Target;
use tokio::time::Instant;

/// Furthest that ntime is rolled beyond a job's time, in seconds. ckpool takes 7000 and consensus two hours beyond the nodes' clocks, but
/// no public rule says what other pools take.
pub const NTIME_ROLL_LIMIT: u32 = 600;

/// Which pool session made a job. Never reused within a process, so a share can never reach a wrong session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u32);

/// A pool's own name for a job: any string, case sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobId(pub Box<str>);

/// All that is needed to make work and to check shares. Hashes are in header byte order.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Session that made the job and will take its shares.
    pub session: SessionId,
    /// Counts the jobs of this process; a greater one is newer.
    pub sequence: u64,
    /// The pool's name for it.
    pub id: JobId,
    /// Block version without rolled bits.
    pub version: u32,
    /// Bits of the version that may be rolled; 0 when none.
    pub version_mask: u32,
    /// Hash of the previous block.
    pub previous_hash: [u8; 32],
    /// Coinbase up to extranonce2: first part, then extranonce1.
    pub coinbase_prefix: Box<[u8]>,
    /// Bytes of extranonce2, 1 to 16.
    pub extranonce2_size: u8,
    /// Coinbase behind extranonce2.
    pub coinbase_suffix: Box<[u8]>,
    /// Merkle path of the coinbase, nearest sibling first.
    pub merkle_branches: Box<[[u8; 32]]>,
    /// Compact network target.
    pub nbits: u32,
    /// Block time, seconds since 1970.
    pub ntime: u32,
    /// How many seconds ntime may be rolled forward.
    pub ntime_roll_limit: u32,
    /// Work on all earlier jobs is worthless from now on.
    pub clean: bool,
    /// A hash at or below it is a share.
    pub share_target: Target,
    /// A hash at or below it is a block.
    pub network_target: Target,
    /// When the job reached this machine.
    pub received_at: Instant,
}
