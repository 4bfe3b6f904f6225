//! SHA-256 as mining uses it: states between blocks, and double hashes of fixed lengths.
//!
//! States stay words until a caller needs bytes. The compression function is `sha2`'s, which takes the
//! processor's SHA instructions where it has them. One hash is a chain of dependent instructions that leaves
//! the processor half idle, so the functions over arrays take independent hashes step by step side by side.

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

    /// State after these blocks as well.
    #[must_use]
    #[inline]
    pub fn after(mut self, blocks: &[Block]) -> Self {
        compress256(&mut self.0, blocks);
        self
    }

    /// The state as a digest: each word big-endian.
    #[inline]
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = [0; 32];
        write_words(&mut digest, &self.0);
        digest
    }

    /// The digest as the number that targets bound, most significant limb first.
    #[inline]
    pub(crate) fn number(&self) -> [u64; 4] {
        // A digest is a little-endian number of big-endian words.
        let [a, b, c, d, e, f, g, h] = self.0.map(|word| u64::from(word.swap_bytes()));
        [h << 32 | g, f << 32 | e, d << 32 | c, b << 32 | a]
    }
}

/// First hash finished: `state` is its digest. Hashes that digest once more.
#[must_use]
#[inline]
pub fn second_hash(state: &Midstate) -> Midstate {
    Midstate::INITIAL.after(&[digest_block(state)])
}

/// Double hash of 64 bytes, the step of a merkle tree, for `N` independent inputs.
#[must_use]
#[inline]
pub fn double_hash_64<const N: usize>(inputs: &[Block; N]) -> [Midstate; N] {
    let mut states = [Midstate::INITIAL; N];
    for (state, input) in states.iter_mut().zip(inputs) {
        compress256(&mut state.0, std::slice::from_ref(input));
    }
    for state in &mut states {
        compress256(&mut state.0, &[PADDING_AFTER_64]);
    }
    for state in &mut states {
        *state = second_hash(state);
    }
    states
}

/// Double hash of an 80-byte header from the midstate of its first 64 bytes and the padded block of the rest.
#[must_use]
#[inline]
pub fn double_hash_tail(midstate: &Midstate, tail: &Block) -> Midstate {
    second_hash(&midstate.after(std::slice::from_ref(tail)))
}

/// Padding of a 64-byte message: a block of its own.
const PADDING_AFTER_64: Block = {
    let mut block = [0; 64];
    block[0] = 0x80;
    block[62] = 0x02;
    block
};

/// A digest as the padded block of the second hash.
#[inline]
fn digest_block(state: &Midstate) -> Block {
    let mut block = PADDING_AFTER_32;
    write_words(&mut block, &state.0);
    block
}

/// Padding of a 32-byte message, within its own block.
const PADDING_AFTER_32: Block = {
    let mut block = [0; 64];
    block[32] = 0x80;
    block[62] = 0x01;
    block
};

/// Words big-endian at the start of `bytes`.
#[inline]
pub(crate) fn write_words(bytes: &mut [u8], words: &[u32; 8]) {
    for (out, word) in bytes.chunks_exact_mut(4).zip(words) {
        out.copy_from_slice(&word.to_be_bytes());
    }
}
