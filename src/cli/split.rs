//! Keeper and miner as two processes: this one, which owns the machine, and another of the same program, which parses
//! the network and owns nothing.

use super::machine::{Machine, SharedDevices, chips, named_board, uart_openers};
use super::options::Options;
use super::run::runtime;
use super::{Failure, flight, logs, single};
use crate::api::tls::Identity;
use crate::chain::Pacing;
use crate::config::scribe::KeeperLine;
use crate::config::{ChainsSection, Config, PoolSection, Recipe};
use crate::keeper;
use crate::keeper::host::ProcessHost;
use crate::link::socket::miner_end;
use crate::miner::confine::{self, Account, Plan};
use crate::miner::{self, ChipTraits, Miner};
use crate::telemetry::LOG_RING;
use cgminer_board::file::BoardFile;
use cgminer_hal::linux::LinuxDevices;
use lexopt::{Arg::Long, ValueExt};
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, chown};
use std::ffi::{CStr, OsString};
use std::future::Future;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};

/// The hidden subcommand that the miner's process is.
pub const MINER: &str = "miner-process";
/// This program, wherever it lies and even if it was replaced meanwhile.
const PROGRAM: &str = "/proc/self/exe";

/// What lists of processes call both of them, and the miner's process more closely.
const NAME: &str = "cgminer-rs";
const MINERS_NAME: &CStr = c"cgminer-miner";

/// What the miner's process is told.
pub struct Wall {
    /// Options of the configuration, said again.
    pub options: Vec<OsString>,
    /// Serial lines, in the order of the chains.
    pub devices: Vec<PathBuf>,
    /// Zero bits of emulated chips; none for silicon.
    pub zero_bits: Option<u8>,
    /// Whether the machine around the chips is emulated too.
    pub emulated: bool,
    /// Whether nobody knows the board, so that there are no chains.
    pub unknown: bool,
}

/// Keeps the machine and lets another process mine, until `stop` resolves and the machine is off.
///
/// # Errors
/// When the keeper cannot begin.
pub async fn run(
    machine: Machine,
    config: Config,
    recipe: Recipe,
    wall: Wall,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let failed = |what: &dyn std::fmt::Display| Failure::Other(what.to_string());
    let account = confine::account(&wall.devices);
    let directory = &config.api.run_directory;
    hand_over(directory, &wall.devices, account.as_ref())
        .map_err(|error| failed(&format_args!("{}: {error}", directory.display())))?;
    let arguments = wall.arguments();
    let host = ProcessHost::new(
        move || {
            let mut command = Command::new(PROGRAM);
            command.arg0(NAME).arg(MINER).args(&arguments);
            command
        },
        logs::feed,
    );
    // Told now, by the process that is asked; the miner reads it again for itself.
    identity(&config)?;
    let scribe = single::scribe(recipe, directory, keeper_lines)?;
    let setup = single::setup(&config, machine.emulated, scribe.minimum_fans())?;
    let _office = single::office(directory)?;
    // Last, as it starts the watchdog, and whoever cannot begin must not have the board reset for it.
    let kept = single::open(&machine, &config).await;
    keeper::run(kept, Box::new(host), setup, stop)
        .await
        .map_err(|error| failed(&error))
        .and_then(Failure::of_end)
}

/// What the keeper has logged, for the miner's page.
fn keeper_lines(after: u64) -> Vec<KeeperLine> {
    let lines = LOG_RING.after(after, tracing::Level::TRACE);
    lines
        .into_iter()
        .map(|line| KeeperLine {
            number: line.number,
            unix_time: line.unix_time,
            level: line.level.into(),
            target: line.target.into_owned(),
            text: line.text,
        })
        .collect()
}

impl Wall {
    /// The wall before an emulated machine, whose chips hang at pseudo-terminals.
    ///
    /// # Errors
    /// When the system has none left.
    #[cfg(feature = "emulator")]
    pub fn emulated(
        emulation: &super::machine::emulation::Emulation,
        options: Vec<OsString>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            options,
            devices: emulation
                .ptys()
                .map_err(|error| Failure::Other(format!("pseudo-terminals: {error}")))?,
            zero_bits: Some(emulation.hardwired_zero_bits),
            emulated: true,
            unknown: false,
        })
    }

    /// Tells the miner which board this is. It cannot find out by itself: it may not look at any of it.
    #[must_use]
    pub fn with_board(mut self, machine: &Machine, config: &Config) -> Self {
        self.unknown = machine.unknown.is_some();
        if config.board.file.is_none() && !self.unknown {
            let name = machine.board().name.clone();
            self.options.extend(["--board".into(), name.into()]);
        }
        self
    }

    fn arguments(&self) -> Vec<OsString> {
        let devices = self
            .devices
            .iter()
            .flat_map(|path| ["--device".into(), path.clone().into()]);
        let bits = self
            .zero_bits
            .iter()
            .flat_map(|bits| ["--zero-bits".into(), bits.to_string().into()]);
        self.options
            .iter()
            .cloned()
            .chain(devices)
            .chain(bits)
            .chain(self.emulated.then(|| "--emulated".into()))
            .chain(self.unknown.then(|| "--unknown".into()))
            .collect()
    }
}

