//! What a nonce must reach for a chip to report it.

use thiserror::Error;

/// A chip's own threshold: zero bits wired into the silicon, and more asked for by the ticket mask
/// register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    hardwired_zero_bits: u8,
    mask_bits: u8,
}

/// A threshold that no chip has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "ticket of {hardwired_zero_bits} + {mask_bits} zero bits is beyond the 64 that are supported"
)]
pub struct TicketError {
    /// Bits wired into the chip.
    pub hardwired_zero_bits: u8,
    /// Bits of the ticket mask.
    pub mask_bits: u8,
}

impl Ticket {
    /// Zero bits wired in (32 on silicon, an emulated chip declares fewer), and the bits set in the
    /// ticket mask: N for the ticket difficulty 2^N.
    pub fn new(hardwired_zero_bits: u8, mask_bits: u8) -> Result<Self, TicketError> {
        if hardwired_zero_bits.max(mask_bits) <= 32 {
            Ok(Self {
                hardwired_zero_bits,
                mask_bits,
            })
        } else {
            Err(TicketError {
                hardwired_zero_bits,
                mask_bits,
            })
        }
    }

    /// How many hashes a chip tries on the average for one ticket.
    pub fn hashes(self) -> f64 {
        (1_u64 << self.hardwired_zero_bits) as f64 * (1_u64 << self.mask_bits) as f64
    }

    /// Whether a hash (its number's first limb) has the bits that the silicon checks by itself.
    pub(super) fn has_hardwired_zeros(self, first_limb: u64) -> bool {
        first_limb.leading_zeros() >= u32::from(self.hardwired_zero_bits)
    }

    /// Whether the hash passes the ticket mask as well.
    pub(super) fn is_met_by(self, first_limb: u64) -> bool {
        first_limb.leading_zeros()
            >= u32::from(self.hardwired_zero_bits) + u32::from(self.mask_bits)
    }
}
