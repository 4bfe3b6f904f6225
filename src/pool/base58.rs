//! Base58 with a checksum, as Bitcoin's older addresses and the keys of Stratum v2 pools are written.

use sha2::{Digest, Sha256};
use thiserror::Error;

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Bytes of the checksum at the end.
pub const CHECKSUM: usize = 4;

/// A text that does not stand for so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Base58Error {
    /// No number in base58 of that length.
    #[error("it has a letter that base58 does not have, or a wrong length")]
    Shape,
    /// Read well, but mistyped or damaged.
    #[error("its checksum is wrong")]
    Checksum,
}

/// Reads a text that stands for exactly `N` bytes, of which the last four are the checksum; gives all of them.
pub fn decode_check<const N: usize>(text: &str) -> Result<[u8; N], Base58Error> {
    let bytes = decode::<N>(text).ok_or(Base58Error::Shape)?;
    let (payload, checksum) = bytes
        .split_at_checked(N.saturating_sub(CHECKSUM))
        .ok_or(Base58Error::Shape)?;
    if double_sha256(payload).starts_with(checksum) {
        Ok(bytes)
    } else {
        Err(Base58Error::Checksum)
    }
}

/// Writes bytes with their checksum.
pub fn encode_check(payload: &[u8]) -> String {
    let checksum = double_sha256(payload);
    let bytes = payload.iter().chain(checksum.iter().take(CHECKSUM));
    let mut digits: Vec<u8> = Vec::new();
    let mut zeros = 0;
    for byte in bytes {
        if digits.is_empty() && *byte == 0 {
            zeros += 1;
            continue;
        }
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    std::iter::repeat_n(0, zeros)
        .chain(digits.into_iter().rev())
        .filter_map(|digit| ALPHABET.get(usize::from(digit)))
        .map(|letter| char::from(*letter))
        .collect()
}

fn double_sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(bytes)).into()
}

/// A number of exactly `N` bytes.
fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut number = [0_u8; N];
    for letter in text.bytes() {
        let digit = ALPHABET.iter().position(|candidate| *candidate == letter)?;
        let mut carry = digit as u32;
        for byte in number.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return None;
        }
    }
    // Zeros in front do not count in a number, but are written: each as one `1`.
    let ones = text.bytes().take_while(|letter| *letter == b'1').count();
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    (ones == zeros).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_as_bitcoin_writes_it_and_reads_back(payload: [u8; 34], zeros in 0..34_usize) {
            let mut payload = payload;
            payload[..zeros].fill(0);
            let text = encode_check(&payload);
            prop_assert_eq!(&text, &bitcoin::base58::encode_check(&payload));
            let back = decode_check::<38>(&text).unwrap();
            prop_assert_eq!(&back[..34], &payload[..]);
        }

        #[test]
        fn any_text_is_read_as_bitcoin_reads_it(text in "[1-9A-Za-z]{0,60}") {
            let theirs = bitcoin::base58::decode_check(&text).ok().filter(|bytes| bytes.len() == 34);
            let ours = decode_check::<38>(&text).ok().map(|bytes| bytes[..34].to_vec());
            prop_assert_eq!(ours, theirs);
        }
    }
}
