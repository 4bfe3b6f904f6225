//! AT24C02-class EEPROM of a hash board: what the factory wrote about it. Read only; there is no code here that writes.
//!
//! Layout, ciphers and keys after skot/amlogic-cb-tools (`eeprom_antminer.rs`, with dumps of three boards) and
//! `Alex20129/eeprom_tool`. The check of the second region was found on those dumps.

mod cipher;

pub use cipher::Cipher;

use super::error::{PartError, Problem, Register, Site, register};
use cgminer_hal::units::{Celsius, Megahertz, Millivolts};
use embedded_hal::i2c::I2c;
use std::fmt::Write as _;
use std::ops::Range;
use thiserror::Error;

const MEMORY: Register = register("MEMORY", 0x00);

/// Bytes of the part.
pub const SIZE: usize = 256;
/// Bytes read in one transfer: some adapters take no more.
const CHUNK: u8 = 32;

/// Who the board is: enciphered as one block.
const IDENTITY: Range<usize> = 2..98;
/// What it was tested at: enciphered as another.
const TEST: Range<usize> = 98..114;
/// Check of the two head bytes and the identity.
const IDENTITY_CRC: usize = 97;
/// Check of the test results.
const TEST_CRC: usize = 113;

/// What the factory wrote into a hash board.
#[derive(Clone, Debug, PartialEq)]
pub struct HashBoardIdentity {
    /// Version of the layout, 4 to 6.
    pub layout: u8,
    /// Serial number of the board.
    pub serial: String,
    /// Die of the chips, as `ED`.
    pub chip_die: String,
    /// Marking of the chips.
    pub chip_marking: String,
    /// Bin that the chips were sorted into.
    pub chip_bin: u8,
    /// Version of the circuit board.
    pub pcb_version: u16,
    /// Version of the parts list.
    pub bom_version: u16,
    /// Name of the board, as `BHB42603`.
    pub board_name: String,
    /// What it was tested at; none when that part is damaged or was never written.
    pub test: Option<FactoryTest>,
}

/// What a hash board was tested at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FactoryTest {
    /// Rail.
    pub voltage: Millivolts,
    /// Clock.
    pub frequency: Megahertz,
    /// Nonces found of those expected, in hundredths of a per cent.
    pub nonce_rate: u16,
    /// Board where the air comes in.
    pub inlet: Celsius,
    /// Board where it goes out.
    pub outlet: Celsius,
}

/// Why bytes are no hash board's EEPROM.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EepromError {
    /// Not 256 bytes.
    #[error("{0} bytes, an AT24C02 has 256")]
    Size(usize),
    /// All bytes are the same: an empty part, or none.
    #[error("every byte is {0:#04x}: the part is empty, or there is none")]
    Blank(u8),
    /// A layout that is not known.
    #[error("layout version {0}, known are 4 to 6")]
    Version(u8),
    /// A cipher that is not known.
    #[error("cipher byte {0:#04x}, known are 0x10 to 0x13 (XXTEA) and 0x20 to 0x23 (XOR)")]
    Cipher(u8),
    /// The identity fails its check.
    #[error("identity check {got:#04x} where {expected:#04x} is due: the content is damaged")]
    Damaged {
        /// Stored.
        got: u8,
        /// Of the bytes read.
        expected: u8,
    },
}

/// An EEPROM on a hash board.
pub struct HashBoardEeprom<I> {
    bus: I,
    site: Site,
}

impl<I: I2c> HashBoardEeprom<I> {
    /// An EEPROM at a 7-bit address, 0x50 to 0x57.
    pub fn new(bus: I, address: u8) -> Self {
        Self {
            bus,
            site: Site {
                part: "AT24C02",
                address,
            },
        }
    }

    /// Reads and deciphers the whole part: eight transfers of 32 bytes.
    pub fn read(&mut self) -> Result<HashBoardIdentity, PartError> {
        let raw = self.bytes()?;
        decode(&raw).map_err(|error| self.site.error(MEMORY, Problem::Damaged(error.to_string())))
    }

