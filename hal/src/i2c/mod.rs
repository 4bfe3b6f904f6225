//! I2C: a bus of any maker behind embedded-hal's `I2c`, with one owner, retries, a deadline and addresses that are
//! never written to.
//!
//! ```text
//! part driver -> Handle -> Guarded (deny list, retries) -> Owner thread -> /dev/i2c-N
//!                                    `-> emulated bus
//! ```

mod guard;
mod owner;
pub mod smbus;

pub use guard::{Guarded, RetryPolicy};
pub use owner::OwnedBus;

use embedded_hal::i2c::{self, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// Names a bus, and the addresses on it that must never be written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct I2cBusSpec {
    /// Name of the bus, as `i2c-0`, which is its device file below `/dev` too.
    pub bus: String,
    /// 7-bit addresses of parts that lose their content when written to, as hash-board EEPROMs; they can be read.
    #[serde(default)]
    pub deny_writes: Vec<u8>,
}

/// What can go wrong on a bus.
#[derive(Error)]
pub enum I2cError {
    /// The bus could not be opened.
    #[error(
        "I2C {bus}: cannot open: {source}; check that i2c-dev is loaded and the bus named in the board file exists"
    )]
    Open {
        /// Bus.
        bus: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bus is open already, with other addresses denied.
    #[error("I2C {bus}: open already with another deny list; name each bus once in the board file")]
    Conflict {
        /// Bus.
        bus: String,
    },
    /// A write to an address of the deny list. Nothing was sent.
    #[error(
        "I2C {bus} address {address:#04x}: writing is forbidden by the board file, as it can destroy the part there"
    )]
    Denied {
        /// Bus.
        bus: String,
        /// 7-bit address.
        address: u8,
    },
    /// No answer.
    #[error(
        "I2C {bus} address {address:#04x}: no acknowledge after {attempts} attempts; check that the part has power"
    )]
    Nack {
        /// Bus.
        bus: String,
        /// 7-bit address.
        address: u8,
        /// How often it was tried.
        attempts: u32,
        /// Which byte was not acknowledged.
        missing: NoAcknowledgeSource,
    },
    /// The bus did not finish in time. A transfer under way may still end, one that waited is dropped unsent.
    #[error(
        "I2C {bus} address {address:#04x}: no result within {waited:?}; the bus or its driver is stuck"
    )]
    Deadline {
        /// Bus.
        bus: String,
        /// 7-bit address.
        address: u8,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The owner of the bus is gone.
    #[error("I2C {bus}: its owner has ended; restart the program")]
    OwnerGone {
        /// Bus.
        bus: String,
    },
    /// Any other failure.
    #[error("I2C {bus} address {address:#04x}: {kind} after {attempts} attempts: {detail}")]
    Transfer {
        /// Bus.
        bus: String,
        /// 7-bit address.
        address: u8,
        /// How often it was tried.
        attempts: u32,
        /// Class of the failure.
        kind: ErrorKind,
        /// What the adapter said.
        detail: String,
    },
}

/// As it is displayed: part drivers are generic over the bus and have only `Debug` to quote it with.
impl fmt::Debug for I2cError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl i2c::Error for I2cError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Nack { missing, .. } => ErrorKind::NoAcknowledge(*missing),
            Self::Transfer { kind, .. } => *kind,
            Self::Deadline { .. } => ErrorKind::Bus,
            Self::Open { .. }
            | Self::Conflict { .. }
            | Self::Denied { .. }
            | Self::OwnerGone { .. } => ErrorKind::Other,
        }
    }
}

/// A bus of any maker: a real one or an emulated one.
pub struct Handle(Box<dyn I2c<Error = I2cError> + Send>);

impl Handle {
    /// Wraps a bus.
    pub fn new(bus: impl I2c<Error = I2cError> + Send + 'static) -> Self {
        Self(Box::new(bus))
    }
}

impl ErrorType for Handle {
    type Error = I2cError;
}

impl I2c for Handle {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), I2cError> {
        self.0.transaction(address, operations)
    }
}
