//! RAUC, the updater underneath: asked through its program, whose answers are JSON.

use super::version::Version;
use crate::cli::{Failure, table};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};
use thiserror::Error;

/// For questions; verifying the signature of a bundle is one, too.
const ANSWER_TIME: Duration = Duration::from_secs(120);
/// For writing a slot: 64 MiB at a flash's slowest.
const INSTALL_TIME: Duration = Duration::from_secs(30 * 60);
/// Longest line, and longest answer, that is read.
const ANSWER_LIMIT: u64 = 64 * 1024;
/// What RAUC begins the line with that says why it failed.
const CAUSE: &str = "LastError:";
/// Lines that wait to be shown.
const LINES: usize = 16;

/// Why RAUC did not do what was asked.
#[derive(Debug, Error)]
pub enum RaucError {
    /// It is not there.
    #[error(
        "{program}: cannot be started: {source}; updates need the firmware image, which has it"
    )]
    Start {
        /// What was called.
        program: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("{program}: no end after {} s; it was stopped, and the running slot is untouched", limit.as_secs())]
    Late {
        /// What was called.
        program: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It failed.
    #[error("{program} refused: {said}")]
    Failed {
        /// What was called.
        program: &'static str,
        /// Its last line.
        said: String,
    },
    /// Its answer makes no sense.
    #[error("rauc's answer lacks {0}; its version may be another one than the image's")]
    Answer(&'static str),
}

impl From<RaucError> for Failure {
    fn from(error: RaucError) -> Self {
        Self::Other(error.to_string())
    }
}

/// A bundle whose signature is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The machine that it is for.
    pub compatible: String,
    /// Of the image in it.
    pub version: Version,
    /// Bytes of the image.
    pub size: u64,
    /// SHA-256 of the image, in hex.
    pub sha256: String,
}

/// One of the two places for a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The boot loader's name for it.
    pub bootname: String,
    /// Where it lies.
    pub device: PathBuf,
    /// Whether it runs.
    pub booted: bool,
    /// Whether the boot loader would boot it.
    pub good: bool,
}

/// Both of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    /// The machine's own name, which a bundle must have.
    pub compatible: String,
    slots: Vec<Slot>,
}

impl Slots {
    /// Slots as RAUC told them.
    pub fn new(compatible: String, slots: Vec<Slot>) -> Self {
        Self { compatible, slots }
    }

    /// All, in RAUC's order.
    pub fn all(&self) -> &[Slot] {
        &self.slots
    }

    /// The one that runs.
    pub fn booted(&self) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.booted)
    }

    /// The one that does not, if there is just one.
    pub fn idle(&self) -> Option<&Slot> {
        let mut idle = self.slots.iter().filter(|slot| !slot.booted);
        let first = idle.next()?;
        idle.next().is_none().then_some(first)
    }
}

/// The slots as they are.
pub fn status() -> Result<Slots, RaucError> {
    let answer = command("rauc", &["status", "--output-format=json"], ANSWER_TIME)?;
    parse_status(&answer)
}

/// What is in a bundle, once its signature has been found good.
pub fn info(bundle: &Path) -> Result<Bundle, RaucError> {
    let bundle = bundle.to_string_lossy();
    let answer = command(
        "rauc",
        &["info", "--output-format=json", &bundle],
        ANSWER_TIME,
    )?;
    parse_info(&answer)
}

/// Writes a bundle's image into the idle slot, telling `progress` each line that RAUC says.
pub fn install(bundle: &Path, progress: impl FnMut(&str)) -> Result<(), RaucError> {
    let bundle = bundle.to_string_lossy();
    // To a pipe it tells how far it is unasked; `--progress` is for terminals, and one that was built without D-Bus does not know it.
    told("rauc", &["install", &bundle], INSTALL_TIME, progress).map(drop)
}

/// Makes the idle slot the next to boot.
pub fn mark_active() -> Result<(), RaucError> {
    command("rauc", &["status", "mark-active", "other"], ANSWER_TIME).map(drop)
}

