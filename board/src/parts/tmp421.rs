//! TMP421, TMP422 and TMP423: own temperature and one, two or three remote diodes.

use super::error::{PartError, Problem, Register, register};
use super::registers::Registers;
use super::temperature::{Readings, TemperatureSensor, scale_offset, wake};
use cgminer_hal::units::Celsius;
use embedded_hal::i2c::I2c;

const LOCAL_TEMPERATURE: Register = register("LOCAL_TEMPERATURE", 0x00);
const LOCAL_TEMPERATURE_LOW: Register = register("LOCAL_TEMPERATURE_LOW", 0x10);
const REMOTES: [(Register, Register); 3] = [
    (
        register("REMOTE_TEMPERATURE_1", 0x01),
        register("REMOTE_TEMPERATURE_1_LOW", 0x11),
    ),
    (
        register("REMOTE_TEMPERATURE_2", 0x02),
        register("REMOTE_TEMPERATURE_2_LOW", 0x12),
    ),
    (
        register("REMOTE_TEMPERATURE_3", 0x03),
        register("REMOTE_TEMPERATURE_3_LOW", 0x13),
    ),
];
const CONFIGURATION_1: Register = register("CONFIGURATION_1", 0x09);
const MANUFACTURER_ID: Register = register("MANUFACTURER_ID", 0xFE);
const DEVICE_ID: Register = register("DEVICE_ID", 0xFF);

/// Low byte: the input is open.
const OPEN: u8 = 0x01;
/// Low byte: the part has been read before its supply was good ("PVLD" of the data sheet).
const PVLD: u8 = 0x02;

/// A sensor of the family.
pub struct Tmp421<I> {
    registers: Registers<I>,
    remotes: usize,
}

impl<I: I2c> Tmp421<I> {
    /// A sensor at a 7-bit address. Diodes are known once it is started.
    pub fn new(bus: I, address: u8) -> Self {
        Self {
            registers: Registers::new("TMP421 or alike", bus, address, false),
            remotes: 0,
        }
    }

    fn temperature(
        &mut self,
        (high, low): (Register, Register),
        offset: f32,
    ) -> Result<Celsius, PartError> {
        // Reading the high byte holds the low one until it is read.
        let whole = self.registers.byte(high)?;
        let fraction = self.registers.byte(low)?;
        if fraction & OPEN != 0 {
            return Err(self.registers.error(low, Problem::OpenDiode));
        }
        if fraction & PVLD != 0 {
            return Err(self.registers.error(low, Problem::NotReady));
        }
        // Signed on the plain scale; on the extended one the byte counts from -64 C.
        let whole = if offset == 0.0 {
            f32::from(i8::from_le_bytes([whole]))
        } else {
            f32::from(whole)
        };
        Ok(Celsius(whole + f32::from(fraction >> 4) / 16.0 - offset))
    }
}

impl<I: I2c + Send> TemperatureSensor for Tmp421<I> {
    fn start(&mut self) -> Result<(), PartError> {
        let (manufacturer, device) = (
            self.registers.byte(MANUFACTURER_ID)?,
            self.registers.byte(DEVICE_ID)?,
        );
        let (part, remotes) = match (manufacturer, device) {
            (0x55, 0x21) => ("TMP421", 1),
            (0x55, 0x22) => ("TMP422", 2),
            (0x55, 0x23) => ("TMP423", 3),
            _ => {
                let read = format!("maker {manufacturer:#04x}, device {device:#04x}");
                let expected = "TMP421 to TMP423 (0x55, 0x21 to 0x23)";
                return Err(self
                    .registers
                    .error(DEVICE_ID, Problem::WrongPart { read, expected }));
            }
        };
        self.registers.rename(part);
        self.remotes = remotes;
        wake(&mut self.registers, CONFIGURATION_1, CONFIGURATION_1)
    }

    fn read(&mut self) -> Readings {
        let offset = scale_offset(&mut self.registers, CONFIGURATION_1);
        let local = (LOCAL_TEMPERATURE, LOCAL_TEMPERATURE_LOW);
        let local = offset
            .clone()
            .and_then(|offset| self.temperature(local, offset));
        let mut readings = Readings::local_only(local);
        for registers in REMOTES.into_iter().take(self.remotes) {
            let reading = offset
                .clone()
                .and_then(|offset| self.temperature(registers, offset));
            // As many as there are registers fit.
            let _ = readings.remotes.push(reading);
        }
        readings
    }
}
