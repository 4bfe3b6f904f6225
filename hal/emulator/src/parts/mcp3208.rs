//! MCP3208 (Microchip DS21298): start bit, mode, channel; a zero bit, then twelve bits, most significant first.

use crate::machine::SharedWorld;
use cgminer_hal::emulated::SpiModel;

/// The converter; input n measures the current of chain n.
pub struct Mcp3208 {
    world: SharedWorld,
    reference_v: f32,
    amperes_per_volt: f32,
    /// Bits in since the start bit, if it came.
    seen: Option<u32>,
    command: u8,
    steps: u16,
}

impl Mcp3208 {
    /// A converter with its reference and the shunt behind its inputs.
    pub fn new(world: SharedWorld, reference_mv: u32, amperes_per_volt: f32) -> Self {
        Self {
            world,
            reference_v: reference_mv as f32 / 1000.0,
            amperes_per_volt,
            seen: None,
            command: 0,
            steps: 0,
        }
    }

    /// One clock: the bit in, the bit that was out meanwhile.
    fn clock(&mut self, bit: bool) -> bool {
        let Some(seen) = self.seen else {
            self.seen = bit.then_some(0);
            return true;
        };
        self.seen = Some(seen + 1);
        match seen {
            0..4 => {
                self.command = self.command << 1 | u8::from(bit);
                if seen == 3 {
                    self.convert();
                }
                true
            }
            // Sampling, during which the line floats; the zero bit comes after it.
            4 => true,
            6..18 => self.steps >> (17 - seen) & 1 == 1,
            _ => false,
        }
    }

    fn convert(&mut self) {
        let single_ended = self.command & 0b1000 != 0;
        let channel = usize::from(self.command & 7);
        let amperes = self.world.with(|world| world.amperes(channel));
        let volts = if single_ended {
            amperes / self.amperes_per_volt
        } else {
            0.0
        };
        self.steps = (volts / self.reference_v * 4096.0).clamp(0.0, 4095.0) as u16;
    }
}

impl SpiModel for Mcp3208 {
    fn select(&mut self) {
        self.seen = None;
        self.command = 0;
    }

    fn exchange(&mut self, byte: u8) -> u8 {
        (0..8).rev().fold(0, |out, bit| {
            out << 1 | u8::from(self.clock(byte >> bit & 1 == 1))
        })
    }
}
