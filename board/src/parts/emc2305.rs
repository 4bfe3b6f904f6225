//! EMC2301, EMC2302, EMC2303 and EMC2305 fan controllers: one to five fans with a duty set directly.
//!
//! The part has a watchdog of its own: unless it is written to every 4 s, it drives all fans fully. The driver switches
//! it on, so whoever holds the fan must set its duty at least that often.

use super::error::{Problem, Register, register};
use super::fan::{Fan, FanError};
use super::registers::Registers;
use crate::limits;
use cgminer_hal::units::{DutyPercent, Rpm};
use embedded_hal::i2c::I2c;
use std::time::Instant;

const CONFIGURATION: Register = register("CONFIGURATION", 0x20);
const PRODUCT_ID: Register = register("PRODUCT_ID", 0xFD);
const MANUFACTURER_ID: Register = register("MANUFACTURER_ID", 0xFE);
/// Registers of fan 0; those of the next fan lie 0x10 higher.
const FAN_SETTING: Register = register("FAN_SETTING", 0x30);
const FAN_CONFIGURATION_1: Register = register("FAN_CONFIGURATION_1", 0x32);
const TACH_READING_HIGH: Register = register("TACH_READING_HIGH_BYTE", 0x3E);
const TACH_READING_LOW: Register = register("TACH_READING_LOW_BYTE", 0x3F);

/// CONFIGURATION: the watchdog runs all the time, not only after power-up.
const WD_EN: u8 = 0x20;
/// `FAN_CONFIGURATION_1`: speed range from 500 rpm, which every fan of a miner keeps; update time and the direct mode,
/// in which `FAN_SETTING` is the duty.
const DIRECT: u8 = 0x03;
/// Counts of a tach that saw no turn: 13 bits, all set.
const STANDING: u16 = 0x1FFF;
/// Turns a minute times counts, in the range chosen, with two edges counted a pulse (equation 4-3 of the data sheet).
const RPM_TIMES_COUNTS: u32 = 3_932_160;

/// One fan of an `EMC230x`.
pub struct Emc2305<I> {
    registers: Registers<I>,
    fan: u8,
    pulses_per_turn: u8,
}

impl<I: I2c> Emc2305<I> {
    /// Fan 0 to 4 of the part at a 7-bit address, with 1 to 4 pulses a turn.
    pub fn new(bus: I, address: u8, fan: u8, pulses_per_turn: u8) -> Self {
        let registers = Registers::new("EMC2305 or alike", bus, address, false);
        Self {
            registers,
            fan,
            pulses_per_turn,
        }
    }

    /// The register of this fan.
    fn own(&self, register: Register) -> Register {
        Register {
            code: register.code.saturating_add(self.fan.saturating_mul(0x10)),
            ..register
        }
    }

    /// `FAN_CONFIGURATION_1`: the edges that make a turn are 3, 5, 7 or 9 for 1 to 4 pulses.
    fn edges(&self) -> u8 {
        (self.pulses_per_turn.clamp(1, 4) - 1) << 3
    }
}

impl<I: I2c + Send> Fan for Emc2305<I> {
    fn start(&mut self) -> Result<(), FanError> {
        let (manufacturer, product) = (
            self.registers.byte(MANUFACTURER_ID)?,
            self.registers.byte(PRODUCT_ID)?,
        );
        let fans = match (manufacturer, product) {
            (0x5D, 0x37) => 1,
            (0x5D, 0x36) => 2,
            (0x5D, 0x35) => 3,
            (0x5D, 0x34) => 5,
            _ => 0,
        };
        if self.fan >= fans {
            let read = format!("maker {manufacturer:#04x}, product {product:#04x}");
            let expected = "EMC2301 to EMC2305 (0x5d, 0x37 to 0x34) with that many fans";
            return Err(self
                .registers
                .error(PRODUCT_ID, Problem::WrongPart { read, expected })
                .into());
        }
        self.set_duty(DutyPercent::FULL)?;
        self.registers
            .write_byte(self.own(FAN_CONFIGURATION_1), DIRECT | self.edges())?;
        let configuration = self.registers.byte(CONFIGURATION)?;
        Ok(self
            .registers
            .write_byte(CONFIGURATION, configuration | WD_EN)?)
    }

    fn set_duty(&mut self, duty: DutyPercent) -> Result<(), FanError> {
        let setting = (duty.bounded().0 * 255.0 / 100.0).round() as u8;
        Ok(self.registers.write_byte(self.own(FAN_SETTING), setting)?)
    }

    fn duty(&mut self) -> Result<DutyPercent, FanError> {
        let setting = self.registers.byte(self.own(FAN_SETTING))?;
        Ok(DutyPercent(f32::from(setting) * 100.0 / 255.0))
    }

    fn rpm(&mut self, _: Instant) -> Result<Rpm, FanError> {
        // Reading the high byte holds the low one until it is read.
        let high = self.registers.byte(self.own(TACH_READING_HIGH))?;
        let low = self.registers.byte(self.own(TACH_READING_LOW))?;
        decode_tach(high, low).map_err(|problem| {
            self.registers
                .error(self.own(TACH_READING_HIGH), problem)
                .into()
        })
    }
}

/// The speed of a tach reading: 13 bits, the lowest three of the low byte unused.
pub fn decode_tach(high: u8, low: u8) -> Result<Rpm, Problem> {
    let counts = u16::from_be_bytes([high, low]) >> 3;
    if counts == STANDING {
        return Ok(Rpm(0));
    }
    match RPM_TIMES_COUNTS.checked_div(u32::from(counts)).map(Rpm) {
        Some(rpm) if rpm <= limits::RPM_MAX => Ok(rpm),
        _ => Err(Problem::Implausible {
            read: format!("{counts} counts"),
            hint: "check wiring and pulses per turn",
        }),
    }
}
