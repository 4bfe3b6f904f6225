//! Power decisions: limits, the order in which power comes and goes, how often a restart may be tried.

use cgminer_hal::units::Millivolts;
use serde::{Deserialize, Serialize};

/// What the supply's rail may be set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoltageLimits {
    /// Lowest setting.
    pub minimum: Millivolts,
    /// Highest setting.
    pub maximum: Millivolts,
}

/// Why the supply is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SupplyFault {
    /// Refuses commands.
    Refused,
    /// Answers garbage.
    BadChecksum,
    /// Does not answer.
    Silent,
    /// The rail is above what was set and allowed.
    OverVoltage,
    /// The rail is below what was set: tripped, or overloaded.
    UnderVoltage,
    /// Reports a trip of its own.
    Tripped,
    /// The rail is still up though it was switched off.
    StuckOn,
}

impl core::fmt::Display for SupplyFault {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Refused => "refuses commands",
            Self::BadChecksum => "answers with bad checksums",
            Self::Silent => "does not answer",
            Self::OverVoltage => "gives more volts than set",
            Self::UnderVoltage => "gives fewer volts than set",
            Self::Tripped => "reports a trip of its own",
            Self::StuckOn => "is still on though switched off",
        })
    }
}
