//! A share: proof of work that the pool will count.

use super::job::Job;
use std::sync::Arc;
use tokio::time::Instant;

/// Index of a hash-board chain, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainIndex(pub u8);

/// The miner's part of the coinbase: `size` bytes, the counter big-endian at their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extranonce2 {
    /// Counter value.
    pub value: u64,
    /// Bytes on the wire, 1 to 16.
    pub size: u8,
}

impl Extranonce2 {
    /// Its bytes as they stand in the coinbase and, in hex, in a submit. Beyond 8 bytes the front
    /// is zero.
    pub fn bytes(self) -> impl Iterator<Item = u8> {
        let front = usize::from(self.size).saturating_sub(8);
        let skipped = 8_usize.saturating_sub(usize::from(self.size));
        std::iter::repeat_n(0, front).chain(self.value.to_be_bytes().into_iter().skip(skipped))
    }
}

/// A checked nonce whose hash meets its job's share target.
#[derive(Clone, Debug)]
pub struct Share {
    /// Job it was made for.
    pub job: Arc<Job>,
    /// Extranonce2 of the coinbase.
    pub extranonce2: Extranonce2,
    /// Block time used.
    pub ntime: u32,
    /// Nonce as the number in the header (little-endian there), as `%08x` in a submit.
    pub nonce: u32,
    /// Rolled version bits alone (`version & mask`).
    pub version_bits: u32,
    /// Block hash in header byte order (the displayed one reversed).
    pub hash: [u8; 32],
    /// Whether the hash meets the network target too.
    pub is_block: bool,
    /// Chain that found it.
    pub chain: ChainIndex,
    /// When the nonce arrived.
    pub found_at: Instant,
}
