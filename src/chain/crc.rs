//! The two checksums of the chain protocol.
//!
//! CRC-5 guards commands and replies, CRC-16 guards jobs. Both are computed by tables made at compile time.

/// Polynomial of CRC-5, x^5 + x^2 + 1 without its leading term.
const CRC5_POLYNOMIAL: u8 = 0x05;
/// Start value of CRC-5.
const CRC5_START: u8 = 0x1F;
/// Polynomial of CRC-16 (the one of CCITT).
const CRC16_POLYNOMIAL: u16 = 0x1021;
/// Start value of CRC-16.
const CRC16_START: u16 = 0xFFFF;

/// Longest reply body in bytes, without its preamble.
pub const LONGEST_BODY: usize = 9;

/// CRC-5 of `bytes`, in bits 4 to 0: start 0x1F, most significant bit first, nothing reflected or inverted.
pub fn crc5(bytes: &[u8]) -> u8 {
    let register = bytes.iter().fold(CRC5_START << 3, |register, byte| {
        table5(&CRC5, register ^ byte)
    });
    register >> 3
}

/// Whether a reply body, its last byte with type and checksum included, is undamaged: its CRC-5 is then 0.
///
/// Each byte's part of the checksum comes from a table for its place, so that the look-ups do not wait for each other.
#[inline]
pub fn reply_is_undamaged<const LENGTH: usize>(body: &[u8; LENGTH]) -> bool {
    const {
        assert!(LENGTH <= LONGEST_BODY, "no reply body is that long");
    }
    let places = CRC5_BY_PLACE.iter().skip(LONGEST_BODY - LENGTH);
    let sum = body
        .iter()
        .zip(places)
        .fold(crc5_of_start::<LENGTH>(), |sum, (byte, table)| {
            sum ^ table5(table, *byte)
        });
    sum == 0
}

/// CRC-16 of `bytes` (CCITT-FALSE): start 0xFFFF, most significant bit first.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(CRC16_START, |register, byte| {
        let index = (register >> 8) as u8 ^ byte;
        (register << 8) ^ CRC16[usize::from(index)]
    })
}

/// CRC-5 register, in bits 7 to 3, after one more byte of which the register was already added.
static CRC5: [u8; 256] = crc5_table();
/// For each place of a body of nine bytes: a byte's part of the final register, as if all others were 0.
static CRC5_BY_PLACE: [[u8; 256]; LONGEST_BODY] = crc5_place_tables();
static CRC16: [u16; 256] = crc16_table();

#[inline]
fn table5(table: &[u8; 256], index: u8) -> u8 {
    table[usize::from(index)]
}

/// What the start value alone leaves in the register behind `LENGTH` bytes.
#[inline]
const fn crc5_of_start<const LENGTH: usize>() -> u8 {
    const {
        let mut register = CRC5_START << 3;
        let mut place = 0;
        while place < LENGTH {
            register = crc5_step(register);
            place += 1;
        }
        register
    }
}

const fn crc5_step(mut register: u8) -> u8 {
    let mut bit = 0;
    while bit < 8 {
        let carry = register & 0x80 != 0;
        register <<= 1;
        if carry {
            register ^= CRC5_POLYNOMIAL << 3;
        }
        bit += 1;
    }
    register
}

const fn crc5_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        table[index] = crc5_step(index as u8);
        index += 1;
    }
    table
}

const fn crc5_place_tables() -> [[u8; 256]; LONGEST_BODY] {
    let mut tables = [[0; 256]; LONGEST_BODY];
    let mut place = 0;
    while place < LONGEST_BODY {
        let mut index = 0;
        while index < 256 {
            let mut register = index as u8;
            let mut following = place;
            while following < LONGEST_BODY {
                register = crc5_step(register);
                following += 1;
            }
            tables[place][index] = register;
            index += 1;
        }
        place += 1;
    }
    tables
}

const fn crc16_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut register = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            let carry = register & 0x8000 != 0;
            register <<= 1;
            if carry {
                register ^= CRC16_POLYNOMIAL;
            }
            bit += 1;
        }
        table[index] = register;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, a bit at a time.
    fn crc5_by_bits(bytes: &[u8]) -> u8 {
        let mut register = 0x1F_u8;
        for byte in bytes {
            for bit in (0..8).rev() {
                let carry = (register >> 4) & 1 != (byte >> bit) & 1;
                register = (register << 1) & 0x1F;
                if carry {
                    register ^= 0x05;
                }
            }
        }
        register
    }

    #[test]
    fn crc5_by_table_is_crc5_by_definition() {
        let mut bytes = Vec::new();
        for step in 0..64_u8 {
            bytes.push(step.wrapping_mul(73).wrapping_add(11));
            assert_eq!(crc5(&bytes), crc5_by_bits(&bytes), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_reply_is_undamaged_exactly_when_its_crc5_is_zero() {
        let mut body = [0x13, 0x70, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10];
        assert!(reply_is_undamaged(&body));
        for bit in 0..72 {
            body[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(reply_is_undamaged(&body), crc5(&body) == 0);
            assert!(!reply_is_undamaged(&body), "flipped bit {bit} unnoticed");
            body[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(reply_is_undamaged(&[
            0x13, 0x70, 0x00, 0x00, 0x00, 0x00, 0x06
        ]));
    }

    #[test]
    fn crc16_of_the_check_string_is_the_published_one() {
        assert_eq!(crc16(b"123456789"), 0x29B1);
    }
}
