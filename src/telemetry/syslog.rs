//! Messages of syslog, as RFC 5424 writes them.

use super::events::Severity;
use std::fmt::Write;
use std::time::Duration;

/// Facility `daemon`.
const FACILITY: u8 = 3;
/// Bytes of a message: what every receiver takes in one datagram (RFC 5424, 6.1), with room for more text than a line has.
const LONGEST: usize = 2048;

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct SyslogMessage<'a> {
    /// 0 (emergency) to 7 (debug).
    pub severity: u8,
    /// Wall clock in seconds since 1970; none while it was never set.
    pub unix_time: Option<f64>,
    /// Name of this machine.
    pub host: Option<&'a str>,
    /// What kind of message, as `alert`.
    pub id: &'a str,
    /// The text.
    pub text: &'a str,
}

impl SyslogMessage<'_> {
    /// The bytes of a datagram. Control characters become spaces, and what is too long is cut.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = String::new();
        let priority = FACILITY * 8 + self.severity.min(7);
        let time = self.unix_time.map_or("-".into(), rfc3339);
        let host = word(self.host.unwrap_or_default(), 255);
        let (process, id) = (std::process::id(), word(self.id, 32));
        // Writing to a text cannot fail.
        let _ = write!(
            bytes,
            "<{priority}>1 {time} {host} cgminer-rs {process} {id} - "
        );
        for letter in self.text.chars() {
            let letter = if letter.is_control() { ' ' } else { letter };
            if bytes.len() + letter.len_utf8() > LONGEST {
                break;
            }
            bytes.push(letter);
        }
        bytes.into_bytes()
    }

    /// The same for a stream, with its length before it (RFC 6587, 3.4.1).
    pub fn to_frame(&self) -> Vec<u8> {
        let bytes = self.to_bytes();
        let mut frame = format!("{} ", bytes.len()).into_bytes();
        frame.extend(bytes);
        frame
    }
}

impl Severity {
    /// As syslog numbers it.
    pub const fn syslog(self) -> u8 {
        match self {
            Self::Info => 6,
            Self::Warning => 4,
            Self::Error => 3,
        }
    }
}

/// A moment as RFC 3339 writes it, to the millisecond, in UTC.
pub fn rfc3339(unix_time: f64) -> String {
    // Four digits of a year are all that the form has.
    const LATEST: f64 = 253_402_300_799.0;
    let since_1970 = Duration::try_from_secs_f64(unix_time.clamp(0.0, LATEST)).unwrap_or_default();
    let (seconds, milliseconds) = (since_1970.as_secs(), since_1970.subsec_millis());
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// Year, month and day of a day since 1970, by counting years of 400-year cycles that begin in March.
fn date(days: u64) -> (u64, u64, u64) {
    const CYCLE: u64 = 146_097;
    let days = days + 719_468;
    let (cycle, day) = (days / CYCLE, days % CYCLE);
    let year = (day - day / 1460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (cycle * 400 + year + later, month, day_of_month)
}

/// A header field: visible ASCII, or `-`.
fn word(text: &str, longest: usize) -> String {
    let visible = |letter: &char| letter.is_ascii_graphic();
    let word: String = text.chars().filter(visible).take(longest).collect();
    if word.is_empty() { "-".into() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_read_as_date_says_them() {
        // What `date -u -d @N +%FT%T.%3NZ` prints.
        for (unix_time, text) in [
            (0.0, "1970-01-01T00:00:00.000Z"),
            (951_782_400.5, "2000-02-29T00:00:00.500Z"),
            (1_709_251_199.0, "2024-02-29T23:59:59.000Z"),
            (1_735_689_599.25, "2024-12-31T23:59:59.250Z"),
            (4_107_542_400.0, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(unix_time), text);
        }
    }

    #[test]
    fn a_message_has_all_fields_in_their_order() {
        let message = SyslogMessage {
            severity: Severity::Warning.syslog(),
            unix_time: Some(1_709_251_199.0),
            host: Some("miner 7"),
            id: "alert",
            text: "fan\nstalled",
        };
        let text = String::from_utf8(message.to_bytes()).unwrap();
        let process = std::process::id();
        assert_eq!(
            text,
            format!(
                "<28>1 2024-02-29T23:59:59.000Z miner7 cgminer-rs {process} alert - fan stalled"
            )
        );
        let frame = String::from_utf8(message.to_frame()).unwrap();
        assert_eq!(frame, format!("{} {text}", text.len()));
        let unknown = SyslogMessage {
            unix_time: None,
            host: None,
            ..message
        };
        let text = String::from_utf8(unknown.to_bytes()).unwrap();
        assert!(text.starts_with("<28>1 - - cgminer-rs "), "{text}");
    }

    proptest! {
        #[test]
        fn any_text_is_one_bounded_line(text in "\\PC*|[\\x00-\\x20é]{0,3000}", host in "\\PC{0,300}") {
            let message = SyslogMessage {
                severity: 9, unix_time: Some(f64::NAN), host: Some(&host), id: &host, text: &text,
            };
            let bytes = message.to_bytes();
            prop_assert!(bytes.len() <= LONGEST + 4);
            let text = String::from_utf8(bytes).unwrap();
            prop_assert!(!text.chars().any(char::is_control));
        }
    }
}
