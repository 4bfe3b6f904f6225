//! Each chain's own part of the extranonce2 space.

use super::share::Extranonce2;
use thiserror::Error;

/// Part `index` of `of` equal parts: the values `index + k * of`. Parts of one whole never share a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extranonce2Partition {
    index: u32,
    of: u32,
}

/// A partition that names no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("extranonce2 part {index} of {of} does not exist: parts count from 0")]
pub struct PartitionError {
    /// Part asked for.
    pub index: u32,
    /// How many parts there are.
    pub of: u32,
}

impl Extranonce2Partition {
    /// The whole space.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Part `index`, from 0, of `of` parts.
    pub fn new(index: u32, of: u32) -> Result<Self, PartitionError> {
        if index < of {
            Ok(Self { index, of })
        } else {
            Err(PartitionError { index, of })
        }
    }

    /// How many values of `size` bytes the part holds. From 8 bytes on a counter of 64 bits is the bound.
    pub fn count(self, size: u8) -> u64 {
        let values = 1_u128 << (8 * u32::from(size.min(8)));
        let count = values
            .saturating_sub(u128::from(self.index))
            .div_ceil(u128::from(self.of));
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Value `k` of the part, `k` below [`Self::count`]; `None` beyond.
    pub fn value(self, k: u64, size: u8) -> Option<Extranonce2> {
        (k < self.count(size)).then(|| Extranonce2 {
            value: u64::from(self.index).wrapping_add(k.wrapping_mul(u64::from(self.of))),
            size,
        })
    }
}
