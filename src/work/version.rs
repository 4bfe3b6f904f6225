//! Rolled version bits.

/// Bits a chip's reply can carry: 16 of them, from bit 13 up (BIP 320, and the version field of an
/// 11-byte reply). No pool is asked for others.
pub const ROLLABLE_BITS: u32 = 0x1FFF_E000;

/// Steps through the values of the bits of a mask, each once, from zero up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionBits {
    mask: u32,
    next: Option<u32>,
}

impl VersionBits {
    /// All values of the mask's bits; for the mask 0 the one value 0.
    pub fn of_mask(mask: u32) -> Self {
        Self {
            mask,
            next: Some(0),
        }
    }

    /// Whether every value has been given.
    pub fn is_spent(&self) -> bool {
        self.next.is_none()
    }
}

impl Iterator for VersionBits {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let value = self.next?;
        // Ones outside the mask let a carry pass through to the mask's next bit.
        let following = (value | !self.mask).wrapping_add(1) & self.mask;
        self.next = (following != 0).then_some(following);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_mask_has_one_version() {
        assert_eq!(VersionBits::of_mask(0).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn the_usual_mask_has_65536_versions() {
        let all: BTreeSet<u32> = VersionBits::of_mask(ROLLABLE_BITS).collect();
        assert_eq!(all.len(), 1 << 16);
        assert!(all.iter().all(|bits| bits & !ROLLABLE_BITS == 0));
    }

    proptest! {
        #[test]
        fn every_value_of_the_mask_comes_once(
            bits in prop::collection::btree_set(0..32_u32, 0..10),
        ) {
            let mask = bits.iter().fold(0, |mask, bit| mask | 1 << bit);
            let values: Vec<u32> = VersionBits::of_mask(mask).collect();
            prop_assert_eq!(values.len(), 1 << bits.len());
            prop_assert!(values.iter().all(|value| value & !mask == 0));
            prop_assert!(values.is_sorted_by(|before, after| before < after));
        }
    }
}
