//! Temperature sensors.

use super::{on_bus, reads, writes};
use cgminer_board::parts::emc1413::Emc1413;
use cgminer_board::parts::lm75::{self, Lm75};
use cgminer_board::parts::tmp421::Tmp421;
use cgminer_board::parts::tmp451::{Tmp451, Tmp451Kind};
use cgminer_board::parts::{PartError, Problem, TemperatureSensor};
use cgminer_hal::units::Celsius;
use embedded_hal::i2c::{ErrorKind, I2c, NoAcknowledgeSource};

const NAK: ErrorKind = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);

fn is_open(reading: &Result<Celsius, PartError>) -> bool {
    matches!(
        reading,
        Err(PartError {
            problem: Problem::OpenDiode,
            ..
        })
    )
}

#[test]
fn an_lm75_reads_half_degrees_and_below_zero() {
    for (raw, celsius) in [
        ([0x19, 0x80], 25.5),
        ([0x00, 0x00], 0.0),
        ([0x7D, 0x00], 125.0),
        ([0xFF, 0x80], -0.5),
        ([0xC9, 0x00], -55.0),
        ([0x28, 0x10], 40.0625),
    ] {
        let readings = on_bus(&[reads(0x48, 0, &raw)], |bus| Lm75::new(bus, 0x48).read());
        assert_eq!(readings.local, Ok(Celsius(celsius)), "{raw:02x?}");
        assert!(readings.remotes.is_empty());
    }
}

#[test]
fn a_bus_that_nobody_drives_is_no_temperature() {
    let readings = on_bus(&[reads(0x4C, 0, &[0xFF, 0xFF])], |bus| {
        Lm75::new(bus, 0x4C).read()
    });
    let error = readings.local.unwrap_err();
    assert_eq!(
        (error.part, error.address, error.register.name),
        ("LM75", 0x4C, "TEMP")
    );
    assert!(error.to_string().contains("0xffff"), "{error}");
    for impossible in [[0x80, 0x00], [0x19, 0x01], [0xC8, 0x00]] {
        assert!(lm75::decode(impossible).is_err(), "{impossible:02x?}");
    }
}

#[test]
fn a_missing_acknowledge_names_part_address_and_register() {
    let failing = reads(0x49, 0, &[0, 0]).with_error(NAK);
    let readings = on_bus(&[failing], |bus| Lm75::new(bus, 0x49).read());
    let error = readings.local.unwrap_err();
    assert!(matches!(error.problem, Problem::Bus { kind, .. } if kind == NAK));
    assert!(
        error
            .to_string()
            .starts_with("LM75 at address 0x49, register TEMP (0x00): "),
        "{error}"
    );
}

#[test]
fn a_part_asleep_is_woken_and_has_nothing_to_say_yet() {
    let lm75 = [reads(0x48, 1, &[0x61]), writes(0x48, &[1, 0x60])];
    let lm75 = on_bus(&lm75, |bus| Lm75::new(bus, 0x48).start());
    let tmp451 = [
        reads(0x4C, 0xFE, &[0x55]),
        reads(0x4C, 0x03, &[0x44]),
        writes(0x4C, &[0x09, 0x04]),
    ];
    let tmp451 = on_bus(&tmp451, |bus| Tmp451::new(bus, 0x4C).start());
    let tmp421 = [
        reads(0x4C, 0xFE, &[0x55]),
        reads(0x4C, 0xFF, &[0x21]),
        reads(0x4C, 0x09, &[0x40]),
        writes(0x4C, &[0x09, 0x00]),
    ];
    let tmp421 = on_bus(&tmp421, |bus| Tmp421::new(bus, 0x4C).start());
    for started in [lm75, tmp451, tmp421] {
        let error = started.unwrap_err();
        assert_eq!(
            error.problem,
            Problem::NotReady,
            "its registers are from before: {error}"
        );
    }
}

