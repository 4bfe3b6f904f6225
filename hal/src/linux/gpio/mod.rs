//! GPIO lines through the kernel's character devices: the v2 interface (Linux 5.10) where a chip has it, else v1 (4.8).

mod edges;
mod find;
mod pin;

pub(super) use edges::EdgeLine;
pub(super) use find::Place;

use crate::gpio::{GpioError, Input, Level, LineId, Output};
use gpiocdev::AbiVersion;
use linux_embedded_hal::CdevPin;
use linux_embedded_hal::gpio_cdev::{Chip, Line, LineRequestFlags};
use pin::{PinV1, PinV2};
use std::io;
use std::path::Path;

/// Shown by `gpioinfo` as the user of our lines.
const CONSUMER: &str = "cgminer-rs";

/// Takes a line as output, at `initial` from the first instant.
pub(super) fn output(
    dev: &Path,
    sys: &Path,
    line: &LineId,
    initial: Level,
) -> Result<Output, GpioError> {
    let place = find::find(dev, sys, line)?;
    match place.interface(line)? {
        AbiVersion::V2 => {
            let value = gpiocdev::line::Value::from(initial == Level::High);
            let pin = place.request_v2(line, |request| request.as_output(value))?;
            Ok(Output::new(pin))
        }
        AbiVersion::V1 => {
            let flags = LineRequestFlags::OUTPUT;
            Ok(Output::new(place.request_v1(
                line,
                flags,
                u8::from(initial == Level::High),
            )?))
        }
    }
}

/// Takes a line as input.
pub(super) fn input(dev: &Path, sys: &Path, line: &LineId) -> Result<Input, GpioError> {
    let place = find::find(dev, sys, line)?;
    match place.interface(line)? {
        AbiVersion::V2 => Ok(Input::new(
            place.request_v2(line, |request| request.as_input())?,
        )),
        AbiVersion::V1 => Ok(Input::new(place.request_v1(
            line,
            LineRequestFlags::INPUT,
            0,
        )?)),
    }
}

impl Place {
    /// The newest interface that this chip answers to; an old vendor kernel has v1 only, a new one may have v2 only.
    fn interface(&self, line: &LineId) -> Result<AbiVersion, GpioError> {
        let no_interface = |source| GpioError::NoInterface {
            line: line.to_string(),
            chip: self.chip.display().to_string(),
            source,
        };
        let chip = gpiocdev::chip::Chip::from_path(&self.chip)
            .map_err(|error| no_interface(io::Error::other(error)))?;
        if chip.supports_abi_version(AbiVersion::V2).is_ok() {
            return Ok(AbiVersion::V2);
        }
        self.line_v1()
            .and_then(|line| line.info())
            .map(|_| AbiVersion::V1)
            .map_err(|error| no_interface(io::Error::other(error)))
    }

    fn line_v1(&self) -> Result<Line, linux_embedded_hal::gpio_cdev::Error> {
        Chip::new(&self.chip)?.get_line(self.offset)
    }

    fn request_v1(
        &self,
        line: &LineId,
        flags: LineRequestFlags,
        initial: u8,
    ) -> Result<PinV1, GpioError> {
        let pin = self
            .line_v1()
            .and_then(|found| found.request(flags, initial, CONSUMER))
            .and_then(CdevPin::new)
            .map_err(|error| failed(line, "requesting it", error))?;
        Ok(PinV1 {
            name: line.to_string(),
            pin,
        })
    }

    fn request_v2(
        &self,
        line: &LineId,
        direction: impl FnOnce(&mut gpiocdev::request::Builder) -> &mut gpiocdev::request::Builder,
    ) -> Result<PinV2, GpioError> {
        let mut request = gpiocdev::request::Request::builder();
        request
            .on_chip(&self.chip)
            .with_consumer(CONSUMER)
            .with_line(self.offset);
        let request = direction(&mut request)
            .request()
            .map_err(|error| failed(line, "requesting it", error))?;
        Ok(PinV2 {
            name: line.to_string(),
            offset: self.offset,
            request,
        })
    }
}

fn failed(
    line: &LineId,
    doing: &'static str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> GpioError {
    GpioError::Io {
        line: line.to_string(),
        doing,
        source: io::Error::other(error),
    }
}
