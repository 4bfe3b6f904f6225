//! A daemon that a test starts.

use cgminer_rs::keeper::{KeeperStatus, State, operator};
use cgminer_rs::link::MinerEnd;
use nix::unistd::{Pid, geteuid};
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// For whatever has to come: the machine may be busy with other things. How soon it comes is proved on virtual time, in `tests/safety`.
pub const PATIENCE: Duration = Duration::from_secs(900);

/// Says that something is not tested here, past what the test's harness keeps for itself of a test that passes.
pub fn left_out(why: &str) {
    let _ = writeln!(std::io::stderr(), "left out: {why}");
}

/// Whether this process can start others as other users; says so when not.
pub fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI has to run as root: only root can start the two processes as two users"
        );
        left_out("only root can start the two processes as two users");
    }
    root
}

/// Whether a process can fence its system calls here. qemu-user cannot, for which `tests/arm/run.sh` sets that variable; all
/// else has to.
pub fn has_seccomp() -> bool {
    let emulated = std::env::var_os("ARM_TARGET").is_some();
    if emulated {
        left_out("what seccomp refuses, which qemu-user has not");
    }
    !emulated
}

/// The daemon that this test started.
pub struct Daemon {
    pub keeper: Child,
    pub directory: tempfile::TempDir,
}

impl Daemon {
    /// Starts it; none without root.
    pub fn start() -> Option<Self> {
        Self::start_by(&[])
    }

    /// Starts it by another program that becomes it, as one that gives rights away first; `by` are the program's words.
    pub fn start_by(by: &[&str]) -> Option<Self> {
        if !is_root() {
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
        let words = [by, &[env!("CARGO_BIN_EXE_cgminer-rs")]].concat();
        let keeper = Command::new(words[0])
            .args(&words[1..])
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

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// An operator's tool, connected.
    pub async fn tool(&self) -> MinerEnd {
        let socket = self.directory.path().join("run-keeper/keeper.sock");
        let connected = timeout(PATIENCE, async {
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
    pub fn miner(&self) -> Option<Pid> {
        let children = format!("/proc/{0}/task/{0}/children", self.keeper.id());
        let children = fs::read_to_string(children).ok()?;
        let child = children.split_whitespace().next()?.parse().ok()?;
        Some(Pid::from_raw(child))
    }

    /// A line of the miner's `/proc` status.
    pub fn miner_status(&self, field: &str) -> String {
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
    pub fn keeps_its_state_from(&self, user: u32) {
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

    /// Waits for a state, and gives the snapshot.
    pub async fn wait(
        &self,
        tool: &MinerEnd,
        patience: Duration,
        until: impl Fn(&KeeperStatus) -> bool,
    ) -> Arc<KeeperStatus> {
        let mut status = tool.status();
        let seen = timeout(patience, async {
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
        seen.await
            .unwrap_or_else(|_| panic!("{:?}\n{}", tool.status().borrow(), self.log()))
    }

    /// Waits until the miner of the moment has its chains' power.
    pub async fn running(&self, tool: &MinerEnd) {
        self.wait(tool, PATIENCE, |status| status.state == State::Running)
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

/// Whether a process is there and has not ended.
pub fn is_alive(process: Pid) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}
