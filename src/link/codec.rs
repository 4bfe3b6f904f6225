//! Messages as bytes: a version, a length, then JSON; each direction has its own greatest length.
//!
//! ```text
//!   0        1        2            4
//!   | version | 0      | length LE  | length bytes of JSON ...
//! ```

use super::end::LinkError;
use serde::{Serialize, de::DeserializeOwned};

/// The version of the messages. Both processes are one binary, so another version is a mistake to refuse.
pub const VERSION: u8 = 1;
/// Bytes in front of each message.
pub const HEADER: usize = 4;
/// Longest message to the keeper, which reads them with all its rights: requests are small.
pub const MAXIMUM_DOWN: usize = 512;
/// Longest message to the miner: a snapshot of the largest board.
pub const MAXIMUM_UP: usize = 60 * 1024;

/// One message with its header.
///
/// # Errors
/// [`LinkError::TooLong`] when it does not fit.
pub fn encode<M: Serialize>(message: &M, maximum: usize) -> Result<Vec<u8>, LinkError> {
    let mut bytes = vec![VERSION, 0, 0, 0];
    serde_json::to_writer(&mut bytes, message)
        .map_err(|error| LinkError::Malformed(error.to_string()))?;
    let length = bytes.len() - HEADER;
    let short = u16::try_from(length).ok().filter(|_| length <= maximum);
    let short = short.ok_or(LinkError::TooLong { length, maximum })?;
    for (place, byte) in bytes.iter_mut().skip(2).zip(short.to_le_bytes()) {
        *place = byte;
    }
    Ok(bytes)
}

/// The length of the message behind a header.
///
/// # Errors
/// Another version, a reserved byte that is not zero, or a length beyond the maximum.
pub fn body_length(header: [u8; HEADER], maximum: usize) -> Result<usize, LinkError> {
    let [version, reserved, low, high] = header;
    if version != VERSION {
        return Err(LinkError::Version(version));
    }
    if reserved != 0 {
        return Err(LinkError::Malformed(format!("reserved byte is {reserved}")));
    }
    let length = usize::from(u16::from_le_bytes([low, high]));
    if length > maximum {
        Err(LinkError::TooLong { length, maximum })
    } else {
        Ok(length)
    }
}

/// Reads the message behind a header.
///
/// # Errors
/// [`LinkError::Malformed`] for anything but exactly one message.
pub fn decode<M: DeserializeOwned>(body: &[u8]) -> Result<M, LinkError> {
    serde_json::from_slice(body).map_err(|error| LinkError::Malformed(error.to_string()))
}
