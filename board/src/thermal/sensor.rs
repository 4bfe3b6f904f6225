//! What to believe of one temperature sensor.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Why the last reading of a sensor is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SensorFault {
    /// The part did not answer or answered garbage.
    Unreadable,
    /// No answer within the deadline; nothing is known of the part itself.
    Late,
    /// The reading is not a number.
    NotANumber,
    /// Exactly zero, which is what a part without power or a shorted bus reads as.
    Zero,
    /// Outside what silicon survives.
    OutOfRange,
    /// Moved faster than metal can.
    Jump,
    /// Unchanged to the last bit while it must have moved.
    Stuck,
    /// The remote diode is open or shorted; the part's own temperature stands in, raised.
    DiodeOpen,
}

impl fmt::Display for SensorFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unreadable => "does not answer",
            Self::Late => "answers too late",
            Self::NotANumber => "reads as no number",
            Self::Zero => "reads exactly zero",
            Self::OutOfRange => "reads out of range",
            Self::Jump => "jumped faster than metal can",
            Self::Stuck => "is stuck",
            Self::DiodeOpen => "has an open diode",
        })
    }
}
