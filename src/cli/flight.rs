//! `flight decode FILE`: tells what a flight record holds.

use super::Failure;
use crate::config::LogSection;
use crate::flight;
use lexopt::Arg::Value;
use lexopt::ValueExt;
use std::path::Path;

/// Begins to record into this process's own directory. Who cannot record drives the machine all the same.
pub fn begin(directory: &Path, settings: &LogSection) {
    let path = directory.join(flight::FILE);
    if let Err(error) = flight::start(&path, settings.flight_recorder) {
        tracing::warn!("no flight record is kept: {error}");
    }
}

/// `flight decode FILE`.
pub fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut words = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["decode", file] => decode(Path::new(file)),
        _ => Err(Failure::Usage("say `flight decode FILE`".into())),
    }
}

#[cfg(feature = "flight-recorder")]
fn decode(file: &Path) -> Result<(), Failure> {
    use super::table::{inert, print};
    use crate::telemetry::syslog::rfc3339;
    use std::fmt::Write as _;
    use std::io::Read;

    /// Bytes of a file that are looked at: more than any record has.
    const LIMIT: u64 = 32 * 1024 * 1024;

    let failed = |error: &dyn std::fmt::Display| {
        Failure::Other(format!(
            "{}: {error}; the records are RUN/{} and RUN-keeper/{}",
            file.display(),
            flight::FILE,
            flight::FILE
        ))
    };
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(LIMIT).read_to_end(&mut bytes))
        .map_err(|error| failed(&error))?;
    let decoded = flight::decode(&bytes).map_err(|error| failed(&error))?;
    let mut text = String::new();
    for line in &decoded.lines {
        let (time, said) = (rfc3339(line.unix_time), inert(&line.text));
        let _ = writeln!(text, "{:>8}  {time}  {said}", line.number);
    }
    if decoded.torn > 0 {
        let _ = writeln!(text, "{} torn slots were left out", decoded.torn);
    }
    print(&text)
}

#[cfg(not(feature = "flight-recorder"))]
fn decode(_: &Path) -> Result<(), Failure> {
    Err(Failure::Usage(
        "this build has no flight recorder; build with the feature `flight-recorder`".into(),
    ))
}
