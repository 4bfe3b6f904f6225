//! Hash-board EEPROMs.

use super::{hex, on_bus, reads, vectors};
use cgminer_board::parts::Problem;
use cgminer_board::parts::eeprom::{Cipher, EepromError, HashBoardEeprom, SIZE, decode};
use cgminer_hal::units::{Celsius, Megahertz, Millivolts};
use serde_json::Value;

/// The dump of a vector, with the unwritten rest as the part reads it.
fn dump(vector: &Value) -> Vec<u8> {
    let mut bytes = hex(vector, "raw_hex");
    assert_eq!(vector["pad_to"], SIZE);
    bytes.resize(SIZE, 0xFF);
    bytes
}

/// A dump with its two regions as plain text.
fn plain(mut bytes: Vec<u8>) -> Vec<u8> {
    let cipher = Cipher::of(bytes[1]).unwrap();
    cipher.decipher(&mut bytes[2..98]);
    cipher.decipher(&mut bytes[98..114]);
    bytes
}

#[test]
fn three_boards_read_from_hardware_give_what_their_publisher_read() {
    let boards = vectors("eeprom_v4_xxtea");
    assert_eq!(boards.len(), 3);
    for vector in boards {
        let board = decode(&dump(&vector)).unwrap_or_else(|error| panic!("{vector}: {error}"));
        let test = board
            .test
            .unwrap_or_else(|| panic!("{vector}: test results damaged"));
        assert_eq!(
            board.board_name, "BHB42603",
            "all three are S19j Pro boards"
        );
        for (field, expected) in vector["expect"].as_object().unwrap() {
            let read: Value = match field.as_str() {
                "board_serial" => board.serial.clone().into(),
                "board_name" => board.board_name.clone().into(),
                "chip_bin" => board.chip_bin.into(),
                "nonce_rate" => test.nonce_rate.into(),
                "voltage_cv" => (test.voltage.0 / 10).into(),
                "frequency_mhz" => (test.frequency.0 as u32).into(),
                "pcb_temp_in_c" => (test.inlet.0 as i32).into(),
                "pcb_temp_out_c" => (test.outlet.0 as i32).into(),
                other => panic!("{other} is not compared"),
            };
            assert_eq!(&read, expected, "{field} of {}", board.serial);
        }
    }
}

#[test]
fn a_whole_board_is_read_in_eight_transfers_and_nothing_is_written() {
    let bytes = dump(&vectors("eeprom_v4_xxtea")[0]);
    let expected: Vec<_> = bytes
        .chunks(32)
        .enumerate()
        .map(|(index, chunk)| reads(0x50, index as u8 * 32, chunk))
        .collect();
    assert_eq!(expected.len(), 8);
    let board = on_bus(&expected, |bus| HashBoardEeprom::new(bus, 0x50).read()).unwrap();
    let test = board.test.unwrap();
    assert_eq!(
        (test.voltage, test.frequency),
        (Millivolts(13_800), Megahertz(525.0))
    );
    assert_eq!((test.inlet, test.outlet), (Celsius(26.0), Celsius(27.0)));
    assert_eq!(
        (board.chip_die.as_str(), board.chip_bin, board.pcb_version),
        ("ED", 1, 0x0170)
    );
}

#[test]
fn the_xor_layout_holds_the_same_content() {
    let original = dump(&vectors("eeprom_v4_xxtea")[0]);
    let expected = decode(&original).unwrap();
    // No public dump has this cipher: the plain text of a real board is enciphered here, with the checks made anew.
    let mut bytes = plain(original);
    bytes[1] = 0x22;
    bytes[97] = crc5(&bytes[..97]);
    let cipher = Cipher::of(0x22).unwrap();
    cipher.decipher(&mut bytes[2..98]);
    cipher.decipher(&mut bytes[98..114]);
    assert_eq!(decode(&bytes).unwrap(), expected);
}

#[test]
fn empty_foreign_and_damaged_parts_are_told_apart() {
    let good = dump(&vectors("eeprom_v4_xxtea")[0]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        decode(&bytes)
    };
    assert_eq!(decode(&[0xFF; SIZE]), Err(EepromError::Blank(0xFF)));
    assert_eq!(decode(&[0x00; SIZE]), Err(EepromError::Blank(0x00)));
    assert_eq!(decode(&good[..255]), Err(EepromError::Size(255)));
    assert_eq!(with(0, 3), Err(EepromError::Version(3)));
    assert_eq!(with(1, 0x31), Err(EepromError::Cipher(0x31)));
    assert_eq!(with(1, 0x14), Err(EepromError::Cipher(0x14)));
    assert!(
        matches!(with(1, 0x10), Err(EepromError::Damaged { .. })),
        "deciphered with another key"
    );
    assert!(matches!(
        with(40, good[40] ^ 1),
        Err(EepromError::Damaged { .. })
    ));
}

#[test]
fn damaged_test_results_leave_the_identity() {
    let mut bytes = dump(&vectors("eeprom_v4_xxtea")[0]);
    bytes[100] ^= 0x10;
    let board = decode(&bytes).unwrap();
    assert_eq!(board.test, None);
    assert_eq!(board.board_name, "BHB42603");
}

#[test]
fn what_is_not_printable_never_reaches_a_terminal() {
    let mut bytes = plain(dump(&vectors("eeprom_v4_xxtea")[0]));
    bytes[1] = 0x20;
    bytes[2..6].copy_from_slice(b"\x1b[2J");
    bytes[97] = crc5(&bytes[..97]);
    let cipher = Cipher::of(0x20).unwrap();
    cipher.decipher(&mut bytes[2..98]);
    cipher.decipher(&mut bytes[98..114]);
    let board = decode(&bytes).unwrap();
    assert!(board.serial.starts_with("\\x1b[2J"), "{:?}", board.serial);
}

#[test]
fn a_part_that_does_not_answer_is_named() {
    use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
    let nak = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
    let error = on_bus(&[reads(0x52, 0, &[0; 32]).with_error(nak)], |bus| {
        HashBoardEeprom::new(bus, 0x52).read().unwrap_err()
    });
    assert!(matches!(error.problem, Problem::Bus { .. }));
    assert!(
        error.to_string().starts_with("AT24C02 at address 0x52"),
        "{error}"
    );
}

/// CRC-5 (0x05, start 0x1F) by long division on a list of bits: other code than the driver's.
fn crc5(bytes: &[u8]) -> u8 {
    let mut register = [true; 5];
    for bit in bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1 == 1))
    {
        let out = register[4] != bit;
        register = [
            out,
            register[0],
            register[1] != out,
            register[2],
            register[3],
        ];
    }
    register
        .iter()
        .rev()
        .fold(0, |crc, bit| crc << 1 | u8::from(*bit))
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn no_whole_part_makes_the_reader_panic(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, SIZE), layout in 4_u8..7, cipher in 0x10_u8..0x24) {
        bytes[0] = layout;
        bytes[1] = cipher;
        let _ = decode(&bytes);
    }

    #[test]
    fn no_single_damaged_byte_of_the_identity_passes(at in 2_usize..98, flip in 1_u8..) {
        let mut bytes = dump(&vectors("eeprom_v4_xxtea")[1]);
        let good = decode(&bytes).unwrap();
        bytes[at] ^= flip;
        // XXTEA spreads one byte over the whole block; one in 32 passes a check of five bits, with other text.
        match decode(&bytes) {
            Err(EepromError::Damaged { .. }) => {}
            Ok(read) => assert_ne!(read.serial, good.serial),
            Err(other) => panic!("{other}"),
        }
    }
}