#[test]
fn three_parts_with_the_same_registers_are_told_apart_by_their_id() {
    let local_low = |kind| kind == Tmp451Kind::Tmp451;
    for (ids, kind, name) in [
        (
            vec![reads(0x4C, 0xFE, &[0x55])],
            Tmp451Kind::Tmp451,
            "TMP451",
        ),
        (
            vec![reads(0x4C, 0xFE, &[0x41]), reads(0x4C, 0xFF, &[0x51])],
            Tmp451Kind::Adt7461,
            "ADT7461",
        ),
        (
            vec![reads(0x4C, 0xFE, &[0x41]), reads(0x4C, 0xFF, &[0x57])],
            Tmp451Kind::Adt7461,
            "ADT7461",
        ),
        (
            vec![reads(0x4C, 0xFE, &[0x1A]), reads(0x4C, 0xFF, &[0xCA])],
            Tmp451Kind::Nct218,
            "NCT218",
        ),
    ] {
        let mut expected = ids;
        expected.push(reads(0x4C, 0x03, &[0x04]));
        expected.extend([reads(0x4C, 0x03, &[0x04]), reads(0x4C, 0x00, &[0x6A])]);
        if local_low(kind) {
            expected.push(reads(0x4C, 0x15, &[0x80]));
        }
        expected.extend([
            reads(0x4C, 0x01, &[0x8C]),
            reads(0x4C, 0x10, &[0x40]),
            reads(0x4C, 0x02, &[0]),
        ]);
        let (found, readings) = on_bus(&expected, |bus| {
            let mut sensor = Tmp451::new(bus, 0x4C);
            sensor.start().unwrap();
            (sensor.kind(), sensor.read())
        });
        assert_eq!(found, Some(kind), "{name}");
        let local = if local_low(kind) { 42.5 } else { 42.0 };
        assert_eq!(readings.local, Ok(Celsius(local)), "{name}");
        assert_eq!(readings.remotes.as_slice(), [Ok(Celsius(76.25))], "{name}");
    }
}

#[test]
fn a_stranger_at_the_address_is_refused_with_what_it_said() {
    let expected = [reads(0x4C, 0xFE, &[0x23]), reads(0x4C, 0xFF, &[0x42])];
    let error = on_bus(&expected, |bus| Tmp451::new(bus, 0x4C).start()).unwrap_err();
    assert!(matches!(error.problem, Problem::WrongPart { .. }));
    assert!(
        error.to_string().contains("maker 0x23, device 0x42"),
        "{error}"
    );
}

#[test]
fn an_open_diode_has_no_temperature_and_the_parts_own_still_has() {
    let expected = [
        reads(0x4C, 0x03, &[0x00]),
        reads(0x4C, 0x00, &[40]),
        reads(0x4C, 0x01, &[0x00]),
        reads(0x4C, 0x10, &[0x00]),
        reads(0x4C, 0x02, &[0x04]),
    ];
    let readings = on_bus(&expected, |bus| Tmp451::new(bus, 0x4C).read());
    assert_eq!(readings.local, Ok(Celsius(40.0)));
    assert!(is_open(&readings.remotes[0]), "{readings:?}");
}

#[test]
fn a_part_that_lost_its_scale_is_not_read_64_degrees_wrong() {
    // After a brown-out CONFIGURATION is at its default, the plain scale.
    let expected = [
        reads(0x4C, 0x03, &[0x00]),
        reads(0x4C, 0x00, &[50]),
        reads(0x4C, 0x01, &[70]),
        reads(0x4C, 0x10, &[0x00]),
        reads(0x4C, 0x02, &[0x00]),
    ];
    let readings = on_bus(&expected, |bus| Tmp451::new(bus, 0x4C).read());
    assert_eq!(readings.local, Ok(Celsius(50.0)));
    assert_eq!(readings.remotes.as_slice(), [Ok(Celsius(70.0))]);
}

#[test]
fn a_part_that_does_not_measure_gives_no_old_number() {
    let readings = on_bus(&[reads(0x4C, 0x03, &[0x40])], |bus| {
        Tmp451::new(bus, 0x4C).read()
    });
    for reading in [&readings.local, &readings.remotes[0]] {
        assert!(
            matches!(
                reading,
                Err(PartError {
                    problem: Problem::NotReady,
                    ..
                })
            ),
            "{reading:?}"
        );
    }
}

