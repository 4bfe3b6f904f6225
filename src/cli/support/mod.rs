//! `support`: one file with all that somebody needs who is asked for help, and no secret.

pub mod broken;
pub mod secrets;
mod tar;

use super::firmware::command;
use super::options::Options;
use super::{Failure, table};
use crate::api::local;
use crate::config::Config;
use lexopt::Arg::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tar::Archive;

/// What the file is called when nobody says.
const NAME: &str = "cgminer-rs-support.tar";
/// Bytes of one part. Of logs the end is kept, since that is what somebody asks about.
const PART_LIMIT: usize = 1024 * 1024;
/// For a program that tells something.
const PATIENCE: Duration = Duration::from_secs(20);
/// The system's version.
const OS_RELEASE: &str = "/etc/os-release";

/// What the running machine is asked for. None of it holds a secret: the endpoint gives none out.
const ASKED: [(&str, &str); 10] = [
    ("status.json", "/api/v1/status"),
    ("stats.json", "/api/v1/stats"),
    ("chips.json", "/api/v1/chips"),
    ("health.json", "/api/v1/health"),
    ("events.json", "/api/v1/events"),
    ("alerts.json", "/api/v1/alerts"),
    ("logs.json", "/api/v1/logs"),
    ("history.json", "/api/v1/history"),
    ("config.json", "/api/v1/config"),
    ("version.json", "/api/v1/version"),
];

/// Programs that tell of the system around; which of them there are is the system's affair.
const PROGRAMS: [(&str, &str); 5] = [
    ("kernel.txt", "dmesg 2>&1 | tail -c 60000"),
    (
        "firmware.txt",
        "rauc status --detailed 2>&1 | tail -c 60000",
    ),
    ("memory.txt", "free 2>&1; df 2>&1"),
    // Names alone: what a program was started with may be a secret.
    (
        "processes.txt",
        "ps -e -o pid,ppid,user,vsz,stat,comm 2>&1 | tail -c 60000",
    ),
    ("network.txt", "ip addr 2>&1; ip route 2>&1"),
];

/// `support [FILE]`.
pub fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut options = Options::default();
    let mut file = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Value(path) if file.is_none() => file = Some(PathBuf::from(path)),
            other => {
                let flag = Options::flag(other)?;
                options.take(flag, parser.value()?)?;
            }
        }
    }
    let file = file.unwrap_or_else(|| NAME.into());
    let failed = |error: io::Error| {
        Failure::Other(format!(
            "{}: the support archive cannot be written: {error}; name a file elsewhere, as in `support /tmp/{NAME}`",
            file.display()
        ))
    };
    // For its owner alone: no secret is in it, but names of pools and workers are.
    let out = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&file)
        .map_err(failed)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |time| time.as_secs());
    let mut archive = Archive::new(io::BufWriter::new(out), now);
    for (name, part) in parts(&options) {
        archive.append(name, &part).map_err(failed)?;
    }
    archive
        .finish()
        .and_then(|mut out| out.flush())
        .map_err(failed)?;
    table::print(&format!(
        "{}: what this machine knows of itself, secrets left out; names of pools and workers are in it\n",
        file.display()
    ))
}

/// Each part with its name. One that cannot be had says why in its place, as that is part of the answer, too.
fn parts(options: &Options) -> Vec<(&'static str, Vec<u8>)> {
    let mut parts = Vec::new();
    let recipe = options.recipe();
    // A configuration that cannot be read may be just what help is needed for: its error is told, and all else goes on.
    let (directory, secrets) = match recipe.load() {
        Ok(loaded) => {
            let secrets = secrets::of(&loaded.config);
            if let Some(log) = &loaded.config.log.file {
                parts.push(("log.txt", told(tail_of(log))));
            }
            let text = loaded.config.text();
            parts.push(("config.toml", told(text.map(String::into_bytes))));
            (loaded.config.api.run_directory, secrets)
        }
        Err(error) => {
            let told = broken::told(&recipe);
            let text = format!("not to be had: {error}\n{}", told.text);
            parts.push(("config.toml", text.into_bytes()));
            let directory = told.run_directory;
            let directory = directory.unwrap_or_else(|| Config::default().api.run_directory);
            (directory, secrets::in_each_form(&told.withheld))
        }
    };
    for (name, path) in ASKED {
        parts.push((name, told(local::get(&directory, path))));
    }
    for (name, line) in PROGRAMS {
        let said = command("sh", &["-c", line], PATIENCE);
        parts.push((name, told(said.map(String::into_bytes))));
    }
    parts.push(("os-release.txt", told(tail_of(Path::new(OS_RELEASE)))));
    let clean = |(name, part)| {
        let mut part = secrets::without(part, &secrets);
        part.truncate(PART_LIMIT);
        (name, part)
    };
    parts.into_iter().map(clean).collect()
}

fn told<E: std::fmt::Display>(part: Result<Vec<u8>, E>) -> Vec<u8> {
    part.unwrap_or_else(|error| missing(&error))
}

fn missing(error: &dyn std::fmt::Display) -> Vec<u8> {
    format!("not to be had: {error}\n").into_bytes()
}

/// The end of a file, as much as a part may have, from the beginning of a line on: half a secret is one, too.
fn tail_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let left_out = length.saturating_sub(PART_LIMIT as u64);
    file.seek(SeekFrom::Start(left_out))?;
    let mut bytes = Vec::new();
    file.take(PART_LIMIT as u64).read_to_end(&mut bytes)?;
    if left_out > 0 {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        bytes.drain(..end.map_or(bytes.len(), |end| end + 1));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::options::Flag;
    use super::*;

    #[test]
    fn a_machine_that_does_not_run_is_told_of_all_the_same_and_no_secret_leaves_it() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("a.toml");
        let log = directory.path().join("log");
        // A line that is cut in its middle is left out, and so is what it says.
        std::fs::write(
            &log,
            format!("{}\n", "hidden\n".repeat(7) + &"x".repeat(999)).repeat(PART_LIMIT / 1000),
        )
        .unwrap();
        let text = format!(
            "[log]\nfile = {log:?}\n[[pool]]\nurl = \"stratum+tcp://a:1\"\nuser = \"me.1\"\npassword = \"hidden\"\n\
             [api]\nrun_directory = {:?}\n",
            directory.path().join("run")
        );
        std::fs::write(&config, text).unwrap();
        let archive = directory.path().join("out.tar");
        let arguments = [
            "--config".into(),
            config.into_os_string(),
            archive.clone().into(),
        ];
        run(lexopt::Parser::from_args(arguments)).unwrap();
        let bytes = std::fs::read(&archive).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for wanted in ["kernel.txt", "status.json", "no cgminer-rs answers", "me.1"] {
            assert!(text.contains(wanted), "{wanted}");
        }
        assert!(!text.contains("hidden"));
        assert!(bytes.len() < 2 * PART_LIMIT, "{}", bytes.len());
        let mode = std::fs::metadata(&archive).unwrap();
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777,
            0o600
        );
    }

    #[test]
    fn a_broken_configuration_is_a_part_of_the_answer() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("a.toml");
        std::fs::write(&config, "[log]\nlevl = 1\n").unwrap();
        let mut options = Options::default();
        options.take(Flag::Config, config.into_os_string()).unwrap();
        let parts = parts(&options);
        let (_, part) = parts
            .iter()
            .find(|(name, _)| *name == "config.toml")
            .unwrap();
        assert!(String::from_utf8_lossy(part).contains("levl"));
    }
}
