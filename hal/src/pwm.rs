//! Pulse-width modulated outputs: embedded-hal's duty, and the period that it leaves out.

use crate::units::DutyPercent;
use embedded_hal::pwm::SetDutyCycle;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use thiserror::Error;

/// A PWM output whose period can be set and whose duty can be read back from the device.
pub trait Pwm: SetDutyCycle<Error = PwmError> + Send {
    /// Name for messages, as `pwmchip0/pwm1`.
    fn name(&self) -> &str;

    /// The period in force, as the device reports it.
    fn period(&mut self) -> Result<Duration, PwmError>;

    /// Sets the period; the share of it that is driven stays.
    fn set_period(&mut self, period: Duration) -> Result<(), PwmError>;

    /// The duty in force, as the device reports it.
    fn duty(&mut self) -> Result<DutyPercent, PwmError>;

    /// Sets the duty after bringing it into 0 to 100 per cent.
    fn set_duty(&mut self, duty: DutyPercent) -> Result<(), PwmError> {
        let steps = f32::from(self.max_duty_cycle()) * duty.bounded().0 / 100.0;
        self.set_duty_cycle(steps.round() as u16)
    }
}

/// Names a PWM output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum PwmSpec {
    /// `/sys/class/pwm`.
    Sysfs {
        /// Directory name of the chip, as `pwmchip0`.
        chip: String,
        /// Channel of the chip.
        channel: u32,
        /// Period in nanoseconds.
        period_ns: u32,
        /// Whether the wire is active low, so that the kernel must drive the inverse.
        #[serde(default)]
        inversed: bool,
    },
    /// `pwmN` of a device under `/sys/class/hwmon`, of which the kernel owns the period.
    Hwmon {
        /// The `name` attribute of the device, as `pwmfan`.
        device: String,
        /// N, counted from 1.
        channel: u32,
    },
}

/// What can go wrong with a PWM output.
#[derive(Debug, Error)]
pub enum PwmError {
    /// The chip, device or channel is not there.
    #[error(
        "PWM {name}: not found: {looked}; check the board file and that the kernel driver is loaded"
    )]
    Unknown {
        /// The output.
        name: String,
        /// Where it was looked for.
        looked: String,
    },
    /// The device has no such setting.
    #[error("PWM {name}: {what} cannot be changed on this device; leave it out of the board file")]
    Unsupported {
        /// The output.
        name: String,
        /// What cannot be changed.
        what: &'static str,
    },
    /// The device answered with something else than a number in range.
    #[error(
        "PWM {name}: {file} reads {text:?}, which is not a value of it; the driver is broken or not a PWM"
    )]
    Implausible {
        /// The output.
        name: String,
        /// The attribute.
        file: String,
        /// What it said.
        text: String,
    },
    /// Any other failure.
    #[error("PWM {name}: {doing} failed: {source}; check that no other program has exported it")]
    Io {
        /// The output.
        name: String,
        /// What was being done.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl embedded_hal::pwm::Error for PwmError {
    fn kind(&self) -> embedded_hal::pwm::ErrorKind {
        embedded_hal::pwm::ErrorKind::Other
    }
}
