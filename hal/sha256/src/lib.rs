//! The compression function of SHA-256 (FIPS 180-4, 6.2.2) for processors without instructions for it, as 32-bit ARM.
//!
//! `sha2` stays what hashes everywhere else. On `ARMv7` this one takes 2150 instructions (Thumb-2): a round's `maj` uses the exclusive or of
//! the round before, `ch` is one operation shorter, and each sum of three rotations is one rotation of two sums, which is the form that
//! the compiler does not undo. A block that is known beforehand, as padding is, needs no message schedule: 1250. A crate of its own because
//! the daemon is compiled for size, and this for speed.
#![forbid(unsafe_code)]

use std::sync::atomic::{Ordering, compiler_fence};

/// State before the first block (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// Fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2).
static K: [u32; 64] = CONSTANTS;
const CONSTANTS: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// A block whose message schedule is known, with the round constants added.
#[derive(Clone, Debug)]
pub struct Known([u32; 64]);

impl Known {
    /// Of a block; for constants.
    #[must_use]
    pub const fn of(block: &[u8; 64]) -> Self {
        let mut words = [0; 64];
        let mut at = 0;
        while at < 64 {
            words[at] = if at < 16 {
                let [a, b, c, d] = [
                    block[4 * at],
                    block[4 * at + 1],
                    block[4 * at + 2],
                    block[4 * at + 3],
                ];
                u32::from_be_bytes([a, b, c, d])
            } else {
                scheduled(words[at - 16], words[at - 15], words[at - 7], words[at - 2])
            };
            at += 1;
        }
        at = 0;
        while at < 64 {
            words[at] = words[at].wrapping_add(CONSTANTS[at]);
            at += 1;
        }
        Self(words)
    }
}

/// A word of the message schedule, of those 16, 15, 7 and 2 before it.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "it stands in the innermost loop of all"
)]
const fn scheduled(w16: u32, w15: u32, w7: u32, w2: u32) -> u32 {
    let s0 = w15.rotate_right(7) ^ w15.rotate_right(18) ^ (w15 >> 3);
    let s1 = w2.rotate_right(17) ^ w2.rotate_right(19) ^ (w2 >> 10);
    w16.wrapping_add(s0).wrapping_add(w7).wrapping_add(s1)
}

/// One round. The variables change their names from round to round instead of their values.
///
/// The fences cost nothing and keep the word's load in its place: loaded ahead, as compilers like to, words push variables out of the
/// fourteen registers that there are.
macro_rules! round {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $before:ident, $word:expr) => {
        compiler_fence(Ordering::SeqCst);
        let s1 = ($e ^ ($e ^ $e.rotate_right(14)).rotate_right(5)).rotate_right(6);
        let ch = (($f ^ $g) & $e) ^ $g;
        $h = $h.wrapping_add($word).wrapping_add(s1).wrapping_add(ch);
        $d = $d.wrapping_add($h);
        let now = $a ^ $b;
        let maj = ($before & now) ^ $b;
        $before = now;
        let s0 = ($a ^ ($a ^ $a.rotate_right(9)).rotate_right(11)).rotate_right(2);
        $h = $h.wrapping_add(s0).wrapping_add(maj);
    };
}

/// Eight rounds, after which each variable has its own name again.
macro_rules! eight {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $before:ident, $word:ident, $at:expr) => {
        round!($a $b $c $d $e $f $g $h, $before, $word!($at));
        round!($h $a $b $c $d $e $f $g, $before, $word!($at + 1));
        round!($g $h $a $b $c $d $e $f, $before, $word!($at + 2));
        round!($f $g $h $a $b $c $d $e, $before, $word!($at + 3));
        round!($e $f $g $h $a $b $c $d, $before, $word!($at + 4));
        round!($d $e $f $g $h $a $b $c, $before, $word!($at + 5));
        round!($c $d $e $f $g $h $a $b, $before, $word!($at + 6));
        round!($b $c $d $e $f $g $h $a, $before, $word!($at + 7));
    };
}

/// Goes on by one block.
#[inline(never)]
pub fn compress(state: &mut [u32; 8], block: &[u8; 64]) {
    let mut words = [0; 16];
    fill(&mut words, block);
    compress_words(state, &mut words);
}

/// Hashes a digest, which is the state after the last block of a message, once more.
#[inline(never)]
#[allow(clippy::many_single_char_names, reason = "the standard's own names")]
pub fn second_hash(state: &mut [u32; 8]) {
    let [a, b, c, d, e, f, g, h] = *state;
    // The digest's own words, a one bit, and the length of 256 bits.
    let mut words = [a, b, c, d, e, f, g, h, 1 << 31, 0, 0, 0, 0, 0, 0, 256];
    *state = INITIAL;
    compress_words(state, &mut words);
}

