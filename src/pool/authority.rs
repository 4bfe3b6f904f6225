//! The key that a Stratum v2 pool proves itself by, as it stands in the pool's address.

use super::base58::{self, Base58Error, CHECKSUM};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Version in front of a key (Stratum v2 specification, "URL Scheme and Pool Authority Key"): 2 bytes, little-endian.
const VERSION: [u8; 2] = 1_u16.to_le_bytes();
/// Bytes of a written key: version, key, checksum.
const WRITTEN: usize = VERSION.len() + 32 + CHECKSUM;

/// X-only public key on secp256k1 of whoever signs the pool's certificates. Whether it is a point of the curve is seen
/// when it is used.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AuthorityKey(pub [u8; 32]);

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthorityError {
    /// No base58 of a key's length, or mistyped.
    #[error(transparent)]
    Base58(#[from] Base58Error),
    /// A kind of key that nobody has defined yet.
    #[error("it has version {0}, and only version 1 is known")]
    Version(u16),
}

impl FromStr for AuthorityKey {
    type Err = AuthorityError;

    fn from_str(text: &str) -> Result<Self, AuthorityError> {
        let bytes = base58::decode_check::<WRITTEN>(text)?;
        let (version, key) = bytes.split_first_chunk::<2>().ok_or(Base58Error::Shape)?;
        if *version != VERSION {
            return Err(AuthorityError::Version(u16::from_le_bytes(*version)));
        }
        let (key, _) = key.split_first_chunk::<32>().ok_or(Base58Error::Shape)?;
        Ok(Self(*key))
    }
}

impl fmt::Display for AuthorityKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&base58::encode_check(&[&VERSION, &self.0[..]].concat()))
    }
}

impl fmt::Debug for AuthorityKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Public test key of the reference implementation's configuration examples (github.com/stratum-mining/sv2-apps).
    const EXAMPLE: &str = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";

    #[test]
    fn the_reference_implementations_key_is_read_and_written() {
        let key: AuthorityKey = EXAMPLE.parse().unwrap();
        assert_eq!(key.to_string(), EXAMPLE);
    }

    #[test]
    fn mistakes_are_told_apart() {
        let mistyped = EXAMPLE.replace("H72", "H73");
        assert_eq!(
            mistyped.parse::<AuthorityKey>(),
            Err(Base58Error::Checksum.into())
        );
        for text in ["", "1", &EXAMPLE[1..], "0OIl"] {
            assert_eq!(
                text.parse::<AuthorityKey>(),
                Err(Base58Error::Shape.into()),
                "{text}"
            );
        }
        let other = base58::encode_check(&[&2_u16.to_le_bytes()[..], &[7; 32]].concat());
        assert_eq!(
            other.parse::<AuthorityKey>(),
            Err(AuthorityError::Version(2))
        );
    }

    proptest! {
        #[test]
        fn every_key_reads_back(key: [u8; 32]) {
            prop_assert_eq!(AuthorityKey(key).to_string().parse(), Ok(AuthorityKey(key)));
        }
    }
}
