//! The frame of an APW: `55 AA len cmd body.. sum-low sum-high`, where `len` counts itself, the command, the body and
//! the sum, and the sum is of every byte from `len` to the end of the body.

use heapless::Vec;
use thiserror::Error;

/// First byte of a frame.
pub(super) const PREAMBLE_1: u8 = 0x55;
const PREAMBLE_2: u8 = 0xAA;
/// `len` of a frame without a body.
const LEN_MIN: usize = 4;
/// Longest body; calibration pages are the longest known.
const BODY_MAX: usize = 32;
/// Longest frame on the wire.
pub const FRAME_MAX: usize = 2 + LEN_MIN + BODY_MAX;

/// A command or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    command: u8,
    payload: Vec<u8, BODY_MAX>,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Too short to be one, or cut off.
    #[error("{0} bytes are no whole frame")]
    Short(usize),
    /// Does not begin with 55 AA.
    #[error("no preamble")]
    Preamble,
    /// A length that no frame has, or other than that of the bytes.
    #[error("length byte {0}")]
    Length(u8),
    /// The sum is wrong.
    #[error("sum {got:#06x} where {expected:#06x} is due")]
    Sum {
        /// Received.
        got: u16,
        /// Of the bytes received.
        expected: u16,
    },
}

impl Frame {
    /// A frame to send.
    ///
    /// # Errors
    /// [`FrameError::Length`] for a body of more than 32 bytes.
    pub fn new(command: u8, payload: &[u8]) -> Result<Self, FrameError> {
        let payload = Vec::from_slice(payload)
            .map_err(|()| FrameError::Length(u8::try_from(payload.len()).unwrap_or(u8::MAX)))?;
        Ok(Self { command, payload })
    }

    /// The command.
    pub fn command(&self) -> u8 {
        self.command
    }

    /// The body.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The bytes on the wire.
    pub fn encode(&self) -> Vec<u8, FRAME_MAX> {
        let length = (self.payload.len() + LEN_MIN) as u8;
        let head = [length, self.command];
        let sum = sum(head.iter().chain(&self.payload)).to_le_bytes();
        // A body of 32 bytes fits by the definition of FRAME_MAX.
        [PREAMBLE_1, PREAMBLE_2]
            .iter()
            .chain(&head)
            .chain(&self.payload)
            .chain(&sum)
            .copied()
            .collect()
    }

    /// Reads a whole frame from the wire.
    pub fn decode(raw: &[u8]) -> Result<Self, FrameError> {
        let [PREAMBLE_1, PREAMBLE_2, counted @ ..] = raw else {
            return Err(if raw.len() < 2 {
                FrameError::Short(raw.len())
            } else {
                FrameError::Preamble
            });
        };
        let [length, command, rest @ ..] = counted else {
            return Err(FrameError::Short(raw.len()));
        };
        if usize::from(*length) < LEN_MIN || usize::from(*length) != counted.len() {
            return Err(FrameError::Length(*length));
        }
        let Some((payload, got)) = rest.split_last_chunk::<2>() else {
            return Err(FrameError::Short(raw.len()));
        };
        let got = u16::from_le_bytes(*got);
        let expected = sum([length, command].into_iter().chain(payload));
        if got != expected {
            return Err(FrameError::Sum { got, expected });
        }
        Self::new(*command, payload)
    }
}

/// Whether nothing more belongs to what has been received: the frame is whole, or can be none.
pub(super) fn is_whole(raw: &[u8]) -> bool {
    match raw {
        [_] | [_, PREAMBLE_2] => false,
        [_, PREAMBLE_2, length, ..] => raw.len() >= 2 + usize::from(*length),
        _ => true,
    }
}

fn sum<'a>(bytes: impl Iterator<Item = &'a u8>) -> u16 {
    bytes.fold(0, |sum, byte| sum.wrapping_add(u16::from(*byte)))
}
