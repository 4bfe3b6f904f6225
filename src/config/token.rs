//! Who may do what over the network: tokens, of which the configuration holds only the hashes.
//!
//! A token is 32 random bytes, so one round of SHA-256 hides it as well as a slow hash would.

use super::secret::Secret;
use crate::work::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io;

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;
/// What every token begins with, so that one that leaked is known for what it is.
const PREFIX: &str = "cgminer-";

/// What a token allows. Each role may what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// To read.
    Viewer,
    /// To run the machine: pools, fans, supply, pauses.
    Operator,
    /// Everything: configuration, tokens, backups.
    Admin,
}

/// One token, without itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSection {
    /// Name to speak of it by.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// SHA-256 of the token, as 64 hexadecimal digits. Of no use without the token, and shown to nobody all the same.
    pub sha256: Secret,
}

/// A token that is made just now. Shown once.
#[derive(Debug)]
pub struct FreshToken {
    /// The token itself.
    pub text: Secret,
    /// What the configuration keeps of it.
    pub kept: TokenSection,
}

impl FreshToken {
    /// Makes one of the system's randomness.
    ///
    /// # Errors
    /// When the system has none.
    pub fn make(name: &str, role: Role) -> io::Result<Self> {
        let mut bytes = [0; TOKEN_BYTES];
        cgminer_hal::linux::random::fill(&mut bytes)?;
        let text = format!("{PREFIX}{}", hex::encode(&bytes));
        let kept = TokenSection {
            name: name.into(),
            role,
            sha256: Secret::new(hash(&text)),
        };
        Ok(Self {
            text: Secret::new(text),
            kept,
        })
    }
}

impl TokenSection {
    /// Whether a token of this hash is meant. Takes as long whichever digit differs.
    pub fn has_hash(&self, hash: &str) -> bool {
        let kept = self.sha256.expose().as_bytes();
        let differing = kept
            .iter()
            .zip(hash.as_bytes())
            .fold(0_u8, |differing, (one, other)| differing | (one ^ other));
        std::hint::black_box(differing) == 0 && kept.len() == hash.len()
    }
}

/// The hash by which a token is kept, as hexadecimal digits.
pub fn hash(token: &str) -> String {
    hex::encode(&Sha256::digest(token.as_bytes()))
}

/// Whether a text can be such a hash.
pub fn is_hash(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 2 * TOKEN_BYTES && text.bytes().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_alone_and_no_two_are_alike() {
        let one = FreshToken::make("phone", Role::Viewer).unwrap();
        let other = FreshToken::make("phone", Role::Viewer).unwrap();
        assert_ne!(one.text, other.text);
        assert!(is_hash(one.kept.sha256.expose()));
        assert!(one.kept.has_hash(&hash(one.text.expose())));
        assert!(!one.kept.has_hash(&hash(other.text.expose())));
        assert!(!one.kept.has_hash("") && !one.kept.has_hash(one.text.expose()));
    }

    #[test]
    fn the_hash_is_sha256_as_other_tools_write_it() {
        assert_eq!(
            hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn each_role_may_what_those_below_may() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
    }
}
