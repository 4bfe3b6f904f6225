//! `firmware`: installs an image into the idle slot, and confirms it once it has mined.
//!
//! ```text
//!            install                 reboot            confirm
//! confirmed ─────────► installed ─────────────► trial ─────────► confirmed (other slot)
//!     ▲                                           │
//!     └───────────────────────────────────────────┘
//!        not confirmed in time, or three starts that came to nothing: the boot loader falls back
//! ```
//!
//! Signatures, bundles and writing are RAUC's; the boot loader's variables are, too. What is decided here is what RAUC leaves open:
//! which version may follow which, that what was written can be read back, and when a start counts as good.

mod confirm;
mod install;
mod plan;
mod rauc;
mod trial;
mod version;

pub(super) use rauc::command;
pub use rauc::{parse_info, parse_status};
pub use version::Version;

use super::options::Options;
use super::{Failure, table};
use lexopt::Arg::{Long, Value};
use lexopt::ValueExt;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trial::Record;

/// What the image says of itself: `IMAGE_VERSION` is its version.
const OS_RELEASE: &str = "/etc/os-release";
/// What must be known of a trial after a reboot; on the image's data partition.
const RECORD: &str = "/data/firmware.json";
/// For a new image to prove itself: power-up takes a supply half a minute, and a pool may be slow to answer.
const TRIAL_TIME: Duration = Duration::from_secs(15 * 60);
/// Longest time that may be asked for in its place.
const LONGEST_TRIAL: Duration = Duration::from_secs(2 * 3600);

const USAGE: &str = "say `firmware status` (with --json), `firmware install FILE` (with --reboot, --allow-downgrade or --again) or \
                     `firmware confirm` (with --within SECONDS)";

/// `firmware status|install FILE|confirm`.
pub fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut options = Options::default();
    let mut words = Vec::new();
    let mut wishes = plan::Wishes::default();
    let mut reboot = false;
    let mut json = false;
    let mut within = TRIAL_TIME;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("allow-downgrade") => wishes.downgrade = true,
            Long("again") => wishes.again = true,
            Long("reboot") => reboot = true,
            Long("json") => json = true,
            Long("within") => within = Duration::from_secs(parser.value()?.parse()?),
            Value(word) => words.push(word.string()?),
            other => {
                let flag = Options::flag(other)?;
                options.take(flag, parser.value()?)?;
            }
        }
    }
    if within.is_zero() || within > LONGEST_TRIAL {
        return Err(Failure::Usage(format!(
            "--within takes 1 to {} seconds",
            LONGEST_TRIAL.as_secs()
        )));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["status"] if json => status_as_json(),
        ["status"] => status(),
        ["install", file] => {
            install::install(Path::new(file), wishes)?;
            if reboot { restart() } else { Ok(()) }
        }
        ["confirm"] => {
            let directory = options.load()?.config.api.run_directory;
            if confirm::confirm(&directory, within)? == confirm::Outcome::Failed {
                restart()?;
            }
            Ok(())
        }
        _ => Err(Failure::Usage(USAGE.into())),
    }
}

fn status() -> Result<(), Failure> {
    let slots = rauc::status()?;
    let record = Record::read(&record_path())?;
    let mut rows = vec![vec![
        "slot".to_owned(),
        "device".into(),
        "state".into(),
        "boot".into(),
    ]];
    rows.extend(slots.all().iter().map(|slot| {
        let state = if slot.booted { "running" } else { "idle" };
        vec![
            table::inert(&slot.bootname),
            table::inert(&slot.device.to_string_lossy()),
            state.into(),
            if slot.good { "good" } else { "not bootable" }.into(),
        ]
    }));
    let running = image_version().map_or_else(|error| error.to_string(), |it| it.to_string());
    table::print(&format!(
        "version    {running}\n{}\n{}",
        record.describe(),
        table::columns(&rows)
    ))
}

/// The same for programs, as `GET /api/v1/firmware` passes it on.
fn status_as_json() -> Result<(), Failure> {
    let slots = rauc::status()?;
    let record = Record::read(&record_path())?;
    let slots: Vec<_> = slots
        .all()
        .iter()
        .map(|slot| {
            json!({
                "name": slot.bootname,
                "device": slot.device,
                "running": slot.booted,
                "good": slot.good,
            })
        })
        .collect();
    let version = image_version().map(|version| version.to_string());
    let status = json!({
        "version": version.ok(),
        "slots": slots,
        "trial": record.trial,
        "last": record.last,
    });
    table::print(&format!("{status}\n"))
}

/// Asks init for a reboot: the daemon's own script stops it first, so the rail goes off before the machine does.
fn restart() -> Result<(), Failure> {
    rauc::command("reboot", &[], Duration::from_secs(30))
        .map(drop)
        .map_err(Failure::from)
}

fn record_path() -> PathBuf {
    PathBuf::from(RECORD)
}

/// Version of the image that runs.
fn image_version() -> Result<Version, Failure> {
    let text = std::fs::read_to_string(OS_RELEASE).map_err(|error| {
        Failure::Other(format!(
            "{OS_RELEASE}: cannot be read: {error}; this is no firmware image of cgminer-rs"
        ))
    })?;
    version::of_image(&text).map_err(|error| Failure::Other(format!("{OS_RELEASE}: {error}")))
}
