//! Any PMBus supply that speaks the linear formats (PMBus 1.2, part II).

mod linear;

pub use linear::{Linear16, linear11};

use super::error::{PartError, Problem, Register, register};
use super::registers::Registers;
use super::supply::{Supply, SupplyReply, SupplyRequest};
use crate::limits;
use crate::moment::Moment;
use crate::power::Measured;
use cgminer_hal::units::{Celsius, Millivolts, Watts};
use embedded_hal::i2c::I2c;
use std::ops::RangeInclusive;

const OPERATION: Register = register("OPERATION", 0x01);
const VOUT_MODE: Register = register("VOUT_MODE", 0x20);
const VOUT_COMMAND: Register = register("VOUT_COMMAND", 0x21);
const STATUS_WORD: Register = register("STATUS_WORD", 0x79);
const READ_VOUT: Register = register("READ_VOUT", 0x8B);
const READ_TEMPERATURE_1: Register = register("READ_TEMPERATURE_1", 0x8D);
const READ_PIN: Register = register("READ_PIN", 0x97);
const MFR_ID: Register = register("MFR_ID", 0x99);
const MFR_MODEL: Register = register("MFR_MODEL", 0x9A);

/// OPERATION: on, with no margin; 0 is off at once.
const ON: u8 = 0x80;

/// Bits of `STATUS_WORD`.
pub mod status {
    /// The output is off, for whatever reason.
    pub const OFF: u16 = 1 << 6;
    /// Output over-voltage.
    pub const VOUT_OV_FAULT: u16 = 1 << 5;
    /// Output over-current.
    pub const IOUT_OC_FAULT: u16 = 1 << 4;
    /// Input under-voltage.
    pub const VIN_UV_FAULT: u16 = 1 << 3;
    /// Temperature fault or warning.
    pub const TEMPERATURE: u16 = 1 << 2;
    /// Those that cut the output.
    pub const TRIPS: u16 = VOUT_OV_FAULT | IOUT_OC_FAULT | VIN_UV_FAULT | TEMPERATURE;
}

/// A PMBus supply.
pub struct PmbusSupply<I> {
    registers: Registers<I>,
    allowed: RangeInclusive<Millivolts>,
    answer: Option<Result<SupplyReply, PartError>>,
}

impl<I: I2c> PmbusSupply<I> {
    /// A supply at a 7-bit address, with or without packet error code, that may be set to the voltages of the board file.
    pub fn new(bus: I, address: u8, pec: bool, allowed: RangeInclusive<Millivolts>) -> Self {
        let registers = Registers::new("PMBus supply", bus, address, pec);
        Self {
            registers,
            allowed,
            answer: None,
        }
    }

    /// The unit of `VOUT_COMMAND` and `READ_VOUT`, asked every time: it is the part's to choose.
    fn format(&mut self) -> Result<Linear16, PartError> {
        let mode = self.registers.byte(VOUT_MODE)?;
        Linear16::of(mode).ok_or_else(|| {
            let read = format!("mode {mode:#04x}");
            self.registers.error(
                VOUT_MODE,
                Problem::WrongPart {
                    read,
                    expected: "the linear mode (0x00 to 0x1f)",
                },
            )
        })
    }

    fn voltage(&mut self, register: Register) -> Result<Millivolts, PartError> {
        let format = self.format()?;
        let word = self.registers.word(register)?;
        format
            .decode(word)
            .filter(|volts| *volts <= limits::RAIL_MAX)
            .ok_or_else(|| {
                let problem = Problem::Implausible {
                    read: format!("{word:#06x}"),
                    hint: "no such supply delivers that",
                };
                self.registers.error(register, problem)
            })
    }

