//! MCP3204 and MCP3208: analogue-to-digital converters of 12 bits on SPI, for rail voltages and currents.

use super::error::{PartError, Problem, Register, Site, register};
use cgminer_hal::units::Millivolts;
use embedded_hal::spi::SpiDevice;

/// Start bit and single-ended mode, before the three bits of the channel.
const START_SINGLE: u8 = 0b0000_0110;
const CONVERT: Register = register("CONVERT", START_SINGLE);
/// Steps of full scale.
const STEPS: u32 = 4096;
/// A zero that the part sends before the twelve bits. An open data line reads as one.
const NULL_BIT: u8 = 0b0001_0000;

/// A converter.
pub struct Mcp3208<S> {
    spi: S,
    reference: Millivolts,
}

impl<S: SpiDevice> Mcp3208<S> {
    /// A converter with its reference voltage, SPI mode 0 or 3.
    pub fn new(spi: S, reference: Millivolts) -> Self {
        Self { spi, reference }
    }

    /// The voltage at an input, 0 to 7, against ground.
    pub fn read(&mut self, channel: u8) -> Result<Millivolts, PartError> {
        let site = Site {
            part: "MCP3208",
            address: channel,
        };
        if channel > 7 {
            let problem = Problem::OutOfRange {
                asked: format!("input {channel}"),
                allowed: "0 to 7".to_owned(),
            };
            return Err(site.error(CONVERT, problem));
        }
        let mut frame = [START_SINGLE | channel >> 2, channel << 6, 0];
        self.spi.transfer_in_place(&mut frame).map_err(|error| {
            let problem = Problem::Bus {
                kind: embedded_hal::i2c::ErrorKind::Other,
                detail: format!("{error:?}"),
            };
            site.error(CONVERT, problem)
        })?;
        let steps = decode(frame).map_err(|problem| site.error(CONVERT, problem))?;
        Ok(Millivolts(u32::from(steps) * self.reference.0 / STEPS))
    }
}

/// The twelve bits of a conversion.
pub fn decode([_, high, low]: [u8; 3]) -> Result<u16, Problem> {
    if high & NULL_BIT == 0 {
        Ok(u16::from_be_bytes([high & 0x0F, low]))
    } else {
        Err(Problem::Implausible {
            read: format!("{high:#04x} {low:#04x}"),
            hint: "the part did not send its zero bit: look at its supply and data line",
        })
    }
}
