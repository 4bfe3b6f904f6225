//! A PWM output and a tachometer input in memory.

use super::locked;
use crate::{
    pwm::{Pwm, PwmError},
    tach::{Tach, TachError},
    units::{DutyPercent, Rpm},
};
use embedded_hal::pwm::{ErrorType, SetDutyCycle};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// One PWM output; every clone is the same output. Rests at zero, as a pin that nobody configured.
#[derive(Clone, Debug)]
pub struct PwmLine {
    name: String,
    duty: Arc<AtomicU16>,
    period: Arc<Mutex<Duration>>,
}

impl PwmLine {
    /// An output at zero duty, 25 kHz.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            duty: Arc::default(),
            period: Arc::new(Mutex::new(Duration::from_micros(40))),
        }
    }

    /// The duty that is driven.
    pub fn level(&self) -> DutyPercent {
        DutyPercent(f32::from(self.duty.load(Ordering::Acquire)) * 100.0 / f32::from(u16::MAX))
    }

    /// Drives the output, from either end.
    pub fn drive(&self, duty: DutyPercent) {
        let steps = f32::from(u16::MAX) * duty.bounded().0 / 100.0;
        self.duty.store(steps.round() as u16, Ordering::Release);
    }
}

impl ErrorType for PwmLine {
    type Error = PwmError;
}

impl SetDutyCycle for PwmLine {
    fn max_duty_cycle(&self) -> u16 {
        u16::MAX
    }

    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), PwmError> {
        self.duty.store(duty, Ordering::Release);
        Ok(())
    }
}

impl Pwm for PwmLine {
    fn name(&self) -> &str {
        &self.name
    }

    fn period(&mut self) -> Result<Duration, PwmError> {
        Ok(*locked(&self.period))
    }

    fn set_period(&mut self, period: Duration) -> Result<(), PwmError> {
        *locked(&self.period) = period;
        Ok(())
    }

    fn duty(&mut self) -> Result<DutyPercent, PwmError> {
        Ok(self.level())
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

/// Shortest time over which pulses are counted: at 600 rpm and two pulses a turn it sees ten.
const WINDOW: Duration = Duration::from_millis(500);

/// A tachometer as the host reads it: pulses since the last reading.
#[derive(Debug)]
pub struct PulseTach {
    name: String,
    line: TachLine,
    pulses_per_turn: u8,
    last: Option<(Instant, u64, Option<Rpm>)>,
}

impl PulseTach {
    /// Counts the pulses of a line.
    pub fn new(name: impl Into<String>, line: TachLine, pulses_per_turn: u8) -> Self {
        Self {
            name: name.into(),
            line,
            pulses_per_turn: pulses_per_turn.max(1),
            last: None,
        }
    }
}

impl Tach for PulseTach {
    fn name(&self) -> &str {
        &self.name
    }

    fn rpm(&mut self, now: Instant) -> Result<Rpm, TachError> {
        let pulses = self.line.pulses();
        let Some((since, counted, rpm)) = self.last else {
            self.last = Some((now, pulses, None));
            return Err(self.not_yet(Duration::ZERO));
        };
        let window = now.saturating_duration_since(since);
        if window < WINDOW {
            return rpm.ok_or_else(|| self.not_yet(window));
        }
        let turns = pulses.saturating_sub(counted) as f64 / f64::from(self.pulses_per_turn);
        let rpm = Rpm((turns * 60.0 / window.as_secs_f64()).round() as u32);
        self.last = Some((now, pulses, Some(rpm)));
        Ok(rpm)
    }
}

impl PulseTach {
    fn not_yet(&self, window: Duration) -> TachError {
        TachError::NotYet {
            name: self.name.clone(),
            counted_ms: window.as_millis() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_sees_the_duty_that_the_host_sets() {
        let mut host = PwmLine::new("pwmchip0/pwm0");
        let machine = host.clone();
        assert_eq!(machine.level(), DutyPercent::OFF);
        host.set_duty(DutyPercent(250.0)).unwrap();
        assert_eq!(machine.level(), DutyPercent::FULL);
        machine.drive(DutyPercent(40.0));
        assert!((host.duty().unwrap().0 - 40.0).abs() < 0.01);
    }

    #[test]
    fn a_speed_is_counted_over_a_window_and_not_guessed_before() {
        let machine = TachLine::default();
        let mut host = PulseTach::new("fan0", machine.clone(), 2);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert!(matches!(host.rpm(at(0)), Err(TachError::NotYet { .. })));
        machine.add(100);
        assert!(matches!(host.rpm(at(400)), Err(TachError::NotYet { .. })));
        assert_eq!(host.rpm(at(500)).unwrap(), Rpm(6000));
        assert_eq!(host.rpm(at(700)).unwrap(), Rpm(6000), "the last window's");
        assert_eq!(host.rpm(at(1000)).unwrap(), Rpm(0));
    }
}
