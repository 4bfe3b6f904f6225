//! Keeper and miner as the two processes that they are, on an emulated machine and in real time. Needs root, to have
//! a user to change to; without, these tests say that they were left out, and where `CI` is set they fail.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cgminer_rs::api::local;
use cgminer_rs::keeper::{KeeperStatus, State, operator};
use cgminer_rs::link::{LinkError, MinerEnd, Refusal, Request};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The daemon that this test started.
struct Daemon {
    keeper: Child,
    directory: tempfile::TempDir,
}

impl Daemon {
    /// Starts it; none without root.
    fn start() -> Option<Self> {
        if !geteuid().is_root() {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI has to run as root: only root can start the two processes as two users"
            );
            println!("left out: only root can start the two processes as two users");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        // Other users have to get to the run directory.
        fs::set_permissions(
            directory.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let keeper = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
            .args(["run", "--emulated", "--listen", "off", "--run-directory"])
            .arg(directory.path().join("run"))
            .arg("--set")
            .arg(format!(
                "keeper.state_directory={}",
                directory.path().join("state").display()
            ))
            .env_remove("CGMINER_CONFIG")
            .args(["--config", "/dev/null", "--set"])
            .arg(format!(
                "log.file={}",
                directory.path().join("both.log").display()
            ))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Some(Self { keeper, directory })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// An operator's tool, connected.
    async fn tool(&self) -> MinerEnd {
        let socket = self.directory.path().join("run-keeper/keeper.sock");
        let connected = timeout(Duration::from_secs(30), async {
            loop {
                match operator::connect(&socket).await {
                    Ok(tool) => return tool,
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            }
        });
        connected
            .await
            .unwrap_or_else(|_| panic!("no keeper: {}", self.log()))
    }

    /// Process of the miner.
    fn miner(&self) -> Option<Pid> {
        let children = format!("/proc/{0}/task/{0}/children", self.keeper.id());
        let children = fs::read_to_string(children).ok()?;
        let child = children.split_whitespace().next()?.parse().ok()?;
        Some(Pid::from_raw(child))
    }

    /// A line of the miner's `/proc` status.
    fn miner_status(&self, field: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.miner().unwrap())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default()
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// A user of that number cannot see, change or take away what the keeper keeps, though the run directory is theirs.
    fn keeps_its_state_from(&self, user: u32) {
        let root = self.directory.path();
        let owner = |name: &str| fs::metadata(root.join(name)).unwrap();
        assert_eq!(owner("run").uid(), user);
        for (name, file) in [("state", "keeper.json"), ("run-keeper", "keeper.sock")] {
            let directory = owner(name);
            assert_eq!((directory.uid(), directory.mode() & 0o777), (0, 0o700));
            let path = root.join(name).join(file);
            assert!(path.exists(), "{}", path.display());
            for words in [
                ["cat"].as_slice(),
                &["rm", "-f"],
                &["mv", "-f", "/dev/null"],
            ] {
                let tried = Command::new(words[0])
                    .args(&words[1..])
                    .arg(&path)
                    .uid(user)
                    .gid(user)
                    .stdin(Stdio::null())
                    .output()
                    .unwrap();
                assert!(!tried.status.success(), "{words:?}");
            }
            assert!(path.exists(), "{}", path.display());
        }
    }

    /// Waits for a state, and gives the snapshot and how long it took.
    async fn wait(
        &self,
        tool: &MinerEnd,
        most: u64,
        until: impl Fn(&KeeperStatus) -> bool,
    ) -> (Arc<KeeperStatus>, Duration) {
        let began = Instant::now();
        let mut status = tool.status();
        let seen = timeout(Duration::from_secs(most), async {
            loop {
                if let Some(seen) = status
                    .borrow_and_update()
                    .clone()
                    .filter(|seen| until(seen))
                {
                    return seen;
                }
                status.changed().await.unwrap();
            }
        });
        let seen = seen
            .await
            .unwrap_or_else(|_| panic!("{:?}\n{}", tool.status().borrow(), self.log()));
        (seen, began.elapsed())
    }

    /// Waits until the miner of the moment has its chains' power.
    async fn running(&self, tool: &MinerEnd) {
        self.wait(tool, 180, |status| status.state == State::Running)
            .await;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The emulated machine is in this process; nothing is left hot.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Does something to a miner that has power and gives the keeper's snapshot when the power is gone.
async fn power_goes_when(
    signal: Signal,
    within: u64,
) -> Option<(Daemon, MinerEnd, Arc<KeeperStatus>)> {
    let daemon = Daemon::start()?;
    let tool = daemon.tool().await;
    daemon.running(&tool).await;
    kill(daemon.miner().unwrap(), signal).unwrap();
    let (status, _) = daemon
        .wait(&tool, within, |status| !status.state.may_power())
        .await;
    let off = |status: &KeeperStatus| status.supply.measured.is_some_and(|volts| volts.0 < 3_000);
    daemon.wait(&tool, 20, off).await;
    Some((daemon, tool, status))
}

#[tokio::test]
async fn a_miner_that_is_killed_loses_its_power_and_comes_back() {
    let Some((daemon, tool, status)) = power_goes_when(Signal::SIGKILL, 10).await else {
        return;
    };
    let cause = status.last_cause.as_ref().unwrap().to_string();
    assert!(cause.contains("killed by signal 9"), "{cause}");
    daemon.running(&tool).await;
}

#[tokio::test]
async fn a_miner_that_aborts_loses_its_power() {
    // What a panic of the release build and a failed allocation end in.
    let Some((_, _, status)) = power_goes_when(Signal::SIGABRT, 10).await else {
        return;
    };
    let cause = status.last_cause.as_ref().unwrap().to_string();
    assert!(cause.contains("killed by signal 6"), "{cause}");
}

#[tokio::test]
async fn a_miner_that_is_stopped_loses_its_power_and_is_killed() {
    let Some((daemon, tool, status)) = power_goes_when(Signal::SIGSTOP, 30).await else {
        return;
    };
    let cause = status.last_cause.as_ref().unwrap().to_string();
    assert!(cause.contains("did not report in time"), "{cause}");
    daemon.running(&tool).await;
}

#[tokio::test]
async fn a_miner_ends_with_its_keeper_and_has_no_rights_while_it_runs() {
    let Some(mut daemon) = Daemon::start() else {
        return;
    };
    let tool = daemon.tool().await;
    daemon
        .wait(&tool, 60, |status| status.state == State::PowerUp)
        .await;
    for (field, expected) in [
        ("CapEff", "0000000000000000"),
        ("CapPrm", "0000000000000000"),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
    ] {
        assert_eq!(
            daemon.miner_status(field),
            expected,
            "{field}\n{}",
            daemon.log()
        );
    }
    let user: u32 = daemon.miner_status("Uid").parse().unwrap();
    assert_ne!(user, 0);
    daemon.keeps_its_state_from(user);
    let miner = daemon.miner().unwrap();
    daemon.keeper.kill().unwrap();
    daemon.keeper.wait().unwrap();
    let gone = timeout(Duration::from_secs(10), async {
        while is_alive(miner) {
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(gone.await.is_ok(), "the miner lives on without its keeper");
}

#[tokio::test]
async fn one_file_and_one_list_hold_the_lines_of_both_processes() {
    let Some(daemon) = Daemon::start() else {
        return;
    };
    let run = daemon.directory.path().join("run");
    let file = daemon.directory.path().join("both.log");
    // Who is driven is told by the keeper's process alone, what was given away by the miner's.
    let both = |text: &str| {
        text.contains("cgminer_rs::cli::run") && text.contains("cgminer_rs::miner::confine")
    };
    let told = timeout(Duration::from_secs(120), async {
        loop {
            let listed = local::get(&run, "/api/v1/logs").unwrap_or_default();
            let written = fs::read_to_string(&file).unwrap_or_default();
            if both(&String::from_utf8_lossy(&listed)) && both(&written) {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    });
    assert!(told.await.is_ok(), "{}", daemon.log());
}

#[tokio::test]
async fn an_operator_may_what_the_miner_may_not_and_a_stop_ends_both() {
    let Some(mut daemon) = Daemon::start() else {
        return;
    };
    let tool = daemon.tool().await;
    daemon
        .wait(&tool, 60, |status| status.state == State::PowerUp)
        .await;
    assert!(matches!(
        tool.request(Request::ClearLatch).await,
        Err(LinkError::Refused(Refusal::NotNow { .. }))
    ));
    assert_eq!(tool.request(Request::Locate { on: true }).await, Ok(()));
    daemon.wait(&tool, 5, |status| status.locate).await;
    assert_eq!(tool.request(Request::SetPower { on: false }).await, Ok(()));
    daemon
        .wait(&tool, 10, |status| status.state == State::Standby)
        .await;
    assert_eq!(tool.request(Request::Stop).await, Ok(()));
    let ended = timeout(Duration::from_secs(60), async {
        loop {
            if let Some(status) = daemon.keeper.try_wait().unwrap() {
                return status;
            }
            sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(
        ended
            .await
            .unwrap_or_else(|_| panic!("{}", daemon.log()))
            .success()
    );
    let kept = fs::read_to_string(daemon.directory.path().join("state/keeper.json")).unwrap();
    assert!(kept.contains(r#""running":false"#), "{kept}");
}

/// Whether a process is there and has not ended.
fn is_alive(process: Pid) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}
