//! Power supplies.

use super::{hex, on_bus, reads, vectors, writes};
use cgminer_board::file::SupplyPart;
use cgminer_board::moment::Moment;
use cgminer_board::parts::apw::{Apw, ApwModel, Frame, FrameError, measured_voltage};
use cgminer_board::parts::pmbus::{Linear16, PmbusSupply, linear11};
use cgminer_board::parts::{PartError, Problem, Supply, SupplyReply, SupplyRequest, supply_range};
use cgminer_hal::i2c::smbus::crc8;
use cgminer_hal::units::{Celsius, Millivolts, Watts};
use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use std::ops::RangeInclusive;
use std::time::Duration;

const L7: RangeInclusive<Millivolts> = Millivolts(12_000)..=Millivolts(15_000);

fn at(milliseconds: u64) -> Moment {
    Moment::after_start(Duration::from_millis(milliseconds))
}

fn apw12(bus: Mock) -> Apw<Mock> {
    Apw::new(bus, 0x10, ApwModel::Apw12, L7)
}

/// A frame sent, a byte at a time.
fn sent(frame: &[u8]) -> Vec<Transaction> {
    frame
        .iter()
        .map(|byte| writes(0x10, &[0x11, *byte]))
        .collect()
}

/// A frame received, a byte at a time.
fn received(frame: &[u8]) -> Vec<Transaction> {
    frame
        .iter()
        .map(|byte| reads(0x10, 0x11, &[*byte]))
        .collect()
}

fn encoded(command: u8, payload: &[u8]) -> Vec<u8> {
    Frame::new(command, payload).unwrap().encode().to_vec()
}

/// What a request comes to when the supply is sent `request` and answers `reply` after half a second.
fn answered(request: SupplyRequest, frame: &[u8], reply: &[u8]) -> Result<SupplyReply, PartError> {
    let mut expected = if request == SupplyRequest::Identify {
        vec![reads(0x10, 0x00, &[0xF5])]
    } else {
        vec![]
    };
    expected.extend(sent(frame).into_iter().chain(received(reply)));
    on_bus(&expected, |bus| {
        let mut supply = apw12(bus);
        supply.begin(request, at(0)).unwrap();
        assert_eq!(
            supply.poll(at(399)),
            None,
            "asked before the answer can be there"
        );
        let reply = supply.poll(at(500)).unwrap();
        assert_eq!(supply.poll(at(501)), None, "an answer is given once");
        reply
    })
}

#[test]
fn the_frames_of_the_vectors_are_read_and_written_again() {
    for vector in vectors("psu_frame") {
        let raw = hex(&vector, "frame");
        let frame = Frame::decode(&raw).unwrap_or_else(|error| panic!("{vector}: {error}"));
        assert_eq!(encoded(frame.command(), frame.payload()), raw, "{vector}");
    }
}

#[test]
fn the_documented_setting_of_21_volts_is_what_the_apw9_is_sent() {
    let frames = vectors("psu_frame");
    let of = |description: &str| {
        let found = frames.iter().find(|vector| vector["desc"] == description);
        hex(
            found.unwrap_or_else(|| panic!("no vector {description:?}")),
            "frame",
        )
    };
    let set = of("set 21.0V req=resp");
    let mut expected = sent(&set);
    expected.extend(received(&set));
    expected.extend(sent(&of("get volt req")));
    expected.extend(received(&of("get volt resp 21.0V")));
    on_bus(&expected, |bus| {
        let mut supply = Apw::new(bus, 0x10, ApwModel::Apw9, supply_range(SupplyPart::Apw9));
        supply
            .begin(SupplyRequest::SetVoltage(Millivolts(21_000)), at(0))
            .unwrap();
        let Some(Ok(SupplyReply::Set(set))) = supply.poll(at(450)) else {
            panic!("not set")
        };
        assert!(set.0.abs_diff(21_000) <= 14, "{set}: half a step");
        supply.begin(SupplyRequest::Setting, at(500)).unwrap();
        assert_eq!(supply.poll(at(950)), Some(Ok(SupplyReply::Setting(set))));
    });
}

