//! SMBus transfers on a plain I2C bus, with or without the packet error code.
//!
//! The code is a CRC-8 (polynomial 0x07, start 0) over every byte of the message, addresses included, as the SMBus
//! specification 3.x, section 6.4 has it. It is done here and not in the kernel, because an adapter without the
//! feature leaves it out silently.

use embedded_hal::i2c::I2c;
use heapless::Vec;
use thiserror::Error;

/// Longest block that SMBus 2.0 parts send or take.
pub const BLOCK_MAX: usize = 32;

/// Why a transfer gave no data.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SmbusError<E> {
    /// The bus failed.
    #[error("{0:?}")]
    Bus(E),
    /// The packet error code is wrong: the bytes are damaged.
    #[error("packet error code {got:#04x} where {expected:#04x} was due: the bytes are damaged")]
    Pec {
        /// Code received.
        got: u8,
        /// Code of the bytes received.
        expected: u8,
    },
    /// A block longer than any.
    #[error("block of {0} bytes, where 32 is the most")]
    BlockLength(usize),
}

impl<E> From<E> for SmbusError<E> {
    fn from(error: E) -> Self {
        Self::Bus(error)
    }
}

/// The registers of one SMBus part.
#[derive(Debug)]
pub struct Smbus<I> {
    bus: I,
    address: u8,
    pec: bool,
}

impl<I: I2c> Smbus<I> {
    /// A part at a 7-bit address; with `pec`, each transfer carries and each reply must have the packet error code.
    pub fn new(bus: I, address: u8, pec: bool) -> Self {
        Self { bus, address, pec }
    }

    /// The 7-bit address.
    pub fn address(&self) -> u8 {
        self.address
    }

    /// The bus, for what SMBus does not know.
    pub fn bus(&mut self) -> &mut I {
        &mut self.bus
    }

    /// Reads a byte-wide register.
    pub fn read_byte(&mut self, command: u8) -> Result<u8, SmbusError<I::Error>> {
        self.read_fixed::<1>(command).map(|[byte]| byte)
    }

    /// Reads a word-wide register, low byte first as SMBus sends it.
    pub fn read_word(&mut self, command: u8) -> Result<u16, SmbusError<I::Error>> {
        self.read_fixed::<2>(command).map(u16::from_le_bytes)
    }

    /// Reads a block, whose first byte on the wire is its length.
    ///
    /// The longest block is read and cut at its length, as not every adapter can be told to stop there.
    pub fn read_block(&mut self, command: u8) -> Result<Vec<u8, BLOCK_MAX>, SmbusError<I::Error>> {
        let mut raw = [0; BLOCK_MAX + 2];
        self.bus.write_read(self.address, &[command], &mut raw)?;
        let [length, rest @ ..] = raw;
        let length = usize::from(length);
        let too_long = SmbusError::BlockLength(length);
        let Some((block, after)) = rest.split_at_checked(length) else {
            return Err(too_long);
        };
        let block = Vec::from_slice(block).map_err(|()| too_long)?;
        if let (true, Some(&got)) = (self.pec, after.first()) {
            let head = [self.write_address(), command, self.read_address(), raw[0]];
            check(got, crc8(crc8(0, &head), &block))?;
        }
        Ok(block)
    }

    /// Sends a command without data.
    pub fn send_byte(&mut self, command: u8) -> Result<(), SmbusError<I::Error>> {
        self.write(&[command])
    }

    /// Writes a byte-wide register.
    pub fn write_byte(&mut self, command: u8, value: u8) -> Result<(), SmbusError<I::Error>> {
        self.write(&[command, value])
    }

    /// Writes a word-wide register.
    pub fn write_word(&mut self, command: u8, value: u16) -> Result<(), SmbusError<I::Error>> {
        let [low, high] = value.to_le_bytes();
        self.write(&[command, low, high])
    }

