//! The speed of the serial line: register 28, on BM1397 register 18.

use crate::chain::error::SettingsError;
use crate::chain::registers::Register;
use cgminer_hal::units::Baud;

/// Clock behind the divider, in Hz.
const CRYSTAL_HZ: u32 = 25_000_000;
/// A UART takes this many of its clocks for a bit.
const CLOCKS_PER_BIT: u32 = 8;
/// The divider has five bits.
const LARGEST_DIVIDER: u8 = 31;
/// A receiver samples the last bit rightly as long as both ends differ by no more, in thousandths.
const TOLERANCE_PER_MILLE: u32 = 25;

/// Bits 12 to 8 of the baud register: rate = 25 MHz / (8 * (divider + 1)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaudDivider(u8);

impl BaudDivider {
    /// Where chips are after a reset: 115 740 baud.
    pub const RESET: Self = Self(26);

    /// The divider for a rate that chips can make.
    ///
    /// # Errors
    /// When the nearest rate is more than 2.5 % off.
    pub fn nearest(baud: Baud) -> Result<Self, SettingsError> {
        let refused = SettingsError::Baud { given: baud };
        let Some(nearest) = Self::closest(baud) else {
            return Err(refused);
        };
        let error = u64::from(nearest.baud().0.abs_diff(baud.0)) * 1000;
        if error <= u64::from(baud.0) * u64::from(TOLERANCE_PER_MILLE) {
            Ok(nearest)
        } else {
            Err(refused)
        }
    }

    /// The divider closest to a rate, however far off; `None` for rate 0.
    pub fn closest(baud: Baud) -> Option<Self> {
        let whole = (CRYSTAL_HZ / CLOCKS_PER_BIT).checked_div(baud.0)?;
        let candidates = [whole.saturating_sub(1), whole];
        candidates
            .into_iter()
            .map(|divider| Self(divider.min(u32::from(LARGEST_DIVIDER)) as u8))
            .min_by_key(|divider| divider.baud().0.abs_diff(baud.0))
    }

    /// The divider in a register's value.
    pub fn decode(value: u32) -> Self {
        Self((value >> 8) as u8 & LARGEST_DIVIDER)
    }

    /// The rate, rounded to whole bauds.
    pub fn baud(self) -> Baud {
        let divider = CLOCKS_PER_BIT * (u32::from(self.0) + 1);
        Baud((CRYSTAL_HZ + divider / 2) / divider)
    }

    /// The number in the register.
    pub fn value(self) -> u8 {
        self.0
    }
}

/// Which register sets the rate on a model, and its other bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UartBaud {
    /// The register.
    pub register: Register,
    /// Its value with divider 0.
    pub base: u32,
}

impl UartBaud {
    /// The register's value for a divider.
    pub fn encode(self, divider: BaudDivider) -> u32 {
        self.base | u32::from(divider.value()) << 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_known_machines_have_their_dividers() {
        for (baud, divider) in [
            (115_200, 26),
            (1_041_667, 2),
            (1_000_000, 2),
            (1_500_000, 1),
            (3_125_000, 0),
        ] {
            // 1 M and 1.5 M are 4 % off what the crystal makes.
            let found = BaudDivider::nearest(Baud(baud));
            if matches!(baud, 1_000_000 | 1_500_000) {
                assert!(found.is_err(), "{baud}");
            } else {
                assert_eq!(found, Ok(BaudDivider(divider)), "{baud}");
            }
        }
    }

    #[test]
    fn rates_that_chips_cannot_make_are_refused() {
        for baud in [0, 1, 9600, 2_000_000, 6_250_000, u32::MAX] {
            assert!(BaudDivider::nearest(Baud(baud)).is_err(), "{baud}");
        }
    }

    #[test]
    fn every_divider_is_the_nearest_to_its_own_rate() {
        for divider in 0..=LARGEST_DIVIDER {
            let divider = BaudDivider(divider);
            assert_eq!(BaudDivider::nearest(divider.baud()), Ok(divider));
        }
    }
}
