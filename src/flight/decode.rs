//! What a ring says, in words. Reads whatever a file holds and trusts nothing of it.

use cgminer_hal::flight::{self, PAYLOAD, RingError};
use defmt_parser::{DisplayHint, Fragment, Parameter, ParserMode, Type, parse};
use std::fmt::Write as _;
use thiserror::Error;

/// Strings of a table at most.
const STRINGS: usize = 256;
/// Digits that a number is filled up to at most.
const WIDEST: usize = 16;

/// Why a file tells nothing.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// It is no ring.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// Its strings are none.
    #[error(
        "no flight record: its table of format strings is no plain text of at most {STRINGS} lines"
    )]
    Table,
}

/// A ring in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Events by rising number.
    pub lines: Vec<Line>,
    /// Slots that a death or a disk left torn.
    pub torn: usize,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Counts from 1 over the life of the file.
    pub number: u64,
    /// Seconds since 1970 by the clock of the machine.
    pub unix_time: f64,
    /// What happened.
    pub text: String,
}

/// Reads the bytes of a ring's file.
///
/// # Errors
/// When they are none. Frames that cannot be read are told as such, one by one.
pub fn decode(bytes: &[u8]) -> Result<Decoded, DecodeError> {
    let contents = flight::parse(bytes)?;
    let table = std::str::from_utf8(&contents.table).map_err(|_| DecodeError::Table)?;
    let plain = |byte: u8| byte == b'\n' || byte == b' ' || byte.is_ascii_graphic();
    if !table.bytes().all(plain) {
        return Err(DecodeError::Table);
    }
    let strings: Vec<&str> = table.split('\n').collect();
    if strings.len() > STRINGS {
        return Err(DecodeError::Table);
    }
    let lines = contents.records.iter().map(|record| {
        let mut rest = Rest(&record.payload);
        let (index, time) = (rest.number(2), rest.number(8));
        let format = index.and_then(|index| strings.get(index as usize));
        let text = format.and_then(|format| say(format, &mut rest, &strings));
        Line {
            number: record.number,
            unix_time: time.unwrap_or(0) as f64 / 1e6,
            text: text.unwrap_or_else(|| unreadable(&record.payload)),
        }
    });
    Ok(Decoded {
        lines: lines.collect(),
        torn: contents.torn,
    })
}

fn unreadable(payload: &[u8; PAYLOAD]) -> String {
    let mut text = String::from("unreadable:");
    for byte in payload {
        let _ = write!(text, " {byte:02x}");
    }
    text
}

/// What was not yet read of a frame.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// The next little-endian number of so many bytes, eight at most.
    fn number(&mut self, bytes: usize) -> Option<u64> {
        let (number, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        let mut value = [0; 8];
        value.get_mut(..bytes)?.copy_from_slice(number);
        Some(u64::from_le_bytes(value))
    }
}

/// A format string with its arguments. None: it has others than are recorded, or the frame is too short.
fn say(format: &str, rest: &mut Rest<'_>, strings: &[&str]) -> Option<String> {
    let fragments = parse(format, ParserMode::Strict).ok()?;
    let mut text = String::new();
    for (place, fragment) in fragments.iter().enumerate() {
        match fragment {
            Fragment::Literal(literal) => text.push_str(literal),
            Fragment::Parameter(parameter) => {
                // Arguments are told in the order in which they are recorded.
                let before = fragments.iter().take(place);
                let before = before.filter(|one| matches!(one, Fragment::Parameter(_)));
                if parameter.index != before.count() {
                    return None;
                }
                argument(parameter, rest, strings, &mut text)?;
            }
        }
    }
    Some(text)
}

