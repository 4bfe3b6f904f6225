//! The serial line to a hash-board chain.

use crate::units::Baud;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

/// A serial line: 8 data bits, no parity, one stop bit, no flow control.
///
/// Reading and writing are tokio's; a write is complete when the driver has taken the bytes, so a change of speed waits
/// for [`Uart::is_drained`] first.
pub trait Uart: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// Name for messages, as the device path or the emulated chain's name.
    fn name(&self) -> &str;

    /// The speed in force, as the device reported it.
    fn baud(&self) -> Baud;

    /// Sets the speed and returns what the device reads back, which may differ by rounding.
    ///
    /// # Errors
    /// [`UartError::BaudRefused`] when the read-back is more than 2.5 % off; the old speed may then be lost too.
    fn set_baud(&mut self, baud: Baud) -> Result<Baud, UartError>;

    /// Whether every byte written has left the line. Polled, because no Linux call waits for it without blocking.
    ///
    /// # Errors
    /// When the device cannot be asked.
    fn is_drained(&self) -> Result<bool, UartError>;

    /// Throws away what was received and not yet read.
    ///
    /// # Errors
    /// When the device cannot be asked.
    fn discard_input(&mut self) -> Result<(), UartError>;
}

/// Names a serial line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UartSpec {
    /// Device file, as `/dev/ttyS1`.
    pub device: String,
    /// Whether the speed must be changed through a second descriptor while the first stays open, as the `meson_uart`
    /// driver of Amlogic kernels wants it.
    #[serde(default)]
    pub second_descriptor: bool,
}

/// What can go wrong with a serial line.
#[derive(Debug, Error)]
pub enum UartError {
    /// The device could not be opened.
    #[error(
        "UART {path}: cannot open: {source}; check that the path exists and that no other program uses it"
    )]
    Open {
        /// Device path.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process holds the line.
    #[error("UART {path}: another process holds it; stop that process first")]
    Locked {
        /// Device path.
        path: String,
    },
    /// The device did not take a speed.
    #[error(
        "UART {path}: asked for {asked}, the device reads back {read_back}; choose a speed it can make"
    )]
    BaudRefused {
        /// Device path.
        path: String,
        /// Speed asked for.
        asked: Baud,
        /// Speed in force.
        read_back: Baud,
    },
    /// Any other failure of the device.
    #[error("UART {path}: {doing} failed: {source}")]
    Io {
        /// Device path.
        path: String,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}
