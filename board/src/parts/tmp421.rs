//! TMP421, TMP422 and TMP423: own temperature and one, two or three remote diodes.

use super::error::{PartError, Problem, Register, Site, register};
use super::temperature::{Readings, TemperatureSensor};
use cgminer_hal::i2c::smbus::Smbus;
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

/// `CONFIGURATION_1`: shutdown.
const SD: u8 = 0x40;
/// `CONFIGURATION_1`: the extended scale, which adds 64 C.
const RANGE: u8 = 0x04;
/// Low byte: the input is open.
const OPEN: u8 = 0x01;
/// Low byte: the part has been read before its supply was good ("PVLD" of the data sheet).
const PVLD: u8 = 0x02;

/// A sensor of the family.
pub struct Tmp421<I> {
    smbus: Smbus<I>,
    site: Site,
    remotes: usize,
}

impl<I: I2c> Tmp421<I> {
    /// A sensor at a 7-bit address. Diodes are known once it is started.
    pub fn new(bus: I, address: u8) -> Self {
        let site = Site {
            part: "TMP421 or alike",
            address,
        };
        Self {
            smbus: Smbus::new(bus, address, false),
            site,
            remotes: 0,
        }
    }

    fn byte(&mut self, register: Register) -> Result<u8, PartError> {
        self.smbus
            .read_byte(register.code)
            .map_err(self.site.smbus(register))
    }

    fn temperature(
        &mut self,
        (high, low): (Register, Register),
        offset: f32,
    ) -> Result<Celsius, PartError> {
        // Reading the high byte holds the low one until it is read.
        let whole = self.byte(high)?;
        let fraction = self.byte(low)?;
        if fraction & OPEN != 0 {
            return Err(self.site.error(low, Problem::OpenDiode));
        }
        if fraction & PVLD != 0 {
            return Err(self.site.error(low, Problem::NotReady));
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
        let (manufacturer, device) = (self.byte(MANUFACTURER_ID)?, self.byte(DEVICE_ID)?);
        (self.site.part, self.remotes) = match (manufacturer, device) {
            (0x55, 0x21) => ("TMP421", 1),
            (0x55, 0x22) => ("TMP422", 2),
            (0x55, 0x23) => ("TMP423", 3),
            _ => {
                let read = format!("maker {manufacturer:#04x}, device {device:#04x}");
                let expected = "TMP421 to TMP423 (0x55, 0x21 to 0x23)";
                return Err(self
                    .site
                    .error(DEVICE_ID, Problem::WrongPart { read, expected }));
            }
        };
        let configuration = self.byte(CONFIGURATION_1)?;
        let wanted = configuration & !SD | RANGE;
        if wanted != configuration {
            self.smbus
                .write_byte(CONFIGURATION_1.code, wanted)
                .map_err(self.site.smbus(CONFIGURATION_1))?;
        }
        Ok(())
    }

    fn read(&mut self) -> Readings {
        let offset = self.byte(CONFIGURATION_1).and_then(|configuration| {
            if configuration & SD != 0 {
                Err(self.site.error(CONFIGURATION_1, Problem::NotReady))
            } else {
                Ok(if configuration & RANGE == 0 {
                    0.0
                } else {
                    64.0
                })
            }
        });
        let mut look = |registers| {
            let offset = offset.clone()?;
            self.temperature(registers, offset)
        };
        let mut readings = Readings::local_only(look((LOCAL_TEMPERATURE, LOCAL_TEMPERATURE_LOW)));
        let remotes = self.remotes;
        let mut look = |registers| {
            let offset = offset.clone()?;
            self.temperature(registers, offset)
        };
        readings
            .remotes
            .extend(REMOTES.into_iter().take(remotes).map(&mut look));
        readings
    }
}
