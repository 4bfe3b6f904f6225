//! Frames to the chips.

use crate::chain::crc::{crc5, crc16};
use crate::chain::registers::Register;

/// Opens every frame to a chip.
pub const PREAMBLE: [u8; 2] = [0x55, 0xAA];

/// Bytes of a full-header job frame on the wire, preamble and checksum included.
pub const FULL_HEADER_FRAME_BYTES: usize = 88;
/// Most midstates that one job can carry.
pub const MOST_MIDSTATES: usize = 4;

/// Bytes on the wire of a job of so many midstates.
pub fn midstate_frame_bytes(count: u8) -> usize {
    24 + 32 * usize::from(count)
}

/// Length byte of a full-header job that counts the frame as commands do: type, length, payload, checksum.
///
/// Stock firmware sends 0x36, the length of a job with one midstate, and chips take both (captures of BM1366 and BM1370
/// in mujina and ESP-Miner), so a chip cannot be using it.
pub const FULL_HEADER_LENGTH: u8 = 0x56;

const WRITE_LENGTH: u8 = 9;
const SHORT_LENGTH: u8 = 5;
const JOB_TYPE: u8 = 0x21;

/// Room for the frames that go out in one write: at most a job and two commands around it.
pub type FrameBuffer = heapless::Vec<u8, 192>;

/// One command's bytes.
pub type CommandBytes = heapless::Vec<u8, 11>;

/// Whom a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every chip of the chain.
    All,
    /// The chip with this address.
    Chip(u8),
}

impl Target {
    const BROADCAST: u8 = 0x10;

    fn type_bit(self) -> u8 {
        match self {
            Self::All => Self::BROADCAST,
            Self::Chip(_) => 0,
        }
    }

    fn address(self) -> u8 {
        match self {
            Self::All => 0,
            Self::Chip(address) => address,
        }
    }
}

/// A command to chips that have a preamble (BM1397 and later).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Gives the first chip that has none its address.
    SetAddress(u8),
    /// Writes a register.
    Write {
        /// Whose register.
        target: Target,
        /// Which register.
        register: Register,
        /// Its new value.
        value: u32,
    },
    /// Asks for a register; each chip spoken to answers by itself.
    Read {
        /// Whose register.
        target: Target,
        /// Which register.
        register: Register,
    },
    /// Takes every chip's address away and stops them relaying commands, so that addresses can be given.
    ChainInactive,
}

impl Command {
    /// The frame, checksum included.
    pub fn encode(self) -> CommandBytes {
        let mut bytes = CommandBytes::new();
        let fits = match self {
            Self::SetAddress(address) => short(&mut bytes, 0x40, SHORT_LENGTH, &[address, 0]),
            Self::Write {
                target,
                register,
                value,
            } => {
                let [a, b, c, d] = value.to_be_bytes();
                let payload = [target.address(), register.0, a, b, c, d];
                short(&mut bytes, 0x41 | target.type_bit(), WRITE_LENGTH, &payload)
            }
            Self::Read { target, register } => {
                let payload = [target.address(), register.0];
                short(&mut bytes, 0x42 | target.type_bit(), SHORT_LENGTH, &payload)
            }
            Self::ChainInactive => short(&mut bytes, 0x53, SHORT_LENGTH, &[0, 0]),
        };
        debug_assert!(fits.is_some(), "the longest command has eleven bytes");
        bytes
    }
}

fn short(bytes: &mut CommandBytes, kind: u8, length: u8, payload: &[u8]) -> Option<()> {
    bytes.extend_from_slice(&PREAMBLE).ok()?;
    bytes.extend_from_slice(&[kind, length]).ok()?;
    bytes.extend_from_slice(payload).ok()?;
    let checksum = crc5(bytes.get(PREAMBLE.len()..)?);
    bytes.push(checksum).ok()
}

/// A job for chips that hash a whole header themselves (BM1362 and later): 88 bytes.
///
/// `header` is the block header as it is hashed, its nonce ignored: the chip starts at 0. Both hashes cross the wire with
/// their eight words reversed and the bytes within a word kept.
pub fn full_header_job(
    job_header: u8,
    length_byte: u8,
    header: &[u8; 80],
) -> [u8; FULL_HEADER_FRAME_BYTES] {
    let mut frame = [0; FULL_HEADER_FRAME_BYTES];
    let mut writer = Writer::new(&mut frame);
    writer.put(&PREAMBLE);
    writer.put(&[JOB_TYPE, length_byte, job_header, 1]);
    writer.put(&[0; 4]);
    writer.put(part(header, 72, 4));
    writer.put(part(header, 68, 4));
    for word in part(header, 36, 32).rchunks_exact(4) {
        writer.put(word);
    }
    for word in part(header, 4, 32).rchunks_exact(4) {
        writer.put(word);
    }
    writer.put(part(header, 0, 4));
    writer.put_crc16();
    frame
}