/// Gives the running slot all its tries back.
pub fn mark_good() -> Result<(), RaucError> {
    command("rauc", &["status", "mark-good", "booted"], ANSWER_TIME).map(drop)
}

/// Runs a program to its end and returns what it said.
pub fn command(
    program: &'static str,
    arguments: &[&str],
    limit: Duration,
) -> Result<String, RaucError> {
    told(program, arguments, limit, |_| {})
}

/// Reads the answer to `rauc status --output-format=json`.
///
/// # Errors
/// When a member that matters is missing.
pub fn parse_status(answer: &str) -> Result<Slots, RaucError> {
    let answer: Value =
        serde_json::from_slice(answer.as_bytes()).map_err(|_| RaucError::Answer("JSON"))?;
    let listed = answer["slots"]
        .as_array()
        .ok_or(RaucError::Answer("slots"))?;
    let slots = listed
        .iter()
        .filter_map(Value::as_object)
        .flat_map(serde_json::Map::values)
        // Only slots that boot have a name for the boot loader.
        .filter(|slot| slot["bootname"].is_string())
        .map(|slot| {
            Ok(Slot {
                bootname: text(&slot["bootname"], "a slot's bootname")?,
                device: text(&slot["device"], "a slot's device")?.into(),
                booted: slot["state"] == "booted",
                good: slot["boot_status"] == "good",
            })
        })
        .collect::<Result<Vec<_>, RaucError>>()?;
    Ok(Slots::new(
        text(&answer["compatible"], "compatible")?,
        slots,
    ))
}

/// Reads the answer to `rauc info --output-format=json`.
///
/// # Errors
/// When a member that matters is missing, or there is not just one image.
pub fn parse_info(answer: &str) -> Result<Bundle, RaucError> {
    let answer: Value =
        serde_json::from_slice(answer.as_bytes()).map_err(|_| RaucError::Answer("JSON"))?;
    let images: Vec<&Value> = answer["images"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_object)
        .flat_map(serde_json::Map::values)
        .collect();
    let [image] = images.as_slice() else {
        return Err(RaucError::Answer("just one image"));
    };
    let sha256 = text(&image["checksum"], "the image's checksum")?;
    if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(RaucError::Answer("a SHA-256 of the image"));
    }
    Ok(Bundle {
        compatible: text(&answer["compatible"], "compatible")?,
        version: text(&answer["version"], "the version")?
            .parse()
            .map_err(|_| RaucError::Answer("a version of three numbers"))?,
        size: image["size"]
            .as_u64()
            .ok_or(RaucError::Answer("the image's size"))?,
        sha256: sha256.to_ascii_lowercase(),
    })
}

fn text(value: &Value, what: &'static str) -> Result<String, RaucError> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .ok_or(RaucError::Answer(what))
}

