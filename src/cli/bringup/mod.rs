//! Commands for bringing a machine up by hand: `board`, `fan`, `psu`, `chain`, `locate`, `latch`.
//!
//! ```text
//!   a keeper runs ──► its operator's socket ──┐
//!   none runs ──► this command keeps the machine itself ──► the same socket ──► the command's work
//! ```
//!
//! Either way every wish goes through the keeper's guard, so that no command can do what `run` could not. Three look at
//! hardware that a keeper alone has no use for: see [`bench`].

mod act;
mod bench;
mod command;
mod latch;
mod own;
mod session;
mod show;

pub use command::Command;

use super::Failure;
use super::logs;
use super::machine::EmulatedWishes;
use super::options::Options;
use super::run::{runtime, stop_asked};
use lexopt::Arg::{Long, Value};
use lexopt::ValueExt;
use session::Session;
use std::time::Duration;

/// What a command was given besides its words.
#[derive(Default)]
struct Asked {
    options: Options,
    emulated: bool,
    wishes: EmulatedWishes,
    /// How long to hold what was set, or to watch; none: until Ctrl-C.
    lasting: Option<Duration>,
}

/// Does what `noun` and the words after it ask.
///
/// # Errors
/// When it makes no sense, is refused, or the machine does not follow.
pub fn run(noun: &str, mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut asked = Asked::default();
    let mut words = vec![noun.to_owned()];
    while let Some(argument) = parser.next()? {
        match argument {
            Value(word) => words.push(word.string()?),
            Long("emulated") => asked.emulated = true,
            Long("seconds") => asked.lasting = Some(command::seconds(&parser.value()?.string()?)?),
            Long(name) if EmulatedWishes::NAMES.contains(&name) => {
                let name = name.to_owned();
                asked.wishes.take(&name, &mut parser)?;
            }
            other => {
                let flag = Options::flag(other)?;
                asked.options.take(flag, parser.value()?)?;
            }
        }
    }
    let command = Command::parse(&words)?;
    if !asked.emulated {
        asked.wishes.without_emulation()?;
        if asked.wishes.zero_bits.is_some() {
            return Err(Failure::Usage("--zero-bits is for --emulated alone".into()));
        }
    }
    // Somebody looks at the answer; the log's small talk would stand between its lines.
    asked.options.prefer("log.level=warn");
    let config = asked.options.load()?.config;
    let _logs = logs::start(&config.log, logs::Role::Other)
        .map_err(|error| Failure::Other(error.to_string()))?;
    runtime()?.block_on(async {
        let stop = stop_asked()?;
        match session::connect(&config).await? {
            Some(keeper) => {
                let session = Session::through(keeper, config, asked.emulated, asked.lasting);
                act::act(command, session, stop).await
            }
            None if matches!(command, Command::LatchShow | Command::LatchClear) => {
                latch::act(command, &config, &asked)
            }
            None => own::act(command, config, asked, stop).await,
        }
    })
}
