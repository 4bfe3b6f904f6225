//! PIC16F1704 on the hash boards of an S9: bare frames `55 AA command data`, answers without a frame.
//!
//! After the public drivers of Braiins OS and bitmaintech's cgminer; this project has run it on no hardware.

use super::controller::VoltageController;
use super::error::{PartError, Problem, Register, Site, register};
use cgminer_hal::units::Millivolts;
use embedded_hal::i2c::I2c;
use std::ops::RangeInclusive;

const JUMP_FROM_LOADER_TO_APP: Register = register("JUMP_FROM_LOADER_TO_APP", 0x06);
const SET_VOLTAGE: Register = register("SET_VOLTAGE", 0x10);
const ENABLE_VOLTAGE: Register = register("ENABLE_VOLTAGE", 0x15);
const SEND_HEART_BEAT: Register = register("SEND_HEART_BEAT", 0x16);
const GET_VERSION: Register = register("GET_VERSION", 0x17);
const GET_VOLTAGE: Register = register("GET_VOLTAGE", 0x18);

const PREAMBLE: [u8; 2] = [0x55, 0xAA];
/// What `GET_VERSION` gives while the boot loader runs and not the program.
const LOADER: u8 = 0xCC;

/// Volts for a setting of 0, times the slope; `V = (1608.420446 - setting) / 170.423497`.
const OFFSET: f32 = 1_608.420_4;
const PER_VOLT: f32 = 170.423_5;

/// A controller of an S9's hash board.
pub struct Pic16f1704<I> {
    bus: I,
    site: Site,
    allowed: RangeInclusive<Millivolts>,
}

impl<I: I2c> Pic16f1704<I> {
    /// A controller at a 7-bit address, 0x55 to 0x57, that may be set to the voltages of the board file.
    pub fn new(bus: I, address: u8, allowed: RangeInclusive<Millivolts>) -> Self {
        Self {
            bus,
            site: Site {
                part: "PIC16F1704",
                address,
            },
            allowed,
        }
    }

    fn send(&mut self, command: Register, data: &[u8]) -> Result<(), PartError> {
        let mut frame = heapless::Vec::<u8, 4>::new();
        // Two bytes, the command and at most one byte of data.
        frame.extend(
            PREAMBLE
                .into_iter()
                .chain([command.code])
                .chain(data.iter().copied())
                .take(4),
        );
        self.bus
            .write(self.site.address, &frame)
            .map_err(self.site.bus(command))
    }

    fn ask(&mut self, command: Register) -> Result<u8, PartError> {
        self.send(command, &[])?;
        let mut answer = [0];
        self.bus
            .read(self.site.address, &mut answer)
            .map_err(self.site.bus(command))?;
        Ok(answer[0])
    }

    /// The voltage that the converter is set to.
    pub fn voltage(&mut self) -> Result<Millivolts, PartError> {
        Ok(voltage(self.ask(GET_VOLTAGE)?))
    }
}

/// The setting of a voltage, 0 to 255; more is fewer volts.
pub fn setting(millivolts: Millivolts) -> u8 {
    let setting = OFFSET - PER_VOLT * millivolts.0 as f32 / 1000.0;
    setting.round().clamp(0.0, 255.0) as u8
}

/// The voltage of a setting.
pub fn voltage(setting: u8) -> Millivolts {
    Millivolts(((OFFSET - f32::from(setting)) / PER_VOLT * 1000.0).round() as u32)
}

impl<I: I2c + Send> VoltageController for Pic16f1704<I> {
    fn start(&mut self) -> Result<u8, PartError> {
        match self.ask(GET_VERSION)? {
            LOADER => {
                self.send(JUMP_FROM_LOADER_TO_APP, &[])?;
                // It takes its time; whoever starts it asks again.
                Err(self.site.error(GET_VERSION, Problem::NotReady))
            }
            open @ (0x00 | 0xFF) => {
                let hint = "a bus that nobody drives reads this";
                let problem = Problem::Implausible {
                    read: format!("version {open:#04x}"),
                    hint,
                };
                Err(self.site.error(GET_VERSION, problem))
            }
            version => Ok(version),
        }
    }

    fn heartbeat(&mut self) -> Result<(), PartError> {
        self.send(SEND_HEART_BEAT, &[])
    }

    fn switch(&mut self, on: bool) -> Result<(), PartError> {
        self.send(ENABLE_VOLTAGE, &[u8::from(on)])
    }

    fn set_voltage(&mut self, asked: Millivolts) -> Result<Millivolts, PartError> {
        let own = voltage(255)..=voltage(0);
        if !self.allowed.contains(&asked) || !own.contains(&asked) {
            let (least, most) = (self.allowed.start(), self.allowed.end());
            let allowed = format!(
                "{least} to {most}, and {} to {} by the part",
                own.start(),
                own.end()
            );
            return Err(self.site.error(
                SET_VOLTAGE,
                Problem::OutOfRange {
                    asked: asked.to_string(),
                    allowed,
                },
            ));
        }
        let set = setting(asked);
        self.send(SET_VOLTAGE, &[set])?;
        let read = self.ask(GET_VOLTAGE)?;
        if read != set {
            let problem = Problem::NotTaken {
                set: set.to_string(),
                read: read.to_string(),
            };
            return Err(self.site.error(SET_VOLTAGE, problem));
        }
        Ok(voltage(read))
    }
}
