//! Bytes as hexadecimal digits and back, for every text that pools, nodes and people exchange.

use std::fmt::Write;

/// Bytes as lower-case digits.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    push(&mut text, bytes);
    text
}

/// Appends bytes as lower-case digits.
pub fn push(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
}

/// Appends the low `size` bytes of a number, the highest first. Allocates nothing when there is room.
pub fn push_number(out: &mut Vec<u8>, value: u64, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for position in (0..2 * size).rev() {
        let nibble = if position < 16 {
            value >> (4 * position) & 0xf
        } else {
            0
        };
        out.extend(DIGITS.get(nibble as usize));
    }
}

/// Bytes of an even number of digits, in either case.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_padded_and_wide_ones_have_leading_zeros() {
        let hex = |value, size| {
            let mut out = Vec::new();
            push_number(&mut out, value, size);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(hex(0xab, 1), "ab");
        assert_eq!(hex(0x1_2345, 4), "00012345");
        assert_eq!(hex(u64::MAX, 8), "ffffffffffffffff");
        assert_eq!(hex(0xfeed, 16), "0000000000000000000000000000feed");
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes: Vec<u8>) {
            let text = encode(&bytes);
            prop_assert_eq!(decode(&text), Some(bytes.clone()));
            prop_assert_eq!(decode(&text.to_uppercase()), Some(bytes));
        }

        #[test]
        fn what_is_no_hex_is_refused(text: String) {
            let is_hex = text.len() % 2 == 0 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            prop_assert_eq!(decode(&text).is_some(), is_hex);
        }
    }
}
