//! LM75, LM75A, LM75B, TMP75, TMP105 and their many copies: one temperature, two bytes.
//!
//! The family has no ID register. What tells a sensor from an open bus is the low bits of TEMP, which are always zero,
//! and the range that it can measure.

use super::error::{PartError, Problem, Register, Site, register};
use super::temperature::{Readings, TemperatureSensor};
use cgminer_hal::units::Celsius;
use embedded_hal::i2c::I2c;

const TEMP: Register = register("TEMP", 0x00);
const CONF: Register = register("CONF", 0x01);

/// CONF: shutdown. Set, the last temperature stays for ever.
const CONF_SD: u8 = 0x01;
/// TEMP: bits that no part of the family uses, the finest of which gives 12 bits.
const TEMP_UNUSED: u16 = 0x000F;

/// A sensor of the LM75 family.
pub struct Lm75<I> {
    bus: I,
    site: Site,
}

impl<I: I2c> Lm75<I> {
    /// A sensor at a 7-bit address, 0x48 to 0x4F.
    pub fn new(bus: I, address: u8) -> Self {
        Self {
            bus,
            site: Site {
                part: "LM75",
                address,
            },
        }
    }

    fn temperature(&mut self) -> Result<Celsius, PartError> {
        let mut raw = [0; 2];
        self.bus
            .write_read(self.site.address, &[TEMP.code], &mut raw)
            .map_err(self.site.bus(TEMP))?;
        decode(raw).map_err(|problem| self.site.error(TEMP, problem))
    }
}

/// The temperature of a TEMP register; -55 to 125 C with an LM75.
pub fn decode(raw: [u8; 2]) -> Result<Celsius, Problem> {
    let word = u16::from_be_bytes(raw);
    let celsius = f32::from(i16::from_be_bytes(raw)) / 256.0;
    let possible = word & TEMP_UNUSED == 0 && (-55.0..=127.9375).contains(&celsius);
    if possible {
        Ok(Celsius(celsius))
    } else {
        let hint = "a bus that nobody drives reads 0xffff";
        Err(Problem::Implausible {
            read: format!("{word:#06x}"),
            hint,
        })
    }
}

impl<I: I2c + Send> TemperatureSensor for Lm75<I> {
    fn start(&mut self) -> Result<(), PartError> {
        let address = self.site.address;
        let mut conf = [0];
        self.bus
            .write_read(address, &[CONF.code], &mut conf)
            .map_err(self.site.bus(CONF))?;
        if conf[0] == 0xFF {
            let hint = "a bus that nobody drives reads 0xff";
            let problem = Problem::Implausible {
                read: "0xff".to_owned(),
                hint,
            };
            return Err(self.site.error(CONF, problem));
        }
        if conf[0] & CONF_SD == 0 {
            return self.temperature().map(drop);
        }
        let awake = [CONF.code, conf[0] & !CONF_SD];
        self.bus
            .write(address, &awake)
            .map_err(self.site.bus(CONF))?;
        Err(self.site.error(CONF, Problem::NotReady))
    }

    fn read(&mut self) -> Readings {
        Readings::local_only(self.temperature())
    }
}
