//! The one way to a board's devices: `linux` opens real ones, `emulated` gives those of an emulated machine.
//!
//! What drives a board takes a `&mut dyn Devices` and the board file; it cannot tell which of the two it has.

use crate::gpio::{GpioError, Input, Level, LineId, Output, Signal, SignalSpec};
use crate::i2c::{self, I2cBusSpec, I2cError};
use crate::led::{Led, LedError, LedSpec};
use crate::pwm::{Pwm, PwmError, PwmSpec};
use crate::spi::{self, SpiError, SpiSpec};
use crate::tach::{Tach, TachError, TachSpec};
use crate::uart::{Uart, UartError, UartSpec};
use crate::watchdog::{Watchdog, WatchdogError, WatchdogSpec};

/// Opens the devices that a board file names.
pub trait Devices: Send {
    /// What the machine says it is: the device tree's `model`, or `None` where there is no device tree.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    fn model(&self) -> std::io::Result<Option<String>>;

    /// Opens a serial line at the speed that chips listen at after reset. Needs a tokio runtime with I/O.
    fn uart(&mut self, spec: &UartSpec) -> Result<Box<dyn Uart>, UartError>;

    /// Takes a line as output, driven to `initial` from the first instant.
    fn output(&mut self, line: &LineId, initial: Level) -> Result<Output, GpioError>;

    /// Takes a line as input.
    fn input(&mut self, line: &LineId) -> Result<Input, GpioError>;

    /// A handle on a bus; all handles of one bus share one owner, its deny list and its retries.
    fn i2c(&mut self, spec: &I2cBusSpec) -> Result<i2c::Handle, I2cError>;

    /// Opens an SPI device.
    fn spi(&mut self, spec: &SpiSpec) -> Result<spi::Handle, SpiError>;

    /// Opens a PWM output, with its period set and at full duty, the safe side for a fan.
    fn pwm(&mut self, spec: &PwmSpec) -> Result<Box<dyn Pwm>, PwmError>;

    /// Opens a source of fan speed.
    fn tach(&mut self, spec: &TachSpec) -> Result<Box<dyn Tach>, TachError>;

    /// Opens a light, off.
    fn led(&mut self, spec: &LedSpec) -> Result<Box<dyn Led>, LedError>;

    /// Opens and so starts a watchdog.
    fn watchdog(&mut self, spec: &WatchdogSpec) -> Result<Box<dyn Watchdog>, WatchdogError>;

    /// Takes an output by meaning, active or not from the first instant.
    fn output_signal(
        &mut self,
        spec: &SignalSpec,
        active: bool,
    ) -> Result<Signal<Output>, GpioError> {
        Ok(Signal::new(
            self.output(&spec.line, spec.level(active))?,
            spec.active,
        ))
    }

    /// Takes an input by meaning.
    fn input_signal(&mut self, spec: &SignalSpec) -> Result<Signal<Input>, GpioError> {
        Ok(Signal::new(self.input(&spec.line)?, spec.active))
    }
}
