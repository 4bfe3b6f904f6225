//! `top`: the running machine as a live view of the terminal, from its local socket.

mod screen;
mod terminal;

use super::Failure;
use super::options::Options;
use super::run::{runtime, stop_asked};
use crate::api::local;
use lexopt::Arg::Long;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use terminal::{Input, Terminal};
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Lines of a terminal that does not tell how many it has.
const ROWS: usize = 24;

/// Shows the machine until `q` is pressed or a signal comes; the terminal is left as it was.
pub fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut options = Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") => return super::table::print(super::HELP),
            other => {
                let flag = Options::flag(other)?;
                options.take(flag, parser.value()?)?;
            }
        }
    }
    let directory = options.load()?.config.api.run_directory;
    // A machine that does not run is told before the terminal is touched.
    let first = look(&directory)?;
    runtime()?.block_on(show(directory, first))
}

async fn show(directory: PathBuf, first: (Value, Value)) -> Result<(), Failure> {
    let stop = stop_asked()?;
    tokio::pin!(stop);
    let mut terminal = Terminal::open()?;
    let mut rows = ROWS;
    let mut shown = screen::machine(&first.0, &first.1);
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.tick().await;
    loop {
        terminal.draw(&screen::fit(&shown, rows))?;
        tokio::select! {
            () = &mut stop => return Ok(()),
            input = terminal.input() => match input {
                Some(Input::Quit) | None => return Ok(()),
                Some(Input::Rows(told)) => rows = told,
                Some(Input::Other) => {}
            },
            _ = tick.tick() => {
                let directory = directory.clone();
                let asked = tokio::task::spawn_blocking(move || look(&directory)).await;
                match asked {
                    Ok(Ok((status, chips))) => shown = screen::machine(&status, &chips),
                    // It may be on its way back; what was seen last stays on the screen.
                    Ok(Err(error)) => screen::trouble(&mut shown, &error.to_string()),
                    Err(error) => screen::trouble(&mut shown, &error.to_string()),
                }
            }
        }
    }
}

/// The status, and the chips.
fn look(directory: &Path) -> Result<(Value, Value), Failure> {
    let read = |path: &str| {
        let answer = local::get(directory, path)?;
        serde_json::from_slice(&answer)
            .map_err(|error| Failure::Other(format!("the machine's answer is no JSON: {error}")))
    };
    Ok((read("/api/v1/status")?, read("/api/v1/chips")?))
}
