//! AT24C02 (Microchip/Atmel 0180): 256 bytes, writes wrap within pages of eight.

use cgminer_hal::emulated::{BusError, I2cDevice};

/// XXTEA image of a published hash board: skot/amlogic-cb-tools `eeprom_antminer.rs`.
const PUBLISHED: &str = "041179627d9cd881437f5d219879af1217a74af3af9178824400638bc6a9cf2d37d4ad326faaddc2b7888dda33fef1387ad04717099204598304192cee201125510b0624523e135d8752e2d31341ad0b6cf9a78cf26ca843c61d61635ac936a0bf8a0e27e60d533e06bd63d84d4bc267e554";
/// The published dump ends in this mark at the last byte.
const PUBLISHED_END: u8 = 0x5A;

/// The memory and its address counter.
pub struct Eeprom {
    content: [u8; 256],
    counter: u8,
}

impl Eeprom {
    /// A memory with this image in hex digits, or the published one.
    pub fn new(image: Option<&str>) -> Self {
        let mut content = [0xFF; 256];
        for (slot, byte) in content
            .iter_mut()
            .zip(hex_bytes(image.unwrap_or(PUBLISHED)))
        {
            *slot = byte;
        }
        if let (None, [.., last]) = (image, &mut content) {
            *last = PUBLISHED_END;
        }
        Self {
            content,
            counter: 0,
        }
    }
}

fn hex_bytes(text: &str) -> impl Iterator<Item = u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    let pairs: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8))
        .collect();
    pairs.into_iter()
}

impl I2cDevice for Eeprom {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BusError> {
        if let Some((address, data)) = bytes.split_first() {
            self.counter = *address;
            for byte in data {
                if let Some(slot) = self.content.get_mut(usize::from(self.counter)) {
                    *slot = *byte;
                }
                self.counter = self.counter & 0xF8 | self.counter.wrapping_add(1) & 0x07;
            }
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), BusError> {
        for slot in into {
            *slot = self
                .content
                .get(usize::from(self.counter))
                .copied()
                .unwrap_or(0xFF);
            self.counter = self.counter.wrapping_add(1);
        }
        Ok(())
    }
}