    /// The bytes as they are, for a report.
    pub fn bytes(&mut self) -> Result<[u8; SIZE], PartError> {
        let mut raw = [0; SIZE];
        for (start, chunk) in (0..=u8::MAX)
            .step_by(usize::from(CHUNK))
            .zip(raw.chunks_mut(usize::from(CHUNK)))
        {
            self.bus
                .write_read(self.site.address, &[start], chunk)
                .map_err(self.site.bus(MEMORY))?;
        }
        Ok(raw)
    }
}

/// Reads the bytes of a hash board's EEPROM.
pub fn decode(raw: &[u8]) -> Result<HashBoardIdentity, EepromError> {
    let mut bytes: [u8; SIZE] = raw.try_into().map_err(|_| EepromError::Size(raw.len()))?;
    let [layout, cipher_byte, ..] = bytes;
    if bytes.iter().all(|byte| *byte == layout) {
        return Err(EepromError::Blank(layout));
    }
    if !(4..=6).contains(&layout) {
        return Err(EepromError::Version(layout));
    }
    let cipher = Cipher::of(cipher_byte).ok_or(EepromError::Cipher(cipher_byte))?;
    for region in [IDENTITY, TEST] {
        cipher.decipher(bytes.get_mut(region).unwrap_or_default());
    }
    let content = Content(&bytes);
    let (got, expected) = (
        content.byte(IDENTITY_CRC),
        crc5(content.slice(0..IDENTITY_CRC)),
    );
    if got != expected {
        return Err(EepromError::Damaged { got, expected });
    }
    Ok(HashBoardIdentity {
        layout,
        serial: content.text(2..20),
        chip_die: content.text(20..23),
        chip_marking: content.text(23..37),
        chip_bin: content.byte(37),
        pcb_version: content.word(48),
        bom_version: content.word(50),
        board_name: content.text(62..71),
        test: content.test(),
    })
}

/// Deciphered bytes, by offset.
struct Content<'a>(&'a [u8; SIZE]);

impl Content<'_> {
    fn slice(&self, range: Range<usize>) -> &[u8] {
        self.0.get(range).unwrap_or_default()
    }

    fn byte(&self, offset: usize) -> u8 {
        self.0.get(offset).copied().unwrap_or_default()
    }

    fn word(&self, offset: usize) -> u16 {
        u16::from_le_bytes([self.byte(offset), self.byte(offset + 1)])
    }

    /// Text up to the first NUL; what is not printable is shown as its number, so that nothing of it reaches a terminal.
    fn text(&self, range: Range<usize>) -> String {
        let bytes = self.slice(range).iter().take_while(|byte| **byte != 0);
        let text = bytes.fold(String::new(), |mut text, byte| {
            if byte.is_ascii_graphic() || *byte == b' ' {
                text.push(char::from(*byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\x{byte:02x}");
            }
            text
        });
        text.trim().to_owned()
    }

    fn test(&self) -> Option<FactoryTest> {
        let region = self.slice(TEST.start..TEST_CRC);
        let intact = self.byte(TEST_CRC) == crc5(region);
        intact.then(|| FactoryTest {
            voltage: Millivolts(u32::from(self.word(98)) * 10),
            frequency: Megahertz(f32::from(self.word(100))),
            nonce_rate: self.word(102),
            inlet: Celsius(f32::from(i8::from_le_bytes([self.byte(104)]))),
            outlet: Celsius(f32::from(i8::from_le_bytes([self.byte(105)]))),
        })
    }
}

/// CRC-5 of USB's polynomial 0x05, start 0x1F, highest bit first, as the chips' own frames use it.
fn crc5(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0x1F, |crc, byte| {
        (0..8).rev().fold(crc, |crc, bit| {
            let feedback = (crc >> 4 ^ byte >> bit) & 1;
            (crc << 1 & 0x1F) ^ (feedback * 0x05)
        })
    })
}
