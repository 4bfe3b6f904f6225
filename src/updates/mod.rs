//! Updates of the firmware image, asked for over the network.
//!
//! The miner parses what the network sends and may write no slot; the keeper's process may, and parses no network. So a bundle streams
//! through the miner into a socket of the keeper's process, whose [`office`](Office) writes it to the data partition and has this
//! program's own `firmware install` verify and install it, as a child of its own. What is signed by nobody whom the image knows is
//! refused there, whoever sent it.
//!
//! ```text
//! browser ── HTTP ──► gateway (miner) ── firmware.sock ──► office (keeper's process) ── child ──► `firmware install FILE`
//! ```

mod office;

pub use office::{Office, Places};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The socket, in the run directory.
pub const SOCKET: &str = "firmware.sock";
/// Bytes that a bundle may have.
pub const BUNDLE_LIMIT: u64 = 256 * 1024 * 1024;
/// Bytes that a question may have, its line end included.
pub const QUESTION_LIMIT: usize = 256;
/// Bytes that an answer may have.
pub const ANSWER_LIMIT: u64 = 64 * 1024;
/// Version of questions. Both processes are one binary, so another one is a mistake to refuse.
const VERSION: u32 = 1;
/// For an answer about the slots, which the updater may take a while for.
const PATIENCE: Duration = Duration::from_secs(12);

/// What is asked of the office.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// What runs, and how far an update is.
    Status,
    /// A bundle follows.
    Install(Bundle),
}

/// A bundle on its way, and what is wished of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Bytes that follow the question.
    pub bytes: u64,
    /// Take the running version once more.
    pub again: bool,
    /// Take an older version than the running one.
    pub downgrade: bool,
    /// Start into it at once.
    pub reboot: bool,
}

/// The office's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Told {
    /// Of [`Ask::Status`].
    Status(Box<Status>),
    /// All of the bundle is there, and it is being verified and installed.
    Taken,
    /// Nothing is done, and why.
    Refused(String),
}

/// What is known of the image and its updates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Whether this system can update itself.
    pub available: bool,
    /// Why it cannot, or why the image tells nothing of itself; null when nothing is wrong.
    pub reason: Option<String>,
    /// What `firmware status --json` tells: version, slots, trial and last update; null when it tells nothing.
    pub image: Value,
    /// The update that runs or ran last since the start; null when there was none.
    pub job: Option<Job>,
}

/// One update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// How far it is.
    pub state: JobState,
    /// Of the present stage; null while nobody can tell.
    pub per_cent: Option<u8>,
    /// The installer's latest words.
    pub line: String,
}

/// How far an update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// The bundle is arriving.
    Receiving,
    /// It is verified, written and read back.
    Installing,
    /// It will be started next, and proven by its trial.
    Installed,
    /// The running version stays; `line` says why.
    Failed,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    version: u32,
    ask: Ask,
}

/// A question as it is sent: one line.
#[must_use]
pub fn question(ask: Ask) -> Vec<u8> {
    let version = VERSION;
    // Numbers and words alone: writing them cannot fail.
    let mut line = serde_json::to_vec(&Question { version, ask }).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Reads a question as the miner could send it, without its line end.
///
/// # Errors
/// When it is none, in words.
pub fn read_question(line: &[u8]) -> Result<Ask, String> {
    if line.len() >= QUESTION_LIMIT {
        return Err(format!(
            "the question is longer than {QUESTION_LIMIT} bytes"
        ));
    }
    let question: Question = serde_json::from_slice(line)
        .map_err(|error| format!("the question cannot be read: {error}"))?;
    if question.version != VERSION {
        return Err(format!(
            "a question of version {}, this is {VERSION}: both processes must be the same binary",
            question.version
        ));
    }
    match question.ask {
        Ask::Install(bundle) if bundle.bytes == 0 || bundle.bytes > BUNDLE_LIMIT => Err(format!(
            "a bundle of {} bytes; one has 1 to {BUNDLE_LIMIT}",
            bundle.bytes
        )),
        ask => Ok(ask),
    }
}

/// Reads an answer.
///
/// # Errors
/// When it is none.
pub fn read_answer(bytes: &[u8]) -> io::Result<Told> {
    Ok(serde_json::from_slice(bytes)?)
}

/// Asks the office of a run directory how things stand. Blocks for some seconds at most.
///
/// # Errors
/// When none answers, or otherwise than asked.
pub fn status(run_directory: &Path) -> io::Result<Status> {
    let mut stream = UnixStream::connect(run_directory.join(SOCKET))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&question(Ask::Status))?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_LIMIT).read_to_end(&mut bytes)?;
    match read_answer(&bytes)? {
        Told::Status(status) => Ok(*status),
        Told::Refused(why) => Err(io::Error::other(why)),
        Told::Taken => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bundle(bytes: u64) -> Ask {
        Ask::Install(Bundle {
            bytes,
            again: false,
            downgrade: true,
            reboot: false,
        })
    }

    fn read(line: &[u8]) -> Result<Ask, String> {
        read_question(line.strip_suffix(b"\n").unwrap())
    }

    #[test]
    fn what_is_asked_is_what_is_read() {
        for ask in [Ask::Status, bundle(1), bundle(BUNDLE_LIMIT)] {
            let line = question(ask);
            assert!(line.len() < QUESTION_LIMIT);
            assert_eq!(read(&line), Ok(ask));
        }
    }

    #[test]
    fn a_bundle_has_a_bounded_size() {
        for bytes in [0, BUNDLE_LIMIT + 1, u64::MAX] {
            assert!(read(&question(bundle(bytes))).is_err(), "{bytes}");
        }
    }

    #[test]
    fn any_other_question_is_refused() {
        for line in [
            "",
            "{}",
            r#"{"version":2,"ask":"status"}"#,
            r#"{"version":1,"ask":"erase"}"#,
            r#"{"version":1,"ask":"status","more":1}"#,
            r#"{"version":1,"ask":{"install":{"bytes":1}}}"#,
        ] {
            assert!(read_question(line.as_bytes()).is_err(), "{line}");
        }
        assert!(read_question(&[b' '; QUESTION_LIMIT]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_question(&bytes);
            let _ = read_answer(&bytes);
        }
    }
}
