//! A GPIO line in memory.

use crate::gpio::GpioError;
use embedded_hal::digital::{ErrorType, InputPin, OutputPin, StatefulOutputPin};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// One line; every clone is the same line, so one end is given to the host and one kept by the machine.
#[derive(Clone, Debug, Default)]
pub struct GpioLine {
    high: Arc<AtomicBool>,
}

impl GpioLine {
    /// A line that rests at `high`.
    pub fn new(high: bool) -> Self {
        let line = Self::default();
        line.set(high);
        line
    }

    /// The electrical level.
    pub fn level(&self) -> bool {
        self.high.load(Ordering::Acquire)
    }

    /// Drives the line, from either end.
    pub fn set(&self, high: bool) {
        self.high.store(high, Ordering::Release);
    }
}

impl ErrorType for GpioLine {
    type Error = GpioError;
}

impl OutputPin for GpioLine {
    fn set_low(&mut self) -> Result<(), GpioError> {
        self.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), GpioError> {
        self.set(true);
        Ok(())
    }
}

impl StatefulOutputPin for GpioLine {
    fn is_set_high(&mut self) -> Result<bool, GpioError> {
        Ok(self.level())
    }

    fn is_set_low(&mut self) -> Result<bool, GpioError> {
        Ok(!self.level())
    }
}

impl InputPin for GpioLine {
    fn is_high(&mut self) -> Result<bool, GpioError> {
        Ok(self.level())
    }

    fn is_low(&mut self) -> Result<bool, GpioError> {
        Ok(!self.level())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_the_same_line() {
        let mut host = GpioLine::new(false);
        let machine = host.clone();
        host.set_high().unwrap();
        assert!(machine.level());
        machine.set(false);
        assert!(host.is_low().unwrap());
    }
}
