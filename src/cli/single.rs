//! Keeper and miner as tasks of one process: for development machines and the emulated machine.
//!
//! The code of both is the same as in two processes; what is missing is the wall between them.

use super::Failure;
use super::machine::Machine;
use crate::config::scribe::Scribe;
use crate::config::{Config, Recipe};
use crate::keeper::hardware::Choices;
use crate::keeper::host::TaskHost;
use crate::keeper::worker::Placement;
use crate::keeper::{self, Setup};
use crate::link::MinerEnd;
use crate::miner::{self, Miner, Opened};
use std::fs::DirBuilder;
use std::future::Future;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// Directory of the keeper alone: what outlives a reboot.
const STATE_DIRECTORY: &str = "/var/lib/cgminer-rs";
/// File in it.
const KEPT: &str = "keeper.json";
/// Socket for an operator's tool, in a directory of the keeper alone.
const OPERATOR: &str = "keeper.sock";
/// Miners that may have told where they listen before anybody looked.
const OPENED: usize = 4;

/// Told where the status endpoint is, each time that a miner opens it.
pub type OpenedReceiver = mpsc::Receiver<Opened>;

/// The channel for it.
pub fn opened_channel() -> (mpsc::Sender<Opened>, OpenedReceiver) {
    mpsc::channel(OPENED)
}

/// Keeps the machine and mines, until `stop` resolves and the machine is off.
///
/// # Errors
/// When keeper or machine cannot begin.
pub async fn run(
    machine: Machine,
    config: Config,
    recipe: Recipe,
    opened: mpsc::Sender<Opened>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let failed = |what: &dyn std::fmt::Display| Failure::Other(what.to_string());
    let kept = open(&machine, &config)?;
    let directory = &config.api.run_directory;
    std::fs::create_dir_all(directory).map_err(|error| {
        failed(&format_args!(
            "run directory {}: {error}",
            directory.display()
        ))
    })?;
    let setup = setup(&config, machine.emulated)?;
    let _scribe = scribe(recipe.clone(), directory)?;
    let host = TaskHost::new(move |link: MinerEnd| {
        let miner = Miner {
            board: machine.board().clone(),
            config: config.clone(),
            recipe: recipe.clone(),
            chips: machine.chips,
            emulated: machine.emulated,
            uarts: machine.uart_openers(),
            keeper: link,
            opened: Some(opened.clone()),
        };
        Box::pin(async {
            match miner::run(miner).await {
                Ok(()) => "ended as asked".to_owned(),
                Err(error) => error.to_string(),
            }
        })
    });
    keeper::run(kept, Box::new(host), setup, stop)
        .await
        .map_err(|error| failed(&error))
}

/// Opens the machine's hardware for the keeper.
///
/// # Errors
/// When something is missing that power depends on.
pub fn open(machine: &Machine, config: &Config) -> Result<keeper::Machine, Failure> {
    let mut devices = machine
        .devices
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let recognised = &machine.recognised;
    let mut kept = keeper::hardware::open(&recognised.board, &mut *devices, &choices(config))
        .map_err(|error| Failure::Other(error.to_string()))?;
    kept.settings.unknown = recognised.refusal.as_ref().map(ToString::to_string);
    kept.settings.hash_boards = recognised.hash_boards();
    kept.settings.emulated = machine.emulated;
    Ok(kept)
}

/// Where the keeper keeps and listens. The run directory may be the miner's; these are not.
///
/// # Errors
/// When its directory cannot be made.
pub fn setup(config: &Config, emulated: bool) -> Result<Setup, Failure> {
    let own = keeper_directory(&config.api.run_directory);
    let state = if emulated {
        own.clone()
    } else {
        STATE_DIRECTORY.into()
    };
    for directory in [&own, &state] {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| {
                Failure::Other(format!(
                    "keeper's directory {}: {error}",
                    directory.display()
                ))
            })?;
    }
    Ok(Setup {
        kept: state.join(KEPT),
        socket: Some(operator_socket(&config.api.run_directory)),
        placement: Placement::Thread,
        status: watch::Sender::new(None),
    })
}

/// Opens the miner's way to the configuration's files, which SIGHUP has read again.
///
/// # Errors
/// When its socket cannot be had.
pub fn scribe(recipe: Recipe, run_directory: &Path) -> Result<Scribe, Failure> {
    let failed = |error: std::io::Error| {
        let path = run_directory.display();
        Failure::Other(format!(
            "run directory {path}: no socket for the configuration: {error}"
        ))
    };
    let scribe = Scribe::start(recipe, run_directory).map_err(failed)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    let reread = scribe.reread();
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            tracing::info!("asked by SIGHUP to read the configuration again");
            reread.ask();
        }
    });
    Ok(scribe)
}

/// The keeper's socket for an operator's tool.
#[must_use]
pub fn operator_socket(run_directory: &Path) -> PathBuf {
    keeper_directory(run_directory).join(OPERATOR)
}

/// The directory of the keeper's socket: beside the run directory, not in it.
#[must_use]
pub fn keeper_directory(run_directory: &Path) -> PathBuf {
    let mut name = run_directory.as_os_str().to_owned();
    name.push("-keeper");
    name.into()
}

/// Tells the log where the status endpoint is, each time that it is opened. Never ends.
pub async fn tell_addresses(mut opening: OpenedReceiver) {
    while let Some(opened) = opening.recv().await {
        if let Some(address) = opened.address {
            tracing::info!("status: http://{address}/api/v1/status");
        }
    }
    // The last miner has ended; the keeper's word is what counts.
    std::future::pending::<()>().await;
}

/// What the owner may choose of the cooling.
fn choices(config: &Config) -> Choices {
    let cooling = &config.cooling;
    Choices {
        fan_mode: cooling.fan_mode(),
        target: cooling.target,
        fans_required: cooling.minimum_fans,
        voltage: config.chains.voltage,
    }
}
