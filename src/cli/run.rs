//! `run`: the daemon.

#[cfg(feature = "emulator")]
use super::machine::emulation;
use super::machine::{EmulatedWishes, Machine};
use super::options::Options;
use super::split::{self, Wall};
use super::{Failure, logs, single};
use crate::config::{Config, Recipe};
use lexopt::Arg::Long;
use std::ffi::OsString;
use std::future::Future;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

/// How long a file that is still being written may hold the program's end. A flash that hangs would hold it for ever.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Drives the machine until it is asked to stop.
pub fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut options = Options::default();
    let mut emulated = false;
    let mut wishes = EmulatedWishes::default();
    let mut one_process = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("emulated") => emulated = true,
            Long("single") => one_process = true,
            Long(name) if EmulatedWishes::NAMES.contains(&name) => {
                let name = name.to_owned();
                wishes.take(&name, &mut parser)?;
            }
            other => {
                let flag = Options::flag(other)?;
                options.take(flag, parser.value()?)?;
            }
        }
    }
    let recipe = options.recipe();
    let config = recipe.load()?.config;
    // Without root there is no user to change to, and the wall would be half a wall.
    let told = (nix::unistd::geteuid().is_root() && !one_process).then(|| options.arguments());
    let role = match told {
        Some(_) => logs::Role::Keeper,
        None => logs::Role::Writer,
    };
    let _logs =
        logs::start(&config.log, role).map_err(|error| Failure::Other(error.to_string()))?;
    if !emulated {
        wishes.without_emulation()?;
    }
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let stop = stop_asked()?;
        if emulated {
            Box::pin(drive_emulated(&wishes, (config, recipe), told, stop)).await
        } else {
            let machine = Machine::real(&config, wishes.zero_bits)?;
            let wall = told.map(|options| Wall {
                options,
                devices: machine
                    .board()
                    .chains
                    .iter()
                    .map(|chain| chain.uart.device.clone().into())
                    .collect(),
                zero_bits: wishes.zero_bits,
                emulated: false,
                unknown: false,
            });
            Box::pin(drive(machine, (config, recipe), wall, stop)).await
        }
    });
    runtime.shutdown_timeout(LAST_WRITES);
    done
}

/// The runtime of the daemon: one thread does all that waits.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("cannot start: {error}")))
}

/// Resolves when the system, or somebody at the terminal, asks the program to end.
pub fn stop_asked() -> Result<impl Future<Output = ()>, Failure> {
    let failed = |error| Failure::Other(format!("cannot listen for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => info!("asked to stop by SIGINT"),
            _ = terminate.recv() => info!("asked to stop by SIGTERM"),
        }
    })
}

#[cfg(feature = "emulator")]
async fn drive_emulated(
    wishes: &EmulatedWishes,
    settings: (Config, Recipe),
    told: Option<Vec<OsString>>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let emulation = emulation::start(&settings.0, wishes)?;
    warn!("the machine is emulated: its readings and its hashrate are those of a simulation");
    let wall = match told {
        Some(options) => Some(Wall::emulated(&emulation, options)?),
        None => None,
    };
    drive(emulation.machine, settings, wall, stop).await
}

#[cfg(not(feature = "emulator"))]
#[allow(clippy::unused_async, reason = "stands in for one that waits")]
async fn drive_emulated(
    _: &EmulatedWishes,
    _: (Config, Recipe),
    _: Option<Vec<OsString>>,
    _: impl Future<Output = ()>,
) -> Result<(), Failure> {
    Err(Failure::Usage(
        "this build has no emulated machine; build with the feature `emulator`".into(),
    ))
}

async fn drive(
    machine: Machine,
    (config, recipe): (Config, Recipe),
    wall: Option<Wall>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    introduce(&machine);
    if let Some(refusal) = &machine.recognised.refusal {
        error!("{refusal}; the machine gets no power");
    }
    for why in machine.unknown.iter().chain(&machine.broken) {
        error!("{why}; the machine gets no power");
    }
    for path in config.left_out() {
        warn!(
            "{path}: the configuration was made of a print, which leaves secrets out; write this one into the file"
        );
    }
    if config.pool.is_empty() {
        warn!("no pool is configured: the machine will be kept, and will not mine");
    }
    if let Some(wall) = wall {
        let wall = wall.with_board(&machine, &config);
        return split::run(machine, config, recipe, wall, stop).await;
    }
    warn!("keeper and miner share one process: nothing stands between the network and the power");
    let (opened, opening) = single::opened_channel();
    tokio::select! {
        result = single::run(machine, config, recipe, opened, stop) => result,
        () = single::tell_addresses(opening) => Ok(()),
    }
}

/// Says at the start what this is and what of it has run on hardware.
fn introduce(machine: &Machine) {
    let board = machine.board();
    info!(
        "cgminer-rs {} for {}",
        env!("CARGO_PKG_VERSION"),
        board.title
    );
    if machine.emulated {
        return;
    }
    if board.ran_on_hardware.is_empty() {
        warn!(
            "nothing of the board file {} has run on real hardware yet; watch the machine",
            board.name
        );
    } else {
        info!("has run on: {}", board.ran_on_hardware.join(", "));
    }
}
