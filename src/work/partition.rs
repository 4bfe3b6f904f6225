//! Each chain's own part of the extranonce2 space.

use super::share::Extranonce2;
use std::fmt;
use thiserror::Error;

/// Part `index` of `of` equal parts: the values `index + k * of`. Parts of one whole never share a
/// value.
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

impl fmt::Display for Extranonce2Partition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (from 0) of {}", self.index, self.of)
    }
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

    /// How many values of `size` bytes the part holds. From 8 bytes on a counter of 64 bits is the
    /// bound.
    pub fn count(self, size: u8) -> u64 {
        let last = last_value(size).checked_sub(u64::from(self.index));
        last.map_or(0, |last| (last / u64::from(self.of)).saturating_add(1))
    }

    /// Value `k` of the part, `k` below [`Self::count`]; `None` beyond.
    // Without that count: a division of 64 bits is hundreds of instructions on 32-bit ARM.
    pub fn value(self, k: u64, size: u8) -> Option<Extranonce2> {
        let value = k
            .checked_mul(u64::from(self.of))?
            .checked_add(u64::from(self.index))?;
        (value <= last_value(size) && k < u64::MAX).then_some(Extranonce2 { value, size })
    }
}

/// The greatest value of `size` bytes, within a counter of 64 bits.
fn last_value(size: u8) -> u64 {
    let unused = 64 - 8 * u32::from(size.min(8));
    u64::MAX.checked_shr(unused).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn parts_of_a_small_space_cover_it_without_sharing_a_value() {
        for of in [1, 2, 3, 7, 255, 256, 300] {
            let mut all = BTreeSet::new();
            for index in 0..of {
                let part = Extranonce2Partition::new(index, of).unwrap();
                for k in 0..part.count(1) {
                    assert!(all.insert(part.value(k, 1).unwrap().value));
                }
                assert_eq!(part.value(part.count(1), 1), None);
            }
            assert_eq!(all, (0..256).collect());
        }
    }

    #[test]
    fn a_part_that_is_none_is_refused() {
        assert!(Extranonce2Partition::new(3, 3).is_err());
        assert!(Extranonce2Partition::new(0, 0).is_err());
    }

    proptest! {
        #[test]
        fn values_belong_to_their_part_and_fit_their_size(
            (of, index) in (1..1000_u32).prop_flat_map(|of| (Just(of), 0..of)),
            size in 1..=16_u8,
            place: u64,
        ) {
            let part = Extranonce2Partition::new(index, of).unwrap();
            let count = part.count(size);
            let values = (1_u128 << (8 * size.min(8))).saturating_sub(u128::from(index));
            let defined = values.div_ceil(u128::from(of)).min(u128::from(u64::MAX));
            prop_assert_eq!(u128::from(count), defined);
            prop_assert_eq!(part.value(place, size).is_some(), place < count);
            prop_assert_eq!(part.value(count, size), None);
            prop_assume!(count > 0);
            // Ends of the part included.
            for k in [place % count, 0, count - 1] {
                let extranonce2 = part.value(k, size).unwrap();
                prop_assert_eq!(extranonce2.value % u64::from(of), u64::from(index));
                prop_assert!(size >= 8 || extranonce2.value >> (8 * size) == 0);
                let bytes: Vec<u8> = extranonce2.bytes().collect();
                prop_assert_eq!(bytes.len(), usize::from(size));
                let append = |number, byte: &u8| number << 8 | u128::from(*byte);
                let number = bytes.iter().fold(0_u128, append);
                prop_assert_eq!(number, u128::from(extranonce2.value));
            }
        }
    }
}
