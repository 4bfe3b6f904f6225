//! The two ciphers of hash-board EEPROMs. They hide nothing: the keys are in every machine's firmware.

/// Keys of the XXTEA boards, by index.
const XXTEA_KEYS: [[u8; 16]; 4] = [
    *b"ilijnaiaayuxnixo",
    [
        0x74, 0x51, 0xED, 0x7C, 0x7B, 0x5C, 0xD8, 0x72, 0x17, 0x4F, 0xE0, 0x79, 0x0A, 0x15, 0xE4,
        0xF5,
    ],
    *b"uohzoahzuhidkgna",
    *b"uileynimdpfnangr",
];
/// Keys of the XOR boards, by index.
const XOR_KEYS: [u32; 4] = [0xBABE_FACE, 0xFEED_CAFE, 0xDEAD_BEEF, 0xABCD_55AA];
/// Words of the longest block.
const WORDS_MAX: usize = 24;

/// A cipher with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// "Correction to XTEA", Wheeler and Needham 1998, on the whole block.
    Xxtea([u32; 4]),
    /// Every word xored with one.
    Xor(u32),
}

impl Cipher {
    /// By the second byte of an EEPROM: cipher in the high nibble, key in the low one.
    pub fn of(byte: u8) -> Option<Self> {
        let index = usize::from(byte & 0x0F);
        match byte >> 4 {
            1 => XXTEA_KEYS.get(index).map(|key| Self::Xxtea(words(key))),
            2 => XOR_KEYS.get(index).map(|key| Self::Xor(*key)),
            _ => None,
        }
    }

    /// Deciphers a block in place; a rest shorter than a word stays as it is.
    pub fn decipher(self, block: &mut [u8]) {
        match self {
            Self::Xor(key) => each_word(block, |_, word| word ^ key),
            Self::Xxtea(key) => {
                let mut buffer = [0; WORDS_MAX];
                let count = (block.len() / 4).min(WORDS_MAX);
                each_word(block, |index, word| {
                    if let Some(slot) = buffer.get_mut(index) {
                        *slot = word;
                    }
                    word
                });
                let Some(words) = buffer.get_mut(..count) else {
                    return;
                };
                xxtea_decipher(words, key);
                each_word(block, |index, word| {
                    words.get(index).copied().unwrap_or(word)
                });
            }
        }
    }
}

fn each_word(block: &mut [u8], mut change: impl FnMut(usize, u32) -> u32) {
    for (index, chunk) in block.chunks_exact_mut(4).enumerate() {
        if let Ok(bytes) = <[u8; 4]>::try_from(&*chunk) {
            chunk.copy_from_slice(&change(index, u32::from_le_bytes(bytes)).to_le_bytes());
        }
    }
}

fn words(key: &[u8; 16]) -> [u32; 4] {
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(key.chunks_exact(4)) {
        *word = chunk
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    words
}

/// Undoes XXTEA on two words or more.
fn xxtea_decipher(words: &mut [u32], key: [u32; 4]) {
    const DELTA: u32 = 0x9E37_79B9;
    let count = words.len();
    if count < 2 {
        return;
    }
    let rounds = 6 + 52 / count as u32;
    let word = |words: &[u32], index: usize| words.get(index % count).copied().unwrap_or_default();
    for round in (1..=rounds).rev() {
        let sum = round.wrapping_mul(DELTA);
        for index in (0..count).rev() {
            let before = word(words, index + count - 1);
            let after = word(words, index + 1);
            let key_index = (index as u32 ^ sum >> 2) & 3;
            let mixed = (before >> 5 ^ after << 2).wrapping_add(after >> 3 ^ before << 4)
                ^ (sum ^ after).wrapping_add(
                    key.get(key_index as usize).copied().unwrap_or_default() ^ before,
                );
            if let Some(slot) = words.get_mut(index) {
                *slot = slot.wrapping_sub(mixed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cipher's other direction, written after the paper, to check this one against.
    fn xxtea_encipher(words: &mut [u32], key: [u32; 4]) {
        let count = words.len();
        let mut sum: u32 = 0;
        let mut before = words[count - 1];
        for _ in 0..6 + 52 / count {
            sum = sum.wrapping_add(0x9E37_79B9);
            let row = (sum >> 2 & 3) as usize;
            for index in 0..count {
                let after = words[(index + 1) % count];
                let mixed = (before >> 5 ^ after << 2).wrapping_add(after >> 3 ^ before << 4)
                    ^ (sum ^ after).wrapping_add(key[index & 3 ^ row] ^ before);
                words[index] = words[index].wrapping_add(mixed);
                before = words[index];
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn deciphering_undoes_enciphering(mut block in proptest::collection::vec(proptest::num::u32::ANY, 2..=WORDS_MAX), key: [u32; 4]) {
            let plain = block.clone();
            xxtea_encipher(&mut block, key);
            proptest::prop_assert_ne!(&block, &plain);
            xxtea_decipher(&mut block, key);
            proptest::prop_assert_eq!(block, plain);
        }

        #[test]
        fn no_block_makes_a_cipher_panic(mut block: Vec<u8>, byte: u8) {
            if let Some(cipher) = Cipher::of(byte) {
                cipher.decipher(&mut block);
            }
        }
    }

    #[test]
    fn only_known_ciphers_and_keys_are_taken() {
        for byte in 0..=u8::MAX {
            let known = matches!(byte, 0x10..=0x13 | 0x20..=0x23);
            assert_eq!(Cipher::of(byte).is_some(), known, "{byte:#04x}");
        }
    }
}