/// Runs a program, telling each of its lines, and returns them together. Its errors are lines, too: the last one says why it
/// failed.
fn told(
    program: &'static str,
    arguments: &[&str],
    limit: Duration,
    mut tell: impl FnMut(&str),
) -> Result<String, RaucError> {
    let start = |source| RaucError::Start { program, source };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    // A pipe that nobody empties would stop the program, so each has a reader of its own.
    let (sender, lines) = sync_channel::<(bool, String)>(LINES);
    let pipes: [(bool, Option<Box<dyn Read + Send>>); 2] = [
        (true, child.stdout.take().map(|pipe| Box::new(pipe) as _)),
        (false, child.stderr.take().map(|pipe| Box::new(pipe) as _)),
    ];
    for (is_answer, pipe) in pipes {
        let (Some(pipe), sender) = (pipe, sender.clone()) else {
            continue;
        };
        std::thread::spawn(move || {
            for line in BufReader::new(pipe.take(ANSWER_LIMIT))
                .lines()
                .map_while(Result::ok)
            {
                if sender.send((is_answer, line)).is_err() {
                    return;
                }
            }
        });
    }
    drop(sender);

    let end = Instant::now() + limit;
    let mut answer = String::new();
    let mut last = String::new();
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok((is_answer, line)) => {
                tell(&line);
                // RAUC's own word for the cause; whether it comes before or after its other last words is chance.
                if !line.trim().is_empty() && !last.starts_with(CAUSE) {
                    line.trim().clone_into(&mut last);
                }
                if is_answer {
                    answer.push_str(&line);
                    answer.push('\n');
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                // It may be gone by now, which is as good.
                let _ = child.kill();
                let _ = child.wait();
                return Err(RaucError::Late { program, limit });
            }
        }
    }
    // Both pipes are closed, so it has ended or is about to.
    let status = child.wait().map_err(start)?;
    if status.success() {
        Ok(answer)
    } else {
        Err(RaucError::Failed {
            program,
            said: table::inert(&last),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As RAUC 1.13 answers, shortened.
    const STATUS: &str = r#"{"compatible":"cgminer-rs-am335x","variant":"","booted":"A","boot_primary":"rootfs.0","slots":[
        {"rootfs.1":{"class":"rootfs","device":"/dev/mmcblk0p3","type":"raw","bootname":"B","state":"inactive","boot_status":"bad"}},
        {"rootfs.0":{"class":"rootfs","device":"/dev/mmcblk0p2","type":"raw","bootname":"A","state":"booted","boot_status":"good"}}]}"#;
    const INFO: &str = r#"{"compatible":"cgminer-rs-am335x","version":"1.4.2","description":"","build":"","hooks":[],
        "images":[{"rootfs":{"filename":"rootfs.squashfs","size":4096,
        "checksum":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}]}"#;

    #[test]
    fn the_running_and_the_idle_slot_are_told_apart() {
        let slots = parse_status(STATUS).unwrap();
        assert_eq!(slots.booted().unwrap().bootname, "A");
        let idle = slots.idle().unwrap();
        assert_eq!((idle.bootname.as_str(), idle.good), ("B", false));
        assert_eq!(idle.device, PathBuf::from("/dev/mmcblk0p3"));
    }

    #[test]
    fn a_bundle_tells_what_will_be_read_back() {
        let bundle = parse_info(INFO).unwrap();
        assert_eq!(
            (bundle.version.to_string().as_str(), bundle.size),
            ("1.4.2", 4096)
        );
    }

    #[test]
    fn an_answer_that_lacks_something_is_an_error() {
        for lacking in ["compatible", "version", "size", "checksum", "images"] {
            let answer = INFO.replace(&format!("\"{lacking}\""), "\"other\"");
            assert!(
                matches!(parse_info(&answer), Err(RaucError::Answer(_))),
                "{lacking}"
            );
        }
        for lacking in ["compatible", "slots", "device"] {
            let answer = STATUS.replace(&format!("\"{lacking}\""), "\"other\"");
            assert!(
                matches!(parse_status(&answer), Err(RaucError::Answer(_))),
                "{lacking}"
            );
        }
    }

    #[test]
    fn a_program_that_fails_is_told_by_its_last_words() {
        let arguments = [
            "-c",
            "echo starting; echo 'signature is bad' >&2; sleep 0; exit 1",
        ];
        match command("sh", &arguments, Duration::from_secs(60)) {
            Err(RaucError::Failed { said, .. }) => assert!(!said.is_empty()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_program_that_is_missing_is_told_so() {
        let missing = command("no-such-program", &[], Duration::from_secs(60));
        assert!(matches!(missing, Err(RaucError::Start { .. })));
    }

    #[test]
    fn a_program_that_never_ends_is_ended() {
        let late = command("sleep", &["1000"], Duration::from_millis(20));
        assert!(matches!(late, Err(RaucError::Late { .. })), "{late:?}");
    }

    proptest! {
        #[test]
        fn any_answer_is_understood_or_refused(text in "[\\[\\]{}\",:a-z0-9 ]{0,100}") {
            let _ = parse_status(&text);
            let _ = parse_info(&text);
        }
    }
}
