//! Messages as bytes: a version, a length, then JSON; each direction has its own greatest length.
//!
//! ```text
//!   0        1        2            4
//!   | version | 0      | length LE  | length bytes of JSON ...
//! ```

use super::end::LinkError;
use serde::{Serialize, de::DeserializeOwned};

/// The version of the messages. Both processes are one binary, so another version is a mistake to refuse.
pub const VERSION: u8 = 1;
/// Bytes in front of each message.
pub const HEADER: usize = 4;
/// Longest message to the keeper, which reads them with all its rights: requests are small.
pub const MAXIMUM_DOWN: usize = 512;
/// Longest message to the miner: a snapshot of the largest board.
pub const MAXIMUM_UP: usize = 60 * 1024;

/// One message with its header.
///
/// # Errors
/// [`LinkError::TooLong`] when it does not fit.
pub fn encode<M: Serialize>(message: &M, maximum: usize) -> Result<Vec<u8>, LinkError> {
    let mut bytes = vec![VERSION, 0, 0, 0];
    serde_json::to_writer(&mut bytes, message)
        .map_err(|error| LinkError::Malformed(error.to_string()))?;
    let length = bytes.len() - HEADER;
    let short = u16::try_from(length).ok().filter(|_| length <= maximum);
    let short = short.ok_or(LinkError::TooLong { length, maximum })?;
    for (place, byte) in bytes.iter_mut().skip(2).zip(short.to_le_bytes()) {
        *place = byte;
    }
    Ok(bytes)
}

/// The length of the message behind a header.
///
/// # Errors
/// Another version, a reserved byte that is not zero, or a length beyond the maximum.
pub fn body_length(header: [u8; HEADER], maximum: usize) -> Result<usize, LinkError> {
    let [version, reserved, low, high] = header;
    if version != VERSION {
        return Err(LinkError::Version(version));
    }
    if reserved != 0 {
        return Err(LinkError::Malformed(format!("reserved byte is {reserved}")));
    }
    let length = usize::from(u16::from_le_bytes([low, high]));
    if length > maximum {
        Err(LinkError::TooLong { length, maximum })
    } else {
        Ok(length)
    }
}

/// Reads the message behind a header.
///
/// # Errors
/// [`LinkError::Malformed`] for anything but exactly one message.
pub fn decode<M: DeserializeOwned>(body: &[u8]) -> Result<M, LinkError> {
    serde_json::from_slice(body).map_err(|error| LinkError::Malformed(error.to_string()))
}

/// Reads one message to the keeper from bytes as a miner could send them: the whole way that a hostile byte goes.
///
/// # Errors
/// When it is no such message.
pub fn read_down(bytes: &[u8]) -> Result<super::Down, LinkError> {
    read_one(bytes, MAXIMUM_DOWN)
}

/// Reads one message to the miner.
///
/// # Errors
/// When it is no such message.
pub fn read_up(bytes: &[u8]) -> Result<super::Up, LinkError> {
    read_one(bytes, MAXIMUM_UP)
}

