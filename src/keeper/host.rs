//! Where the miner runs: a process of its own, or, on development machines, a task of this one.

use crate::link::{KeeperEnd, MinerEnd, in_process, socket};
use cgminer_hal::task::{boxed, thread};
use std::future::Future;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Bytes of a line that a miner may tell; the rest comes as another one.
const LONGEST_LINE: u64 = 8 * 1024;

/// Takes the miner's log lines. Must not wait.
type Lines = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Starts and ends the miner. One at a time.
pub trait MinerHost: Send {
    /// Starts a miner and gives the link to it. Only called when none runs.
    ///
    /// # Errors
    /// Why it could not be started, in words.
    fn start(&mut self) -> Result<KeeperEnd, String>;

    /// Ends it without asking.
    fn kill(&mut self);

    /// How it ended, once it did; asked again and again. None while it runs and after it was told.
    fn ended(&mut self) -> Option<String>;
}

/// The miner as a process: this program with a hidden subcommand, the link as its standard input.
pub struct ProcessHost {
    command: Box<dyn FnMut() -> Command + Send>,
    lines: Lines,
    child: Option<Child>,
}

impl ProcessHost {
    /// A host that starts what `command` gives, and hands every line of its standard error to `lines`.
    pub fn new(
        command: impl FnMut() -> Command + Send + 'static,
        lines: impl Fn(&[u8]) + Send + Sync + 'static,
    ) -> Self {
        Self {
            command: Box::new(command),
            lines: Arc::new(lines),
            child: None,
        }
    }

    /// Process id of the miner that runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn spawn(&mut self) -> std::io::Result<KeeperEnd> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut child = (self.command)()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            .spawn()?;
        let told = child.stderr.take();
        self.child = Some(child);
        if let Some(told) = told {
            let lines = Arc::clone(&self.lines);
            thread("miner log", move || pass_on(told, &lines))?;
        }
        Ok(socket::keeper_end(tokio::net::UnixStream::from_std(ours)?))
    }
}

/// Hands lines on until the miner has ended.
fn pass_on(told: ChildStderr, lines: &Lines) {
    let mut told = BufReader::new(told);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut told).take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => lines(&line),
        }
    }
}

impl MinerHost for ProcessHost {
    fn start(&mut self) -> Result<KeeperEnd, String> {
        self.spawn().map_err(|error| {
            self.kill();
            format!("cannot be started: {error}")
        })
    }

    fn kill(&mut self) {
        if let Some(child) = &mut self.child {
            // It fails only for a child that has ended already.
            let _ = child.kill();
        }
    }

    fn ended(&mut self) -> Option<String> {
        let how = match self.child.as_mut()?.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => describe(status),
            Err(error) => format!("cannot be waited for: {error}"),
        };
        self.child = None;
        Some(how)
    }
}

impl Drop for ProcessHost {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How a process ended, in words.
#[must_use]
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

/// A future of a miner; gives how it ended, in words.
pub type MinerFuture = Pin<Box<dyn Future<Output = String> + Send>>;

/// The miner as a task of this process: no protection from it, for development machines only.
pub struct TaskHost {
    make: Box<dyn FnMut(MinerEnd) -> MinerFuture + Send>,
    task: Option<(tokio::task::AbortHandle, oneshot::Receiver<String>)>,
}

impl TaskHost {
    /// A host that runs what `make` gives.
    pub fn new(make: impl FnMut(MinerEnd) -> MinerFuture + Send + 'static) -> Self {
        Self {
            make: Box::new(make),
            task: None,
        }
    }
}

impl MinerHost for TaskHost {
    fn start(&mut self) -> Result<KeeperEnd, String> {
        let (miner, keeper) = in_process();
        let future = (self.make)(miner);
        let (ending, ended) = oneshot::channel();
        let task = tokio::spawn(boxed(async move {
            let how = future.await;
            let _ = ending.send(how);
        }));
        self.task = Some((task.abort_handle(), ended));
        Ok(keeper)
    }

    fn kill(&mut self) {
        if let Some((task, _)) = &self.task {
            task.abort();
        }
    }

    fn ended(&mut self) -> Option<String> {
        let (_, ended) = self.task.as_mut()?;
        let how = match ended.try_recv() {
            Ok(how) => how,
            Err(oneshot::error::TryRecvError::Empty) => return None,
            Err(oneshot::error::TryRecvError::Closed) => "panicked or was aborted".into(),
        };
        self.task = None;
        Some(how)
    }
}

impl Drop for TaskHost {
    fn drop(&mut self) {
        self.kill();
    }
}
