//! Drivers of the parts on control and hash boards, a file each, with the register names of their data sheets.
//!
//! A driver sees embedded-hal traits only, keeps no time of its own and never waits. A reading that fails a check is
//! an error, never a number.

use crate::file::SupplyPart;
use crate::limits;
use cgminer_hal::units::Millivolts;
use std::ops::RangeInclusive;

/// Output voltages that a supply can be set to.
pub fn supply_range(part: SupplyPart) -> RangeInclusive<Millivolts> {
    match part {
        SupplyPart::Apw9 => Millivolts(14_300)..=Millivolts(21_360),
        SupplyPart::Apw12 => Millivolts(12_000)..=Millivolts(15_010),
        SupplyPart::Pmbus => limits::RAIL_MIN..=limits::RAIL_MAX,
    }
}
