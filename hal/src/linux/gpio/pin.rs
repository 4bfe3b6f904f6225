//! Requested lines as embedded-hal pins. High and low are electrical: no request asks the kernel to invert.

use crate::gpio::GpioError;
use embedded_hal::digital::{ErrorType, InputPin, OutputPin, StatefulOutputPin};
use gpiocdev::line::{Offset, Value};
use gpiocdev::request::Request;
use linux_embedded_hal::CdevPin;
use std::io;

/// A line of the v1 interface.
pub(super) struct PinV1 {
    pub(super) name: String,
    pub(super) pin: CdevPin,
}

/// A line of the v2 interface.
pub(super) struct PinV2 {
    pub(super) name: String,
    pub(super) offset: Offset,
    pub(super) request: Request,
}

fn failed(
    name: &str,
    doing: &'static str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> GpioError {
    GpioError::Io {
        line: name.to_owned(),
        doing,
        source: io::Error::other(error),
    }
}

impl ErrorType for PinV1 {
    type Error = GpioError;
}

impl OutputPin for PinV1 {
    fn set_low(&mut self) -> Result<(), GpioError> {
        self.pin
            .set_low()
            .map_err(|error| failed(&self.name, "driving it low", error))
    }

    fn set_high(&mut self) -> Result<(), GpioError> {
        self.pin
            .set_high()
            .map_err(|error| failed(&self.name, "driving it high", error))
    }
}

impl InputPin for PinV1 {
    fn is_high(&mut self) -> Result<bool, GpioError> {
        self.pin
            .is_high()
            .map_err(|error| failed(&self.name, "reading it", error))
    }

    fn is_low(&mut self) -> Result<bool, GpioError> {
        self.is_high().map(|high| !high)
    }
}

impl StatefulOutputPin for PinV1 {
    fn is_set_high(&mut self) -> Result<bool, GpioError> {
        self.is_high()
    }

    fn is_set_low(&mut self) -> Result<bool, GpioError> {
        self.is_low()
    }
}

impl PinV2 {
    fn set(&mut self, value: Value, doing: &'static str) -> Result<(), GpioError> {
        self.request
            .set_value(self.offset, value)
            .map_err(|error| failed(&self.name, doing, error))
    }
}

impl ErrorType for PinV2 {
    type Error = GpioError;
}

impl OutputPin for PinV2 {
    fn set_low(&mut self) -> Result<(), GpioError> {
        self.set(Value::Inactive, "driving it low")
    }

    fn set_high(&mut self) -> Result<(), GpioError> {
        self.set(Value::Active, "driving it high")
    }
}

impl InputPin for PinV2 {
    fn is_high(&mut self) -> Result<bool, GpioError> {
        self.request
            .value(self.offset)
            .map(|value| value == Value::Active)
            .map_err(|error| failed(&self.name, "reading it", error))
    }

    fn is_low(&mut self) -> Result<bool, GpioError> {
        self.is_high().map(|high| !high)
    }
}

impl StatefulOutputPin for PinV2 {
    fn is_set_high(&mut self) -> Result<bool, GpioError> {
        self.is_high()
    }

    fn is_set_low(&mut self) -> Result<bool, GpioError> {
        self.is_low()
    }
}
