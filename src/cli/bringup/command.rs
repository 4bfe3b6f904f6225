//! What can be asked, and how it is spelled.

use crate::cli::{Failure, table};
use cgminer_hal::units::{DutyPercent, Millivolts};
use std::time::Duration;

/// Longest time that `--seconds` may say: a day.
const LONGEST: u64 = 86_400;

/// One command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// All that can be read of the board, once.
    BoardProbe,
    /// The same as a live table.
    BoardWatch,
    /// Duty and speed of each fan.
    FanGet,
    /// The same duty for all fans.
    FanSet(DutyPercent),
    /// Fans as temperatures ask.
    FanAuto,
    /// Power to the hash boards, at a voltage or the one that is set.
    PsuOn(Option<Millivolts>),
    /// None.
    PsuOff,
    /// What the supply measures.
    PsuRead,
    /// The rail's voltage.
    PsuSet(Millivolts),
    /// Counts the chips of a chain, or of all.
    ChainDetect(Option<u8>),
    /// Pulls a chain's reset line.
    ChainReset(u8),
    /// Blinks, or no more.
    Locate(bool),
    /// Why the machine stays off.
    LatchShow,
    /// Forgets why, so that it need not stay off.
    LatchClear,
}

impl Command {
    /// Reads the words of a command line.
    ///
    /// # Errors
    /// When they are no command; it says which there are.
    pub fn parse(words: &[impl AsRef<str>]) -> Result<Self, Failure> {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        Ok(match words.as_slice() {
            ["board", "probe"] => Self::BoardProbe,
            ["board", "watch"] => Self::BoardWatch,
            ["fan", "get"] => Self::FanGet,
            ["fan", "set", duty] => Self::FanSet(self::duty(duty)?),
            ["fan", "auto"] => Self::FanAuto,
            ["psu", "on"] => Self::PsuOn(None),
            ["psu", "on", volts] => Self::PsuOn(Some(millivolts(volts)?)),
            ["psu", "off"] => Self::PsuOff,
            ["psu", "read"] => Self::PsuRead,
            ["psu", "set", volts] => Self::PsuSet(millivolts(volts)?),
            ["chain", "detect"] => Self::ChainDetect(None),
            ["chain", "detect", index] => Self::ChainDetect(Some(chain(index)?)),
            ["chain", "reset", index] => Self::ChainReset(chain(index)?),
            ["locate"] | ["locate", "on"] => Self::Locate(true),
            ["locate", "off"] => Self::Locate(false),
            ["latch", "show"] => Self::LatchShow,
            ["latch", "clear"] => Self::LatchClear,
            [noun, ..] => return Err(Failure::Usage(wrong(noun, &words))),
            [] => return Err(Failure::Usage("no command was given".into())),
        })
    }
}

fn wrong(noun: &str, words: &[&str]) -> String {
    let forms = match noun {
        "board" => "board probe, board watch",
        "fan" => "fan get, fan set PERCENT, fan auto",
        "psu" => "psu on [MILLIVOLTS], psu off, psu read, psu set MILLIVOLTS",
        "chain" => "chain detect [CHAIN], chain reset CHAIN",
        "latch" => "latch show, latch clear",
        _ => "locate [on|off]",
    };
    format!(
        "`{}` makes no sense; there are: {forms}",
        table::inert(&words.join(" "))
    )
}

fn duty(text: &str) -> Result<DutyPercent, Failure> {
    let number = text.strip_suffix('%').unwrap_or(text);
    let duty = number
        .parse()
        .ok()
        .filter(|duty| (0.0..=100.0).contains(duty));
    duty.map(DutyPercent)
        .ok_or_else(|| no_number("a fan duty", text, "0 to 100 per cent, as `fan set 60`"))
}

fn millivolts(text: &str) -> Result<Millivolts, Failure> {
    let number = text.strip_suffix("mV").unwrap_or(text);
    let volts = number.parse().ok();
    volts
        .map(Millivolts)
        .ok_or_else(|| no_number("a voltage", text, "millivolts, as `psu set 13200`"))
}

fn chain(text: &str) -> Result<u8, Failure> {
    text.parse()
        .map_err(|_| no_number("a chain", text, "a number from 0, as `chain reset 0`"))
}

/// A time of `--seconds`.
pub(super) fn seconds(text: &str) -> Result<Duration, Failure> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (1..=LONGEST).contains(seconds));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| no_number("a time", text, "1 to 86400 seconds, as `--seconds 60`"))
}

fn no_number(what: &str, text: &str, hint: &str) -> Failure {
    Failure::Usage(format!(
        "{what} cannot be `{}`; give {hint}",
        table::inert(text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<Command, Failure> {
        Command::parse(&line.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn every_command_reads() {
        for (line, command) in [
            ("board probe", Command::BoardProbe),
            ("board watch", Command::BoardWatch),
            ("fan get", Command::FanGet),
            ("fan set 40", Command::FanSet(DutyPercent(40.0))),
            ("fan set 62.5%", Command::FanSet(DutyPercent(62.5))),
            ("fan auto", Command::FanAuto),
            ("psu on", Command::PsuOn(None)),
            ("psu on 12800", Command::PsuOn(Some(Millivolts(12_800)))),
            ("latch show", Command::LatchShow),
            ("latch clear", Command::LatchClear),
            ("psu off", Command::PsuOff),
            ("psu read", Command::PsuRead),
            ("psu set 13200", Command::PsuSet(Millivolts(13_200))),
            ("psu set 13200mV", Command::PsuSet(Millivolts(13_200))),
            ("chain detect", Command::ChainDetect(None)),
            ("chain detect 2", Command::ChainDetect(Some(2))),
            ("chain reset 0", Command::ChainReset(0)),
            ("locate", Command::Locate(true)),
            ("locate off", Command::Locate(false)),
        ] {
            assert_eq!(parse(line).unwrap(), command, "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_with_what_does() {
        for (line, part) in [
            ("board", "board probe"),
            ("fan set", "fan set PERCENT"),
            ("fan set 101", "0 to 100"),
            ("fan set NaN", "0 to 100"),
            ("fan set -1", "0 to 100"),
            ("psu set 13.2V", "psu set 13200"),
            ("psu set -5", "psu set 13200"),
            ("chain reset", "chain reset CHAIN"),
            ("chain reset 256", "a number from 0"),
            ("chain detect all of them", "chain detect [CHAIN]"),
            ("locate here", "locate [on|off]"),
            ("latch", "latch show, latch clear"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(matches!(error, Failure::Usage(_)), "{line}");
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(seconds("0").is_err() && seconds("1e9").is_err() && seconds("90000").is_err());
    }

    proptest! {
        #[test]
        fn no_words_make_it_panic(words in proptest::collection::vec("\\PC{0,12}", 0..5)) {
            let _ = Command::parse(&words);
        }
    }
}
