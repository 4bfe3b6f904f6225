//! The configuration of a whole running program: changed through its doors and its file, and killed while it writes.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cgminer_rs::api::local::{self, LocalError};
use cgminer_rs::config::scribe::{Ask, Scribe, ask};
use cgminer_rs::config::{Recipe, hash, parse};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const FILE: &str = "# the owner's words\n[api]\nlisten = \"127.0.0.1:0\"\n\n[[pool]] # the one\nurl = \
                    \"stratum+tcp://127.0.0.1:9\"\nuser = \"u\"\npassword = \"p\"\n";
/// A directory named so makes this test's program write configurations until it is killed.
const WRITER: &str = "TEST_CONFIGURATION_WRITER";
/// Writers that are killed.
const ROUNDS: u32 = 200;
/// For whatever has to come: the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(240);

/// A daemon on an emulated machine: two processes for root, one for anybody else.
struct Daemon {
    process: Child,
    directory: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The miner's user has to get to the run directory, and must not need to read the file.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let file = directory.path().join("c.toml");
        fs::write(&file, FILE).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
            .args(["run", "--emulated", "--config"])
            .arg(&file)
            .arg("--run-directory")
            .arg(directory.path().join("run"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let daemon = Self { process, directory };
        daemon.until("the interface answers", || {
            daemon.get("/api/v1/version").is_ok()
        });
        daemon
    }

    fn run_directory(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("c.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn get(&self, path: &str) -> Result<Value, LocalError> {
        self.ask("GET", path, "")
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value, LocalError> {
        let answer = local::ask(&self.run_directory(), method, path, body)?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    /// Status of what is refused.
    fn refused(&self, method: &str, path: &str, body: &str) -> u16 {
        match self.ask(method, path, body) {
            Err(LocalError::Refused { status, .. }) => status,
            other => panic!("{other:?}"),
        }
    }

    fn tool(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
            .args(words)
            .args(["--config", "/dev/null", "--run-directory"])
            .arg(self.run_directory())
            .output()
            .unwrap()
    }

    fn pools(&self) -> usize {
        let pools = self.get("/api/v1/pools").unwrap();
        pools["list"].as_array().unwrap().len()
    }

    fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let began = Instant::now();
        while !done() {
            assert!(
                began.elapsed() < PATIENCE,
                "{what}\n{}",
                fs::read_to_string(self.directory.path().join("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The emulated machine is in this process; nothing is left hot.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_running_machine_is_claimed_and_changed_without_a_restart() {
    let daemon = Daemon::start();
    let claimed = daemon.tool(&["token", "claim"]);
    assert!(claimed.status.success(), "{claimed:?}");
    let token = String::from_utf8(claimed.stdout).unwrap();
    assert!(token.starts_with("cgminer-"), "{token}");
    assert!(daemon.text().contains(&hash(token.trim())));
    assert!(!daemon.tool(&["token", "claim"]).status.success());
    assert!(daemon.tool(&["token", "create", "phone"]).status.success());
    let list = String::from_utf8(daemon.tool(&["token", "list"]).stdout).unwrap();
    assert!(list.contains("owner") && list.contains("phone"), "{list}");
    assert!(daemon.tool(&["token", "revoke", "phone"]).status.success());

    // Over the interface: the file is changed, its comments stay, and the pools follow.
    let pool = r#"{"url":"stratum+tcp://127.0.0.1:10","user":"v"}"#;
    daemon.ask("POST", "/api/v1/pools", pool).unwrap();
    assert!(daemon.text().starts_with("# the owner's words\n"));
    assert!(daemon.text().contains("# the one"));
    daemon.until("two pools", || daemon.pools() == 2);
    let nonsense = r#"{"url":"nonsense://"}"#;
    assert_eq!(daemon.refused("PATCH", "/api/v1/pools/1", nonsense), 422);
    // The keeper, not this process, knows what the board bears.
    let too_much = r#"{"voltage":24000}"#;
    assert_eq!(daemon.refused("PATCH", "/api/v1/supply", too_much), 409);
    assert!(!daemon.text().contains("24000"));

    // By the file, with SIGHUP; a wrong file changes nothing.
    let two = daemon.text();
    let three = format!("{two}\n[[pool]]\nurl = \"127.0.0.1:11\"\nuser = \"w\"\n");
    fs::write(daemon.file(), &three).unwrap();
    let keeper = Pid::from_raw(daemon.process.id().try_into().unwrap());
    kill(keeper, Signal::SIGHUP).unwrap();
    daemon.until("three pools", || daemon.pools() == 3);
    fs::write(daemon.file(), format!("{three}[nonsense]\n")).unwrap();
    assert_eq!(daemon.refused("POST", "/api/v1/config/reload", ""), 422);
    assert_eq!(daemon.pools(), 3);
    fs::write(daemon.file(), three).unwrap();

    let fans = r#"{"mode":"fixed","duty":60}"#;
    daemon.ask("PATCH", "/api/v1/fans", fans).unwrap();
    daemon.until("the keeper holds the duty", || {
        let status = daemon.get("/api/v1/status").unwrap();
        let mode = status["keeper"]["fan_mode"].as_str();
        mode.is_some_and(|mode| mode.contains("60"))
    });
    assert!(daemon.text().contains("duty = 60"));
    let mode = fs::metadata(daemon.file()).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o600, "the file stays as private as it was");
    let export = String::from_utf8(daemon.tool(&["config", "export"]).stdout).unwrap();
    assert!(
        export.contains("# the one") && export.contains("<redacted>"),
        "{export}"
    );
}

/// A process writes two configurations in turn through the scribe, again and again.
fn write_until_killed(directory: &Path) -> ! {
    let recipe = Recipe {
        file: directory.join("c.toml"),
        named: true,
        ..Recipe::default()
    };
    let _scribe = Scribe::start(recipe.clone(), directory, |_| Vec::new()).unwrap();
    loop {
        for letter in ["a", "b"] {
            let was = hash(&fs::read_to_string(&recipe.file).unwrap());
            let text = configuration(letter);
            // The budget of writes is for one process, and the next one has its own.
            let _ = ask(directory, &Ask::Write { text, was }).unwrap();
        }
    }
}

/// A configuration of some KiB, so that a torn one has many ways to be torn.
fn configuration(letter: &str) -> String {
    let comment = letter.repeat(100);
    let filling = format!("# {comment}\n").repeat(100);
    format!("{filling}[log]\nlevel = \"{letter}=info\"\n")
}

#[test]
fn a_write_that_is_cut_off_anywhere_leaves_the_old_or_the_new_file() {
    if let Some(directory) = std::env::var_os(WRITER) {
        write_until_killed(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.toml");
    fs::write(&file, configuration("a")).unwrap();
    let inode = || fs::metadata(&file).unwrap().ino();
    let (mut seen, mut cut_off, mut rounds) = ([0, 0], 0, 0_u32);
    // Where the axe falls is chance: a machine that is busy with other things may need some more rounds.
    while rounds < ROUNDS || cut_off == 0 || seen.contains(&0) {
        rounds += 1;
        assert!(
            rounds <= 20 * ROUNDS,
            "no write was cut off, or one file was never found, so nothing is proven: {cut_off} {seen:?}"
        );
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("a_write_that_is_cut_off_anywhere_leaves_the_old_or_the_new_file")
            .env(WRITER, directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It writes when the file has become another one; then the axe falls, each time at another moment of the next two writes.
        let becomes_another = || {
            let (before, began) = (inode(), Instant::now());
            while inode() == before {
                // Whoever was late finds its budget of writes spent, which grows by one in half a minute.
                assert!(began.elapsed() < PATIENCE, "it never writes");
                std::thread::sleep(Duration::from_micros(200));
            }
            began.elapsed()
        };
        becomes_another();
        let write =
            becomes_another().clamp(Duration::from_micros(1_500), Duration::from_millis(50));
        std::thread::sleep(2 * write * (rounds * 37 % 100) / 100);
        let process = Pid::from_raw(writer.id().try_into().unwrap());
        kill(process, Signal::SIGKILL).unwrap();
        writer.wait().unwrap();
        cut_off += u32::from(directory.path().join(".c.toml.new").exists());
        let text = fs::read_to_string(&file).unwrap();
        let which = ["a", "b"]
            .iter()
            .position(|letter| text == configuration(letter));
        let which = which.unwrap_or_else(|| panic!("torn in round {rounds}: {} bytes", text.len()));
        parse(&text).unwrap();
        seen[which] += 1;
    }
    println!(
        "killed in the middle of {cut_off} of {rounds} writes; the two files were found {seen:?} times"
    );
}
