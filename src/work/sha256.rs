//! SHA-256 as mining uses it: states between blocks, and double hashes of fixed lengths.
//!
//! States stay words until a caller needs bytes. The compression function is `sha2`'s, which takes
//! the processor's SHA instructions where it has them; on 32-bit ARM, which has none, it is `cgminer-sha256`'s. One hash is a chain of dependent
//! instructions that leaves the processor partly idle, so the functions over arrays take
//! independent hashes step by step side by side.

#[cfg(not(target_arch = "arm"))]
use sha2::block_api::compress256;

/// SHA-256 state after a whole number of blocks, as eight words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Midstate(pub [u32; 8]);

/// A 64-byte block of SHA-256's input.
pub type Block = [u8; 64];

impl Midstate {
    /// State before the first block.
    pub const INITIAL: Self = Self([
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ]);

    /// Goes on by one block.
    #[inline]
    pub fn absorb(&mut self, block: &Block) {
        #[cfg(target_arch = "arm")]
        cgminer_sha256::compress(&mut self.0, block);
        #[cfg(not(target_arch = "arm"))]
        compress256(&mut self.0, std::slice::from_ref(block));
    }

    /// State after one block more.
    #[must_use]
    #[inline]
    pub fn after(mut self, block: &Block) -> Self {
        self.absorb(block);
        self
    }

    /// The state as a digest: each word big-endian.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = [0; 32];
        self.write_digest(&mut digest);
        digest
    }

    /// Writes the digest to where it is hashed next.
    // Out of line on purpose: from memory to memory the words are swapped and stored as vectors,
    // which the compression's vector loads can take over at once. Inlined, they often sit in eight
    // plain registers, and a vector load must then wait until eight short stores have reached the
    // cache.
    #[inline(never)]
    pub(crate) fn write_digest(&self, out: &mut [u8; 32]) {
        for (out, word) in out.chunks_exact_mut(4).zip(&self.0) {
            out.copy_from_slice(&word.to_be_bytes());
        }
    }

    /// The digest as the number that targets bound, most significant limb first.
    #[inline]
    pub(crate) fn number(&self) -> [u64; 4] {
        // A digest is a little-endian number of big-endian words.
        let [w0, w1, w2, w3, w4, w5, w6, w7] = self.0.map(|word| u64::from(word.swap_bytes()));
        [w7 << 32 | w6, w5 << 32 | w4, w3 << 32 | w2, w1 << 32 | w0]
    }
}

/// First hashes finished: the states are their digests. Hashes each digest once more.
#[inline]
pub fn second_hash<const N: usize>(states: &mut [Midstate; N]) {
    #[cfg(target_arch = "arm")]
    for state in states {
        cgminer_sha256::second_hash(&mut state.0);
    }
    #[cfg(not(target_arch = "arm"))]
    {
        let mut blocks = [PADDING_AFTER_32; N];
        for (block, state) in blocks.iter_mut().zip(states.iter()) {
            if let Some(out) = block.first_chunk_mut() {
                state.write_digest(out);
            }
        }
        for (block, state) in blocks.iter().zip(states) {
            *state = Midstate::INITIAL;
            state.absorb(block);
        }
    }
}

/// Climbs a merkle tree from `N` leaves to their roots along the same branches: each step is the double hash of 64 bytes.
#[cfg(target_arch = "arm")]
pub fn climb<const N: usize>(nodes: &mut [Midstate; N], branches: &[[u8; 32]]) {
    for branch in branches {
        for node in nodes.iter_mut() {
            cgminer_sha256::parent(&mut node.0, branch);
        }
    }
}

/// Climbs a merkle tree from `N` leaves to their roots along the same branches: each step is the double hash of 64 bytes.
#[cfg(not(target_arch = "arm"))]
pub fn climb<const N: usize>(nodes: &mut [Midstate; N], branches: &[[u8; 32]]) {
    let mut pairs = [[[0; 64], PADDING_AFTER_64]; N];
    for branch in branches {
        for (pair, node) in pairs.iter_mut().zip(nodes.iter()) {
            let (left, right) = pair[0].split_at_mut(32);
            right.copy_from_slice(branch);
            if let Some(left) = left.first_chunk_mut() {
                node.write_digest(left);
            }
        }
        for (node, pair) in nodes.iter_mut().zip(&pairs) {
            *node = Midstate::INITIAL;
            // Both blocks in one call: the state stays in registers between them.
            compress256(&mut node.0, pair);
        }
        second_hash(nodes);
    }
}

/// Double hash of an 80-byte header from the midstate of its first 64 bytes and the padded block of
/// the rest.
#[must_use]
#[inline]
pub fn double_hash_tail(midstate: &Midstate, tail: &Block) -> Midstate {
    let mut states = [midstate.after(tail)];
    second_hash(&mut states);
    let [hash] = states;
    hash
}

/// Padding of a 64-byte message: a block of its own.
#[cfg(not(target_arch = "arm"))]
const PADDING_AFTER_64: Block = {
    let mut block = [0; 64];
    block[0] = 0x80;
    block[62] = 0x02;
    block
};

/// Padding of a 32-byte message, within its own block.
#[cfg(not(target_arch = "arm"))]
const PADDING_AFTER_32: Block = {
    let mut block = [0; 64];
    block[32] = 0x80;
    block[62] = 0x01;
    block
};
