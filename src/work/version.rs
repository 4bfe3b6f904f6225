//! Rolled version bits.

/// Bits a chip's reply can carry: 16 of them, from bit 13 up (BIP 320; the reply field of BM136x chips).
pub const ROLLABLE_BITS: u32 = 0x1FFF_E000;

/// Steps through the values of the bits of a mask, each once, from zero up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
