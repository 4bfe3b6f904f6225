//! Analogue-to-digital converters.

use cgminer_board::parts::Problem;
use cgminer_board::parts::mcp3208::{Mcp3208, decode};
use cgminer_hal::units::Millivolts;
use embedded_hal_mock::eh1::spi::{Mock, Transaction};

/// One conversion: chip select, bytes out and in, release.
fn conversion(sent: [u8; 3], received: [u8; 3]) -> [Transaction<u8>; 3] {
    [
        Transaction::transaction_start(),
        Transaction::transfer_in_place(sent.to_vec(), received.to_vec()),
        Transaction::transaction_end(),
    ]
}

fn converting<T>(expected: &[Transaction<u8>], body: impl FnOnce(Mcp3208<Mock<u8>>) -> T) -> T {
    let mut spi = Mock::new(expected);
    let result = body(Mcp3208::new(spi.clone(), Millivolts(3_300)));
    spi.done();
    result
}

#[test]
fn each_channel_is_asked_for_with_start_and_single_ended_bits() {
    // Figure 6-1 of the data sheet: five bits of head, then D2; D1 and D0 in the next byte.
    for (channel, sent) in [
        (0, [0x06, 0x00, 0]),
        (3, [0x06, 0xC0, 0]),
        (4, [0x07, 0x00, 0]),
        (7, [0x07, 0xC0, 0]),
    ] {
        let half = converting(&conversion(sent, [0xFF, 0xE8, 0x00]), |mut adc| {
            adc.read(channel)
        });
        assert_eq!(half, Ok(Millivolts(1_650)), "channel {channel}");
    }
}

#[test]
fn full_scale_and_zero_are_readings_and_an_open_line_is_none() {
    assert_eq!(decode([0xFF, 0xEF, 0xFF]), Ok(4095));
    assert_eq!(decode([0x00, 0x00, 0x00]), Ok(0));
    let error = converting(
        &conversion([0x06, 0x40, 0], [0xFF, 0xFF, 0xFF]),
        |mut adc| adc.read(1),
    )
    .unwrap_err();
    assert!(
        matches!(error.problem, Problem::Implausible { .. }),
        "{error}"
    );
    assert_eq!((error.part, error.address), ("MCP3208", 1));
}

#[test]
fn a_ninth_channel_does_not_exist() {
    let error = converting(&[], |mut adc| adc.read(8)).unwrap_err();
    assert!(
        matches!(error.problem, Problem::OutOfRange { .. }),
        "{error}"
    );
}

proptest::proptest! {
    #[test]
    fn every_conversion_is_twelve_bits_or_an_error(frame: [u8; 3]) {
        if let Ok(steps) = decode(frame) {
            assert!(steps < 4096);
        }
    }
}
