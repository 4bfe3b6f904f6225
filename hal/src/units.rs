//! The quantities that hardware is spoken to in, as types.
//!
//! A bare number never crosses a function boundary where a unit is meant.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Declares one quantity: a newtype with its unit's symbol.
macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident($inner:ty), $unit:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The symbol that stands behind the number.
            pub const UNIT: &'static str = $unit;
        }

        impl Quantity for $name {
            const UNIT: &'static str = $unit;
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)?;
                formatter.write_str(concat!(" ", $unit))
            }
        }
    };
}

/// A number with a unit.
pub trait Quantity {
    /// The symbol that stands behind the number.
    const UNIT: &'static str;
}

quantity!(
    /// Temperature in degrees Celsius.
    Celsius(f32), "C");
quantity!(
    /// Fan speed in revolutions per minute.
    Rpm(u32), "rpm");
quantity!(
    /// Electric potential in millivolts.
    Millivolts(u32), "mV");
quantity!(
    /// Electric current in milliamperes.
    Milliamps(u32), "mA");
quantity!(
    /// Power in watts.
    Watts(f32), "W");
quantity!(
    /// Clock frequency in megahertz.
    Megahertz(f32), "MHz");
quantity!(
    /// Duty of a pulse-width modulated output, 0 to 100 per cent.
    DutyPercent(f32), "%");
quantity!(
    /// Current.
    Amperes(f32), "A");
quantity!(
    /// Hashes per second.
    HashRate(f64), "H/s");

impl Eq for Millivolts {}
impl Eq for Rpm {}

impl DutyPercent {
    /// Output never driven.
    pub const OFF: Self = Self(0.0);
    /// Output always driven.
    pub const FULL: Self = Self(100.0);

    /// The duty, brought into 0 to 100; a number that is none counts as full, which is the safe side for a fan.
    #[must_use]
    pub fn bounded(self) -> Self {
        if self.0.is_nan() {
            Self::FULL
        } else {
            Self(self.0.clamp(0.0, 100.0))
        }
    }
}

/// Symbol rate of a UART in bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Baud(pub u32);

impl Baud {
    /// What chips listen at after reset.
    pub const RESET: Self = Self(115_200);
}

impl fmt::Display for Baud {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} baud", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duty_that_is_not_a_number_means_full() {
        assert_eq!(DutyPercent(f32::NAN).bounded(), DutyPercent::FULL);
        assert_eq!(DutyPercent(-3.0).bounded(), DutyPercent::OFF);
        assert_eq!(DutyPercent(250.0).bounded(), DutyPercent::FULL);
    }

    #[test]
    fn quantities_print_with_their_unit() {
        assert_eq!(Celsius(61.5).to_string(), "61.5 C");
        assert_eq!(Millivolts(13_200).to_string(), "13200 mV");
    }
}