fn read_one<M: DeserializeOwned>(bytes: &[u8], maximum: usize) -> Result<M, LinkError> {
    let short = || LinkError::Malformed("the message ends too early".into());
    let (header, rest) = bytes.split_first_chunk::<HEADER>().ok_or_else(short)?;
    let length = body_length(*header, maximum)?;
    decode(rest.get(..length).ok_or_else(short)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Down, Loop, Refusal, Request, RequestId, Up};
    use cgminer_board::thermal::FanMode;
    use cgminer_hal::units::{Celsius, DutyPercent, Millivolts};
    use proptest::prelude::*;

    fn mode() -> impl Strategy<Value = FanMode> {
        prop_oneof![
            Just(FanMode::Auto),
            Just(FanMode::Immersion),
            (-1e6f32..1e6).prop_map(|duty| FanMode::Fixed {
                duty: DutyPercent(duty)
            }),
        ]
    }

    fn request() -> impl Strategy<Value = Request> {
        prop_oneof![
            any::<bool>().prop_map(|on| Request::SetPower { on }),
            any::<u32>().prop_map(|volts| Request::SetVoltage {
                voltage: Millivolts(volts)
            }),
            mode().prop_map(|mode| Request::SetFanMode { mode }),
            (proptest::option::of(-1e6f32..1e6), any::<Option<u8>>()).prop_map(
                |(target, minimum_fans)| Request::SetCooling {
                    target: target.map(Celsius),
                    minimum_fans
                }
            ),
            any::<u8>().prop_map(|chain| Request::HoldReset { chain }),
            any::<u8>().prop_map(|chain| Request::ReleaseReset { chain }),
            any::<bool>().prop_map(|on| Request::Locate { on }),
            Just(Request::ClearLatch),
            Just(Request::Stop),
        ]
    }

    fn down() -> impl Strategy<Value = Down> {
        prop_oneof![
            (any::<u32>(), request()).prop_map(|(id, request)| Down::Request {
                id: RequestId(id),
                request
            }),
            prop::sample::select(Loop::ALL.to_vec()).prop_map(Down::Alive),
        ]
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_is_read_and_fits(down in down()) {
            let bytes = encode(&down, MAXIMUM_DOWN).unwrap();
            prop_assert_eq!(read_down(&bytes), Ok(down));
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            let _ = read_down(&bytes);
            let _ = read_up(&bytes);
        }

        #[test]
        fn a_damaged_message_is_another_or_none_but_never_a_panic(
            down in down(), place in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let mut bytes = encode(&down, MAXIMUM_DOWN).unwrap();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            let _ = read_down(&bytes);
        }
    }

    fn framed(body: &str) -> Vec<u8> {
        let mut bytes = vec![VERSION, 0];
        bytes.extend((body.len() as u16).to_le_bytes());
        bytes.extend(body.as_bytes());
        bytes
    }

    #[test]
    fn only_messages_of_this_version_within_the_length_are_read() {
        let good = encode(&Down::Alive(Loop::Pool), MAXIMUM_DOWN).unwrap();
        assert_eq!(read_down(&good), Ok(Down::Alive(Loop::Pool)));
        for version in (0..=u8::MAX).filter(|version| *version != VERSION) {
            let mut other = good.clone();
            other[0] = version;
            assert_eq!(read_down(&other), Err(LinkError::Version(version)));
        }
        let mut reserved = good.clone();
        reserved[1] = 1;
        assert!(matches!(read_down(&reserved), Err(LinkError::Malformed(_))));
        let long = framed(&" ".repeat(MAXIMUM_DOWN + 1));
        assert!(matches!(read_down(&long), Err(LinkError::TooLong { .. })));
        for length in 0..good.len() {
            assert!(
                matches!(read_down(&good[..length]), Err(LinkError::Malformed(_))),
                "{length}"
            );
        }
    }

    #[test]
    fn what_is_not_exactly_one_message_is_refused() {
        for body in [
            "",
            "null",
            "{}",
            r#"{"alive":"pool"} x"#,
            r#"{"alive":"pool"}{"alive":"pool"}"#,
            r#"{"alive":"kitchen"}"#,
            r#"{"alive":"pool","more":1}"#,
            r#"{"request":{"id":1,"request":{"set_voltage":{"voltage":-1}}}}"#,
            r#"{"request":{"id":1,"request":{"set_voltage":{"voltage":13000,"now":true}}}}"#,
            r#"{"request":{"id":1,"request":{"set_fan_mode":{"mode":{"mode":"fixed"}}}}}"#,
            r#"{"request":{"id":1,"request":"open_the_doors"}}"#,
            r#"{"request":{"id":-1,"request":"stop"}}"#,
            &"[".repeat(400),
        ] {
            assert!(
                matches!(read_down(&framed(body)), Err(LinkError::Malformed(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn replies_say_what_was_wrong() {
        let refusal = Refusal::VoltageOutOfLimits {
            asked: Millivolts(20_000),
            minimum: Millivolts(12_000),
            maximum: Millivolts(15_000),
        };
        let up = Up::Reply {
            id: RequestId(7),
            result: Err(refusal),
        };
        let bytes = encode(&up, MAXIMUM_UP).unwrap();
        assert_eq!(read_up(&bytes), Ok(up));
    }
}
