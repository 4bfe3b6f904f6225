//! Controllers of hash boards' DC-DC converters.

use super::{hex, on_bus, vectors, writes};
use cgminer_board::parts::Problem;
use cgminer_board::parts::controller::VoltageController;
use cgminer_board::parts::dspic33ep::{Dspic33ep, decode, encode};
use cgminer_board::parts::pic16f1704::{Pic16f1704, setting, voltage};
use cgminer_hal::units::Millivolts;
use embedded_hal_mock::eh1::i2c::Transaction;

fn reads(address: u8, bytes: &[u8]) -> Transaction {
    Transaction::read(address, bytes.to_vec())
}

#[test]
fn the_frames_of_the_vectors_are_what_the_dspic_is_sent() {
    for vector in vectors("pic_frame") {
        let frame = hex(&vector, "frame");
        // 55 AA len command data sum
        let [_, _, _, command, data, _] = *frame else {
            panic!("{vector} is no frame with one byte of data")
        };
        assert_eq!(encode(command, &[data]).as_slice(), frame, "{vector}");
    }
}

#[test]
fn a_dspic_is_switched_and_says_so() {
    let expected = [
        writes(0x20, &[0x55, 0xAA, 0x04, 0x15, 0x01, 0x1A]),
        reads(0x20, &[0x05, 0x15, 0x01, 0x00, 0x1B]),
        writes(0x20, &[0x55, 0xAA, 0x04, 0x15, 0x00, 0x19]),
        reads(0x20, &[0x05, 0x15, 0x01, 0x00, 0x1B]),
    ];
    on_bus(&expected, |bus| {
        let mut controller = Dspic33ep::new(bus, 0x20);
        controller.switch(true).unwrap();
        let error = controller.switch(false).unwrap_err();
        assert!(
            matches!(error.problem, Problem::NotTaken { .. }),
            "still on: {error}"
        );
    });
}

#[test]
fn a_dspic_gives_its_version_and_takes_a_heartbeat() {
    // Answers as captured by the publisher of DCENT_OS.
    let expected = [
        writes(0x21, &[0x55, 0xAA, 0x03, 0x17, 0x1A]),
        reads(0x21, &[0x05, 0x17, 0x89, 0x00, 0xA5]),
        writes(0x21, &[0x55, 0xAA, 0x04, 0x16, 0x00, 0x1A]),
        reads(0x21, &[0x06, 0x16, 0x01, 0x00, 0x00, 0x1D]),
        writes(0x21, &[0x55, 0xAA, 0x04, 0x16, 0x00, 0x1A]),
        reads(0x21, &[0x06, 0x16, 0x00, 0x00, 0x00, 0x1C]),
    ];
    on_bus(&expected, |bus| {
        let mut controller = Dspic33ep::new(bus, 0x21);
        assert_eq!(controller.start().unwrap(), 0x89);
        controller.heartbeat().unwrap();
        assert_eq!(
            controller.heartbeat().unwrap_err().problem,
            Problem::Refused
        );
    });
}

#[test]
fn a_damaged_answer_of_a_dspic_is_an_error() {
    for raw in [
        &[0x05, 0x17, 0x89, 0x00, 0xA6][..],
        &[0x06, 0x17, 0x89, 0x00, 0xA5],
        &[0x05, 0x16, 0x89, 0x00, 0xA4],
        &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        &[0x05],
        &[],
    ] {
        assert!(
            matches!(decode(0x17, raw), Err(Problem::Damaged(_))),
            "{raw:02x?}"
        );
    }
    assert_eq!(decode(0x17, &[0xF5, 0, 0]), Err(Problem::Refused));
}

#[test]
fn a_dspics_voltage_is_left_alone() {
    let error = on_bus(&[], |bus| {
        Dspic33ep::new(bus, 0x20).set_voltage(Millivolts(13_200))
    })
    .unwrap_err();
    assert!(matches!(error.problem, Problem::Unsupported(_)), "{error}");
}

#[test]
fn a_pic16_is_set_after_its_formula_and_read_back() {
    // (1608.420446 - 6) / 170.423497 = 9.403 V, the highest that S9 firmware uses.
    assert_eq!(voltage(6), Millivolts(9_403));
    assert_eq!(setting(Millivolts(9_403)), 6);
    let expected = [
        writes(0x55, &[0x55, 0xAA, 0x10, 92]),
        writes(0x55, &[0x55, 0xAA, 0x18]),
        reads(0x55, &[92]),
        writes(0x55, &[0x55, 0xAA, 0x10, 92]),
        writes(0x55, &[0x55, 0xAA, 0x18]),
        reads(0x55, &[0]),
    ];
    on_bus(&expected, |bus| {
        let mut controller = Pic16f1704::new(bus, 0x55, Millivolts(8_000)..=Millivolts(9_400));
        let set = controller.set_voltage(Millivolts(8_900)).unwrap();
        assert!(set.0.abs_diff(8_900) <= 6, "{set}");
        let error = controller.set_voltage(Millivolts(8_900)).unwrap_err();
        assert!(matches!(error.problem, Problem::NotTaken { .. }), "{error}");
        let error = controller.set_voltage(Millivolts(9_401)).unwrap_err();
        assert!(
            matches!(error.problem, Problem::OutOfRange { .. }),
            "{error}"
        );
    });
}

#[test]
fn a_pic16_in_its_boot_loader_is_sent_to_its_program() {
    let expected = [
        writes(0x55, &[0x55, 0xAA, 0x17]),
        reads(0x55, &[0xCC]),
        writes(0x55, &[0x55, 0xAA, 0x06]),
        writes(0x55, &[0x55, 0xAA, 0x17]),
        reads(0x55, &[0x5A]),
        writes(0x55, &[0x55, 0xAA, 0x15, 1]),
        writes(0x55, &[0x55, 0xAA, 0x16]),
    ];
    on_bus(&expected, |bus| {
        let mut controller = Pic16f1704::new(bus, 0x55, Millivolts(8_000)..=Millivolts(9_400));
        assert_eq!(controller.start().unwrap_err().problem, Problem::NotReady);
        assert_eq!(controller.start().unwrap(), 0x5A);
        controller.switch(true).unwrap();
        controller.heartbeat().unwrap();
    });
}

#[test]
fn an_empty_socket_is_no_pic16() {
    for open in [0x00, 0xFF] {
        let expected = [writes(0x57, &[0x55, 0xAA, 0x17]), reads(0x57, &[open])];
        let error = on_bus(&expected, |bus| {
            Pic16f1704::new(bus, 0x57, Millivolts(8_000)..=Millivolts(9_400))
                .start()
                .unwrap_err()
        });
        assert!(
            matches!(error.problem, Problem::Implausible { .. }),
            "{error}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn no_answer_makes_the_dspic_reader_panic(command: u8, raw: Vec<u8>) {
        let _ = decode(command, &raw);
    }

    #[test]
    fn every_setting_of_a_pic16_has_its_voltage_and_back(step: u8) {
        assert_eq!(setting(voltage(step)), step);
    }
}
