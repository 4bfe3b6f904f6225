//! EMC1412, EMC1413 and EMC1414: own temperature and one, two or three remote diodes.

use super::error::{PartError, Problem, Register, register};
use super::registers::Registers;
use super::temperature::{Readings, TemperatureSensor, scale_offset, wake};
use cgminer_hal::units::Celsius;
use embedded_hal::i2c::I2c;

const INTERNAL: (Register, Register) = (
    register("INTERNAL_DIODE_HIGH_BYTE", 0x00),
    register("INTERNAL_DIODE_LOW_BYTE", 0x29),
);
const EXTERNALS: [(Register, Register); 3] = [
    (
        register("EXTERNAL_DIODE_1_HIGH_BYTE", 0x01),
        register("EXTERNAL_DIODE_1_LOW_BYTE", 0x10),
    ),
    (
        register("EXTERNAL_DIODE_2_HIGH_BYTE", 0x23),
        register("EXTERNAL_DIODE_2_LOW_BYTE", 0x24),
    ),
    (
        register("EXTERNAL_DIODE_3_HIGH_BYTE", 0x2A),
        register("EXTERNAL_DIODE_3_LOW_BYTE", 0x2B),
    ),
];
const CONFIGURATION: Register = register("CONFIGURATION", 0x03);
const EXTERNAL_DIODE_FAULT: Register = register("EXTERNAL_DIODE_FAULT", 0x1B);
const PRODUCT_ID: Register = register("PRODUCT_ID", 0xFD);
const MANUFACTURER_ID: Register = register("SMSC_ID", 0xFE);

/// A sensor of the family.
pub struct Emc1413<I> {
    registers: Registers<I>,
    remotes: usize,
}

impl<I: I2c> Emc1413<I> {
    /// A sensor at a 7-bit address. Diodes are known once it is started.
    pub fn new(bus: I, address: u8) -> Self {
        Self {
            registers: Registers::new("EMC1413 or alike", bus, address, false),
            remotes: 0,
        }
    }

    fn temperature(
        &mut self,
        (high, low): (Register, Register),
        offset: f32,
    ) -> Result<Celsius, PartError> {
        // Reading the high byte holds the low one until it is read.
        let whole = f32::from(self.registers.byte(high)?);
        // Three bits, 1/8 C.
        let fraction = f32::from(self.registers.byte(low)? >> 5) / 8.0;
        Ok(Celsius(whole + fraction - offset))
    }
}

impl<I: I2c + Send> TemperatureSensor for Emc1413<I> {
    fn start(&mut self) -> Result<(), PartError> {
        let (manufacturer, product) = (
            self.registers.byte(MANUFACTURER_ID)?,
            self.registers.byte(PRODUCT_ID)?,
        );
        let (part, remotes) = match (manufacturer, product) {
            (0x5D, 0x20) => ("EMC1412", 1),
            (0x5D, 0x21) => ("EMC1413", 2),
            (0x5D, 0x25) => ("EMC1414", 3),
            _ => {
                let read = format!("maker {manufacturer:#04x}, product {product:#04x}");
                let expected = "EMC1412 to EMC1414 (0x5d, 0x20, 0x21, 0x25)";
                return Err(self
                    .registers
                    .error(PRODUCT_ID, Problem::WrongPart { read, expected }));
            }
        };
        self.registers.rename(part);
        self.remotes = remotes;
        wake(&mut self.registers, CONFIGURATION, CONFIGURATION)
    }

    fn read(&mut self) -> Readings {
        let offset = scale_offset(&mut self.registers, CONFIGURATION);
        let local = offset
            .clone()
            .and_then(|offset| self.temperature(INTERNAL, offset));
        let mut readings = Readings::local_only(local);
        for (index, registers) in EXTERNALS.into_iter().enumerate().take(self.remotes) {
            let reading = offset.clone().and_then(|offset| {
                let reading = self.temperature(registers, offset)?;
                // After the temperature, as the flag is of the latest conversion.
                let faults = self.registers.byte(EXTERNAL_DIODE_FAULT)?;
                if faults & 0x02 << index != 0 {
                    return Err(self
                        .registers
                        .error(EXTERNAL_DIODE_FAULT, Problem::OpenDiode));
                }
                Ok(reading)
            });
            // As many as there are registers fit.
            let _ = readings.remotes.push(reading);
        }
        readings
    }
}
