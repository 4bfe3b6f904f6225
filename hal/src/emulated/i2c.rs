//! An I2C bus in memory, with models of parts on it.

use super::locked;
use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use thiserror::Error;

/// A part on the bus, as seen from its pins. A transaction is any run of writes and reads, then one stop.
pub trait I2cDevice: Send {
    /// The host writes these bytes after a start or repeated start.
    ///
    /// # Errors
    /// When the part does not acknowledge.
    fn write(&mut self, bytes: &[u8]) -> Result<(), BusError>;

    /// The host reads after a start or repeated start; the part fills all of `into`.
    ///
    /// # Errors
    /// When the part does not acknowledge.
    fn read(&mut self, into: &mut [u8]) -> Result<(), BusError>;

    /// The transaction is over.
    fn stop(&mut self) {}
}

/// What a bus can suffer, per address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusFault {
    /// The part does not acknowledge its address.
    Nak,
    /// Bits of what is read are inverted by this mask, each byte.
    Corrupt(u8),
}

/// A transfer that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BusError {
    /// Nothing answered at the address.
    #[error(
        "I2C: no acknowledge from the address; check the wiring and the address in the board file"
    )]
    AddressNak,
    /// The part refused a byte.
    #[error("I2C: the part did not acknowledge a byte; check that it knows this register")]
    DataNak,
}

impl embedded_hal::i2c::Error for BusError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::NoAcknowledge(match self {
            Self::AddressNak => NoAcknowledgeSource::Address,
            Self::DataNak => NoAcknowledgeSource::Data,
        })
    }
}

/// A bus; every clone is the same bus.
#[derive(Clone, Default)]
pub struct I2cBus {
    parts: Arc<Mutex<BTreeMap<u8, Part>>>,
}

struct Part {
    device: Box<dyn I2cDevice>,
    fault: Option<BusFault>,
}

impl I2cBus {
    /// Puts a part on the bus at a 7-bit address; one that was there before is taken off.
    pub fn attach(&self, address: u8, device: impl I2cDevice + 'static) {
        locked(&self.parts).insert(
            address,
            Part {
                device: Box::new(device),
                fault: None,
            },
        );
    }

    /// Sets or clears the fault of one address; false when no part is there.
    pub fn set_fault(&self, address: u8, fault: Option<BusFault>) -> bool {
        locked(&self.parts)
            .get_mut(&address)
            .map(|part| part.fault = fault)
            .is_some()
    }

    /// Addresses that have a part, whether or not it is at fault.
    pub fn addresses(&self) -> Vec<u8> {
        locked(&self.parts).keys().copied().collect()
    }
}

impl core::fmt::Debug for I2cBus {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("I2cBus")
            .field("addresses", &self.addresses())
            .finish()
    }
}

impl ErrorType for I2cBus {
    type Error = BusError;
}

impl I2c for I2cBus {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), BusError> {
        let mut parts = locked(&self.parts);
        let part = parts.get_mut(&address).ok_or(BusError::AddressNak)?;
        if part.fault == Some(BusFault::Nak) {
            return Err(BusError::AddressNak);
        }
        let mut result = Ok(());
        for operation in operations {
            result = match operation {
                Operation::Write(bytes) => part.device.write(bytes),
                Operation::Read(into) => part.device.read(into).map(|()| corrupt(part.fault, into)),
            };
            if result.is_err() {
                break;
            }
        }
        part.device.stop();
        result
    }
}

fn corrupt(fault: Option<BusFault>, bytes: &mut [u8]) {
    if let Some(BusFault::Corrupt(mask)) = fault {
        for byte in bytes {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part with one register pointer and bytes that count up from it.
    #[derive(Default)]
    struct Counting {
        pointer: u8,
    }

    impl I2cDevice for Counting {
        fn write(&mut self, bytes: &[u8]) -> Result<(), BusError> {
            self.pointer = *bytes.first().ok_or(BusError::DataNak)?;
            Ok(())
        }

        fn read(&mut self, into: &mut [u8]) -> Result<(), BusError> {
            for byte in into {
                *byte = self.pointer;
                self.pointer = self.pointer.wrapping_add(1);
            }
            Ok(())
        }
    }

    #[test]
    fn a_part_answers_at_its_address_only() {
        let mut bus = I2cBus::default();
        bus.attach(0x48, Counting::default());
        let mut got = [0; 2];
        bus.write_read(0x48, &[7], &mut got).unwrap();
        assert_eq!(got, [7, 8]);
        assert_eq!(bus.write(0x49, &[0]), Err(BusError::AddressNak));
    }

    #[test]
    fn faults_come_and_go() {
        let mut bus = I2cBus::default();
        bus.attach(0x48, Counting::default());
        assert!(bus.set_fault(0x48, Some(BusFault::Nak)));
        assert_eq!(bus.write(0x48, &[0]), Err(BusError::AddressNak));
        assert!(bus.set_fault(0x48, Some(BusFault::Corrupt(0x80))));
        let mut got = [0; 1];
        bus.write_read(0x48, &[1], &mut got).unwrap();
        assert_eq!(got, [0x81]);
        assert!(bus.set_fault(0x48, None));
        bus.write_read(0x48, &[1], &mut got).unwrap();
        assert_eq!(got, [1]);
        assert!(!bus.set_fault(0x20, None));
    }
}
