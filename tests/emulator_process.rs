//! `cgminer-emulator` as a program of its own: a chain task brings its chips up and mines on them, over a pseudo-terminal as
//! over a real tty, by the driver that machines use, and over a Unix socket.
#![cfg(feature = "emulator")]
#![allow(clippy::expect_used, reason = "a test that cannot go on says why")]

use cgminer_hal::linux::LinuxUart;
use cgminer_hal::uart::{Uart, UartError, UartSpec};
use cgminer_hal::units::{Baud, Megahertz};
use cgminer_rs::chain::models::L7;
use cgminer_rs::chain::{
    ChainCommand, ChainEnds, ChainPhase, ChainSettings, ChainStatus, Deadlines, Pacing, ResetError,
    ResetFuture, ResetLine, RestartPolicy, TicketMask, task,
};
use cgminer_rs::work::{
    ChainIndex, CountedBy, Extranonce2Partition, Job, JobId, SessionId, Target,
};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

/// For everything: the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(240);
const CHIPS: u16 = 12;
/// As the machine file says.
const ZERO_BITS: u8 = 12;

/// The program at work, ended with the test.
struct Emulator {
    child: Child,
    directory: tempfile::TempDir,
}

impl Emulator {
    fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        let machine = directory.path().join("machine.toml");
        let text = include_str!("../hal/emulator/machines/l7.toml");
        let text = text.replace("chips = 126", &format!("chips = {CHIPS}"));
        std::fs::write(&machine, text).expect("a machine file");
        let mut child = Command::new(program())
            .args(arguments)
            .args([Path::new("--machine"), &machine])
            .args([Path::new("--directory"), directory.path()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulator starts");
        // The control socket is the last that it tells of.
        let told = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = told
            .map_while(Result::ok)
            .any(|line| line.starts_with("control: "));
        assert!(ready, "the emulator ended before it was ready");
        Self { child, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program beside this test's own; `cargo test --workspace` has built it, and a test run by itself builds it now.
fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a path");
    let folder = own.ancestors().nth(2).expect("target/PROFILE/deps/NAME");
    let program = folder.join("cgminer-emulator");
    if !program.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "cgminer-emulator"])
            .status()
            .expect("cargo runs");
        assert!(built.success() && program.exists(), "{}", program.display());
    }
    program
}

/// A reset line by way of the control socket.
struct ControlledReset(BlockingStream);

impl ControlledReset {
    fn say(&mut self, what: &str) -> Result<(), ResetError> {
        let done = writeln!(self.0, "reset 0 {what}").and_then(|()| {
            let mut answer = String::new();
            BufReader::new(&self.0).read_line(&mut answer)?;
            if answer == "ok\n" {
                Ok(())
            } else {
                Err(io::Error::other(answer))
            }
        });
        done.map_err(|error| ResetError {
            line: "control socket".into(),
            doing: "drive",
            reason: error.to_string(),
        })
    }
}

impl ResetLine for ControlledReset {
    fn name(&self) -> &'static str {
        "control socket"
    }

    fn hold(&mut self) -> ResetFuture<'_> {
        let result = self.say("hold");
        Box::pin(async { result })
    }

    fn release(&mut self) -> ResetFuture<'_> {
        let result = self.say("release");
        Box::pin(async { result })
    }
}

/// A serial line through a socket, which has no speed.
struct SocketUart(UnixStream, Baud);

impl AsyncRead for SocketUart {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for SocketUart {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl Uart for SocketUart {
    fn name(&self) -> &'static str {
        "socket"
    }

    fn baud(&self) -> Baud {
        self.1
    }

    fn set_baud(&mut self, baud: Baud) -> Result<Baud, UartError> {
        self.1 = baud;
        Ok(baud)
    }

    fn is_drained(&self) -> Result<bool, UartError> {
        Ok(true)
    }

