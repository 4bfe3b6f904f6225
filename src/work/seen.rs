//! Memory of the nonces already taken for one unit of work.

/// Nonces remembered in each set.
const WAYS: usize = 4;
/// Sets; a power of two.
const SETS: usize = 64;

/// Remembers the last four nonces of each of 64 sets: 256 when full, in 2 KiB, whatever a chip
/// sends.
#[derive(Clone, Debug)]
pub(super) struct SeenNonces {
    sets: [[u64; WAYS]; SETS],
}

impl SeenNonces {
    pub(super) const EMPTY: Self = Self {
        sets: [[0; WAYS]; SETS],
    };

    /// Whether the nonce was remembered before under the same midstate and version field.
    pub(super) fn contains(&self, nonce: u32, midstate: u8, version_field: u16) -> bool {
        let key = key(nonce, midstate, version_field);
        self.sets
            .get(set_of(key))
            .is_some_and(|set| set.contains(&key))
    }

    /// Remembers a nonce; the oldest of its set is forgotten.
    pub(super) fn insert(&mut self, nonce: u32, midstate: u8, version_field: u16) {
        let key = key(nonce, midstate, version_field);
        if let Some(set) = self.sets.get_mut(set_of(key)) {
            set.rotate_right(1);
            set[0] = key;
        }
    }
}

/// Never zero, which marks an empty way.
fn key(nonce: u32, midstate: u8, version_field: u16) -> u64 {
    1 << 63 | u64::from(midstate) << 48 | u64::from(version_field) << 32 | u64::from(nonce)
}

/// Spreads keys over the sets by multiplication: nonces of one chip share their high bits.
fn set_of(key: u64) -> usize {
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SETS.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_what_was_inserted_is_remembered(
            nonces in prop::collection::vec((any::<u32>(), 0..4_u8, any::<u16>()), 1..600),
        ) {
            let mut seen = SeenNonces::EMPTY;
            for (place, (nonce, midstate, version)) in nonces.iter().copied().enumerate() {
                let before = nonces[..place].contains(&(nonce, midstate, version));
                if seen.contains(nonce, midstate, version) {
                    prop_assert!(before);
                }
                seen.insert(nonce, midstate, version);
                prop_assert!(seen.contains(nonce, midstate, version));
            }
            // However many there were, the last four are in memory: no set is smaller.
            for (nonce, midstate, version) in nonces.iter().rev().take(WAYS).copied() {
                prop_assert!(seen.contains(nonce, midstate, version));
            }
        }
    }

    #[test]
    fn the_zero_nonce_is_not_remembered_by_itself() {
        assert!(!SeenNonces::EMPTY.contains(0, 0, 0));
    }

    #[test]
    fn a_hundred_nonces_of_one_chip_are_all_remembered_or_nearly() {
        let mut seen = SeenNonces::EMPTY;
        // One chip: high bits fixed, low ones swept.
        let nonces: Vec<u32> = (0..100).map(|index| 0x5600_0000 + index * 0x1234).collect();
        for nonce in &nonces {
            seen.insert(*nonce, 0, 0);
        }
        let remembered = nonces
            .iter()
            .filter(|nonce| seen.contains(**nonce, 0, 0))
            .count();
        assert!(remembered >= 95, "{remembered} of 100");
    }
}
