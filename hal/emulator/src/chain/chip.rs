//! One chip: registers, address, clock and the job that it works on.

use super::{job::Job, model::ChipType};
use std::{collections::BTreeMap, sync::Arc};

/// Speed of the crystal that times UART and sweeps.
const CRYSTAL_HZ: f64 = 25e6;

/// A chip's whole state; `reset` brings all of it back.
#[derive(Debug)]
pub struct Chip {
    kind: ChipType,
    registers: BTreeMap<u8, u32>,
    core_registers: BTreeMap<u8, u8>,
    /// Address in force; 0 until one was set.
    pub address: u8,
    /// Whether a 40 gave this chip its address since reset or 53.
    pub addressed: bool,
    /// Whether commands pass on to the next chip.
    pub relaying: bool,
    /// Job that the cores work on.
    pub work: Option<Work>,
    /// Nonces that the chip found wrong itself, register 4C.
    pub nonce_errors: u32,
    /// Nonces lost because the line was full, register 50.
    pub overflows: u32,
    clock_hz: Option<f64>,
    baud: u32,
}

/// A job and when the cores began it.
#[derive(Clone, Debug)]
pub struct Work {
    /// What is hashed.
    pub job: Arc<Job>,
    /// Nanoseconds of machine time.
    pub since: u64,
    /// Counts jobs of the chain, to tell equal ones apart.
    pub serial: u64,
}

/// Where in the search space a chip's cores are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Batch of versions, one per sub-core.
    pub batch: u32,
    /// Lower 25 bits of the nonce that every core tries now.
    pub counter: u32,
}

impl Chip {
    /// A chip after power-on.
    pub fn new(kind: ChipType) -> Self {
        let mut chip = Self {
            kind,
            registers: BTreeMap::new(),
            core_registers: BTreeMap::new(),
            address: 0,
            addressed: false,
            relaying: true,
            work: None,
            nonce_errors: 0,
            overflows: 0,
            clock_hz: None,
            baud: 0,
        };
        chip.reset();
        chip
    }

    /// Back to power-on state, as by the reset line.
    pub fn reset(&mut self) {
        self.registers.clear();
        self.core_registers.clear();
        self.address = 0;
        self.addressed = false;
        self.relaying = true;
        self.work = None;
        self.nonce_errors = 0;
        self.overflows = 0;
        self.update_clocks();
    }

    /// A 53: the address is forgotten and nothing passes on.
    pub fn deactivate(&mut self) {
        self.address = 0;
        self.addressed = false;
        self.relaying = false;
    }

    /// A 40.
    pub fn take_address(&mut self, address: u8) {
        self.address = address;
        self.addressed = true;
        self.relaying = true;
    }

    /// Speed at which the chip listens and talks.
    pub fn baud(&self) -> u32 {
        self.baud
    }

    /// Core clock; none while the PLL holds no usable value.
    pub fn clock_hz(&self) -> Option<f64> {
        self.clock_hz
    }

    /// Replies carry the rolled version, which makes them two bytes longer.
    pub fn long_replies(&self) -> bool {
        self.kind != ChipType::Bm1397 && self.stored(0xA4) >> 31 == 1
    }

    /// Bits that the chip may roll, one place per header version bit from 13 up.
    pub fn version_mask(&self) -> u16 {
        if self.long_replies() {
            self.stored(0xA4) as u16
        } else {
            0
        }
    }

    /// Ticket mask, most significant hash bit first.
    pub fn ticket_mask(&self) -> u32 {
        self.stored(0x14).swap_bytes()
    }

    /// Whether anything would be hashed if work came.
    pub fn is_clocked(&self) -> bool {
        let enabled = !self.kind.needs_core_enable()
            || self.core_registers.get(&2).is_some_and(|value| *value != 0);
        let paced = !self.kind.halts_without_hcn() || self.stored(0x10) != 0;
        enabled && paced && self.clock_hz.is_some()
    }

    /// Value that a read of the register gives.
    pub fn read(&self, register: u8, celsius: f32) -> u32 {
        match register {
            0x00 => self.kind.identity() & 0xFFFF_FF00 | u32::from(self.address),
            0x04 if self.work.is_some() && self.is_clocked() => self.hash_rate_units(),
            0x4C => self.nonce_errors,
            0x50 => self.overflows,
            0xB4 => die_temperature(celsius),
            _ => self.stored(register),
        }
    }

    /// Takes a write; true when it changed the core clock.
    pub fn write(&mut self, register: u8, value: u32) -> bool {
        match register {
            // Identity and counters take no value; writing a counter clears it.
            0x00 | 0x04 => {}
            0x4C => self.nonce_errors = 0,
            0x50 => self.overflows = 0,
            0x3C => self.mailbox(value),
            0xA8 => self.soft_reset(value),
            _ => {
                self.registers.insert(register, value);
            }
        }
        let before = self.clock_hz;
        self.update_clocks();
        before != self.clock_hz
    }

    /// Where the cores are at this time; none when they are not hashing or have been through all versions.
    pub fn position(&self, now: u64) -> Option<Position> {
        let work = self.work.as_ref()?;
        let clock_hz = self.clock_hz.filter(|_| self.is_clocked())?;
        let elapsed = now.checked_sub(work.since)? as f64 / 1e9;
        let batches = work
            .job
            .variants(self.version_mask())
            .div_ceil(self.kind.subcores());
        let deadline = f64::from(self.stored(0x10)) / CRYSTAL_HZ;
        let slice = f64::from(1_u32 << 25);
        let sweep = if deadline > 0.0 {
            deadline
        } else {
            slice / clock_hz
        };
        let batch = (elapsed / sweep) as u32;
        if batch >= batches {
            return None;
        }
        let tried = (elapsed - f64::from(batch) * sweep).max(0.0) * clock_hz;
        let counter = self.first_nonce().wrapping_add(tried as u32) & 0x01FF_FFFF;
        Some(Position { batch, counter })
    }

