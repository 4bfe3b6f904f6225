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
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::Signal;
use std::fmt;
use std::path::PathBuf;

/// Files that are open besides the connections of network clients, and what any other number of them leaves room for.
const FILES_BASE: u64 = 512;
/// Never fewer than this.
const FILES_LEAST: u64 = 1_024;
/// Processes and threads of the miner's user.
const THREADS_MAX: rlim_t = 256;
/// Longest file that may be written.
const FILE_BYTES_MAX: rlim_t = 64 << 20;
/// Address space; most of it is stacks that are never touched.
const MEMORY_MAX: rlim_t = 2 << 30;

/// Said of a limit that the system took and does not have.
pub const NOT_HELD: &str = "taken by the system, but not held";

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
    /// Files that may be open at once; see [`files_needed`].
    pub files: u64,
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
        measure("limits", limits(plan.files)),
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

/// Files that may have to be open at once with so many network clients.
pub fn files_needed(connections: u16) -> u64 {
    (FILES_BASE + u64::from(connections)).max(FILES_LEAST)
}

/// Lets this process have so many files open, as far as the system allows.
///
/// # Errors
/// With how many it allows.
#[allow(
    clippy::useless_conversion,
    reason = "on 32 bits the system counts in other numbers"
)]
pub fn raise_files(files: u64) -> Result<(), String> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| error.to_string())?;
    if u64::from(soft) >= files {
        return Ok(());
    }
    let most = rlim_t::try_from(files).unwrap_or(hard).min(hard);
    setrlimit(Resource::RLIMIT_NOFILE, most, hard).map_err(|error| error.to_string())?;
    if u64::from(most) >= files {
        Ok(())
    } else {
        Err(format!(
            "the system allows {most} open files where {files} are needed; raise LimitNOFILE"
        ))
    }
}

#[allow(
    clippy::useless_conversion,
    reason = "on 32 bits the system counts in other numbers"
)]
fn limits(files: u64) -> Result<String, String> {
    let files = rlim_t::try_from(files.max(FILES_LEAST)).unwrap_or(rlim_t::MAX);
    for (resource, most) in [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NOFILE, files),
        (Resource::RLIMIT_NPROC, THREADS_MAX),
        (Resource::RLIMIT_FSIZE, FILE_BYTES_MAX),
        (Resource::RLIMIT_AS, MEMORY_MAX),
    ] {
        setrlimit(resource, most, most).map_err(|error| format!("{resource:?}: {error}"))?;
        // qemu-user says yes to a limit of memory and sets none.
        if getrlimit(resource) != Ok((most, most)) {
            return Err(format!("{resource:?}: {NOT_HELD}"));
        }
    }
    Ok(format!(
        "{files} files, {THREADS_MAX} threads, {} MiB",
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

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    use std::fs::{self, File};
    use std::io::{ErrorKind, Write};
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::process::Command;

    fn denied<T>(result: std::io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    }

    fn holds(measures: &[Measure], name: &str) -> bool {
        let measure = measures.iter().find(|measure| measure.name == name);
        measure.is_some_and(|measure| measure.outcome.is_ok())
    }

    /// Past what the test's harness keeps for itself of a test that passes.
    fn left_out(measure: &Measure) {
        let _ = writeln!(std::io::stderr(), "left out: {measure}");
    }

    /// What a confined miner cannot do, tried in a thread of its own: both fences are a thread's.
    #[test]
    fn a_confined_miner_opens_no_device_no_foreign_file_no_foreign_socket_and_no_process() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("run");
        let private = directory.path().join("private");
        fs::create_dir(&run).unwrap();
        fs::write(&private, "secret").unwrap();
        let plan = Plan {
            write: vec![run.clone()],
            ..Plan::default()
        };
        std::thread::spawn(move || {
            let landlock = measure("Landlock", files::restrict(&plan));
            let seccomp = measure("seccomp", calls::restrict());
            let measures = [landlock, seccomp];
            if holds(&measures, "Landlock") {
                assert!(denied(File::open("/dev/zero")), "a device");
                assert!(denied(File::open(&private)), "somebody else's file");
                assert!(denied(fs::read_dir("/proc")), "other processes");
                assert!(
                    denied(File::create("/etc/cgminer-rs-was-here")),
                    "the system"
                );
                assert!(denied(fs::read_dir("/sys/class")), "a line or a light");
            } else {
                left_out(&measures[0]);
            }
            if holds(&measures, "seccomp") {
                let raw = |family, kind| socket(family, kind, SockFlag::empty(), None);
                assert!(
                    raw(AddressFamily::Netlink, SockType::Raw).is_err(),
                    "netlink"
                );
                assert!(
                    raw(AddressFamily::Packet, SockType::Raw).is_err(),
                    "packets"
                );
                assert!(denied(Command::new("/usr/bin/true").spawn()), "a process");
                let kill = nix::sys::signal::kill(nix::unistd::getppid(), None);
                assert_eq!(kill, Err(nix::errno::Errno::EPERM), "a signal");
            } else {
                left_out(&measures[1]);
            }

            // And what it needs goes on.
            fs::write(run.join("file"), "text").unwrap();
            fs::rename(run.join("file"), run.join("other")).unwrap();
            assert_eq!(fs::read_to_string(run.join("other")).unwrap(), "text");
            UnixListener::bind(run.join("socket")).unwrap();
            TcpListener::bind("127.0.0.1:0").unwrap();
            assert!(fs::read_to_string("/proc/self/status").is_ok());
            assert!(Path::new("/etc/passwd").exists());
            std::thread::Builder::new()
                .spawn(|| 1)
                .unwrap()
                .join()
                .unwrap();
            // A file is gone only with a right that is kept.
            fs::remove_file(run.join("other")).unwrap();
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_process_that_is_not_root_stays_who_it_is_and_root_without_a_user_is_told_so() {
        let outcome = identity::become_user(None);
        assert_eq!(outcome.is_err(), nix::unistd::getuid().is_root());
    }

    #[test]
    fn a_measure_tells_what_is_missing_and_why() {
        let absent = measure("Landlock", Err("the kernel has it not".into()));
        assert_eq!(
            absent.to_string(),
            "Landlock is absent: the kernel has it not"
        );
    }
}
