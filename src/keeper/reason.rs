//! Why the keeper stands where it stands.

use super::cause::Cause;
use cgminer_board::power::Step;
use cgminer_board::thermal;
use std::fmt;
use std::time::Duration;

/// The reason of a decision.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// The keeper has just started.
    JustStarted,
    /// Waiting for the rail to be seen off.
    RailNotSeenOff,
    /// Waiting for what power needs.
    NotReady(thermal::Reason),
    /// Nobody asks for power.
    PowerNotWanted,
    /// An operator's tool holds the power off.
    HeldOff,
    /// Power-up waits for a readback.
    Sequence(Step),
    /// Power is on; the thermal decision rules.
    Heat(thermal::Reason),
    /// Power was taken away.
    Tripped(Cause),
    /// Cool, but the pause after the last fault is not over.
    Pausing {
        /// Rest of the pause.
        rest: Duration,
    },
    /// Nobody can say what board this is.
    BoardUnknown(String),
    /// Something that power depends on could not be opened.
    HardwareMissing(String),
    /// Safe until an operator clears it.
    Latched(Cause),
    /// A wanted stop.
    StopWanted,
}

impl Reason {
    /// Whether somebody should look at it.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        match self {
            Self::Heat(reason) | Self::NotReady(reason) => !matches!(
                reason,
                thermal::Reason::Mode(_)
                    | thermal::Reason::Unpowered
                    | thermal::Reason::Unproven { .. }
            ),
            Self::Tripped(_)
            | Self::BoardUnknown(_)
            | Self::HardwareMissing(_)
            | Self::Latched(_) => true,
            Self::JustStarted
            | Self::RailNotSeenOff
            | Self::PowerNotWanted
            | Self::HeldOff
            | Self::Sequence(_)
            | Self::Pausing { .. }
            | Self::StopWanted => false,
        }
    }

    /// Whether it is the same reason as another, numbers aside: no news for a log.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Heat(one), Self::Heat(two)) | (Self::NotReady(one), Self::NotReady(two)) => {
                one.is_like(two)
            }
            (Self::Pausing { .. }, Self::Pausing { .. }) => true,
            (one, two) => one == two,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JustStarted => formatter.write_str("just started, nothing is known yet"),
            Self::RailNotSeenOff => formatter.write_str("the rail is not yet seen off"),
            Self::NotReady(reason) => write!(formatter, "not ready for power: {reason}"),
            Self::PowerNotWanted => formatter.write_str("nobody asks for power"),
            Self::HeldOff => formatter.write_str("an operator holds the power off"),
            Self::Sequence(step) => write!(formatter, "power-up waits for: {step}"),
            Self::Heat(reason) => reason.fmt(formatter),
            Self::Tripped(cause) => write!(formatter, "power was taken away: {cause}"),
            Self::Pausing { rest } => {
                write!(
                    formatter,
                    "cool again, power may come back in {} s",
                    rest.as_secs()
                )
            }
            Self::BoardUnknown(read) => write!(formatter, "unknown board, so no power: {read}"),
            Self::HardwareMissing(what) => write!(
                formatter,
                "no power, as not all of the hardware is there: {what}"
            ),
            Self::Latched(cause) => {
                write!(formatter, "latched until an operator clears it: {cause}")
            }
            Self::StopWanted => formatter.write_str("a stop is wanted"),
        }
    }
}
