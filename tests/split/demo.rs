//! The demo as root: keeper, miner and what stands beside them are processes of their own.

use crate::daemon::{is_alive, is_root};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Time that the demo has to find shares in, half a minute of which is the supply's; and to end in once it is asked.
const FINDS_WITHIN: Duration = Duration::from_secs(900);
const ENDS_WITHIN: Duration = Duration::from_secs(240);

struct Demo {
    process: Child,
    lines: mpsc::Receiver<String>,
    log: tempfile::NamedTempFile,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
            .args(["demo", "--config", "/dev/null", "--api", "127.0.0.1:0"])
            .args(arguments)
            .env_remove("CGMINER_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        let told = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in told.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            process,
            lines,
            log,
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().try_into().unwrap())
    }

    /// The first line that is so.
    fn line(&self, within: Duration, is_it: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + within;
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(rest).unwrap_or_else(|_| {
                panic!(
                    "no such line: {}",
                    fs::read_to_string(self.log.path()).unwrap()
                )
            });
            if is_it(&line) {
                return line;
            }
        }
    }

    /// The child that runs a hidden subcommand, and its user.
    fn child(&self, subcommand: &str) -> Option<(Pid, u32)> {
        let children = format!("/proc/{0}/task/{0}/children", self.process.id());
        let children = fs::read_to_string(children).unwrap();
        let is_it = |pid: &&str| {
            let told = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            told.split(|byte| *byte == 0)
                .any(|word| word == subcommand.as_bytes())
        };
        let pid = children.split_whitespace().find(is_it)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        let user = users.split_whitespace().next()?.parse().ok()?;
        Some((Pid::from_raw(pid.parse().ok()?), user))
    }

    fn ended(&mut self) -> std::process::ExitStatus {
        let until = Instant::now() + ENDS_WITHIN;
        while Instant::now() < until {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!(
            "the demo does not end: {}",
            fs::read_to_string(self.log.path()).unwrap()
        );
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The number behind a word of a line.
fn number(line: &str, word: &str) -> u64 {
    let mut words = line.split_whitespace().skip_while(|one| *one != word);
    words
        .nth(1)
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn a_demo_of_root_is_keeper_and_miner_as_two_users_finds_shares_and_ends_cleanly() {
    if !is_root() {
        return;
    }
    let mut demo = Demo::start(&[]);
    demo.line(FINDS_WITHIN, |line| {
        line.starts_with("status: http://127.0.0.1:")
    });
    let line = demo.line(FINDS_WITHIN, |line| {
        line.contains("accepted") && number(line, "accepted") > 0
    });
    // A new block may have overtaken one on its way.
    assert!(number(&line, "rejected") <= 1, "{line}");

    let (miner, miners_user) = demo.child("miner-process").unwrap();
    let (companion, companions_user) = demo.child("demo-companion").unwrap();
    assert_ne!(miner, demo.pid());
    assert_ne!(miners_user, 0, "the miner is root");
    assert_ne!(companions_user, 0, "the pool is root");

    kill(demo.pid(), Signal::SIGINT).unwrap();
    assert!(demo.ended().success());
    for child in [miner, companion] {
        assert!(!is_alive(child), "a process is left behind");
    }
}

#[test]
fn a_demo_ends_by_itself_after_its_seconds() {
    if !is_root() {
        return;
    }
    let mut demo = Demo::start(&["--seconds", "3"]);
    assert!(demo.ended().success());
}
