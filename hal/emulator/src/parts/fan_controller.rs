//! MAX31785 (Maxim 19-5703) and EMC2305 (Microchip DS20006532): fans behind I2C.

use super::smbus::SmbusPart;
use crate::machine::{FanControllerPart, SharedWorld};
use cgminer_hal::units::DutyPercent;
use std::collections::BTreeMap;
use std::time::Duration;

/// The controller and the fans on its channels.
pub struct FanController {
    world: SharedWorld,
    part: FanControllerPart,
    address: u8,
    fans: Vec<String>,
    page: u8,
    registers: BTreeMap<(u8, u8), u16>,
    /// Number of the watchdog that drives all fans fully.
    guard: usize,
}

/// The EMC2305 drives its fans fully when it was not written to for so long.
const WATCHDOG: Duration = Duration::from_secs(4);
const CONFIGURATION: u8 = 0x20;
const WD_EN: u16 = 0x20;
/// Counts of its tachometer for a fan that stands.
const STANDING: u16 = 0x1FFF;

impl FanController {
    /// A controller that was just switched on.
    pub fn new(
        world: SharedWorld,
        part: FanControllerPart,
        address: u8,
        fans: Vec<String>,
    ) -> Self {
        let guard = world.with(|world| world.add_fan_guard(fans.clone()));
        Self {
            world,
            part,
            address,
            fans,
            page: 0,
            registers: BTreeMap::new(),
            guard,
        }
    }

    fn stored(&self, page: u8, register: u8) -> Option<u16> {
        self.registers.get(&(page, register)).copied()
    }

    fn drive(&self, channel: usize, percent: f32) {
        let Some(name) = self.fans.get(channel) else {
            return;
        };
        if let Some((pwm, _)) = self.world.with(|world| world.fan(name)) {
            pwm.drive(DutyPercent(percent));
        }
    }

    fn rpm(&self, channel: usize) -> f32 {
        let name = self.fans.get(channel);
        name.and_then(|name| self.world.with(|world| world.fan(name)))
            .map_or(0.0, |fan| fan.1)
    }

    fn get_max(&self, command: u8) -> Option<Vec<u8>> {
        let byte = |value: u8| Some(vec![value]);
        let word = |value: u16| Some(value.to_le_bytes().to_vec());
        match command {
            0x00 => byte(self.page),
            0x3A => byte(self.stored(self.page, 0x3A).unwrap_or(0) as u8),
            0x3B => word(self.stored(self.page, 0x3B).unwrap_or(0)),
            0x81 => byte(0),
            0x90 => word(self.rpm(self.page.into()) as u16),
            0x98 => byte(0x11),
            0x99 => byte(0x4D),
            0x9A => byte(0x53),
            _ => None,
        }
    }

    fn set_max(&mut self, command: u8, data: &[u8]) -> bool {
        match (command, data) {
            (0x00, [page]) => self.page = *page,
            (0x3A, [config]) => {
                self.registers
                    .insert((self.page, command), u16::from(*config));
            }
            (0x3B, [low, high]) => {
                let hundredths = u16::from_le_bytes([*low, *high]);
                self.registers.insert((self.page, command), hundredths);
                self.drive(self.page.into(), f32::from(hundredths) / 100.0);
            }
            _ => return false,
        }
        true
    }

    /// Channel and register within it, for the registers that each fan has.
    fn own(command: u8) -> Option<(usize, u8)> {
        matches!(command, 0x30..=0x7F).then(|| (usize::from(command >> 4) - 3, command & 0x0F))
    }

    fn get_emc(&self, command: u8) -> u8 {
        match (command, Self::own(command)) {
            (0xFD, _) => 0x34,
            (0xFE, _) => 0x5D,
            (0xFF, _) => 0x80,
            (_, Some((channel, 0x0E))) => (self.emc_count(channel) >> 5) as u8,
            (_, Some((channel, 0x0F))) => (self.emc_count(channel) << 3) as u8,
            (_, Some((_, 0x02))) => self.stored(0, command).unwrap_or(0x2B) as u8,
            (CONFIGURATION, _) => self.stored(0, command).unwrap_or(0x40) as u8,
            _ => self.stored(0, command).unwrap_or(0) as u8,
        }
    }

    fn set_emc(&mut self, command: u8, value: u8) {
        self.registers.insert((0, command), u16::from(value));
        let armed = self
            .stored(0, CONFIGURATION)
            .is_some_and(|config| config & WD_EN != 0);
        let until = armed.then(|| self.world.now() + WATCHDOG);
        self.world
            .with(|world| world.set_fan_guard(self.guard, until));
        if let Some((channel, 0x00)) = Self::own(command) {
            self.drive(channel, f32::from(value) * 100.0 / 255.0);
        }
    }

    /// Periods of its 32.768 kHz clock in a turn of a two-pole fan, more of them in the higher ranges.
    fn emc_count(&self, channel: usize) -> u16 {
        let rpm = self.rpm(channel);
        let config = self.stored(0, 0x32 + 0x10 * channel as u8).unwrap_or(0x2B);
        let multiplier = 1 << (config >> 5 & 3);
        let count = 3_932_160.0 * f32::from(multiplier as u8) / rpm.max(1.0);
        if count < f32::from(STANDING) {
            count as u16
        } else {
            STANDING
        }
    }
}

impl SmbusPart for FanController {
    fn address(&self) -> u8 {
        self.address
    }

    fn answers(&self) -> bool {
        true
    }

    fn get(&mut self, command: u8) -> Option<Vec<u8>> {
        match self.part {
            FanControllerPart::Max31785 => self.get_max(command),
            FanControllerPart::Emc2305 => Some(vec![self.get_emc(command)]),
        }
    }

    fn set(&mut self, command: u8, data: &[u8]) -> bool {
        match (self.part, data) {
            (FanControllerPart::Max31785, data) => self.set_max(command, data),
            (FanControllerPart::Emc2305, [value]) => {
                self.set_emc(command, *value);
                true
            }
            _ => false,
        }
    }

    fn length(&self, command: u8) -> usize {
        if self.part == FanControllerPart::Max31785 && command == 0x3B {
            2
        } else {
            1
        }
    }
}