#[test]
fn the_steps_of_both_models_are_held_to_what_the_part_has() {
    for (model, millivolts, step) in [
        (ApwModel::Apw9, 21_000, 0x0D),
        (ApwModel::Apw9, 21_360, 0),
        (ApwModel::Apw9, 14_300, 253),
        (ApwModel::Apw9, 30_000, 0),
        (ApwModel::Apw9, 0, 253),
        (ApwModel::Apw12, 15_000, 9),
        (ApwModel::Apw12, 13_200, 151),
        (ApwModel::Apw12, 12_000, 246),
        (ApwModel::Apw12, 0, 246),
        (ApwModel::Apw12, 4_000_000_000, 9),
    ] {
        assert_eq!(
            model.step(Millivolts(millivolts)),
            step,
            "{model:?} {millivolts} mV"
        );
    }
    for model in [ApwModel::Apw9, ApwModel::Apw12] {
        let steps = (0..=255_u16).filter_map(|step| Some((step, model.voltage(step)?)));
        for (step, voltage) in steps {
            let back = u16::from(model.step(voltage));
            assert!(
                back.abs_diff(step) <= 1,
                "{model:?} step {step} is {voltage}, which is step {back}"
            );
        }
        assert_eq!(model.voltage(256), None);
    }
}

#[test]
fn a_voltage_outside_the_board_files_range_is_never_sent() {
    for millivolts in [0, 11_999, 15_001, 21_000] {
        let error = on_bus(&[], |bus| {
            apw12(bus)
                .begin(SupplyRequest::SetVoltage(Millivolts(millivolts)), at(0))
                .unwrap_err()
        });
        assert!(
            matches!(error.problem, Problem::OutOfRange { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_setting_counts_when_the_supply_repeats_it() {
    let frame = encoded(0x83, &[151, 0]);
    let request = SupplyRequest::SetVoltage(Millivolts(13_200));
    let Ok(SupplyReply::Set(voltage)) = answered(request, &frame, &frame) else {
        panic!("refused")
    };
    assert!(voltage.0.abs_diff(13_200) <= 13);
    let other = answered(request, &frame, &encoded(0x83, &[9, 0])).unwrap_err();
    assert!(matches!(other.problem, Problem::NotTaken { .. }), "{other}");
}

#[test]
fn a_measurement_is_scaled_and_an_impossible_one_is_none() {
    assert_eq!(measured_voltage(800), Millivolts(12_709));
    let frame = encoded(0x04, &[]);
    let Ok(SupplyReply::Measured(measured)) = answered(
        SupplyRequest::Measure,
        &frame,
        &encoded(0x04, &[0x3F, 0x03]),
    ) else {
        panic!("no measurement");
    };
    assert_eq!(measured.volts, Millivolts(13_201));
    assert_eq!(
        (measured.power, measured.temperature),
        (None, None),
        "the part measures neither"
    );
    let error = answered(
        SupplyRequest::Measure,
        &frame,
        &encoded(0x04, &[0xFF, 0xFF]),
    )
    .unwrap_err();
    assert!(
        matches!(error.problem, Problem::Implausible { .. }),
        "{error}"
    );
}

#[test]
fn a_supply_is_known_by_its_type() {
    let frame = encoded(0x02, &[]);
    let reply = answered(SupplyRequest::Identify, &frame, &encoded(0x02, &[0x71, 0]));
    assert_eq!(
        reply,
        Ok(SupplyReply::Identity("APW12 type 0x71".to_owned()))
    );
    let error = answered(SupplyRequest::Identify, &frame, &encoded(0x02, &[0x41, 0])).unwrap_err();
    assert!(
        matches!(error.problem, Problem::WrongPart { .. }),
        "an APW9 takes other steps: {error}"
    );
    let error = on_bus(&[reads(0x10, 0x00, &[0x00])], |bus| {
        apw12(bus)
            .begin(SupplyRequest::Identify, at(0))
            .unwrap_err()
    });
    assert!(error.to_string().contains("protocol"), "{error}");
}

#[test]
fn the_watchdog_is_switched_and_the_answer_checked() {
    let frame = encoded(0x81, &[1, 0]);
    assert_eq!(
        answered(SupplyRequest::Watchdog(true), &frame, &frame),
        Ok(SupplyReply::Done)
    );
    let error = answered(
        SupplyRequest::Watchdog(true),
        &frame,
        &encoded(0x81, &[0, 0]),
    )
    .unwrap_err();
    assert!(matches!(error.problem, Problem::NotTaken { .. }), "{error}");
}

#[test]
fn damaged_answers_are_errors_that_show_the_bytes() {
    let frame = encoded(0x04, &[]);
    let good = encoded(0x04, &[0x3F, 0x03]);
    for (damage, said) in [
        (
            {
                let mut bytes = good.clone();
                bytes[4] ^= 1;
                bytes
            },
            "sum",
        ),
        (
            {
                let mut bytes = good.clone();
                bytes[7] ^= 1;
                bytes
            },
            "sum",
        ),
        (
            {
                let mut bytes = good.clone();
                bytes[2] = 3;
                bytes.truncate(5);
                bytes
            },
            "length",
        ),
        (vec![0x55, 0x00], "preamble"),
        (encoded(0x03, &[0x3F, 0x03]), "answer to 0x03"),
        (encoded(0x04, &[0x3F]), "body of 1 bytes"),
        (vec![0x00; 9], "no frame"),
    ] {
        let error = answered(SupplyRequest::Measure, &frame, &damage).unwrap_err();
        assert!(matches!(error.problem, Problem::Damaged(_)), "{error}");
        assert!(error.to_string().contains(said), "{error} without {said}");
    }
}

#[test]
fn bytes_before_the_frame_are_skipped() {
    let mut reply = vec![0x00, 0xFF];
    reply.extend(encoded(0x04, &[0x3F, 0x03]));
    assert!(answered(SupplyRequest::Measure, &encoded(0x04, &[]), &reply).is_ok());
}

#[test]
fn a_late_answer_is_waited_for_and_a_missing_one_is_given_up() {
    let frame = encoded(0x04, &[]);
    let mut expected = sent(&frame);
    expected.extend([reads(0x10, 0x11, &[0xF5]), reads(0x10, 0x11, &[0xF5])]);
    expected.extend(received(&encoded(0x04, &[0x3F, 0x03])));
    expected.extend(sent(&frame));
    expected.push(reads(0x10, 0x11, &[0xF5]));
    expected.push(
        reads(0x10, 0x11, &[0]).with_error(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address)),
    );
    on_bus(&expected, |bus| {
        let mut supply = apw12(bus);
        supply.begin(SupplyRequest::Measure, at(0)).unwrap();
        assert_eq!(supply.poll(at(400)), None);
        assert_eq!(supply.poll(at(900)), None);
        let busy = supply.begin(SupplyRequest::Setting, at(950)).unwrap_err();
        assert!(
            matches!(busy.problem, Problem::Busy("MEASURE_VOLTAGE")),
            "{busy}"
        );
        assert!(supply.poll(at(1_000)).unwrap().is_ok());
        supply.begin(SupplyRequest::Measure, at(2_000)).unwrap();
        assert_eq!(supply.poll(at(2_500)), None, "not ready yet");
        let error = supply.poll(at(3_500)).unwrap().unwrap_err();
        assert!(matches!(error.problem, Problem::Bus { .. }), "{error}");
        assert_eq!(supply.poll(at(3_600)), None, "nothing is under way");
    });
}

#[test]
fn a_supply_that_keeps_refusing_is_said_to_refuse() {
    let mut expected = sent(&encoded(0x04, &[]));
    expected.push(reads(0x10, 0x11, &[0xF5]));
    let error = on_bus(&expected, |bus| {
        let mut supply = apw12(bus);
        supply.begin(SupplyRequest::Measure, at(0)).unwrap();
        supply.poll(at(1_500)).unwrap().unwrap_err()
    });
    assert_eq!(error.problem, Problem::Refused);
}

#[test]
fn a_failed_send_leaves_nothing_under_way() {
    let mut expected = sent(&encoded(0x04, &[]))[..2].to_vec();
    expected.push(writes(0x10, &[0x11, 0x04]).with_error(ErrorKind::Bus));
    on_bus(&expected, |bus| {
        let mut supply = apw12(bus);
        supply.begin(SupplyRequest::Measure, at(0)).unwrap_err();
        assert_eq!(supply.poll(at(500)), None);
    });
}

#[test]
fn a_pmbus_supply_is_set_read_back_and_measured() {
    // VOUT_MODE 0x17: 2^-9 V.
    let word = |volts: f64| ((volts * 512.0) as u16).to_le_bytes();
    let mode = || reads(0x58, 0x20, &[0x17]);
    let set = word(13.2);
    let expected = [
        mode(),
        writes(0x58, &[0x21, set[0], set[1]]),
        reads(0x58, 0x21, &set),
        mode(),
        reads(0x58, 0x8B, &word(13.25)),
        reads(0x58, 0x79, &[0x20, 0x00]),
        reads(0x58, 0x97, &[0x20, 0x13]),
        reads(0x58, 0x8D, &[0x2D, 0x00]),
    ];
    on_bus(&expected, |bus| {
        let mut supply = PmbusSupply::new(bus, 0x58, false, L7);
        supply
            .begin(SupplyRequest::SetVoltage(Millivolts(13_200)), at(0))
            .unwrap();
        let Some(Ok(SupplyReply::Set(voltage))) = supply.poll(at(0)) else {
            panic!("not set")
        };
        assert!(
            voltage <= Millivolts(13_200) && voltage.0.abs_diff(13_200) <= 2,
            "{voltage}"
        );
        supply.begin(SupplyRequest::Measure, at(0)).unwrap();
        let Some(Ok(SupplyReply::Measured(measured))) = supply.poll(at(0)) else {
            panic!("not measured")
        };
        assert_eq!(measured.volts, Millivolts(13_250));
        assert_eq!(measured.power, Some(Watts(3_200.0)));
        assert_eq!(measured.temperature, Some(Celsius(45.0)));
        assert!(measured.tripped, "STATUS_WORD says over-voltage");
    });
}

#[test]
fn what_a_pmbus_supply_cannot_measure_is_unknown_and_not_zero() {
    let nak = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data);
    let expected = [
        reads(0x58, 0x20, &[0x17]),
        reads(0x58, 0x8B, &[0, 0x1A]),
        reads(0x58, 0x79, &[0, 0]),
        reads(0x58, 0x97, &[0, 0]).with_error(nak),
        reads(0x58, 0x8D, &[0, 0]).with_error(nak),
    ];
    on_bus(&expected, |bus| {
        let mut supply = PmbusSupply::new(bus, 0x58, false, L7);
        supply.begin(SupplyRequest::Measure, at(0)).unwrap();
        let Some(Ok(SupplyReply::Measured(measured))) = supply.poll(at(0)) else {
            panic!("not measured")
        };
        assert_eq!(
            (measured.power, measured.temperature, measured.tripped),
            (None, None, false)
        );
    });
}

#[test]
fn a_pmbus_reply_with_a_wrong_check_is_damaged() {
    let check = crc8(0, &[0x58 << 1, 0x20, 0x58 << 1 | 1, 0x17]);
    let expected = [
        reads(0x58, 0x20, &[0x17, check]),
        reads(0x58, 0x21, &[0x00, 0x1A, 0x00]),
    ];
    let error = on_bus(&expected, |bus| {
        PmbusSupply::new(bus, 0x58, true, L7)
            .begin(SupplyRequest::Setting, at(0))
            .unwrap_err()
    });
    assert!(matches!(error.problem, Problem::Damaged(_)), "{error}");
    assert_eq!(error.register.name, "VOUT_COMMAND");
}

#[test]
fn a_pmbus_supply_in_another_mode_or_that_does_not_take_a_setting_is_refused() {
    let error = on_bus(&[reads(0x58, 0x20, &[0x40])], |bus| {
        PmbusSupply::new(bus, 0x58, false, L7)
            .begin(SupplyRequest::Setting, at(0))
            .unwrap_err()
    });
    assert!(error.to_string().contains("mode 0x40"), "{error}");
    let expected = [
        reads(0x58, 0x20, &[0x17]),
        writes(0x58, &[0x21, 0x66, 0x1A]),
        reads(0x58, 0x21, &[0, 0]),
    ];
    let error = on_bus(&expected, |bus| {
        let mut supply = PmbusSupply::new(bus, 0x58, false, L7);
        supply
            .begin(SupplyRequest::SetVoltage(Millivolts(13_200)), at(0))
            .unwrap_err()
    });
    assert!(matches!(error.problem, Problem::NotTaken { .. }), "{error}");
}

#[test]
fn a_pmbus_output_is_switched_and_read_back() {
    let expected = [
        writes(0x58, &[0x01, 0x80]),
        reads(0x58, 0x01, &[0x80]),
        writes(0x58, &[0x01, 0x00]),
        reads(0x58, 0x01, &[0x80]),
    ];
    on_bus(&expected, |bus| {
        let mut supply = PmbusSupply::new(bus, 0x58, false, L7);
        supply.begin(SupplyRequest::Switch(true), at(0)).unwrap();
        assert_eq!(supply.poll(at(0)), Some(Ok(SupplyReply::Done)));
        let error = supply
            .begin(SupplyRequest::Switch(false), at(0))
            .unwrap_err();
        assert!(
            matches!(error.problem, Problem::NotTaken { .. }),
            "still on: {error}"
        );
    });
}

#[test]
fn the_linear_formats_have_the_values_of_the_specification() {
    // Mantissa and exponent both signed.
    for (word, value) in [
        (0x0000, 0.0),
        (0x0001, 1.0),
        (0x07FF, -1.0),
        (0xF814, 10.0),
        (0x0BE8, 2000.0),
        (0xF7D0, -12.0),
        (0xD320, 12.5),
    ] {
        assert!(
            (linear11(word) - value).abs() < 1e-6,
            "{word:#06x} reads {}",
            linear11(word)
        );
    }
    assert_eq!(
        Linear16::of(0x17).unwrap().decode(0x1A66),
        Some(Millivolts(13_199))
    );
    assert_eq!(
        Linear16::of(0x1F).unwrap().decode(27),
        Some(Millivolts(13_500))
    );
    for other in [0x20, 0x40, 0x60, 0xFF] {
        assert_eq!(Linear16::of(other), None, "{other:#04x} is no linear mode");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_frame_reader_panic(raw: Vec<u8>) {
        if let Ok(frame) = Frame::decode(&raw) {
            assert_eq!(frame.encode().as_slice(), raw);
        }
    }

    #[test]
    fn a_single_changed_byte_never_passes(at in 2_usize..8, flip in 1_u8..) {
        let mut raw = encoded(0x83, &[151, 0]);
        raw[at] ^= flip;
        // The sum is of bytes 2 to 5 and lies in 6 and 7; a sum of 16 bits sees any one change.
        let read = Frame::decode(&raw);
        assert!(matches!(read, Err(FrameError::Sum { .. } | FrameError::Length(_))), "{raw:02x?} {read:?}");
    }

    #[test]
    fn no_answer_makes_a_supply_panic_or_say_more_than_it_can_deliver(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
        let mut bytes = bytes.into_iter();
        let mut supply = Apw::new(Answering(move || bytes.next().unwrap_or(0xF5)), 0x10, ApwModel::Apw12, L7);
        for request in [SupplyRequest::Setting, SupplyRequest::Measure, SupplyRequest::Watchdog(true)] {
            supply.begin(request, at(0)).unwrap();
            if let Some(Ok(SupplyReply::Measured(measured))) = supply.poll(at(2_000)) {
                assert!(measured.volts <= cgminer_board::limits::RAIL_MAX);
            }
        }
    }

    #[test]
    fn every_linear_word_is_a_number(word: u16, mode: u8) {
        assert!(linear11(word).is_finite());
        if let Some(format) = Linear16::of(mode) {
            if let Some(voltage) = format.decode(word) {
                let _ = format.encode(voltage);
            }
        }
    }
}

/// A bus that takes all writes and reads whatever a closure gives.
struct Answering<F>(F);

impl<F> embedded_hal::i2c::ErrorType for Answering<F> {
    type Error = ErrorKind;
}

impl<F: FnMut() -> u8> embedded_hal::i2c::I2c for Answering<F> {
    fn transaction(
        &mut self,
        _: u8,
        operations: &mut [embedded_hal::i2c::Operation<'_>],
    ) -> Result<(), ErrorKind> {
        for operation in operations {
            if let embedded_hal::i2c::Operation::Read(into) = operation {
                into.fill_with(&mut self.0);
            }
        }
        Ok(())
    }
}
