//! Bitmain APW9 and APW12 supplies: frames that go byte by byte through one I2C register.
//!
//! From `HashSource`'s publication of the "Antminer x17 PSU Protocol" and from open firmware. Which bytes the firmware,
//! type and state replies hold is not published for every model; those here are marked.

use super::frame;
use crate::{
    fault::Fault,
    machine::{SharedWorld, SupplyPart},
};
use cgminer_hal::emulated::{BusError, I2cDevice};
use std::{collections::VecDeque, time::Duration};

/// Register through which frames go, a byte at a time.
const FRAME_REGISTER: u8 = 0x11;
/// What a read gives where there is nothing to give.
const NOTHING: u8 = 0xF5;
const REPLY_AFTER: Duration = Duration::from_millis(400);
/// How long the output stays when the watchdog is not fed. The time is not published.
const WATCHDOG: Duration = Duration::from_secs(10);
/// No frame is longer.
const FRAME_MAX: usize = 32;

/// The supply's controller.
pub struct Apw {
    world: SharedWorld,
    part: SupplyPart,
    pointer: u8,
    frame: Vec<u8>,
    reply: VecDeque<u8>,
    reply_at: Duration,
    dac: u8,
}

impl Apw {
    /// A supply at its lowest voltage.
    pub fn new(world: SharedWorld, part: SupplyPart) -> Self {
        let mut supply = Self {
            world,
            part,
            pointer: 0,
            frame: Vec::new(),
            reply: VecDeque::new(),
            reply_at: Duration::ZERO,
            dac: 0,
        };
        supply.set_dac(if part == SupplyPart::Apw9 { 255 } else { 246 });
        supply
    }

    /// A higher number is a lower voltage.
    fn set_dac(&mut self, dac: u8) {
        self.dac = dac;
        let told_mv = match self.part {
            SupplyPart::Apw9 => 21_360.0 - f32::from(dac) * 7060.0 / 253.0,
            _ => (1_190_935_338.0 - f32::from(dac) * 1e6) / 78_743.0,
        };
        self.world.with(|world| world.supply.told_mv = told_mv);
    }

    fn has(&self, fault: &Fault) -> bool {
        self.world
            .with(|world| world.faults().any(|active| active == fault))
    }

    fn take(&mut self, byte: u8) {
        let Some(length) = frame::push(&mut self.frame, byte) else {
            return;
        };
        let whole = usize::from(length) + 2;
        if !(6..=FRAME_MAX).contains(&whole) {
            self.frame.clear();
        } else if self.frame.len() == whole {
            let frame = std::mem::take(&mut self.frame);
            self.obey(&frame);
        }
    }

    fn obey(&mut self, frame: &[u8]) {
        self.reply.clear();
        let Some((body, sum)) = frame
            .get(2..)
            .and_then(|counted| counted.split_last_chunk::<2>())
        else {
            return;
        };
        if sum16(body) != u16::from_le_bytes(*sum) || self.has(&Fault::SupplySilent) {
            return;
        }
        let now = self.world.now();
        let payload = match *body {
            // Version byte is not published; this one is the emulator's.
            [_, 0x01] => vec![0x01, 0x00],
            [_, 0x02] => vec![
                if self.part == SupplyPart::Apw9 {
                    0x41
                } else {
                    0x71
                },
                0x00,
            ],
            [_, 0x03] => vec![self.dac, 0x00],
            [_, 0x04] => {
                let output_mv = self.world.with(|world| world.supply.rail.output_mv);
                let raw = output_mv / 1000.0 * 63.017 - 0.8615;
                (raw.round().max(0.0) as u16).to_le_bytes().to_vec()
            }
            // Bit 0 set while the protection has cut the output; the published meaning is only "0 is good".
            [_, 0x05] => vec![
                u8::from(self.world.with(|world| world.supply.rail.tripped)),
                0x00,
            ],
            [_, 0x06] => vec![0x00, 0x00],
            [_, 0x81, on, ..] => {
                self.world.with(|world| {
                    world.supply.watchdog_until = (on != 0).then_some(now + WATCHDOG);
                });
                vec![on, 0x00]
            }
            [_, 0x83, dac, ..] => {
                self.set_dac(dac);
                vec![dac, 0x00]
            }
            [_, 0x86, ref payload @ ..] => payload.to_vec(),
            _ => return,
        };
        self.world.with(|world| {
            let watchdog = &mut world.supply.watchdog_until;
            *watchdog = watchdog.map(|until| if now < until { now + WATCHDOG } else { until });
        });
        let command = body.get(1).copied().unwrap_or(0);
        let counted = [&[payload.len() as u8 + 4, command][..], &payload].concat();
        let sum = sum16(&counted)
            ^ if self.has(&Fault::SupplyBadChecksum) {
                0x0101
            } else {
                0
            };
        self.reply = [0x55, 0xAA]
            .into_iter()
            .chain(counted)
            .chain(sum.to_le_bytes())
            .collect();
        self.reply_at = now + REPLY_AFTER;
    }
}

impl I2cDevice for Apw {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BusError> {
        if self.has(&Fault::SupplyNak) {
            return Err(BusError::AddressNak);
        }
        if let Some((register, data)) = bytes.split_first() {
            self.pointer = *register;
            if *register == FRAME_REGISTER {
                for byte in data {
                    self.take(*byte);
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), BusError> {
        if self.has(&Fault::SupplyNak) {
            return Err(BusError::AddressNak);
        }
        let ready = self.pointer == FRAME_REGISTER && self.world.now() >= self.reply_at;
        for slot in into {
            *slot = if ready {
                self.reply.pop_front().unwrap_or(NOTHING)
            } else {
                NOTHING
            };
        }
        Ok(())
    }
}

fn sum16(bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .fold(0, |sum, byte| sum.wrapping_add(u16::from(*byte)))
}
