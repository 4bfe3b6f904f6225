//! Keeper and miner as tasks of one process: for development machines and the emulated machine.
//!
//! The code of both is the same as in two processes; what is missing is the wall between them.

use super::Failure;
use super::machine::Machine;
use crate::config::{Config, CoolingMode};
use crate::keeper::hardware::Choices;
use crate::keeper::host::TaskHost;
use crate::keeper::worker::Placement;
use crate::keeper::{self, Setup};
use crate::link::MinerEnd;
use crate::miner::{self, Miner, Opened};
use cgminer_board::thermal::FanMode;
use cgminer_hal::units::DutyPercent;
use std::future::Future;
use std::sync::PoisonError;
use tokio::sync::{mpsc, watch};

/// File in the run directory that outlives a restart of the program.
const KEPT: &str = "keeper.state";
/// Socket in the run directory for an operator's tool.
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
    opened: mpsc::Sender<Opened>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let failed = |what: &dyn std::fmt::Display| Failure::Other(what.to_string());
    let kept = {
        let mut devices = machine
            .devices
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        keeper::hardware::open(&machine.board, &mut *devices, &choices(&config))
            .map_err(|error| failed(&error))?
    };
    let directory = config.api.run_directory.clone();
    std::fs::create_dir_all(&directory).map_err(|error| {
        failed(&format_args!(
            "run directory {}: {error}",
            directory.display()
        ))
    })?;
    let setup = Setup {
        kept: directory.join(KEPT),
        socket: Some(directory.join(OPERATOR)),
        placement: Placement::Thread,
        status: watch::Sender::new(None),
    };
    let host = TaskHost::new(move |link: MinerEnd| {
        let miner = Miner {
            board: machine.board.clone(),
            config: config.clone(),
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

/// What the owner may choose of the cooling; a fixed mode without a duty is as safe as it can be.
fn choices(config: &Config) -> Choices {
    let cooling = &config.cooling;
    Choices {
        fan_mode: match cooling.mode {
            CoolingMode::Automatic => FanMode::Auto,
            CoolingMode::Immersion => FanMode::Immersion,
            CoolingMode::Fixed => FanMode::Fixed {
                duty: cooling.duty.unwrap_or(DutyPercent::FULL),
            },
        },
        target: cooling.target,
        fans_required: cooling.minimum_fans,
        voltage: config.chains.voltage,
    }
}
