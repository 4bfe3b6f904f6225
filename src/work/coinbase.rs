//! From an extranonce2 to a merkle root, hashing only what depends on it.

use super::job::Job;
use super::sha256::{self, Block, Midstate};
use super::share::Extranonce2;

/// How many roots are hashed side by side at most.
pub const LANES: usize = 2;

/// A job's coinbase ready for any extranonce2: the whole blocks before it are hashed once, the rest
/// lies padded in a buffer (one copy a lane) in which only the extranonce2 is written anew.
#[derive(Clone, Debug)]
pub struct CoinbaseTemplate {
    before: Midstate,
    tail: Vec<[Block; LANES]>,
    /// Of the extranonce2 within the tail; always in its first block.
    offset: usize,
}

impl Default for CoinbaseTemplate {
    fn default() -> Self {
        Self {
            before: Midstate::INITIAL,
            tail: Vec::new(),
            offset: 0,
        }
    }
}

impl CoinbaseTemplate {
    /// Takes a job's coinbase. The buffer is used again and grows only for a longer coinbase.
    pub fn set_job(&mut self, job: &Job) {
        let blocks = job.coinbase_prefix.chunks_exact(64);
        let rest = blocks.remainder();
        let whole = job.coinbase_prefix.len() - rest.len();
        self.before = blocks
            .filter_map(<[u8]>::first_chunk)
            .fold(Midstate::INITIAL, Midstate::after);
        self.offset = rest.len();

        let size = usize::from(job.extranonce2_size);
        let length = rest.len() + size + job.coinbase_suffix.len();
        let bit_length = ((whole + length) as u64 * 8).to_be_bytes();
        // The message, a one bit, zeros, and 8 bytes of length that end a block.
        let padded = (length + 9).next_multiple_of(64);
        let bytes = rest
            .iter()
            .chain(std::iter::repeat_n(&0, size))
            .chain(&job.coinbase_suffix)
            .chain(std::iter::once(&0x80))
            .chain(std::iter::repeat_n(&0, padded - length - 9))
            .chain(&bit_length);
        self.tail.clear();
        self.tail.resize(padded / 64, [[0; 64]; LANES]);
        let places = self
            .tail
            .iter_mut()
            .flat_map(|[first, second]| first.iter_mut().zip(second));
        for ((first, second), byte) in places.zip(bytes) {
            (*first, *second) = (*byte, *byte);
        }
    }

    /// Merkle root (header byte order) for each of `N` extranonce2 values, `N` being 1 or 2.
    pub fn merkle_roots<const N: usize>(
        &mut self,
        branches: &[[u8; 32]],
        extranonces: &[Extranonce2; N],
    ) -> [[u8; 32]; N] {
        const { assert!(N <= LANES, "more roots than lanes") };
        for (lane, extranonce2) in extranonces.iter().enumerate() {
            self.write_extranonce2(lane, *extranonce2);
        }
        let mut states = [self.before; N];
        for lanes in &self.tail {
            for (state, block) in states.iter_mut().zip(lanes) {
                state.absorb(block);
            }
        }
        sha256::second_hash(&mut states);
        sha256::climb(&mut states, branches);
        states.map(|root| root.digest())
    }

    fn write_extranonce2(&mut self, lane: usize, extranonce2: Extranonce2) {
        for (place, byte) in (self.offset..).zip(extranonce2.bytes()) {
            let block = self
                .tail
                .get_mut(place / 64)
                .and_then(|lanes| lanes.get_mut(lane));
            if let Some(out) = block.and_then(|block| block.get_mut(place % 64)) {
                *out = byte;
            }
        }
    }
}
