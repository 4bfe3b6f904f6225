//! From a board file to the workers that keep its machine.

mod controllers;
mod parts;
mod settings;
mod supply;

pub use settings::Choices;
pub use supply::ask as ask_supply;

use super::task::Machine;
use super::worker::Worker;
use super::workers::{FanWorker, Line, LinesWorker, Placed, SensorWorker, SupplyWorker};
use cgminer_board::assembly::AssemblyError;
use cgminer_board::file::BoardFile;
use cgminer_hal::devices::Devices;
use cgminer_hal::gpio::{GpioError, SignalSpec};
use cgminer_hal::led::{Led, LedSpec};
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a machine cannot be kept. Its lines were driven to safety first, as far as they could be.
#[derive(Debug, Error)]
pub enum HardwareError {
    /// A line.
    #[error(transparent)]
    Gpio(#[from] GpioError),
    /// A part, by its entry in the board file.
    #[error(transparent)]
    Part(#[from] AssemblyError),
    /// The board file leaves out what cannot be done without.
    #[error("board file {board}: {what} is missing, so this machine cannot be given power")]
    Missing {
        /// Board file.
        board: String,
        /// What.
        what: &'static str,
    },
}

/// Opens a machine's hardware: first the lines, rail off and resets held, then everything else.
///
/// # Errors
/// When something is missing that power depends on. Lights and watchdog are not among it: they are reported.
pub fn open(
    board: &BoardFile,
    devices: &mut dyn Devices,
    choices: &Choices,
) -> Result<Machine, HardwareError> {
    let lines = lines(board, devices)?;
    let supply = board
        .supply
        .as_ref()
        .ok_or_else(|| HardwareError::Missing {
            board: board.name.clone(),
            what: "a supply",
        })?;
    let mut workers: Vec<Box<dyn Worker>> = vec![Box::new(lines)];
    if !board.fans.is_empty() {
        workers.push(Box::new(FanWorker::new(parts::fans(board, devices)?)));
    }
    workers.extend(sensors(board, devices)?);
    workers.push(Box::new(SupplyWorker::new(supply::open(
        board, supply, devices,
    )?)));
    workers.extend(controllers::open(board, devices)?);
    let watchdog = board.watchdog.as_ref().and_then(|spec| {
        devices
            .watchdog(spec)
            .inspect_err(|error| tracing::error!(%error, "the keeper has no watchdog behind it"))
            .ok()
    });
    Ok(Machine {
        settings: settings::guard(board, supply, choices),
        workers,
        watchdog,
    })
}

fn lines(board: &BoardFile, devices: &mut dyn Devices) -> Result<LinesWorker, HardwareError> {
    let enable = board
        .supply
        .as_ref()
        .and_then(|supply| supply.enable.as_ref());
    let enable = enable
        .map(|spec| line("supply enable", spec, false, devices))
        .transpose()?;
    let resets = board
        .chains
        .iter()
        .map(|chain| line("chain reset", &chain.reset, true, devices))
        .collect::<Result<_, _>>()?;
    let presence = board
        .chains
        .iter()
        .map(|chain| {
            chain
                .presence
                .as_ref()
                .map(|spec| devices.input_signal(spec))
                .transpose()
        })
        .collect::<Result<_, _>>()?;
    Ok(LinesWorker {
        enable,
        resets,
        presence,
        green: light(board.leds.green.as_ref(), devices),
        red: light(board.leds.red.as_ref(), devices),
    })
}

fn line(
    name: &'static str,
    spec: &SignalSpec,
    active: bool,
    devices: &mut dyn Devices,
) -> Result<Line, GpioError> {
    Ok(Line::new(name, devices.output_signal(spec, active)?))
}

fn light(spec: Option<&LedSpec>, devices: &mut dyn Devices) -> Option<Box<dyn Led>> {
    let opened = devices.led(spec?);
    opened
        .inspect_err(|error| tracing::warn!(%error, "a light is left out"))
        .ok()
}

/// A worker for each bus that has sensors.
fn sensors(
    board: &BoardFile,
    devices: &mut dyn Devices,
) -> Result<Vec<Box<dyn Worker>>, HardwareError> {
    let mut buses: BTreeMap<&str, Vec<Placed>> = BTreeMap::new();
    let mut first = 0;
    for spec in &board.sensors {
        let part = parts::thermometer(board, spec, devices)?;
        buses.entry(&spec.bus).or_default().push((first, part));
        first += 1 + spec.remotes.len();
    }
    let worker = |(bus, parts)| Box::new(SensorWorker::new(bus, parts)) as Box<dyn Worker>;
    Ok(buses.into_iter().map(worker).collect())
}