    fn set(&mut self, voltage: Millivolts) -> Result<SupplyReply, PartError> {
        if !self.allowed.contains(&voltage) {
            let (least, most) = (self.allowed.start(), self.allowed.end());
            let problem = Problem::OutOfRange {
                asked: voltage.to_string(),
                allowed: format!("{least} to {most}"),
            };
            return Err(self.registers.error(VOUT_COMMAND, problem));
        }
        let format = self.format()?;
        let word = format.encode(voltage).ok_or_else(|| {
            let problem = Problem::OutOfRange {
                asked: voltage.to_string(),
                allowed: "what its format can say".to_owned(),
            };
            self.registers.error(VOUT_COMMAND, problem)
        })?;
        self.registers.write_word(VOUT_COMMAND, word)?;
        let read = self.registers.word(VOUT_COMMAND)?;
        if read != word {
            let problem = Problem::NotTaken {
                set: format!("{word:#06x}"),
                read: format!("{read:#06x}"),
            };
            return Err(self.registers.error(VOUT_COMMAND, problem));
        }
        format.decode(read).map(SupplyReply::Set).ok_or_else(|| {
            let problem = Problem::Implausible {
                read: format!("{read:#06x}"),
                hint: "no such voltage",
            };
            self.registers.error(VOUT_COMMAND, problem)
        })
    }

    fn measure(&mut self) -> Result<SupplyReply, PartError> {
        let volts = self.voltage(READ_VOUT)?;
        let status = self.registers.word(STATUS_WORD)?;
        // Not every supply measures these: without them the rail is still known.
        let power = self.optional(READ_PIN, 0.0..=20_000.0)?.map(Watts);
        let temperature = self
            .optional(READ_TEMPERATURE_1, -55.0..=150.0)?
            .map(Celsius);
        let tripped = status & status::TRIPS != 0;
        Ok(SupplyReply::Measured(Measured {
            volts,
            power,
            temperature,
            tripped,
        }))
    }

    /// A LINEAR11 reading that the part may lack: it then does not acknowledge the command.
    fn optional(
        &mut self,
        register: Register,
        range: RangeInclusive<f32>,
    ) -> Result<Option<f32>, PartError> {
        let word = match self.registers.word(register) {
            Ok(word) => word,
            Err(PartError {
                problem:
                    Problem::Bus {
                        kind: embedded_hal::i2c::ErrorKind::NoAcknowledge(_),
                        ..
                    },
                ..
            }) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let value = linear11(word);
        if range.contains(&value) {
            Ok(Some(value))
        } else {
            let hint = "outside what such a part can measure";
            Err(self.registers.error(
                register,
                Problem::Implausible {
                    read: value.to_string(),
                    hint,
                },
            ))
        }
    }

    fn switch(&mut self, on: bool) -> Result<SupplyReply, PartError> {
        let operation = if on { ON } else { 0 };
        self.registers.write_byte(OPERATION, operation)?;
        let read = self.registers.byte(OPERATION)?;
        if read == operation {
            return Ok(SupplyReply::Done);
        }
        let problem = Problem::NotTaken {
            set: format!("{operation:#04x}"),
            read: format!("{read:#04x}"),
        };
        Err(self.registers.error(OPERATION, problem))
    }

    fn text(&mut self, register: Register) -> Result<String, PartError> {
        let block = self.registers.block(register)?;
        let text = String::from_utf8_lossy(&block);
        Ok(text
            .trim_matches(|character: char| character == '\0' || character.is_whitespace())
            .to_owned())
    }

    fn identify(&mut self) -> Result<SupplyReply, PartError> {
        self.format()?;
        let identity = format!("{} {}", self.text(MFR_ID)?, self.text(MFR_MODEL)?);
        Ok(SupplyReply::Identity(identity))
    }
}

impl<I: I2c + Send> Supply for PmbusSupply<I> {
    fn begin(&mut self, request: SupplyRequest, _: Moment) -> Result<(), PartError> {
        if self.answer.is_some() {
            return Err(self
                .registers
                .error(STATUS_WORD, Problem::Busy("an answer not yet taken")));
        }
        let reply = match request {
            SupplyRequest::Identify => self.identify(),
            SupplyRequest::SetVoltage(voltage) => self.set(voltage),
            SupplyRequest::Setting => self.voltage(VOUT_COMMAND).map(SupplyReply::Setting),
            SupplyRequest::Measure => self.measure(),
            SupplyRequest::Switch(on) => self.switch(on),
            SupplyRequest::Watchdog(_) => Err(self
                .registers
                .error(OPERATION, Problem::Unsupported("a watchdog of its own"))),
        };
        self.answer = Some(Ok(reply?));
        Ok(())
    }

    fn poll(&mut self, _: Moment) -> Option<Result<SupplyReply, PartError>> {
        self.answer.take()
    }
}
