//! Keeper and miner as tasks of one process: for development machines and the emulated machine.
//!
//! The code of both is the same as in two processes; what is missing is the wall between them.

use super::machine::Machine;
use super::{Failure, flight, places};
use crate::api::tls::Identity;
use crate::config::scribe::{KeeperLines, Scribe};
use crate::config::{Config, Recipe};
use crate::keeper::hardware::Choices;
use crate::keeper::host::TaskHost;
use crate::keeper::worker::Placement;
use crate::keeper::{self, Setup};
use crate::link::MinerEnd;
use crate::miner::{self, Miner, Opened, confine};
use crate::updates::{Office, Places};
use cgminer_hal::task::boxed;
use std::future::Future;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// Miners that may have told where they listen before anybody looked.
const OPENED: usize = 4;

/// How often hardware that is not there is looked for, and the time between.
const OPENINGS: u32 = 5;
const BETWEEN_OPENINGS: Duration = Duration::from_secs(1);

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
    let directory = &config.api.run_directory;
    std::fs::create_dir_all(directory).map_err(|error| {
        failed(&format_args!(
            "run directory {}: {error}",
            directory.display()
        ))
    })?;
    // One process has one ring of lines already.
    let scribe = scribe(recipe.clone(), directory, |_| Vec::new())?;
    let setup = setup(&config, machine.emulated, scribe.minimum_fans())?;
    let _office = office(directory)?;
    let identity = Identity::of(&config.api).map_err(|error| failed(&error))?;
    let files = confine::files_needed(config.api.maximum_connections);
    if let Err(error) = confine::raise_files(files) {
        tracing::warn!(%error, "fewer clients than api.maximum_connections may find a place");
    }
    // Last, as it starts the watchdog, and whoever cannot begin must not have the board reset for it.
    let kept = open(&machine, &config).await;
    let host = TaskHost::new(move |link: MinerEnd| {
        let miner = Miner {
            board: machine.board().clone(),
            config: config.clone(),
            recipe: recipe.clone(),
            chips: machine.chips,
            emulated: machine.emulated,
            uarts: machine.uart_openers(),
            keeper: link,
            identity: identity.clone(),
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
        .and_then(Failure::of_end)
}

/// Opens the machine's hardware for the keeper. What power depends on is waited for, as drivers may come late; without it
/// the machine is kept without power, because a keeper that ended would have the board reset again and again.
pub async fn open(machine: &Machine, config: &Config) -> keeper::Machine {
    let recognised = &machine.recognised;
    let (board, choices) = (&recognised.board, choices(config));
    let mut kept = None;
    if machine.unknown.is_none() {
        for attempt in 1..=OPENINGS {
            let opened = keeper::hardware::open(board, &mut *machine.devices(), &choices);
            match opened {
                Ok(opened) => {
                    kept = Some(opened);
                    break;
                }
                Err(error) if attempt < OPENINGS => {
                    tracing::warn!(%error, attempt, "not all of the hardware is there; trying again");
                    sleep(BETWEEN_OPENINGS).await;
                }
                Err(error) => tracing::error!(%error, "the machine is kept without power"),
            }
        }
    }
    let mut kept = kept.unwrap_or_else(|| {
        keeper::hardware::open_what_is_there(board, &mut *machine.devices(), &choices)
    });
    kept.hashes_due.clone_from(&machine.hashes_due);
    let settings = &mut kept.settings;
    let refusal = recognised.refusal.as_ref().map(ToString::to_string);
    settings.unknown = machine.unknown.clone().or(refusal);
    settings.broken = machine.broken.clone().or(settings.broken.take());
    settings.hash_boards = recognised.hash_boards();
    settings.absent = recognised.absent();
    settings.emulated = machine.emulated;
    kept
}

/// Where the keeper keeps and listens: directories of its own. The run directory has to be there.
///
/// # Errors
/// When they cannot be made.
pub fn setup(
    config: &Config,
    emulated: bool,
    owners_fans: watch::Receiver<Option<u8>>,
) -> Result<Setup, Failure> {
    places::prepare(config, emulated)?;
    flight::begin(
        &places::keeper_directory(&config.api.run_directory),
        &config.log,
    );
    Ok(Setup {
        kept: places::kept(config, emulated),
        boot: cgminer_hal::linux::boot::id(),
        socket: Some(places::operator_socket(&config.api.run_directory)),
        placement: Placement::Thread,
        status: watch::Sender::new(None),
        owners_fans,
    })
}

/// Opens the miner's way to the configuration's files, which SIGHUP has read again.
///
/// # Errors
/// When its socket cannot be had.
pub fn scribe(recipe: Recipe, run_directory: &Path, lines: KeeperLines) -> Result<Scribe, Failure> {
    let failed = |error: std::io::Error| {
        let path = run_directory.display();
        Failure::Other(format!(
            "run directory {path}: no socket for the configuration: {error}"
        ))
    };
    let scribe = Scribe::start(recipe, run_directory, lines).map_err(failed)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    let reread = scribe.reread();
    tokio::spawn(boxed(async move {
        while hang_up.recv().await.is_some() {
            tracing::info!("asked by SIGHUP to read the configuration again");
            reread.ask();
        }
    }));
    Ok(scribe)
}

/// Opens the miner's way to updates of the image.
///
/// # Errors
/// When its socket cannot be had.
pub fn office(run_directory: &Path) -> Result<Office, Failure> {
    Office::start(run_directory, Places::default()).map_err(|error| {
        let path = run_directory.display();
        Failure::Other(format!(
            "run directory {path}: no socket for updates: {error}"
        ))
    })
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
