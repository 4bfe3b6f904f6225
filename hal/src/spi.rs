//! SPI devices of any maker behind embedded-hal's `SpiDevice`.

use embedded_hal::spi::{self, ErrorType, Operation, SpiDevice};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Names an SPI device and how it is clocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpiSpec {
    /// Device file below `/dev`, as `spidev0.0`.
    pub device: String,
    /// Clock in hertz.
    pub clock_hz: u32,
    /// SPI mode, 0 to 3.
    pub mode: u8,
}

/// What can go wrong with an SPI device.
#[derive(Debug, Error)]
pub enum SpiError {
    /// It could not be opened or configured.
    #[error(
        "SPI {device}: cannot open: {source}; check that spidev is bound to it in the device tree"
    )]
    Open {
        /// Device file.
        device: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A transfer failed.
    #[error("SPI {device}: transfer failed: {source}")]
    Transfer {
        /// Device file.
        device: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl spi::Error for SpiError {
    fn kind(&self) -> spi::ErrorKind {
        spi::ErrorKind::Other
    }
}

/// An SPI device of any maker: a real one or an emulated one.
pub struct Handle(Box<dyn SpiDevice<Error = SpiError> + Send>);

impl Handle {
    /// Wraps a device.
    pub fn new(device: impl SpiDevice<Error = SpiError> + Send + 'static) -> Self {
        Self(Box::new(device))
    }
}

impl ErrorType for Handle {
    type Error = SpiError;
}

impl SpiDevice for Handle {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), SpiError> {
        self.0.transaction(operations)
    }
}
