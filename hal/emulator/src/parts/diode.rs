//! Sensors with a local and remote diodes behind eight-bit registers: TMP451 (TI SBOS686), ADT7461 and NCT218
//! (onsemi), TMP421 (TI SBOS398), EMC1413 (Microchip DS20005274).

use crate::machine::{
    Sensed, SensorPart,
    SensorPart::{Adt7461, Emc1413, Nct218, Tmp421, Tmp451},
    SharedWorld,
};
use cgminer_hal::emulated::{BusError, I2cDevice};

/// The sensor: a pointer and a configuration.
pub struct DiodeSensor {
    world: SharedWorld,
    index: usize,
    part: SensorPart,
    pointer: u8,
    config: u8,
}

/// A temperature as registers hold it: whole degrees and, left-aligned, what is behind the point.
#[derive(Clone, Copy, Default)]
struct Halves {
    high: u8,
    low: u8,
}

/// What all registers are read from.
struct Reading {
    local: Halves,
    remotes: [Halves; 2],
    open: [bool; 2],
}

impl DiodeSensor {
    /// The sensor of that number in the machine's description.
    pub fn new(world: SharedWorld, index: usize, part: SensorPart) -> Self {
        Self {
            world,
            index,
            part,
            pointer: 0,
            config: 0,
        }
    }

    fn sense(&self) -> Result<Reading, BusError> {
        match self.world.with(|world| world.sense(self.index)) {
            Sensed::Nak => Err(BusError::AddressNak),
            Sensed::Least => Ok(Reading {
                local: Halves { high: 0x80, low: 0 },
                remotes: [Halves { high: 0x80, low: 0 }; 2],
                open: [false; 2],
            }),
            Sensed::Celsius(local, remotes) => {
                let mut reading = Reading {
                    local: self.halves(local, self.local_bits()),
                    remotes: [Halves::default(); 2],
                    open: [false; 2],
                };
                let slots = reading.remotes.iter_mut().zip(&mut reading.open);
                for ((slot, open), remote) in slots.zip(remotes) {
                    match remote {
                        Some(celsius) => *slot = self.halves(celsius, self.remote_bits()),
                        None => *open = true,
                    }
                }
                Ok(reading)
            }
        }
    }

    /// Bits behind the point of a remote temperature.
    const fn remote_bits(&self) -> u32 {
        match self.part {
            Adt7461 | Nct218 => 2,
            Emc1413 => 3,
            _ => 4,
        }
    }

    const fn local_bits(&self) -> u32 {
        match self.part {
            Adt7461 | Nct218 => 0,
            _ => self.remote_bits(),
        }
    }

    /// The range bit moves zero to 64, so that the byte reaches below it.
    fn halves(&self, celsius: f32, bits: u32) -> Halves {
        let wide = self.config & 0x04 != 0;
        let (offset, least, most) = if wide {
            (64.0, -64.0, 191.0)
        } else {
            (0.0, 0.0, 127.94)
        };
        let bounded = celsius.clamp(least, most) + offset;
        let steps = (bounded * (1 << bits) as f32).round() as u32;
        Halves {
            high: (steps >> bits) as u8,
            low: (steps << (8 - bits)) as u8,
        }
    }

    fn register(&self, register: u8, reading: &Reading) -> u8 {
        let [first, second] = reading.remotes;
        let [first_open, second_open] = reading.open.map(u8::from);
        match (self.part, register) {
            (_, 0x00) => reading.local.high,
            (Tmp421, 0x10) | (Tmp451, 0x15) | (Emc1413, 0x29) => reading.local.low,
            (_, 0x01) => first.high,
            (Tmp421, 0x11) => first.low | first_open,
            (_, 0x10) => first.low,
            (Emc1413, 0x23) => second.high,
            (Emc1413, 0x24) => second.low,
            (Tmp421, 0x09) | (_, 0x03) => self.config,
            (Emc1413, 0x02) => (first_open | second_open) << 2,
            (Adt7461 | Nct218 | Tmp451, 0x02) => first_open << 2,
            (Emc1413, 0x1B) => first_open << 1 | second_open << 2,
            (Emc1413, 0xFD) | (Tmp421, 0xFF) => 0x21,
            (Emc1413, 0xFE) => 0x5D,
            (Emc1413, 0xFF) => 0x01,
            (Adt7461, 0xFE) => 0x41,
            (Adt7461, 0xFF) => 0x51,
            (Nct218, 0xFE) => 0x1A,
            (Nct218, 0xFF) => 0xCA,
            (_, 0xFE) => 0x55,
            _ => 0x00,
        }
    }
}

impl I2cDevice for DiodeSensor {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BusError> {
        self.sense()?;
        if let Some((register, data)) = bytes.split_first() {
            self.pointer = *register;
            let is_config = match self.part {
                Emc1413 => matches!(register, 0x03 | 0x09),
                _ => *register == 0x09,
            };
            if let (true, Some(value)) = (is_config, data.first()) {
                self.config = *value;
            }
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), BusError> {
        let reading = self.sense()?;
        into.fill(self.register(self.pointer, &reading));
        Ok(())
    }
}
