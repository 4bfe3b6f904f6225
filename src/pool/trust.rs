//! How a pool over TLS proves who it is: what the owner can say about it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use thiserror::Error;

/// Whom a certificate must come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Any authority that browsers trust (Mozilla's list, as of the build).
    #[default]
    PublicRoots,
    /// The authorities in this PEM file, and no other.
    Authorities(PathBuf),
    /// Nobody: it must be this very certificate, whatever name and dates stand in it.
    Certificate(CertificatePin),
}

/// SHA-256 of a certificate (of its DER form), as `openssl x509 -fingerprint -sha256` prints it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificatePin([u8; 32]);

/// A text that is no SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "is no SHA-256 of a certificate: write 64 hexadecimal digits, with colons between pairs or without, as \
     `openssl x509 -noout -fingerprint -sha256` prints them"
)]
pub struct PinError;

impl CertificatePin {
    /// The pin of a certificate in DER form.
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl FromStr for CertificatePin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let digits: Vec<u8> = match text.split_once(':') {
            None => text.bytes().collect(),
            Some(_) if text.split(':').all(|pair| pair.len() == 2) => {
                text.bytes().filter(|byte| *byte != b':').collect()
            }
            Some(_) => return Err(PinError),
        };
        let mut pin = [0; 32];
        if digits.len() != 2 * pin.len() {
            return Err(PinError);
        }
        let digit = |byte: u8| (byte as char).to_digit(16).ok_or(PinError);
        for (byte, pair) in pin.iter_mut().zip(digits.chunks_exact(2)) {
            for half in pair {
                *byte = (*byte << 4) | digit(*half)? as u8;
            }
        }
        Ok(Self(pin))
    }
}

impl fmt::Display for CertificatePin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for CertificatePin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl TryFrom<String> for CertificatePin {
    type Error = PinError;

    fn try_from(text: String) -> Result<Self, PinError> {
        text.parse()
    }
}

impl From<CertificatePin> for String {
    fn from(pin: CertificatePin) -> Self {
        pin.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// SHA-256 of "abc" (FIPS 180-4).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_pin_is_the_sha_256_in_either_way_of_writing() {
        let pin = CertificatePin::of(b"abc");
        assert_eq!(pin.to_string(), ABC);
        assert_eq!(ABC.parse(), Ok(pin));
        let pairs: Vec<&str> = (0..64).step_by(2).map(|at| &ABC[at..at + 2]).collect();
        assert_eq!(pairs.join(":").to_uppercase().parse(), Ok(pin));
    }

    proptest! {
        #[test]
        fn any_text_is_a_pin_or_refused(text in "[0-9a-fA-F:]{0,100}|\\PC{0,70}") {
            if let Ok(pin) = text.parse::<CertificatePin>() {
                prop_assert_eq!(pin.to_string(), text.replace(':', "").to_lowercase());
            }
        }

        #[test]
        fn a_wrong_number_of_digits_is_refused(text in "[0-9a-f]{0,63}|[0-9a-f]{65,80}") {
            prop_assert_eq!(text.parse::<CertificatePin>(), Err(PinError));
        }
    }
}
