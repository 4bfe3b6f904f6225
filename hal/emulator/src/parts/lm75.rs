//! LM75A (NXP, 11 bits) and TMP75 (TI SBOS288, 12 bits).

use crate::machine::{Sensed, SharedWorld};
use cgminer_hal::emulated::{BusError, I2cDevice};

const TEMP: u8 = 0;
const CONF: u8 = 1;
const THYST: u8 = 2;
const TOS: u8 = 3;

/// The sensor: a pointer and four registers.
pub struct Lm75 {
    world: SharedWorld,
    index: usize,
    /// Bits behind the point of a degree.
    fraction_bits: u32,
    pointer: u8,
    config: u8,
    hysteresis: [u8; 2],
    overtemperature: [u8; 2],
}

impl Lm75 {
    /// The sensor of that number in the machine's description.
    pub fn new(world: SharedWorld, index: usize, fraction_bits: u32) -> Self {
        Self {
            world,
            index,
            fraction_bits,
            pointer: TEMP,
            config: 0,
            hysteresis: [75, 0],
            overtemperature: [80, 0],
        }
    }

    fn sense(&self) -> Result<[u8; 2], BusError> {
        match self.world.with(|world| world.sense(self.index)) {
            Sensed::Nak => Err(BusError::AddressNak),
            Sensed::Least => Ok(i16::MIN.to_be_bytes()),
            Sensed::Celsius(celsius, _) => {
                let steps = (celsius * (1 << self.fraction_bits) as f32).round();
                let raw = steps as i32 * (1 << (8 - self.fraction_bits));
                Ok((raw.clamp(-55 * 256, 127 * 256 + 255) as i16).to_be_bytes())
            }
        }
    }
}

impl I2cDevice for Lm75 {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BusError> {
        self.sense()?;
        match *bytes {
            [] => {}
            [pointer] => self.pointer = pointer & 3,
            [pointer, first, ref rest @ ..] => {
                self.pointer = pointer & 3;
                match (self.pointer, rest) {
                    (CONF, _) => self.config = first,
                    (THYST, [second, ..]) => self.hysteresis = [first, *second],
                    (TOS, [second, ..]) => self.overtemperature = [first, *second],
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), BusError> {
        let temperature = self.sense()?;
        let value = match self.pointer {
            TEMP => temperature,
            CONF => [self.config; 2],
            THYST => self.hysteresis,
            _ => self.overtemperature,
        };
        for (slot, byte) in into.iter_mut().zip(value.into_iter().cycle()) {
            *slot = byte;
        }
        Ok(())
    }
}
