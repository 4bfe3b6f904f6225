//! The daemon under test, with a pool of its own: two processes for root, one for anybody else.

use crate::crowd::exchange;
use cgminer_rs::cli::demo::pool::{DemoPool, DemoPoolSettings};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// For the machine to come up, however busy the one is that emulates it.
const PATIENCE: Duration = Duration::from_secs(900);
/// Hashes a second that the pool makes its first difficulty for.
const RATE: f64 = 2e6;
/// Names another build of the program, as a release: what a panic does, and how long an answer takes, differ between them.
const ANOTHER: &str = "TEST_DAEMON";

fn program() -> PathBuf {
    let another = std::env::var_os(ANOTHER).map(PathBuf::from);
    let program = another.unwrap_or_else(|| env!("CARGO_BIN_EXE_cgminer-rs").into());
    assert!(program.is_file(), "{} is no program", program.display());
    program
}

pub struct Daemon {
    process: Child,
    /// Where its network door is.
    pub address: String,
    directory: tempfile::TempDir,
    pool: JoinHandle<()>,
}

impl Daemon {
    /// Starts it with these lines in `[api]`, and with so few open files when a number is given.
    pub async fn start(api: &str, files: Option<u32>) -> Self {
        let pool = DemoPool::bind(DemoPoolSettings::for_hashrate(RATE)).unwrap();
        let url = pool.address();
        let directory = tempfile::tempdir().unwrap();
        // The miner's user has to get to the run directory.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let file = directory.path().join("c.toml");
        let text = format!(
            "[api]\nlisten = \"127.0.0.1:0\"\n{api}\n[[pool]]\nurl = \"stratum+tcp://{url}\"\nuser = \"u\"\n"
        );
        fs::write(&file, text).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let program = program();
        let mut command = match files {
            None => Command::new(&program),
            Some(files) => {
                let mut shell = Command::new("sh");
                shell.args([
                    "-c",
                    &format!("ulimit -n {files}; exec \"$0\" \"$@\" --single"),
                ]);
                shell.arg(&program);
                shell
            }
        };
        command
            .args(["run", "--emulated", "--config"])
            .arg(&file)
            .arg("--run-directory")
            .arg(directory.path().join("run"));
        let process = command
            .env_remove("CGMINER_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut daemon = Self {
            process,
            address: String::new(),
            directory,
            pool: tokio::spawn(pool.run()),
        };
        daemon.until_log("status: http://").await;
        let log = daemon.log();
        let (_, rest) = log.split_once("status: http://").unwrap();
        rest.split('/')
            .next()
            .unwrap()
            .clone_into(&mut daemon.address);
        daemon
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    pub async fn until_log(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(Instant::now() < until, "no `{text}` in {}", self.log());
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn status(&self) -> Value {
        let answer = exchange(&self.address, "/api/v1/status").await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        serde_json::from_str(body).unwrap_or_default()
    }

    /// Waits until every chain works for the pool and has proved it.
    pub async fn until_mining(&self) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.status().await;
            let chains = status["chains"].as_array().cloned().unwrap_or_default();
            let proves = |chain: &Value| chain["counters"]["nonces"].as_u64() > Some(0);
            if status["machine"]["state"] == "mining" && chains.iter().all(proves) {
                return status;
            }
            assert!(Instant::now() < until, "{status}\n{}", self.log());
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Good nonces of each chain.
    pub async fn nonces(&self) -> Vec<u64> {
        let status = self.status().await;
        let chains = status["chains"].as_array().cloned().unwrap_or_default();
        let nonces = chains
            .iter()
            .map(|chain| chain["counters"]["nonces"].as_u64());
        nonces.map(Option::unwrap_or_default).collect()
    }

    pub async fn until_nonces_pass(&self, before: Vec<u64>) {
        let until = Instant::now() + PATIENCE;
        loop {
            let now = self.nonces().await;
            if now.len() == before.len()
                && now.iter().zip(&before).all(|(now, before)| now > before)
            {
                return;
            }
            assert!(Instant::now() < until, "{before:?} {now:?}\n{}", self.log());
            sleep(Duration::from_millis(200)).await;
        }
    }

    fn miner(&self) -> Option<u32> {
        let id = self.process.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Whether the miner is a process of its own.
    pub fn is_split(&self) -> bool {
        self.miner().is_some()
    }

    /// Descriptors that the first process has open.
    pub fn open_files(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.process.id()));
        files.unwrap().count()
    }

    /// Lets the first process have so many from now on, the open ones included.
    pub fn allow_files(&self, count: usize) {
        let set = Command::new("prlimit")
            .arg(format!("--pid={}", self.process.id()))
            .arg(format!("--nofile={count}:"))
            .status();
        assert!(set.expect("prlimit, of util-linux").success());
    }

    /// Bytes that keeper and miner have for themselves alone: not the program's file, which a build for tests makes large.
    pub fn memory(&self) -> (u64, u64) {
        self.of_both("RssAnon:")
    }

    /// All that is resident of keeper and miner.
    pub fn resident(&self) -> (u64, u64) {
        self.of_both("VmRSS:")
    }

    fn of_both(&self, field: &str) -> (u64, u64) {
        let of = |id: u32| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let words = line.unwrap_or_default();
            let kib = words
                .split_whitespace()
                .next()
                .and_then(|word| word.parse::<u64>().ok());
            kib.expect("a process that runs") << 10
        };
        (of(self.process.id()), self.miner().map_or(0, of))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The emulated machine ends with it; nothing is left hot.
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.pool.abort();
    }
}
