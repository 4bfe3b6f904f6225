//! TMP451, ADT7461 and NCT218: own temperature and one remote diode. The same registers, told apart by their ID.
//!
//! Two scales exist: 0 to 127 C, and from -64 C with 64 added; CONFIGURATION says which.

use super::error::{PartError, Problem, Register, register};
use super::registers::Registers;
use super::temperature::{Readings, TemperatureSensor, scale_offset, wake};
use cgminer_hal::units::Celsius;
use embedded_hal::i2c::I2c;

const LOCAL_TEMPERATURE_HIGH: Register = register("LOCAL_TEMPERATURE_HIGH", 0x00);
const REMOTE_TEMPERATURE_HIGH: Register = register("REMOTE_TEMPERATURE_HIGH", 0x01);
const STATUS: Register = register("STATUS", 0x02);
const CONFIGURATION_READ: Register = register("CONFIGURATION", 0x03);
const CONFIGURATION_WRITE: Register = register("CONFIGURATION", 0x09);
const REMOTE_TEMPERATURE_LOW: Register = register("REMOTE_TEMPERATURE_LOW", 0x10);
const LOCAL_TEMPERATURE_LOW: Register = register("LOCAL_TEMPERATURE_LOW", 0x15);
const MANUFACTURER_ID: Register = register("MANUFACTURER_ID", 0xFE);
const DEVICE_ID: Register = register("DEVICE_ID", 0xFF);

/// STATUS: the remote diode is open.
const STATUS_OPEN: u8 = 0x04;
/// Members of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tmp451Kind {
    /// Texas Instruments TMP451: 1/16 C in both temperatures.
    Tmp451,
    /// Analog Devices / onsemi ADT7461 and ADT7461A: 1/4 C in the remote one, 1 C in its own.
    Adt7461,
    /// onsemi NCT218: as the ADT7461.
    Nct218,
}

impl Tmp451Kind {
    /// By `MANUFACTURER_ID` and `DEVICE_ID` (the data sheets, and Linux's lm90 driver). A TMP451 has no device ID.
    fn of(manufacturer: u8, device: u8) -> Option<Self> {
        match (manufacturer, device) {
            (0x55, _) => Some(Self::Tmp451),
            (0x41, 0x51 | 0x57) => Some(Self::Adt7461),
            (0x1A, 0xCA) => Some(Self::Nct218),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Tmp451 => "TMP451",
            Self::Adt7461 => "ADT7461",
            Self::Nct218 => "NCT218",
        }
    }
}

/// A sensor of the family.
pub struct Tmp451<I> {
    registers: Registers<I>,
    kind: Option<Tmp451Kind>,
}

impl<I: I2c> Tmp451<I> {
    /// A sensor at a 7-bit address, usually 0x4C or 0x4D.
    pub fn new(bus: I, address: u8) -> Self {
        Self {
            registers: Registers::new("TMP451 or alike", bus, address, false),
            kind: None,
        }
    }

    /// Which part it is, once started.
    pub fn kind(&self) -> Option<Tmp451Kind> {
        self.kind
    }

    fn local(&mut self, offset: f32) -> Result<Celsius, PartError> {
        let high = self.registers.byte(LOCAL_TEMPERATURE_HIGH)?;
        // Only the TMP451 has a fraction of its own temperature; the others keep something else at that address.
        let low = match self.kind {
            Some(Tmp451Kind::Tmp451) => self.registers.byte(LOCAL_TEMPERATURE_LOW)?,
            _ => 0,
        };
        Ok(scale(high, low, offset))
    }

    fn remote(&mut self, offset: f32) -> Result<Celsius, PartError> {
        // Reading the high byte holds the low one until it is read.
        let high = self.registers.byte(REMOTE_TEMPERATURE_HIGH)?;
        let low = self.registers.byte(REMOTE_TEMPERATURE_LOW)?;
        // After the temperature: a diode that opened in between is seen, one that closed is believed a look later.
        if self.registers.byte(STATUS)? & STATUS_OPEN != 0 {
            return Err(self.registers.error(STATUS, Problem::OpenDiode));
        }
        Ok(scale(high, low, offset))
    }
}

fn scale(high: u8, low: u8, offset: f32) -> Celsius {
    Celsius(f32::from(high) + f32::from(low >> 4) / 16.0 - offset)
}

impl<I: I2c + Send> TemperatureSensor for Tmp451<I> {
    fn start(&mut self) -> Result<(), PartError> {
        let manufacturer = self.registers.byte(MANUFACTURER_ID)?;
        let device = if manufacturer == 0x55 {
            0
        } else {
            self.registers.byte(DEVICE_ID)?
        };
        let Some(kind) = Tmp451Kind::of(manufacturer, device) else {
            let read = format!("maker {manufacturer:#04x}, device {device:#04x}");
            let expected = "TMP451 (0x55), ADT7461 (0x41, 0x51 or 0x57) or NCT218 (0x1a, 0xca)";
            return Err(self
                .registers
                .error(MANUFACTURER_ID, Problem::WrongPart { read, expected }));
        };
        self.kind = Some(kind);
        self.registers.rename(kind.name());
        wake(&mut self.registers, CONFIGURATION_READ, CONFIGURATION_WRITE)
    }

    fn read(&mut self) -> Readings {
        let offset = scale_offset(&mut self.registers, CONFIGURATION_READ);
        let local = offset.clone().and_then(|offset| self.local(offset));
        let remote = offset.and_then(|offset| self.remote(offset));
        let mut readings = Readings::local_only(local);
        // One fits.
        let _ = readings.remotes.push(remote);
        readings
    }
}
