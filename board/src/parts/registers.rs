//! The registers of an SMBus part, with errors that name part, address and register.

use super::error::{PartError, Problem, Register, Site};
use cgminer_hal::i2c::smbus::{BLOCK_MAX, Smbus};
use embedded_hal::i2c::I2c;

/// One part on a bus.
pub(super) struct Registers<I> {
    smbus: Smbus<I>,
    site: Site,
}

impl<I: I2c> Registers<I> {
    pub(super) fn new(part: &'static str, bus: I, address: u8, pec: bool) -> Self {
        Self {
            smbus: Smbus::new(bus, address, pec),
            site: Site { part, address },
        }
    }

    /// Once a part has said which of its family it is.
    pub(super) fn rename(&mut self, part: &'static str) {
        self.site.part = part;
    }

    pub(super) fn error(&self, register: Register, problem: Problem) -> PartError {
        self.site.error(register, problem)
    }

    pub(super) fn byte(&mut self, register: Register) -> Result<u8, PartError> {
        self.smbus
            .read_byte(register.code)
            .map_err(self.site.smbus(register))
    }

    pub(super) fn word(&mut self, register: Register) -> Result<u16, PartError> {
        self.smbus
            .read_word(register.code)
            .map_err(self.site.smbus(register))
    }

    pub(super) fn block(
        &mut self,
        register: Register,
    ) -> Result<heapless::Vec<u8, BLOCK_MAX>, PartError> {
        self.smbus
            .read_block(register.code)
            .map_err(self.site.smbus(register))
    }

    pub(super) fn write_byte(&mut self, register: Register, value: u8) -> Result<(), PartError> {
        self.smbus
            .write_byte(register.code, value)
            .map_err(self.site.smbus(register))
    }

    pub(super) fn write_word(&mut self, register: Register, value: u16) -> Result<(), PartError> {
        self.smbus
            .write_word(register.code, value)
            .map_err(self.site.smbus(register))
    }
}
