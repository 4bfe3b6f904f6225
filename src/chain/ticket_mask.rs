//! Which nonces a chip reports: register 14.

use crate::chain::error::SettingsError;
use serde::Serialize;

/// Zero bits that chips on silicon demand of a hash before the ticket mask adds its own.
pub const SILICON_ZERO_BITS: u8 = 32;

/// How many zero bits a chip demands beyond the hard-wired ones: a difficulty of 2^bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TicketMask {
    bits: u8,
}

impl TicketMask {
    /// Reports every nonce that has the hard-wired zero bits.
    pub const ALL: Self = Self { bits: 0 };
    /// Difficulty 256, the setting of captured machines.
    pub const DIFFICULTY_256: Self = Self { bits: 8 };
    /// The register has 32 bits.
    const MOST_BITS: u8 = 32;

    /// A mask of a number of bits.
    ///
    /// # Errors
    /// When there are more than 32.
    pub fn of_bits(bits: u8) -> Result<Self, SettingsError> {
        if bits <= Self::MOST_BITS {
            Ok(Self { bits })
        } else {
            Err(SettingsError::TicketDifficulty {
                given: format!("2^{bits}"),
            })
        }
    }

    /// A mask for a difficulty.
    ///
    /// # Errors
    /// When it is not a power of two from 1 to 2^32.
    pub fn of_difficulty(difficulty: u64) -> Result<Self, SettingsError> {
        if !difficulty.is_power_of_two() {
            return Err(SettingsError::TicketDifficulty {
                given: difficulty.to_string(),
            });
        }
        Self::of_bits(difficulty.trailing_zeros() as u8)
    }

    /// Zero bits demanded.
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// The difficulty, 2^bits.
    pub fn difficulty(self) -> u64 {
        1 << self.bits
    }

    /// The register's value: 2^bits - 1, the bits of each byte reversed.
    pub fn encode(self) -> u32 {
        let mask = (self.difficulty() - 1) as u32;
        u32::from_be_bytes(mask.to_be_bytes().map(u8::reverse_bits))
    }

    /// The mask in a register's value; `None` when its bits are not one run from the lowest up.
    pub fn decode(value: u32) -> Option<Self> {
        let mask = u32::from_be_bytes(value.to_be_bytes().map(u8::reverse_bits));
        let bits = mask.trailing_ones();
        (mask.count_ones() == bits).then_some(Self { bits: bits as u8 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mask_comes_back_from_its_register() {
        for bits in 0..=32 {
            let mask = TicketMask::of_bits(bits).expect("a valid count");
            assert_eq!(TicketMask::decode(mask.encode()), Some(mask));
            assert_eq!(TicketMask::of_difficulty(mask.difficulty()), Ok(mask));
        }
        assert_eq!(TicketMask::decode(0x0000_0001), None);
    }

    #[test]
    fn only_powers_of_two_are_difficulties() {
        for difficulty in [0, 3, 255, 1 << 33, u64::MAX] {
            assert!(
                TicketMask::of_difficulty(difficulty).is_err(),
                "{difficulty}"
            );
        }
    }
}
