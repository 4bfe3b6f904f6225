//! The SMBus side of a part: commands, words low byte first, and the packet error code (SMBus 3.2, 6.4).

use cgminer_hal::emulated::{BusError, I2cDevice};

/// A part that speaks in commands.
pub trait SmbusPart: Send {
    /// 7-bit address, which the packet error code covers.
    fn address(&self) -> u8;

    /// Whether it answers now.
    fn answers(&self) -> bool;

    /// Whether its packet error codes come out wrong now.
    fn damages_pec(&self) -> bool {
        false
    }

    /// The answer to a command; none for one that it does not know.
    fn get(&mut self, command: u8) -> Option<Vec<u8>>;

    /// Takes a command with data; false for one that it does not know.
    fn set(&mut self, command: u8, data: &[u8]) -> bool;

    /// Data bytes that a command takes.
    fn length(&self, command: u8) -> usize;
}

/// Puts a part on a bus.
pub struct Smbus<P> {
    part: P,
    written: Vec<u8>,
}

impl<P: SmbusPart> Smbus<P> {
    /// A part that was just switched on.
    pub fn new(part: P) -> Self {
        Self {
            part,
            written: Vec::new(),
        }
    }
}

impl<P: SmbusPart> I2cDevice for Smbus<P> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BusError> {
        if !self.part.answers() {
            return Err(BusError::AddressNak);
        }
        self.written = bytes.to_vec();
        let Some((command, data)) = bytes.split_first() else {
            return Ok(());
        };
        if data.is_empty() && self.part.length(*command) > 0 {
            return Ok(());
        }
        let taken = match data.split_at_checked(self.part.length(*command)) {
            Some((data, [])) => self.part.set(*command, data),
            Some((data, [code])) => {
                let covered = [&[self.part.address() << 1, *command][..], data].concat();
                crc8(&covered) == *code && self.part.set(*command, data)
            }
            _ => false,
        };
        if taken {
            Ok(())
        } else {
            Err(BusError::DataNak)
        }
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), BusError> {
        let Some(command) = self
            .written
            .first()
            .copied()
            .filter(|_| self.part.answers())
        else {
            return Err(BusError::AddressNak);
        };
        let answer = self.part.get(command).ok_or(BusError::DataNak)?;
        let address = self.part.address() << 1;
        let covered = [&[address, command, address | 1][..], &answer].concat();
        let damage = if self.part.damages_pec() { 0x55 } else { 0 };
        let code = crc8(&covered) ^ damage;
        let line = answer
            .into_iter()
            .chain([code])
            .chain(std::iter::repeat(0xFF));
        for (slot, byte) in into.iter_mut().zip(line) {
            *slot = byte;
        }
        Ok(())
    }
}

/// CRC-8 with polynomial x^8 + x^2 + x + 1: the message as one long number, divided bit by bit.
fn crc8(bytes: &[u8]) -> u8 {
    let bits = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let divided = bits.chain([0; 8]).fold(0_u16, |remainder, bit| {
        let shifted = remainder << 1 | u16::from(bit);
        if shifted & 0x100 == 0 {
            shifted
        } else {
            shifted ^ 0x107
        }
    });
    divided as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_has_the_published_check_value() {
        assert_eq!(crc8(b"123456789"), 0xF4);
    }
}