#[test]
fn a_tmp422_reads_both_diodes_and_sees_which_is_open() {
    let expected = [
        reads(0x4C, 0xFE, &[0x55]),
        reads(0x4C, 0xFF, &[0x22]),
        reads(0x4C, 0x09, &[0x04]),
        reads(0x4C, 0x09, &[0x04]),
        reads(0x4C, 0x00, &[0x60]),
        reads(0x4C, 0x10, &[0x80]),
        reads(0x4C, 0x01, &[0x90]),
        reads(0x4C, 0x11, &[0x40]),
        reads(0x4C, 0x02, &[0x00]),
        reads(0x4C, 0x12, &[0x01]),
    ];
    let readings = on_bus(&expected, |bus| {
        let mut sensor = Tmp421::new(bus, 0x4C);
        sensor.start().unwrap();
        sensor.read()
    });
    assert_eq!(readings.local, Ok(Celsius(32.5)));
    assert_eq!(readings.remotes[0], Ok(Celsius(80.25)));
    assert!(is_open(&readings.remotes[1]), "{readings:?}");
    assert_eq!(readings.remotes.len(), 2);
}

#[test]
fn a_tmp421_on_the_plain_scale_reads_below_zero() {
    let expected = [
        reads(0x2A, 0x09, &[0x00]),
        reads(0x2A, 0x00, &[0xF6]),
        reads(0x2A, 0x10, &[0x80]),
    ];
    let readings = on_bus(&expected, |bus| Tmp421::new(bus, 0x2A).read());
    assert_eq!(readings.local, Ok(Celsius(-9.5)), "-10 and a half");
}

#[test]
fn an_emc1413_reads_eighths_and_sees_a_diode_fault() {
    let expected = [
        reads(0x4C, 0xFE, &[0x5D]),
        reads(0x4C, 0xFD, &[0x21]),
        reads(0x4C, 0x03, &[0x04]),
        reads(0x4C, 0x03, &[0x04]),
        reads(0x4C, 0x00, &[0x68]),
        reads(0x4C, 0x29, &[0x20]),
        reads(0x4C, 0x01, &[0x8A]),
        reads(0x4C, 0x10, &[0xE0]),
        reads(0x4C, 0x1B, &[0x04]),
        reads(0x4C, 0x23, &[0x00]),
        reads(0x4C, 0x24, &[0x00]),
        reads(0x4C, 0x1B, &[0x04]),
    ];
    let readings = on_bus(&expected, |bus| {
        let mut sensor = Emc1413::new(bus, 0x4C);
        sensor.start().unwrap();
        sensor.read()
    });
    assert_eq!(readings.local, Ok(Celsius(40.125)));
    assert_eq!(readings.remotes[0], Ok(Celsius(74.875)));
    assert!(
        is_open(&readings.remotes[1]),
        "bit 2 is the second diode: {readings:?}"
    );
}

#[test]
fn strangers_are_refused_by_every_part_with_an_id() {
    let expected = [reads(0x4C, 0xFE, &[0xFF]), reads(0x4C, 0xFF, &[0xFF])];
    assert!(on_bus(&expected, |bus| Tmp421::new(bus, 0x4C).start()).is_err());
    let expected = [reads(0x4C, 0xFE, &[0xFF]), reads(0x4C, 0xFD, &[0xFF])];
    assert!(on_bus(&expected, |bus| Emc1413::new(bus, 0x4C).start()).is_err());
}

/// A part whose every register reads as the next byte of a list.
struct AnyBytes(Vec<u8>);

impl embedded_hal::i2c::ErrorType for AnyBytes {
    type Error = ErrorKind;
}

impl I2c for AnyBytes {
    fn transaction(
        &mut self,
        _: u8,
        operations: &mut [embedded_hal::i2c::Operation<'_>],
    ) -> Result<(), ErrorKind> {
        for operation in operations {
            if let embedded_hal::i2c::Operation::Read(into) = operation {
                into.fill_with(|| self.0.pop().unwrap_or_default());
            }
        }
        Ok(())
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_sensor_panic_or_read_what_no_part_can(bytes in proptest::collection::vec(proptest::num::u8::ANY, 64)) {
        let sensors: [Box<dyn TemperatureSensor>; 4] = [
            Box::new(Lm75::new(AnyBytes(bytes.clone()), 0x48)),
            Box::new(Tmp451::new(AnyBytes(bytes.clone()), 0x4C)),
            Box::new(Tmp421::new(AnyBytes(bytes.clone()), 0x4C)),
            Box::new(Emc1413::new(AnyBytes(bytes), 0x4C)),
        ];
        for mut sensor in sensors {
            let _ = sensor.start();
            let readings = sensor.read();
            for reading in std::iter::once(&readings.local).chain(&readings.remotes).flatten() {
                assert!((-128.0..=256.0).contains(&reading.0), "{reading}");
            }
        }
    }
}
