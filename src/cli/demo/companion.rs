//! What stands beside the demo's machine: the pool and the lines on the terminal.
//!
//! Both read what comes from a network or from the miner, so that they must not be in the process that owns the power.
//! As root they are a process of their own, with the miner's user and fences; otherwise a task.

use super::live;
use super::pool::{DemoPool, DemoPoolSettings};
use crate::cli::run::runtime;
use crate::cli::{Failure, logs};
use crate::config::LogSection;
use crate::keeper::host::describe;
use crate::miner::confine::{self, Plan};
use lexopt::{Arg::Long, ValueExt};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// The hidden subcommand that the companion's process is.
pub const COMPANION: &str = "demo-companion";
/// This program, wherever it lies and even if it was replaced meanwhile.
const PROGRAM: &str = "/proc/self/exe";
/// Hashes a second that the demo pool makes its first difficulty for; it learns the true rate from shares.
const EXPECTED_RATE: f64 = 2e6;
/// How often a companion is looked after.
const LOOK: Duration = Duration::from_millis(500);

/// A process that accompanies, until dropped.
pub struct Companion(Child);

impl Companion {
    /// Starts it.
    ///
    /// # Errors
    /// When the system has no process for it.
    pub fn start(listener: TcpListener, scene: &Scene) -> Result<Self, Failure> {
        Command::new(PROGRAM)
            .arg(COMPANION)
            .arg("--run-directory")
            .arg(&scene.run_directory)
            .args(["--api", &scene.api.to_string()])
            .args(["--zero-bits", &scene.zero_bits.to_string()])
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .spawn()
            .map(Self)
            .map_err(|error| failed(&error))
    }

    /// Waits until it ends, which it does by itself only when something is wrong; says how.
    pub async fn ended(&mut self) -> String {
        loop {
            match self.0.try_wait() {
                Ok(None) => tokio::time::sleep(LOOK).await,
                Ok(Some(status)) => return describe(status),
                Err(error) => return error.to_string(),
            }
        }
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        // It fails only for one that has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the companion has to know of the machine.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Where the machine answers local tools.
    pub run_directory: PathBuf,
    /// Its status endpoint.
    pub api: SocketAddr,
    /// Zero bits that its chips declare.
    pub zero_bits: u8,
}

/// Is the pool at `listener` and tells of the machine, until dropped.
///
/// # Errors
/// When the socket is none that a pool can listen at.
pub async fn accompany(listener: TcpListener, scene: Scene) -> Result<(), Failure> {
    let settings = DemoPoolSettings::for_hashrate(EXPECTED_RATE);
    let pool = DemoPool::listening(listener, settings).map_err(|error| failed(&error))?;
    let stats = pool.stats();
    tokio::select! {
        () = pool.run() => Ok(()),
        () = live::show(scene, stats) => Ok(()),
    }
}

/// The companion's process.
///
/// # Errors
/// When it cannot begin.
pub fn process(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut scene = Scene {
        run_directory: PathBuf::new(),
        api: super::DEFAULT_ADDRESS,
        zero_bits: 0,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("run-directory") => scene.run_directory = parser.value()?.into(),
            Long("api") => scene.api = parser.value()?.parse()?,
            Long("zero-bits") => scene.zero_bits = parser.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let listener = listener()?;
    let measures = confine::confine(&Plan {
        account: confine::account(&[]),
        read: vec![scene.run_directory.clone()],
        ..Plan::default()
    });
    let _logs = logs::start(&LogSection::default(), logs::Role::Other)
        .map_err(|error| Failure::Other(error.to_string()))?;
    confine::report(&measures);
    runtime()?.block_on(async {
        // Whoever asks the whole group of processes to end means the keeper, whose end is this one's.
        let _interrupt = signal(SignalKind::interrupt()).map_err(|error| failed(&error))?;
        let _terminate = signal(SignalKind::terminate()).map_err(|error| failed(&error))?;
        let _hang_up = signal(SignalKind::hangup()).map_err(|error| failed(&error))?;
        accompany(listener, scene).await
    })
}

/// The pool's socket, which is this process's standard input.
fn listener() -> Result<TcpListener, Failure> {
    let open = || {
        let listener = TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        // Also tells a socket from what somebody typed this command at.
        listener.local_addr()?;
        Ok(listener)
    };
    open().map_err(|error: std::io::Error| {
        Failure::Usage(format!(
            "`{COMPANION}` is started by `demo`, with the pool's socket as standard input: {error}"
        ))
    })
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::Other(format!("demo pool: {error}"))
}
