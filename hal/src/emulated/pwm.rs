//! A PWM output and a tachometer input in memory.

use crate::units::DutyPercent;
use embedded_hal::pwm::{ErrorType, SetDutyCycle};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
};

/// One PWM output; every clone is the same output. Rests at zero, as a pin that nobody configured.
#[derive(Clone, Debug, Default)]
pub struct PwmLine {
    duty: Arc<AtomicU16>,
}

impl PwmLine {
    /// The duty that is driven.
    pub fn duty(&self) -> DutyPercent {
        DutyPercent(f32::from(self.duty.load(Ordering::Acquire)) * 100.0 / f32::from(u16::MAX))
    }
}

impl ErrorType for PwmLine {
    type Error = Infallible;
}

impl SetDutyCycle for PwmLine {
    fn max_duty_cycle(&self) -> u16 {
        u16::MAX
    }

    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), Infallible> {
        self.duty.store(duty, Ordering::Release);
        Ok(())
    }
}

/// One tachometer input: pulses counted since the machine was made. Every clone is the same input.
#[derive(Clone, Debug, Default)]
pub struct TachLine {
    pulses: Arc<AtomicU64>,
}

impl TachLine {
    /// Pulses so far.
    pub fn pulses(&self) -> u64 {
        self.pulses.load(Ordering::Acquire)
    }

    /// The fan gave this many pulses more.
    pub fn add(&self, pulses: u64) {
        self.pulses.fetch_add(pulses, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_sees_the_duty_that_the_host_sets() {
        let mut host = PwmLine::default();
        let machine = host.clone();
        assert_eq!(machine.duty(), DutyPercent::OFF);
        host.set_duty_cycle_fully_on().unwrap();
        assert_eq!(machine.duty(), DutyPercent::FULL);
    }

    #[test]
    fn the_host_sees_the_pulses_that_the_fan_gives() {
        let machine = TachLine::default();
        let host = machine.clone();
        machine.add(3);
        machine.add(2);
        assert_eq!(host.pulses(), 5);
    }
}
