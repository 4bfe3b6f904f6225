//! The emulated chips' own reading of command frames and making of replies.
//!
//! Written from public descriptions (mujina `PROTOCOL.md`, skot/BM1397) and shared with no driver, so that a mistake
//! made twice is the only one that can cancel out.

use super::model::JobStyle;

/// A command that passed its checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// 40: the first chip without an address takes this one.
    SetAddress(u8),
    /// 53: stop relaying and forget addresses.
    Inactive,
    /// 41 or 51: write a register.
    Write {
        /// Chip meant; none for all.
        chip: Option<u8>,
        /// Register number.
        register: u8,
        /// New value.
        value: u32,
    },
    /// 42 or 52: read a register.
    Read {
        /// Chip meant; none for all.
        chip: Option<u8>,
        /// Register number.
        register: u8,
    },
    /// 21: work; the payload between length byte and checksum.
    Job(Vec<u8>),
}

/// Takes the host's bytes one by one, as a chip's receiver does: what a damaged frame swallowed is gone.
#[derive(Debug)]
pub struct Receiver {
    style: JobStyle,
    frame: Vec<u8>,
    damaged: u64,
}

/// Preamble, type and length.
const HEAD: usize = 4;
const FULL_HEADER_FRAME: usize = 88;

impl Receiver {
    /// A receiver that waits for a preamble.
    pub fn new(style: JobStyle) -> Self {
        Self {
            style,
            frame: Vec::with_capacity(160),
            damaged: 0,
        }
    }

    /// Frames that were thrown away for a wrong length or checksum.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Takes one byte and gives the command that it completes.
    pub fn push(&mut self, byte: u8) -> Option<Command> {
        match (self.frame.len(), byte) {
            (0, 0x55) | (1, 0xAA) | (2.., _) => self.frame.push(byte),
            (_, 0x55) => self.frame.truncate(1),
            _ => self.frame.clear(),
        }
        let &[_, _, kind, length] = self.frame.first_chunk::<HEAD>()?;
        let Some(whole) = whole_length(self.style, kind, length) else {
            self.damaged += 1;
            self.frame.clear();
            return None;
        };
        if self.frame.len() < whole {
            return None;
        }
        let command = self.frame.get(2..).and_then(decode);
        self.damaged += u64::from(command.is_none());
        self.frame.clear();
        command
    }
}

fn whole_length(style: JobStyle, kind: u8, length: u8) -> Option<usize> {
    let counted = usize::from(length) + 2;
    match (kind, length, style) {
        (0x40 | 0x42 | 0x52 | 0x53, 5, _)
        | (0x41 | 0x51, 9, _)
        | (0x21, 0x36 | 0x56 | 0x76 | 0x96, JobStyle::Midstates) => Some(counted),
        // Stock firmware and others disagree on the length byte of a full-header job, and chips take both.
        (0x21, _, JobStyle::Header) => Some(FULL_HEADER_FRAME),
        _ => None,
    }
}

/// Reads a frame without its preamble.
fn decode(frame: &[u8]) -> Option<Command> {
    if frame.first() == Some(&0x21) {
        let (body, checksum) = frame.split_last_chunk::<2>()?;
        return (crc16(body) == u16::from_be_bytes(*checksum))
            .then(|| Command::Job(body.get(2..).unwrap_or(&[]).to_vec()));
    }
    let (&checksum, body) = frame.split_last()?;
    if crc5(body) != checksum {
        return None;
    }
    match *body {
        [0x40, _, address, _] => Some(Command::SetAddress(address)),
        [0x53, _, _, _] => Some(Command::Inactive),
        [kind @ (0x42 | 0x52), _, chip, register] => Some(Command::Read {
            chip: (kind == 0x42).then_some(chip),
            register,
        }),
        [kind @ (0x41 | 0x51), _, chip, register, a, b, c, d] => Some(Command::Write {
            chip: (kind == 0x41).then_some(chip),
            register,
            value: u32::from_be_bytes([a, b, c, d]),
        }),
        _ => None,
    }
}

/// A reply on its way to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    bytes: [u8; 11],
    length: usize,
}

impl Reply {
    /// A register's value.
    pub fn register(value: u32, chip: u8, register: u8, long: bool) -> Self {
        Self::build(value.to_be_bytes(), [chip, register], [0, 0], 0, long)
    }

    /// A nonce, in the bytes that go into the header.
    pub fn nonce(nonce: [u8; 4], excess: u8, result_header: u8, version: u16, long: bool) -> Self {
        Self::build(
            nonce,
            [excess, result_header],
            version.to_be_bytes(),
            4,
            long,
        )
    }

    /// The bytes as they cross the wire.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }

    fn build(value: [u8; 4], place: [u8; 2], version: [u8; 2], kind: u8, long: bool) -> Self {
        let length = if long { 11 } else { 9 };
        let mut bytes = [0; 11];
        let fields = [0xAA, 0x55]
            .into_iter()
            .chain(value)
            .chain(place)
            .chain(version);
        for (slot, byte) in bytes.iter_mut().zip(fields.take(length - 1)) {
            *slot = byte;
        }
        // The three type bits are part of what the checksum covers, the five bits after them are the checksum.
        let upper = kind << 5;
        let covered = bytes
            .get(2..length - 1)
            .unwrap_or(&[])
            .iter()
            .copied()
            .flat_map(bits_of);
        let checksum = crc5_bits(covered.chain(bits_of(upper).take(3)));
        if let Some(last) = bytes.get_mut(length - 1) {
            *last = upper | checksum;
        }
        Self { bytes, length }
    }
}

/// CRC-5 of commands, polynomial 0x05 from 0x1F, most significant bit first.
pub fn crc5(bytes: &[u8]) -> u8 {
    crc5_bits(
        bytes
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)),
    )
}

fn bits_of(byte: u8) -> impl Iterator<Item = u8> {
    (0..8).rev().map(move |bit| byte >> bit & 1)
}

fn crc5_bits(bits: impl Iterator<Item = u8>) -> u8 {
    bits.fold(0x1F, |crc, bit| {
        let feedback = (crc >> 4 & 1) ^ bit;
        (crc << 1 & 0x1F) ^ (feedback * 0x05)
    })
}

/// CRC-16 of jobs, CCITT polynomial from 0xFFFF, most significant bit first.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x1021
            }
        })
    })
}