/// The run directory is the miner's, to open its sockets in; so are pseudo-terminals, which are made for it.
fn hand_over(
    directory: &Path,
    devices: &[PathBuf],
    account: Option<&Account>,
) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let Some(account) = account else {
        return Ok(());
    };
    let (user, group) = (Uid::from_raw(account.user), Gid::from_raw(account.group));
    chown(directory, Some(user), Some(group))?;
    for pty in devices
        .iter()
        .filter(|device| device.starts_with("/dev/pts"))
    {
        chown(pty, Some(user), None)?;
    }
    Ok(())
}

/// The miner's process.
///
/// # Errors
/// When it cannot begin.
pub fn miner_process(mut parser: lexopt::Parser) -> Result<(), Failure> {
    // The kernel would call it `exe`, after the link that it was started by. A name is all that fails with this.
    let _ = prctl::set_name(MINERS_NAME);
    let mut options = Options::default();
    let mut wall = Wall {
        options: Vec::new(),
        devices: Vec::new(),
        zero_bits: None,
        emulated: false,
        unknown: false,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("device") => wall.devices.push(parser.value()?.into()),
            Long("emulated") => wall.emulated = true,
            Long("unknown") => wall.unknown = true,
            Long("zero-bits") => wall.zero_bits = Some(parser.value()?.parse()?),
            other => {
                let flag = Options::flag(other)?;
                options.take(flag, parser.value()?)?;
            }
        }
    }
    // All that is the owner's alone is read now; after that it cannot be.
    let recipe = options.recipe();
    let mut config = recipe.load()?.config;
    let board = if wall.unknown {
        // Nothing of it fits a machine without chains.
        config.chains = ChainsSection::default();
        BoardFile::unknown()
    } else {
        named_board(&config)?
    };
    let pacing = if wall.emulated {
        Pacing::EMULATED
    } else {
        Pacing::CAPTURED
    };
    let chips = chips(wall.zero_bits, pacing);
    let link = link()?;
    let identity = identity(&config)?;
    let measures = confine::confine(&Plan {
        account: confine::account(&wall.devices),
        read: config.pool.iter().flat_map(read_for).collect(),
        write: vec![config.api.run_directory.clone()],
        devices: wall.devices.clone(),
        files: confine::files_needed(config.api.maximum_connections),
    });
    let _logs = logs::start(&config.log, logs::Role::Other)
        .map_err(|error| Failure::Other(error.to_string()))?;
    confine::report(&measures);
    flight::begin(&config.api.run_directory, &config.log);
    runtime()?.block_on(mine(config, recipe, (board, chips), identity, wall, link))
}

/// What a pool's settings name for the miner to read. A node makes its cookie anew at every start, under the same name
/// but as another file, so the right is for the directory around it; the file's own permissions still count.
fn read_for(pool: &PoolSection) -> impl Iterator<Item = PathBuf> {
    let around = |cookie: &PathBuf| cookie.parent().unwrap_or(cookie).to_owned();
    let cookie = pool.cookie_file.as_ref().map(around);
    cookie.into_iter().chain(pool.ca_file.clone())
}

async fn mine(
    config: Config,
    recipe: Recipe,
    (mut board, chips): (BoardFile, ChipTraits),
    identity: Option<Identity>,
    wall: Wall,
    link: std::os::unix::net::UnixStream,
) -> Result<(), Failure> {
    let failed = |what: &dyn std::fmt::Display| Failure::Other(what.to_string());
    // Whoever asks the whole group of processes to end means the keeper, which then asks this one.
    let _interrupt = signal(SignalKind::interrupt()).map_err(|error| failed(&error))?;
    let _terminate = signal(SignalKind::terminate()).map_err(|error| failed(&error))?;
    let _hang_up = signal(SignalKind::hangup()).map_err(|error| failed(&error))?;
    for (chain, device) in board.chains.iter_mut().zip(&wall.devices) {
        chain.uart.device = device.display().to_string();
    }
    let devices: SharedDevices = Arc::new(Mutex::new(LinuxDevices::new()));
    let (opened, opening) = single::opened_channel();
    let miner = Miner {
        uarts: uart_openers(&board, &devices),
        board,
        config,
        recipe,
        chips,
        emulated: wall.zero_bits.is_some(),
        identity,
        keeper: miner_end(UnixStream::from_std(link).map_err(|error| failed(&error))?),
        opened: Some(opened),
    };
    tokio::select! {
        ended = miner::run(miner) => ended.map_err(|error| failed(&error)),
        () = single::tell_addresses(opening) => Ok(()),
    }
}

/// What the network door proves who it is with.
fn identity(config: &Config) -> Result<Option<Identity>, Failure> {
    Identity::of(&config.api).map_err(|error| Failure::Other(error.to_string()))
}

/// The link to the keeper, which is this process's standard input.
fn link() -> Result<std::os::unix::net::UnixStream, Failure> {
    let open = || {
        let link = std::io::stdin().as_fd().try_clone_to_owned()?;
        let link = std::os::unix::net::UnixStream::from(link);
        // Also tells a socket from what somebody typed this command at.
        link.peer_addr()?;
        link.set_nonblocking(true)?;
        Ok(link)
    };
    open().map_err(|error: std::io::Error| {
        Failure::Usage(format!(
            "`{MINER}` is started by `run`, with its keeper as standard input: {error}"
        ))
    })
}