    fn read_fixed<const N: usize>(&mut self, command: u8) -> Result<[u8; N], SmbusError<I::Error>> {
        let mut data = [0; N];
        let mut pec = [0; 1];
        if self.pec {
            // One read of the bytes and the code: two reads would put a start between them.
            let mut raw = [0; BLOCK_MAX + 2];
            let Some((raw, _)) = raw.split_at_mut_checked(N + 1) else {
                return Err(SmbusError::BlockLength(N));
            };
            self.bus.write_read(self.address, &[command], raw)?;
            for (into, byte) in data.iter_mut().chain(&mut pec).zip(raw) {
                *into = *byte;
            }
            let head = [self.write_address(), command, self.read_address()];
            check(pec[0], crc8(crc8(0, &head), &data))?;
        } else {
            self.bus.write_read(self.address, &[command], &mut data)?;
        }
        Ok(data)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SmbusError<I::Error>> {
        let mut message =
            Vec::<u8, 4>::from_slice(bytes).map_err(|()| SmbusError::BlockLength(bytes.len()))?;
        if self.pec {
            let code = crc8(crc8(0, &[self.write_address()]), bytes);
            message
                .push(code)
                .map_err(|_| SmbusError::BlockLength(bytes.len()))?;
        }
        Ok(self.bus.write(self.address, &message)?)
    }

    fn write_address(&self) -> u8 {
        self.address << 1
    }

    fn read_address(&self) -> u8 {
        self.address << 1 | 1
    }
}

/// The SMBus CRC-8 of `bytes`, continued from `crc`.
pub fn crc8(crc: u8, bytes: &[u8]) -> u8 {
    bytes.iter().fold(crc, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| {
            if crc & 0x80 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x07
            }
        })
    })
}

fn check<E>(got: u8, expected: u8) -> Result<(), SmbusError<E>> {
    if got == expected {
        Ok(())
    } else {
        Err(SmbusError::Pec { got, expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal::i2c::{ErrorKind, ErrorType, Operation};

    /// Answers each read with these bytes and then 0xFF, as an open-drain bus does; keeps the last write.
    struct Canned {
        reply: &'static [u8],
        written: std::vec::Vec<u8>,
    }

    impl ErrorType for Canned {
        type Error = ErrorKind;
    }

    impl I2c for Canned {
        fn transaction(
            &mut self,
            _: u8,
            operations: &mut [Operation<'_>],
        ) -> Result<(), ErrorKind> {
            for operation in operations {
                match operation {
                    Operation::Write(bytes) => self.written = bytes.to_vec(),
                    Operation::Read(into) => {
                        let bytes = self.reply.iter().chain(std::iter::repeat(&0xFF));
                        into.iter_mut()
                            .zip(bytes)
                            .for_each(|(into, byte)| *into = *byte);
                    }
                }
            }
            Ok(())
        }
    }

    fn part(reply: &'static [u8], pec: bool) -> Smbus<Canned> {
        Smbus::new(
            Canned {
                reply,
                written: vec![],
            },
            0x5A,
            pec,
        )
    }

    #[test]
    fn the_code_has_the_check_value_of_crc_8_smbus() {
        assert_eq!(crc8(0, b"123456789"), 0xF4);
    }

    #[test]
    fn a_word_with_a_right_code_is_read_and_one_with_a_wrong_code_is_not() {
        // Object temperature of an MLX90614: the example in its data sheet, "SMBus communication with MLX90614".
        assert_eq!(part(&[0xD2, 0x3A, 0x30], true).read_word(0x07), Ok(0x3AD2));
        assert_eq!(
            part(&[0xD3, 0x3A, 0x30], true)
                .read_word(0x07)
                .map_err(|error| matches!(error, SmbusError::Pec { .. })),
            Err(true)
        );
    }

    #[test]
    fn a_write_carries_its_code() {
        let mut part = part(&[], true);
        // The same data sheet's example of a write: 0x5A, register 0x22, 0xC807, code 0x48.
        part.write_word(0x22, 0xC807).unwrap();
        assert_eq!(part.bus.written, [0x22, 0x07, 0xC8, 0x48]);
    }

    #[test]
    fn a_block_is_cut_at_its_length_and_an_absent_part_gives_none() {
        assert_eq!(
            part(&[3, 1, 2, 3], false)
                .read_block(0x99)
                .unwrap()
                .as_slice(),
            [1, 2, 3]
        );
        assert_eq!(
            part(&[], false).read_block(0x99),
            Err(SmbusError::BlockLength(255))
        );
        assert_eq!(
            part(&[33], false).read_block(0x99),
            Err(SmbusError::BlockLength(33))
        );
    }

    proptest::proptest! {
        #[test]
        fn no_reply_makes_a_read_panic(reply: std::vec::Vec<u8>, pec: bool, command: u8) {
            let reply: &'static [u8] = reply.leak();
            let _ = part(reply, pec).read_block(command);
            let _ = part(reply, pec).read_word(command);
        }
    }
}
