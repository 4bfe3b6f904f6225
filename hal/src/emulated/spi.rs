//! An SPI device in memory.

use super::locked;
use crate::spi::SpiError;
use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use std::sync::{Arc, Mutex};

/// A part behind a chip select, as seen from its pins.
pub trait SpiModel: Send {
    /// Chip select falls: a new exchange begins.
    fn select(&mut self) {}

    /// One byte is clocked in while one is clocked out.
    fn exchange(&mut self, byte: u8) -> u8;
}

/// The host's end of one chip select; every clone is the same device.
#[derive(Clone)]
pub struct SpiLine {
    model: Arc<Mutex<dyn SpiModel>>,
}

impl SpiLine {
    /// Wires a model to a chip select.
    pub fn new(model: impl SpiModel + 'static) -> Self {
        Self {
            model: Arc::new(Mutex::new(model)),
        }
    }
}

impl core::fmt::Debug for SpiLine {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("SpiLine")
    }
}

impl ErrorType for SpiLine {
    type Error = SpiError;
}

impl SpiDevice for SpiLine {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), SpiError> {
        let mut model = locked(&self.model);
        model.select();
        for operation in operations {
            match operation {
                Operation::Read(into) => into.iter_mut().for_each(|byte| *byte = model.exchange(0)),
                Operation::Write(bytes) => bytes.iter().for_each(|byte| {
                    model.exchange(*byte);
                }),
                Operation::TransferInPlace(bytes) => bytes
                    .iter_mut()
                    .for_each(|byte| *byte = model.exchange(*byte)),
                Operation::Transfer(into, from) => {
                    for index in 0..into.len().max(from.len()) {
                        let received = model.exchange(from.get(index).copied().unwrap_or(0));
                        if let Some(slot) = into.get_mut(index) {
                            *slot = received;
                        }
                    }
                }
                Operation::DelayNs(_) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each byte with the one before it since the select.
    #[derive(Default)]
    struct Delayed(u8);

    impl SpiModel for Delayed {
        fn select(&mut self) {
            self.0 = 0;
        }

        fn exchange(&mut self, byte: u8) -> u8 {
            std::mem::replace(&mut self.0, byte)
        }
    }

    #[test]
    fn every_operation_clocks_bytes_through_the_model() {
        let mut host = SpiLine::new(Delayed::default());
        let mut got = [0; 3];
        host.transfer(&mut got, &[1, 2]).unwrap();
        assert_eq!(got, [0, 1, 2]);
        let mut both = [9, 8];
        host.transfer_in_place(&mut both).unwrap();
        assert_eq!(both, [0, 9], "a new exchange starts afresh");
    }
}
