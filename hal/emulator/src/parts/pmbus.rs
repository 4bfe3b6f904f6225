//! A PMBus supply with linear formats (PMBus 1.2 part II): LINEAR16 with exponent -9 for volts, LINEAR11 elsewhere.

use super::smbus::SmbusPart;
use crate::{fault::Fault, machine::SharedWorld};

const OPERATION: u8 = 0x01;
const CLEAR_FAULTS: u8 = 0x03;
const CAPABILITY: u8 = 0x19;
const VOUT_MODE: u8 = 0x20;
const VOUT_COMMAND: u8 = 0x21;
const STATUS_BYTE: u8 = 0x78;
const STATUS_WORD: u8 = 0x79;
const READ_VIN: u8 = 0x88;
const READ_IIN: u8 = 0x89;
const READ_VOUT: u8 = 0x8B;
const READ_IOUT: u8 = 0x8C;
const READ_TEMPERATURE_1: u8 = 0x8D;
const READ_POUT: u8 = 0x96;
const READ_PIN: u8 = 0x97;
const PMBUS_REVISION: u8 = 0x98;
const MFR_ID: u8 = 0x99;
const MFR_MODEL: u8 = 0x9A;

/// Steps of a volt in LINEAR16.
const VOLT: f32 = 512.0;
const MAINS_V: f32 = 230.0;
const EFFICIENCY: f32 = 0.94;

/// The supply's controller.
pub struct PmbusSupply {
    world: SharedWorld,
    address: u8,
    operation: u8,
    vout_command: u16,
}

impl PmbusSupply {
    /// A supply that is off, told to make the machine's nominal voltage.
    pub fn new(world: SharedWorld, address: u8) -> Self {
        let told_mv = world.with(|world| {
            world.supply.told_on = false;
            world.supply.told_mv
        });
        Self {
            world,
            address,
            operation: 0,
            vout_command: (told_mv / 1000.0 * VOLT).round() as u16,
        }
    }

    fn has(&self, fault: &Fault) -> bool {
        self.world
            .with(|world| world.faults().any(|active| active == fault))
    }

    /// OFF, and the over-current bit with which protection cuts this supply.
    fn status(&self) -> u16 {
        let (tripped, output_mv) = self
            .world
            .with(|world| (world.supply.rail.tripped, world.supply.rail.output_mv));
        let off = u16::from(output_mv < 1000.0) << 6;
        let over_voltage = output_mv > f32::from(self.vout_command) / VOLT * 1000.0 + 500.0;
        let summary = u16::from(tripped) << 14 | u16::from(over_voltage) << 15;
        off | u16::from(tripped) << 4 | u16::from(over_voltage) << 5 | summary
    }
}

impl SmbusPart for PmbusSupply {
    fn address(&self) -> u8 {
        self.address
    }

    fn answers(&self) -> bool {
        !self.has(&Fault::SupplyNak) && !self.has(&Fault::SupplySilent)
    }

    fn damages_pec(&self) -> bool {
        self.has(&Fault::SupplyBadChecksum)
    }

    fn get(&mut self, command: u8) -> Option<Vec<u8>> {
        let (output_v, power_w, celsius) = self.world.with(|world| {
            let truth = world.truth();
            (
                truth.rail.output_mv / 1000.0,
                truth.power_w,
                truth.inlet_c + truth.power_w / 100.0,
            )
        });
        let input_w = power_w / EFFICIENCY;
        let word = match command {
            OPERATION => return Some(vec![self.operation]),
            CAPABILITY => return Some(vec![0xB0]),
            VOUT_MODE => return Some(vec![0x17]),
            PMBUS_REVISION => return Some(vec![0x22]),
            STATUS_BYTE => return Some(vec![self.status() as u8]),
            MFR_ID => return Some(block("CGMINER-RS")),
            MFR_MODEL => return Some(block("EMULATED")),
            STATUS_WORD => self.status(),
            VOUT_COMMAND => self.vout_command,
            READ_VOUT => (output_v * VOLT).round() as u16,
            READ_VIN => linear11(MAINS_V),
            READ_IIN => linear11(input_w / MAINS_V),
            READ_IOUT => linear11(power_w / output_v.max(1.0)),
            READ_TEMPERATURE_1 => linear11(celsius),
            READ_POUT => linear11(power_w),
            READ_PIN => linear11(input_w),
            _ => return None,
        };
        Some(word.to_le_bytes().to_vec())
    }

    fn set(&mut self, command: u8, data: &[u8]) -> bool {
        match (command, data) {
            // Taken, and not followed.
            (OPERATION, [operation])
                if operation & 0x80 == 0 && self.has(&Fault::SupplyStuckOn) => {}
            (OPERATION, [operation]) => {
                self.operation = *operation;
                let on = operation & 0x80 != 0;
                self.world.with(|world| {
                    world.supply.told_on = on;
                    if !on {
                        world.supply.rail.disabled();
                    }
                });
            }
            (VOUT_COMMAND, [low, high]) => {
                self.vout_command = u16::from_le_bytes([*low, *high]);
                let told_mv = f32::from(self.vout_command) / VOLT * 1000.0;
                self.world.with(|world| world.supply.told_mv = told_mv);
            }
            (CLEAR_FAULTS, []) => {}
            _ => return false,
        }
        true
    }

    fn length(&self, command: u8) -> usize {
        match command {
            CLEAR_FAULTS => 0,
            VOUT_COMMAND => 2,
            _ => 1,
        }
    }
}

/// A block is led by its length.
fn block(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

/// The finest exponent at which the number fits eleven signed bits.
fn linear11(value: f32) -> u16 {
    let fits = |exponent: &i32| (value / 2.0_f32.powi(*exponent)).abs() <= 1023.0;
    let exponent = (-16..16).find(fits).unwrap_or(15);
    let mantissa = (value / 2.0_f32.powi(exponent)).round() as i32;
    ((exponent & 0x1F) << 11 | mantissa & 0x7FF) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear11_holds_small_large_and_negative_numbers() {
        for value in [0.0, 0.75, 25.5, 230.0, 3_600.0, -12.5] {
            let word = linear11(value);
            let exponent = i32::from(word >> 11) - if word >> 15 == 1 { 32 } else { 0 };
            let mantissa = i32::from(word & 0x7FF) - if word >> 10 & 1 == 1 { 2048 } else { 0 };
            let back = mantissa as f32 * 2.0_f32.powi(exponent);
            assert!(
                (back - value).abs() <= value.abs() / 500.0,
                "{value} {back}"
            );
        }
    }
}
