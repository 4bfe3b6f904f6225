//! Fan controllers.

use super::{on_bus, reads, writes};
use cgminer_board::parts::emc2305::{Emc2305, decode_tach};
use cgminer_board::parts::max31785::Max31785;
use cgminer_board::parts::{Fan, FanError, Problem};
use cgminer_hal::units::{DutyPercent, Rpm};
use std::time::Instant;

#[test]
fn a_max31785_is_set_up_at_full_duty_and_its_pulses_left_alone() {
    let expected = [
        reads(0x52, 0x99, &[0x4D]),
        reads(0x52, 0x9A, &[0x53]),
        writes(0x52, &[0x00, 2]),
        writes(0x52, &[0x3B, 0x10, 0x27]),
        reads(0x52, 0x3A, &[0x50]),
        writes(0x52, &[0x3A, 0x90]),
    ];
    on_bus(&expected, |bus| Max31785::new(bus, 0x52, 2).start()).unwrap();
}

#[test]
fn every_access_to_a_max31785_selects_its_own_fan() {
    let expected = [
        writes(0x52, &[0x00, 4]),
        writes(0x52, &[0x3B, 0x88, 0x13]),
        writes(0x52, &[0x00, 4]),
        reads(0x52, 0x3B, &[0x88, 0x13]),
        writes(0x52, &[0x00, 4]),
        reads(0x52, 0x90, &[0x70, 0x17]),
    ];
    on_bus(&expected, |bus| {
        let mut fan = Max31785::new(bus, 0x52, 4);
        fan.set_duty(DutyPercent(50.0)).unwrap();
        assert_eq!(fan.duty().unwrap(), DutyPercent(50.0));
        assert_eq!(fan.rpm(Instant::now()).unwrap(), Rpm(6000));
    });
}

#[test]
fn a_max31785_that_follows_its_own_table_or_counts_noise_is_an_error() {
    let expected = [
        writes(0x52, &[0x00, 0]),
        reads(0x52, 0x3B, &[0xFF, 0x7F]),
        writes(0x52, &[0x00, 0]),
        reads(0x52, 0x90, &[0xFF, 0xFF]),
    ];
    on_bus(&expected, |bus| {
        let mut fan = Max31785::new(bus, 0x52, 0);
        for error in [
            fan.duty().map(drop).unwrap_err(),
            fan.rpm(Instant::now()).map(drop).unwrap_err(),
        ] {
            let FanError::Part(error) = error else {
                panic!("{error}")
            };
            assert!(
                matches!(error.problem, Problem::Implausible { .. }),
                "{error}"
            );
        }
    });
}

#[test]
fn an_emc2305_starts_full_direct_and_with_its_own_watchdog() {
    let expected = [
        reads(0x4D, 0xFE, &[0x5D]),
        reads(0x4D, 0xFD, &[0x34]),
        writes(0x4D, &[0x50, 0xFF]),
        writes(0x4D, &[0x52, 0x0B]),
        reads(0x4D, 0x20, &[0x40]),
        writes(0x4D, &[0x20, 0x60]),
    ];
    on_bus(&expected, |bus| Emc2305::new(bus, 0x4D, 2, 2).start()).unwrap();
}

#[test]
fn an_emc2303_has_no_fourth_fan() {
    let expected = [reads(0x4D, 0xFE, &[0x5D]), reads(0x4D, 0xFD, &[0x35])];
    let error = on_bus(&expected, |bus| Emc2305::new(bus, 0x4D, 3, 2).start()).unwrap_err();
    assert!(error.to_string().contains("product 0x35"), "{error}");
}

#[test]
fn an_emc2305_counts_a_fans_speed() {
    // 3932160 / 983 counts: table 4-3 of the data sheet's formula for 4000 rpm.
    let [high, low] = (983_u16 << 3).to_be_bytes();
    let expected = [
        writes(0x4D, &[0x30, 0x80]),
        reads(0x4D, 0x30, &[0x80]),
        reads(0x4D, 0x3E, &[high]),
        reads(0x4D, 0x3F, &[low]),
    ];
    on_bus(&expected, |bus| {
        let mut fan = Emc2305::new(bus, 0x4D, 0, 2);
        fan.set_duty(DutyPercent(50.2)).unwrap();
        assert!((fan.duty().unwrap().0 - 50.2).abs() < 0.1);
        assert_eq!(fan.rpm(Instant::now()).unwrap(), Rpm(4000));
    });
}

#[test]
fn a_standing_fan_reads_zero_and_an_impossible_count_nothing() {
    assert_eq!(decode_tach(0xFF, 0xF8), Ok(Rpm(0)));
    assert!(decode_tach(0x00, 0x00).is_err());
    assert!(
        decode_tach(0x00, 0x08).is_err(),
        "one count would be four million turns"
    );
}

proptest::proptest! {
    #[test]
    fn no_tach_bytes_read_faster_than_any_fan(high: u8, low: u8) {
        if let Ok(rpm) = decode_tach(high, low) {
            assert!(rpm <= cgminer_board::limits::RPM_MAX);
        }
    }
}