fn argument(
    parameter: &Parameter,
    rest: &mut Rest<'_>,
    strings: &[&str],
    text: &mut String,
) -> Option<()> {
    let hint = parameter.hint.as_ref();
    match parameter.ty {
        Type::U8 => digits(rest.number(1)?, hint, text),
        Type::U16 => digits(rest.number(2)?, hint, text),
        Type::U32 => digits(rest.number(4)?, hint, text),
        Type::U64 => digits(rest.number(8)?, hint, text),
        Type::F32 => {
            let value = f32::from_bits(rest.number(4)? as u32);
            // As defmt's own decoder tells it: 100 is 100.0.
            let _ = write!(text, "{value:?}");
        }
        Type::Bool => text.push_str(if rest.number(1)? == 0 {
            "false"
        } else {
            "true"
        }),
        Type::IStr => text.push_str(strings.get(rest.number(2)? as usize)?),
        _ => return None,
    }
    Some(())
}

fn digits(value: u64, hint: Option<&DisplayHint>, text: &mut String) {
    let _ = match hint {
        Some(DisplayHint::Hexadecimal {
            alternate,
            zero_pad,
            ..
        }) => {
            let width = (*zero_pad).min(WIDEST);
            if *alternate {
                write!(text, "{value:#0width$x}")
            } else {
                write!(text, "{value:0width$x}")
            }
        }
        _ => write!(text, "{value}"),
    };
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, Kind, STRINGS};
    use super::*;
    use cgminer_hal::flight::Ring;
    use proptest::prelude::*;

    fn said(frame: &Frame) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.ring");
        let table = STRINGS.join("\n");
        let mut ring = Ring::open(&path, table.as_bytes(), 4).unwrap();
        ring.append(&frame.bytes);
        let decoded = decode(&std::fs::read(&path).unwrap()).unwrap();
        decoded.lines[0].text.clone()
    }

    #[test]
    fn every_kind_of_event_is_told_in_words() {
        let nonce = Frame::of(Kind::Nonce).u8(1).u32(0xbeef).u16(42).u8(7);
        assert_eq!(
            said(&nonce.name("share")),
            "chain 1: nonce 0000beef of chip 42 for work 7: share"
        );
        let register = Frame::of(Kind::Register).u8(0).u8(4).u32(0x1362_0000);
        assert_eq!(
            said(&register.u8(0)),
            "chain 0: chip 0x04 says 0x13620000 in register 0x00"
        );
        let decision = Frame::of(Kind::Decision).name("cool-down").name("off");
        assert_eq!(
            said(&decision.f32(100.0)),
            "keeper: cool-down, supply off, fans at 100.0 %"
        );
        assert_eq!(
            said(&Frame::of(Kind::Clock).u8(2).f32(525.5)),
            "chain 2: clock set to 525.5 MHz"
        );
        assert_eq!(
            said(&Frame::of(Kind::Reset).u8(2).name("who knows")),
            "chain 2: reset line ?"
        );
    }

    #[test]
    fn the_table_fits_its_place_and_every_format_string_its_slot() {
        let table = STRINGS.join("\n");
        assert!(table.len() <= flight::TABLE_LIMIT && STRINGS.len() <= super::STRINGS);
        for format in STRINGS {
            // Time and index are two more arguments.
            let mut rest = Rest(&[0; PAYLOAD - 10]);
            assert!(say(format, &mut rest, &STRINGS).is_some(), "{format}");
        }
    }

    proptest! {
        #[test]
        fn any_table_and_any_frames_are_told_or_refused(
            table in "[ -~\\n\u{e9}]{0,200}",
            formats in proptest::collection::vec("(\\{=(u8|u32|istr|f32|bool|u8;9|str)(:(x|#0[0-9]{1,9}x|us|a))?\\}| |\\{|z)*", 0..5),
            payloads in proptest::collection::vec(any::<[u8; PAYLOAD]>(), 0..4),
            low in any::<bool>(),
        ) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("a.ring");
            let table = format!("{}\n{table}", formats.join("\n"));
            let mut ring = Ring::open(&path, table.as_bytes(), 4).unwrap();
            for mut payload in payloads {
                if low {
                    payload[0] %= 6;
                    payload[1] = 0;
                }
                ring.append(&payload);
            }
            let _ = decode(&std::fs::read(&path).unwrap());
        }
    }
}
