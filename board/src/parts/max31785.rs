//! MAX31785 fan controller: six fans over PMBus, a page each.
//!
//! The page stays selected between transfers, so every access selects its own: several drivers share one part.

use super::error::{PartError, Problem, Register, register};
use super::fan::{Fan, FanError};
use super::registers::Registers;
use crate::limits;
use cgminer_hal::units::{DutyPercent, Rpm};
use embedded_hal::i2c::I2c;
use std::time::Instant;

const PAGE: Register = register("PAGE", 0x00);
const FAN_CONFIG_1_2: Register = register("FAN_CONFIG_1_2", 0x3A);
const FAN_COMMAND_1: Register = register("FAN_COMMAND_1", 0x3B);
const READ_FAN_SPEED_1: Register = register("READ_FAN_SPEED_1", 0x90);
const MFR_ID: Register = register("MFR_ID", 0x99);
const MFR_MODEL: Register = register("MFR_MODEL", 0x9A);

/// `FAN_CONFIG_1_2`: the fan is driven.
const ENABLE: u8 = 0x80;
/// `FAN_CONFIG_1_2`: `FAN_COMMAND_1` is a speed. Clear, it is a duty.
const RPM: u8 = 0x40;
/// `MFR_ID` and `MFR_MODEL` of every MAX31785.
const IDENTITY: [u8; 2] = [0x4D, 0x53];
/// `FAN_COMMAND_1` at full duty: hundredths of a per cent.
const FULL: f32 = 10_000.0;

/// One fan of a MAX31785.
pub struct Max31785<I> {
    registers: Registers<I>,
    fan: u8,
}

impl<I: I2c> Max31785<I> {
    /// Fan 0 to 5 of the part at a 7-bit address, usually 0x52.
    pub fn new(bus: I, address: u8, fan: u8) -> Self {
        Self {
            registers: Registers::new("MAX31785", bus, address, false),
            fan,
        }
    }

    fn select(&mut self) -> Result<(), PartError> {
        self.registers.write_byte(PAGE, self.fan)
    }
}

impl<I: I2c + Send> Fan for Max31785<I> {
    fn start(&mut self) -> Result<(), FanError> {
        let identity = [
            self.registers.byte(MFR_ID)?,
            self.registers.byte(MFR_MODEL)?,
        ];
        if identity != IDENTITY {
            let problem = Problem::WrongPart {
                read: format!("{identity:02x?}"),
                expected: "[4d, 53]",
            };
            return Err(self.registers.error(MFR_ID, problem).into());
        }
        self.set_duty(DutyPercent::FULL)?;
        let config = self.registers.byte(FAN_CONFIG_1_2)?;
        // The pulses per turn stay as the board's maker has stored them in the part.
        let wanted = config & !RPM | ENABLE;
        if wanted != config {
            self.registers.write_byte(FAN_CONFIG_1_2, wanted)?;
        }
        Ok(())
    }

    fn set_duty(&mut self, duty: DutyPercent) -> Result<(), FanError> {
        self.select()?;
        let command = (duty.bounded().0 * FULL / 100.0).round() as u16;
        self.registers.write_word(FAN_COMMAND_1, command)?;
        Ok(())
    }

    fn duty(&mut self) -> Result<DutyPercent, FanError> {
        self.select()?;
        let command = self.registers.word(FAN_COMMAND_1)?;
        if f32::from(command) > FULL {
            // Above 10000 the part drives the fan by its own temperature table.
            let hint = "the fan is under the part's own control";
            let problem = Problem::Implausible {
                read: command.to_string(),
                hint,
            };
            return Err(self.registers.error(FAN_COMMAND_1, problem).into());
        }
        Ok(DutyPercent(f32::from(command) * 100.0 / FULL))
    }

    fn rpm(&mut self, _: Instant) -> Result<Rpm, FanError> {
        self.select()?;
        let rpm = Rpm(u32::from(self.registers.word(READ_FAN_SPEED_1)?));
        if rpm > limits::RPM_MAX {
            let hint = "check wiring and pulses per turn";
            let problem = Problem::Implausible {
                read: rpm.to_string(),
                hint,
            };
            return Err(self.registers.error(READ_FAN_SPEED_1, problem).into());
        }
        Ok(rpm)
    }
}