/// A job for chips that start from midstates (BM1397): 1 to 4 of them, 56 to 152 bytes, appended to `frame`.
///
/// `tail` is the rest of the header behind the midstate: last four bytes of the merkle root, ntime, nbits as they are
/// hashed. A midstate is the SHA-256 state as eight words; they cross the wire from the last word to the first.
/// Returns whether there was room and the count of midstates was one that chips know (1, 2 or 4).
#[must_use]
pub fn midstate_job(
    frame: &mut FrameBuffer,
    job_header: u8,
    tail: &[u8; 12],
    midstates: &[[u32; 8]],
) -> bool {
    if !matches!(midstates.len(), 1 | 2 | 4) {
        return false;
    }
    let bytes = midstate_frame_bytes(midstates.len() as u8);
    let start = frame.len();
    if frame.capacity() - start < bytes {
        return false;
    }
    let length = (bytes - PREAMBLE.len()) as u8;
    append_midstate_job(frame, start, length, job_header, tail, midstates).is_some()
}

fn append_midstate_job(
    frame: &mut FrameBuffer,
    start: usize,
    length: u8,
    job_header: u8,
    tail: &[u8; 12],
    midstates: &[[u32; 8]],
) -> Option<()> {
    frame.extend_from_slice(&PREAMBLE).ok()?;
    let count = midstates.len() as u8;
    frame
        .extend_from_slice(&[JOB_TYPE, length, job_header, count])
        .ok()?;
    frame.extend_from_slice(&[0; 4]).ok()?;
    frame.extend_from_slice(part(tail, 8, 4)).ok()?;
    frame.extend_from_slice(part(tail, 4, 4)).ok()?;
    frame.extend_from_slice(part(tail, 0, 4)).ok()?;
    for midstate in midstates {
        for word in midstate.iter().rev() {
            frame.extend_from_slice(&word.to_be_bytes()).ok()?;
        }
    }
    let checksum = crc16(frame.get(start + PREAMBLE.len()..)?);
    frame.extend_from_slice(&checksum.to_be_bytes()).ok()
}

/// `length` bytes from `start`; callers name places that the array's type has.
fn part<const SIZE: usize>(bytes: &[u8; SIZE], start: usize, length: usize) -> &[u8] {
    bytes.get(start..start + length).unwrap_or_default()
}

/// Fills a frame from its front.
struct Writer<'a> {
    frame: &'a mut [u8],
    length: usize,
}

impl<'a> Writer<'a> {
    fn new(frame: &'a mut [u8]) -> Self {
        Self { frame, length: 0 }
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(room) = self.frame.get_mut(self.length..end) {
            room.copy_from_slice(bytes);
            self.length = end;
        }
        debug_assert_eq!(self.length, end, "the frame is as long as its parts");
    }

    fn put_crc16(&mut self) {
        let covered = self.frame.get(PREAMBLE.len()..self.length);
        let checksum = crc16(covered.unwrap_or_default());
        self.put(&checksum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_read_that_finds_chips_is_the_captured_one() {
        let read = Command::Read {
            target: Target::All,
            register: Register::CHIP_ID,
        };
        assert_eq!(read.encode(), [0x55, 0xAA, 0x52, 0x05, 0x00, 0x00, 0x0A]);
    }

    #[test]
    fn a_job_of_three_midstates_is_refused() {
        let mut frame = FrameBuffer::new();
        assert!(!midstate_job(&mut frame, 0, &[0; 12], &[[0; 8]; 3]));
        assert!(frame.is_empty());
    }

    #[test]
    fn a_job_that_finds_no_room_leaves_the_buffer_as_it_was() {
        let mut frame = FrameBuffer::new();
        assert!(midstate_job(&mut frame, 4, &[0; 12], &[[0; 8]; 4]));
        assert_eq!(frame.len(), 152);
        assert!(!midstate_job(&mut frame, 8, &[0; 12], &[[0; 8]; 1]));
        assert_eq!(frame.len(), 152);
    }
}