/// One step up a merkle tree: `node`, a digest as a state, becomes the double hash of itself and its right neighbour.
#[inline(never)]
pub fn parent(node: &mut [u32; 8], right: &[u8; 32]) {
    static PADDING: Known = Known::of(&{
        let mut block = [0; 64];
        block[0] = 0x80;
        block[62] = 0x02;
        block
    });
    let mut words = [0; 16];
    let (left, rest) = words.split_at_mut(8);
    left.copy_from_slice(node);
    fill(rest, right);
    *node = INITIAL;
    compress_words(node, &mut words);
    compress_known(node, &PADDING);
    second_hash(node);
}

/// Reads words, each big-endian.
#[inline]
fn fill(words: &mut [u32], bytes: &[u8]) {
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        if let [a, b, c, d] = *bytes {
            *word = u32::from_be_bytes([a, b, c, d]);
        }
    }
}

/// Goes on by the words of one block, in the place of which the message schedule runs.
#[inline(never)]
fn compress_words(state: &mut [u32; 8], words: &mut [u32; 16]) {
    let mut variables = *state;
    let mut constants = K.chunks_exact(16).filter_map(<[u32]>::first_chunk);
    if let Some(constants) = constants.next() {
        sixteen_rounds(&mut variables, words, constants);
    }
    for constants in constants {
        schedule(words);
        sixteen_rounds(&mut variables, words, constants);
    }
    for (state, variable) in state.iter_mut().zip(variables) {
        *state = state.wrapping_add(variable);
    }
}

/// The next sixteen words of the message schedule. Apart from the rounds: together they need more than the registers that there are.
#[inline(never)]
fn schedule(w: &mut [u32; 16]) {
    macro_rules! next {
        ($($at:literal)*) => {$(
            w[$at] = scheduled(
                w[$at],
                w[($at + 1) % 16],
                w[($at + 9) % 16],
                w[($at + 14) % 16],
            );
        )*};
    }
    next!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
}

#[inline(never)]
#[allow(clippy::many_single_char_names, reason = "the standard's own names")]
fn sixteen_rounds(variables: &mut [u32; 8], words: &[u32; 16], constants: &[u32; 16]) {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *variables;
    let mut before = b ^ c;
    macro_rules! word {
        ($at:expr) => {
            constants[$at].wrapping_add(words[$at])
        };
    }
    eight!(a b c d e f g h, before, word, 0);
    eight!(a b c d e f g h, before, word, 8);
    // Of the last round nobody asks it.
    let _ = before;
    *variables = [a, b, c, d, e, f, g, h];
}

/// Goes on by one block that was known beforehand.
#[inline(never)]
#[allow(clippy::many_single_char_names, reason = "the standard's own names")]
pub fn compress_known(state: &mut [u32; 8], block: &Known) {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    let mut before = b ^ c;
    for words in block.0.chunks_exact(16) {
        macro_rules! known {
            ($at:expr) => {
                words[$at]
            };
        }
        eight!(a b c d e f g h, before, known, 0);
        eight!(a b c d e f g h, before, known, 8);
    }
    for (state, word) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *state = state.wrapping_add(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    /// A digest as the state that it is.
    fn words(digest: impl AsRef<[u8]>) -> [u32; 8] {
        let mut words = [0; 8];
        fill(&mut words, digest.as_ref());
        words
    }

    proptest! {
        #[test]
        fn any_block_from_any_state_is_hashed_as_sha2_does(
            state in any::<[u32; 8]>(), block in prop::collection::vec(any::<u8>(), 64),
        ) {
            let block: [u8; 64] = block.try_into().unwrap();
            let mut theirs = state;
            sha2::block_api::compress256(&mut theirs, &[block]);
            let mut ours = state;
            compress(&mut ours, &block);
            prop_assert_eq!(ours, theirs);
            let mut known = state;
            compress_known(&mut known, &Known::of(&block));
            prop_assert_eq!(known, theirs);
        }

        #[test]
        fn any_digest_is_hashed_once_more(digest: [u8; 32]) {
            let mut state = words(digest);
            second_hash(&mut state);
            prop_assert_eq!(state, words(Sha256::digest(digest)));
        }

        #[test]
        fn any_two_neighbours_have_their_double_hash_for_a_parent(left: [u8; 32], right: [u8; 32]) {
            let mut node = words(left);
            parent(&mut node, &right);
            let once = Sha256::digest([left, right].concat());
            prop_assert_eq!(node, words(Sha256::digest(once)));
        }
    }

    #[test]
    fn the_standards_own_example_comes_out() {
        let mut state = INITIAL;
        let mut block = [0; 64];
        block[..4].copy_from_slice(b"abc\x80");
        block[63] = 24;
        compress(&mut state, &block);
        assert_eq!((state[0], state[7]), (0xba78_16bf, 0xf200_15ad));
    }
}
