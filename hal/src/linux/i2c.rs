//! `/dev/i2c-N` as an embedded-hal bus.
//!
//! On i2cdev's `LinuxI2CBus`, one `I2C_RDWR` per transaction. linux-embedded-hal's `I2cdev` does not serve: it opens the
//! device again at every change of address.

use embedded_hal::i2c::{Error, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use linux_embedded_hal::i2cdev::core::{I2CMessage, I2CTransfer};
use linux_embedded_hal::i2cdev::linux::{LinuxI2CBus, LinuxI2CError, LinuxI2CMessage};
use std::fmt;
use std::io;
use std::path::Path;

/// A bus of the kernel.
#[derive(Debug)]
pub(super) struct Adapter(LinuxI2CBus);

/// What the kernel said of a transfer.
pub(super) struct AdapterError(io::Error);

impl Adapter {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(LinuxI2CBus::new(path)?))
    }
}

impl ErrorType for Adapter {
    type Error = AdapterError;
}

impl I2c for Adapter {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), AdapterError> {
        let mut messages: Vec<LinuxI2CMessage<'_>> = operations
            .iter_mut()
            .map(|operation| match operation {
                Operation::Read(into) => LinuxI2CMessage::read(into),
                Operation::Write(bytes) => LinuxI2CMessage::write(bytes),
            })
            .map(|message| message.with_address(u16::from(address)))
            .collect();
        let done = self.0.transfer(&mut messages)?;
        if done as usize == messages.len() {
            Ok(())
        } else {
            let text = format!("{done} of {} messages were transferred", messages.len());
            Err(AdapterError(io::Error::other(text)))
        }
    }
}

impl From<LinuxI2CError> for AdapterError {
    fn from(error: LinuxI2CError) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for AdapterError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Error for AdapterError {
    /// After `Documentation/i2c/fault-codes.rst`. Drivers differ in what they call a missing acknowledge of a byte.
    fn kind(&self) -> ErrorKind {
        match self.0.raw_os_error() {
            Some(libc::ENXIO) => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address),
            Some(libc::EREMOTEIO) => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            Some(libc::EAGAIN) => ErrorKind::ArbitrationLoss,
            Some(libc::ETIMEDOUT | libc::EBUSY) => ErrorKind::Bus,
            _ => ErrorKind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_fault_codes_keep_their_meaning() {
        let kind = |code| AdapterError(io::Error::from_raw_os_error(code)).kind();
        assert_eq!(
            kind(libc::ENXIO),
            ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address)
        );
        assert_eq!(
            kind(libc::EREMOTEIO),
            ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown)
        );
        assert_eq!(kind(libc::EAGAIN), ErrorKind::ArbitrationLoss);
        assert_eq!(kind(libc::ETIMEDOUT), ErrorKind::Bus);
        assert_eq!(kind(libc::EIO), ErrorKind::Other);
    }
}