    /// Lower 25 bits of the first nonce that each core tries: by the offset register if enabled, else by address.
    pub fn first_nonce(&self) -> u32 {
        let offset = self.stored(0x0C);
        if offset >> 31 == 1 {
            (offset & 0xFFFF) << 9
        } else {
            u32::from(self.address) << 17
        }
    }

    fn stored(&self, register: u8) -> u32 {
        self.registers
            .get(&register)
            .copied()
            .unwrap_or(self.kind.reset_value(register))
    }

    /// Bit 31 means all cores, bit 15 write; a read shows its answer in register 40.
    fn mailbox(&mut self, value: u32) {
        let register = (value >> 8 & 0x1F) as u8;
        if value >> 15 & 1 == 1 {
            self.core_registers.insert(register, value as u8);
        } else {
            let answer = self.core_registers.get(&register).copied().unwrap_or(0);
            self.registers
                .insert(0x40, value & 0xFFFF_FF00 | u32::from(answer));
        }
        self.registers.insert(0x3C, value);
    }

    /// Resets the cores, and on the BM1362 with bit 4 the whole chip.
    fn soft_reset(&mut self, value: u32) {
        if self.kind == ChipType::Bm1362 && value & 0x10 != 0 {
            self.reset();
            return;
        }
        let core_bits = if self.kind == ChipType::Bm1362 {
            0x3
        } else {
            0x1FF
        };
        if value & core_bits != 0 {
            self.work = None;
            self.core_registers.clear();
        }
        self.registers.insert(0xA8, value);
    }

    fn update_clocks(&mut self) {
        self.clock_hz = self.kind.core_clock_hz(self.stored(0x08));
        self.baud = self.uart_baud();
    }

    fn uart_baud(&self) -> u32 {
        let (base, divider) = if self.kind == ChipType::Bm1397 {
            let misc = self.stored(0x18);
            let divider = misc >> 24 & 0xF << 5 | misc >> 8 & 0x1F;
            let pll3 = self
                .kind
                .core_clock_hz(self.stored(0x68))
                .unwrap_or(CRYSTAL_HZ);
            let base = if misc >> 16 & 1 == 1 {
                pll3 / f64::from((self.stored(0x28) >> 24 & 0xF) + 1)
            } else {
                CRYSTAL_HZ
            };
            (base, divider)
        } else {
            (CRYSTAL_HZ, self.stored(0x28) >> 8 & 0x1F)
        };
        (base / f64::from(8 * (divider + 1))) as u32
    }

    /// Register 04 counts in units of 2^24 hashes per second.
    fn hash_rate_units(&self) -> u32 {
        let hashes =
            self.clock_hz.unwrap_or(0.0) * f64::from(self.kind.cores() * self.kind.subcores());
        (hashes / f64::from(1 << 24)) as u32
    }
}

/// Register B4 as ESP-Miner-NerdQAxePlus reads it: the upper half scaled and shifted, 0080 below.
fn die_temperature(celsius: f32) -> u32 {
    let raw = ((celsius + 299.514_4) / 0.171_342).clamp(0.0, 65_535.0) as u32;
    raw << 16 | 0x0080
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baud_registers_give_their_speeds() {
        let mut chip = Chip::new(ChipType::Bm1362);
        assert_eq!(chip.baud(), 115_740);
        for (value, baud) in [
            (0x1130_0200, 1_041_666),
            (0x1130_0000, 3_125_000),
            (0x0130_0000, 3_125_000),
        ] {
            chip.write(0x28, value);
            assert_eq!(chip.baud(), baud);
        }
        chip.reset();
        assert_eq!(chip.baud(), 115_740);
        let mut old = Chip::new(ChipType::Bm1397);
        assert_eq!(old.baud(), 115_740);
        old.write(0x68, 0xC070_0111);
        old.write(0x28, 0x0600_000F);
        old.write(0x18, 0x0001_2701);
        assert_eq!(old.baud(), 6_250_000);
    }

    #[test]
    fn the_mailbox_keeps_core_registers() {
        let mut chip = Chip::new(ChipType::Bm1370);
        chip.write(0x3C, 0x8000_82AA);
        chip.write(0x3C, 0x8000_02FF);
        assert_eq!(chip.read(0x40, 0.0), 0x8000_02AA);
    }

    #[test]
    fn a_core_reset_stops_the_cores_until_they_are_enabled_again() {
        let mut chip = Chip::new(ChipType::Bm1366);
        chip.write(0x08, 0x40A2_0255);
        chip.write(0x10, 0x115A);
        assert!(!chip.is_clocked());
        chip.write(0x3C, 0x8000_82AA);
        assert!(chip.is_clocked());
        chip.write(0xA8, 0x0007_01F0);
        assert!(!chip.is_clocked());
    }

    #[test]
    fn a_zero_hash_counting_number_halts() {
        let mut chip = Chip::new(ChipType::Bm1362);
        chip.write(0x08, 0x40A8_0230);
        chip.write(0x3C, 0x8000_82AA);
        chip.write(0x10, 0x1381);
        assert!(chip.is_clocked());
        chip.write(0x10, 0);
        assert!(!chip.is_clocked());
    }

    #[test]
    fn a_die_temperature_reads_back_in_the_published_scale() {
        let raw = die_temperature(60.0);
        let celsius = (raw >> 16) as f32 * 0.171_342 - 299.514_4;
        assert!((celsius - 60.0).abs() < 0.2, "{celsius}");
    }
}
