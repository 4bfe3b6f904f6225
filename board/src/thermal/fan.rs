//! What to believe of one fan, and how fans are to be driven.

use cgminer_hal::units::DutyPercent;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Who sets the fans' duty below the hot limit. No mode lowers a limit or switches a check off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub enum FanMode {
    /// A controller keeps the target temperature.
    Auto,
    /// The same duty always, until a limit is passed.
    Fixed {
        /// Duty asked for; the board's minimum stands above it.
        duty: DutyPercent,
    },
    /// The machine lies in a liquid: there are no fans to check, every temperature limit holds.
    Immersion,
}

impl fmt::Display for FanMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Fixed { duty } => write!(formatter, "fixed {duty}"),
            Self::Immersion => formatter.write_str("immersion"),
        }
    }
}

/// What the tach says of a fan, held against what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FanCondition {
    /// Turns as told.
    Turning,
    /// Was just told to turn; not judged yet.
    SpinningUp,
    /// Told not to turn.
    Off,
    /// Told to turn, does not.
    Stalled,
    /// Turns far slower than told.
    Slow,
    /// The tach says what no such fan can do, so nothing is known of it.
    TachLies,
    /// The tach cannot be read, so nothing is known of it.
    Unread,
}

impl FanCondition {
    /// Whether the fan may be counted on to move air.
    #[must_use]
    pub const fn counts(self) -> bool {
        matches!(self, Self::Turning | Self::SpinningUp)
    }

    /// Whether something is wrong with it.
    #[must_use]
    pub const fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Stalled | Self::Slow | Self::TachLies | Self::Unread
        )
    }
}

impl fmt::Display for FanCondition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Turning => "turning",
            Self::SpinningUp => "spinning up",
            Self::Off => "off",
            Self::Stalled => "stalled",
            Self::Slow => "slow",
            Self::TachLies => "tach lies",
            Self::Unread => "tach unread",
        })
    }
}
