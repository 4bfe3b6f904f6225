//! `/dev/spidevB.C` as an embedded-hal device, through linux-embedded-hal.

use crate::spi::{SpiError, SpiSpec};
use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use linux_embedded_hal::SpidevDevice;
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use std::io;
use std::path::Path;

/// An SPI device of the kernel.
pub(super) struct LinuxSpi {
    name: String,
    device: SpidevDevice,
}

impl LinuxSpi {
    pub(super) fn open(dev: &Path, spec: &SpiSpec) -> Result<Self, SpiError> {
        let failed = |source| SpiError::Open {
            device: spec.device.clone(),
            source,
        };
        let mode = match spec.mode {
            0 => SpiModeFlags::SPI_MODE_0,
            1 => SpiModeFlags::SPI_MODE_1,
            2 => SpiModeFlags::SPI_MODE_2,
            3 => SpiModeFlags::SPI_MODE_3,
            other => {
                let text = format!("SPI mode {other} does not exist, 0 to 3 do");
                return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, text)));
            }
        };
        let mut device = SpidevDevice::open(dev.join(&spec.device)).map_err(|error| {
            failed(io::Error::new(
                error.inner().kind(),
                error.inner().to_string(),
            ))
        })?;
        let options = SpidevOptions::new()
            .bits_per_word(8)
            .max_speed_hz(spec.clock_hz)
            .mode(mode)
            .build();
        device.configure(&options).map_err(failed)?;
        Ok(Self {
            name: spec.device.clone(),
            device,
        })
    }
}

impl ErrorType for LinuxSpi {
    type Error = SpiError;
}

impl SpiDevice for LinuxSpi {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), SpiError> {
        self.device
            .transaction(operations)
            .map_err(|error| SpiError::Transfer {
                device: self.name.clone(),
                source: io::Error::new(error.inner().kind(), error.inner().to_string()),
            })
    }
}
