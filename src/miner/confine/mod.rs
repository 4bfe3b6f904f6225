//! What the miner process gives away before it reads a byte from the network: its user, its rights, most of the file
//! system, most system calls.
//!
//! Each measure that a kernel or an installation lacks is reported and is no reason not to mine: the keeper checks
//! every request in any case. To be called while the process has one thread.

mod calls;
mod files;
mod filter;
mod identity;

pub use identity::{Account, account};

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use std::fmt;
use std::path::PathBuf;

/// Files that may be open at once.
const FILES_MAX: u64 = 1_024;
/// Processes and threads of the miner's user.
const THREADS_MAX: u64 = 256;
/// Longest file that may be written.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Address space; most of it is stacks that are never touched.
const MEMORY_MAX: u64 = 2 << 30;

/// What the miner needs, and so keeps.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// User to become; none: stay who one is.
    pub account: Option<Account>,
    /// Files and directories to read.
    pub read: Vec<PathBuf>,
    /// Directories to write in.
    pub write: Vec<PathBuf>,
    /// Devices to read and write: serial lines.
    pub devices: Vec<PathBuf>,
}

/// One measure and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Which.
    pub name: &'static str,
    /// Whether it holds, with the particulars; or why it does not.
    pub outcome: Result<String, String>,
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(how) => write!(formatter, "{}: {how}", self.name),
            Err(why) => write!(formatter, "{} is absent: {why}", self.name),
        }
    }
}

/// Gives everything away but what the plan keeps. Says what came of it; [`report`] tells it to the log, which is a
/// thread and so starts later.
#[must_use]
pub fn confine(plan: &Plan) -> Vec<Measure> {
    vec![
        measure("limits", limits()),
        measure("user", identity::become_user(plan.account.as_ref())),
        measure("end with the keeper", end_with_parent()),
        measure("no new privileges", no_new_privileges()),
        measure("capabilities", identity::no_capabilities()),
        measure("Landlock", files::restrict(plan)),
        measure("seccomp", calls::restrict()),
    ]
}

/// Tells the log what holds and, as warnings, what does not.
pub fn report(measures: &[Measure]) {
    for measure in measures {
        if measure.outcome.is_ok() {
            tracing::info!(%measure, "confined");
        } else {
            tracing::warn!(%measure, "not confined");
        }
    }
}

fn measure(name: &'static str, outcome: Result<String, String>) -> Measure {
    Measure { name, outcome }
}

fn limits() -> Result<String, String> {
    for (resource, most) in [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NOFILE, FILES_MAX),
        (Resource::RLIMIT_NPROC, THREADS_MAX),
        (Resource::RLIMIT_FSIZE, FILE_BYTES_MAX),
        (Resource::RLIMIT_AS, MEMORY_MAX),
    ] {
        setrlimit(resource, most, most).map_err(|error| format!("{resource:?}: {error}"))?;
    }
    Ok(format!(
        "{FILES_MAX} files, {THREADS_MAX} threads, {} MiB",
        MEMORY_MAX >> 20
    ))
}

fn end_with_parent() -> Result<String, String> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| error.to_string())?;
    Ok("killed when the keeper ends".into())
}

fn no_new_privileges() -> Result<String, String> {
    prctl::set_no_new_privs().map_err(|error| error.to_string())?;
    Ok("set".into())
}
