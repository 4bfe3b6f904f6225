//! A unit of work: what a chip is given once.

use super::job::Job;
use super::sha256::{Block, Midstate};
use super::share::Extranonce2;
use super::version::ROLLABLE_BITS;
use std::sync::Arc;

/// Most midstates that one job frame carries (BM1397, mujina `REFERENCE.md`).
pub const MIDSTATES: usize = 4;

/// One merkle root at one ntime, with the versions to search it under.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Job it is made of.
    pub job: Arc<Job>,
    /// Extranonce2 in the coinbase.
    pub extranonce2: Extranonce2,
    /// Block time, seconds since 1970.
    pub ntime: u32,
    /// Merkle root in header byte order.
    pub merkle_root: [u8; 32],
    /// Versions set by the host: one where the chip rolls, 1, 2 or 4 where the host does.
    pub midstates: heapless::Vec<RolledMidstate, MIDSTATES>,
    /// Version bits the chip rolls by itself; 0 where it rolls none. Register A4 takes it shifted
    /// down by 13.
    pub chip_mask: u32,
}

/// State after the header's first 64 bytes under one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolledMidstate {
    /// Header version.
    pub version: u32,
    /// State after the first 64 bytes.
    pub state: Midstate,
}

impl Work {
    /// Version of the first midstate: the one a full-header job frame carries. Its rolled bits are
    /// clear.
    pub fn version(&self) -> u32 {
        self.midstates
            .first()
            .map_or(self.job.version, |midstate| midstate.version)
    }

    /// The 80 bytes of the header under a version and a nonce.
    pub fn header(&self, version: u32, nonce: u32) -> [u8; 80] {
        let mut header = [0; 80];
        let (first, tail) = header.split_at_mut(64);
        first.copy_from_slice(&first_block(&self.job, version, &self.merkle_root));
        for (out, byte) in tail
            .iter_mut()
            .zip(tail_block(&self.job, self.ntime, &self.merkle_root))
        {
            *out = byte;
        }
        for (out, byte) in tail.iter_mut().skip(NONCE_OFFSET).zip(nonce.to_le_bytes()) {
            *out = byte;
        }
        header
    }
}

/// The job's version with the bits that may be rolled cleared, so that setting and replacing them
/// is one.
pub(super) fn base_version(job: &Job) -> u32 {
    job.version & !(job.version_mask & ROLLABLE_BITS)
}

/// The header's first 64 bytes.
pub(super) fn first_block(job: &Job, version: u32, merkle_root: &[u8; 32]) -> Block {
    let mut block = [0; 64];
    block[..4].copy_from_slice(&version.to_le_bytes());
    block[4..36].copy_from_slice(&job.previous_hash);
    block[36..].copy_from_slice(&merkle_root[..28]);
    block
}

/// Where the nonce stands in the header's second block.
pub(super) const NONCE_OFFSET: usize = 12;

/// The header's last 16 bytes, nonce zero, padded to a block.
pub(super) fn tail_block(job: &Job, ntime: u32, merkle_root: &[u8; 32]) -> Block {
    let mut block = [0; 64];
    block[..4].copy_from_slice(&merkle_root[28..]);
    block[4..8].copy_from_slice(&ntime.to_le_bytes());
    block[8..12].copy_from_slice(&job.nbits.to_le_bytes());
    block[16] = 0x80;
    block[62..].copy_from_slice(&(80_u16 * 8).to_be_bytes());
    block
}