    fn discard_input(&mut self) -> Result<(), UartError> {
        let mut bytes = [0; 256];
        while matches!(self.0.try_read(&mut bytes), Ok(count) if count > 0) {}
        Ok(())
    }
}

fn settings() -> ChainSettings {
    ChainSettings {
        chain: ChainIndex(0),
        model: &L7,
        chips: CHIPS,
        domains: 4,
        frequency: Megahertz(525.0),
        frequency_bounds: (Megahertz(400.0), Megahertz(800.0)),
        baud: Baud(3_125_000),
        ticket_mask: TicketMask::ALL,
        hardwired_zero_bits: ZERO_BITS,
        partition: Extranonce2Partition::WHOLE,
        pacing: Pacing::EMULATED,
        deadlines: Deadlines {
            write: PATIENCE,
            reset: PATIENCE,
            answers: Duration::from_secs(5),
            mute_least: PATIENCE,
            ..Deadlines::default()
        },
        restarts: RestartPolicy::default(),
    }
}

fn job() -> Job {
    Job {
        session: SessionId(1),
        sequence: 1,
        id: JobId("1".into()),
        version: 0x2000_0000,
        version_mask: 0x1FFF_E000,
        previous_hash: [7; 32],
        roots: cgminer_rs::work::MerkleRoots::Coinbase,
        coinbase_prefix: Box::new([1; 60]),
        extranonce2_size: 8,
        coinbase_suffix: Box::new([2; 80]),
        merkle_branches: Box::new([[3; 32]; 4]),
        nbits: 0x1705_AE3A,
        ntime: 1_700_000_000,
        ntime_roll_limit: 600,
        clean: true,
        share_target: Target([u64::MAX >> ZERO_BITS, u64::MAX, u64::MAX, u64::MAX]),
        network_target: Target([0; 4]),
        received_at: Instant::now(),
        counted: CountedBy::default(),
    }
}

/// Brings the chips behind a line up, and mines a few shares on them.
async fn mines(emulator: &Emulator, uart: Box<dyn Uart>) {
    let control = BlockingStream::connect(emulator.path("control")).expect("a control socket");
    control
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    let settings = settings();
    let (jobs, jobs_end) = watch::channel(None);
    let (shares_end, mut shares) = mpsc::channel(64);
    let (status_end, mut status) = watch::channel(ChainStatus::new(&settings));
    let (commands, commands_end) = mpsc::channel(1);
    let ends = ChainEnds {
        uart,
        reset: Box::new(ControlledReset(control)),
        jobs: jobs_end,
        shares: shares_end,
        status: status_end,
        commands: commands_end,
    };
    let task = tokio::spawn(task::run(settings, ends));
    let settled = status.wait_for(|status| {
        // Tries that fail are those before the emulated rail is up.
        matches!(status.phase, ChainPhase::Idle | ChainPhase::Failed)
    });
    let settled = timeout(PATIENCE, settled).await.expect("in time");
    let settled = settled.expect("the task lives").clone();
    assert_eq!(settled.phase, ChainPhase::Idle, "{:?}", settled.reason);
    assert_eq!(settled.chips_found, Some(CHIPS));
    assert_eq!(settled.baud, Baud(3_125_000));

    jobs.send_replace(Some(Arc::new(job())));
    for _ in 0..5 {
        let share = timeout(PATIENCE, shares.recv()).await.expect("in time");
        let share = share.expect("the task lives");
        assert!(share.job.share_target.is_met_by(&share.hash));
    }
    commands.send(ChainCommand::Stop).await.expect("it lives");
    timeout(PATIENCE, task)
        .await
        .expect("in time")
        .expect("no panic")
        .expect("valid settings");
}

#[tokio::test]
async fn chips_behind_its_pseudo_terminal_are_mined_on_by_the_driver_of_real_lines() {
    let emulator = Emulator::start(&[]);
    let spec = UartSpec {
        device: emulator.path("chain0").display().to_string(),
        second_descriptor: false,
    };
    let uart = LinuxUart::open(&spec).expect("a tty");
    mines(&emulator, Box::new(uart)).await;
}

#[tokio::test]
async fn chips_behind_its_socket_are_mined_on() {
    let emulator = Emulator::start(&["--sockets"]);
    let stream = UnixStream::connect(emulator.path("chain0"))
        .await
        .expect("a socket");
    mines(&emulator, Box::new(SocketUart(stream, Baud::RESET))).await;
}
