//! What all fans have in common, and the fan on a PWM output with a tach of its own.

use super::error::PartError;
use cgminer_hal::pwm::{Pwm, PwmError};
use cgminer_hal::tach::{Tach, TachError};
use cgminer_hal::units::{DutyPercent, Rpm};
use std::time::Instant;
use thiserror::Error;

/// A fan.
pub trait Fan: Send {
    /// Makes sure that the controller is the one it should be, and sets it up, at full duty.
    fn start(&mut self) -> Result<(), FanError>;

    /// Sets the duty, brought into 0 to 100 per cent.
    fn set_duty(&mut self, duty: DutyPercent) -> Result<(), FanError>;

    /// The duty in force, read back from the device.
    fn duty(&mut self) -> Result<DutyPercent, FanError>;

    /// The speed.
    fn rpm(&mut self, now: Instant) -> Result<Rpm, FanError>;
}

/// What can go wrong with a fan.
#[derive(Debug, Error)]
pub enum FanError {
    /// Its PWM output.
    #[error(transparent)]
    Pwm(#[from] PwmError),
    /// Its tach.
    #[error(transparent)]
    Tach(#[from] TachError),
    /// Its controller.
    #[error(transparent)]
    Part(#[from] PartError),
}

impl FanError {
    /// Whether the speed is only not known yet, which is no fault.
    pub fn is_not_yet(&self) -> bool {
        matches!(self, Self::Tach(TachError::NotYet { .. }))
    }
}

/// A fan on a PWM output of the control board.
pub struct PwmFan {
    pwm: Box<dyn Pwm>,
    tach: Box<dyn Tach>,
}

impl PwmFan {
    /// Puts output and tach together.
    pub fn new(pwm: Box<dyn Pwm>, tach: Box<dyn Tach>) -> Self {
        Self { pwm, tach }
    }
}

impl Fan for PwmFan {
    fn start(&mut self) -> Result<(), FanError> {
        Ok(self.pwm.set_duty(DutyPercent::FULL)?)
    }

    fn set_duty(&mut self, duty: DutyPercent) -> Result<(), FanError> {
        Ok(self.pwm.set_duty(duty)?)
    }

    fn duty(&mut self) -> Result<DutyPercent, FanError> {
        Ok(self.pwm.duty()?)
    }

    fn rpm(&mut self, now: Instant) -> Result<Rpm, FanError> {
        Ok(self.tach.rpm(now)?)
    }
}
