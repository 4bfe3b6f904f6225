//! Fan speed sensing.

use crate::gpio::LineId;
use crate::units::Rpm;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use thiserror::Error;

/// Something that knows how fast a fan turns.
pub trait Tach: Send {
    /// Name for messages.
    fn name(&self) -> &str;

    /// The speed over the time since the last call. A fan that stands reads 0.
    ///
    /// # Errors
    /// [`TachError::NotYet`] while too little time has passed to tell a slow fan from a dead one: no reading, not 0.
    fn rpm(&mut self, now: Instant) -> Result<Rpm, TachError>;
}

/// Names a source of fan speed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum TachSpec {
    /// Pulses on a GPIO line, timed by the kernel.
    Gpio {
        /// Which line.
        line: LineId,
        /// Pulses per turn of the fan, usually 2.
        pulses_per_turn: u8,
    },
    /// `fanN_input` of a device under `/sys/class/hwmon`.
    Hwmon {
        /// The `name` attribute of the device, as `pwmfan`.
        device: String,
        /// N, counted from 1.
        channel: u32,
    },
    /// The `capture` attribute of a channel under `/sys/class/pwm`.
    Capture {
        /// Directory name of the chip, as `pwmchip12`.
        chip: String,
        /// Channel of the chip.
        channel: u32,
        /// Pulses per turn of the fan, usually 2.
        pulses_per_turn: u8,
    },
}

/// Why there is no fan speed.
#[derive(Debug, Error)]
pub enum TachError {
    /// The counting window is still open.
    #[error("tach {name}: counting since {counted_ms} ms, too short to tell; ask again later")]
    NotYet {
        /// The tach.
        name: String,
        /// Age of the window.
        counted_ms: u64,
    },
    /// The device is not there.
    #[error(
        "tach {name}: not found: {looked}; check the board file and that the kernel driver is loaded"
    )]
    Unknown {
        /// The tach.
        name: String,
        /// Where it was looked for.
        looked: String,
    },
    /// The device answered with something else than a speed that a fan can have.
    #[error("tach {name}: reads {text:?}, which no fan can turn; check wiring and pulses per turn")]
    Implausible {
        /// The tach.
        name: String,
        /// What it said.
        text: String,
    },
    /// Any other failure.
    #[error("tach {name}: {doing} failed: {source}")]
    Io {
        /// The tach.
        name: String,
        /// What was being done.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
}
