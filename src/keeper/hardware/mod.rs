//! From a board file to the workers that keep its machine.

mod controllers;
mod inputs;
mod overdue;
mod parts;
mod settings;
mod supply;

pub use settings::Choices;
pub use supply::ask as ask_supply;

use super::setup::Machine;
use super::worker::Worker;
use super::workers::{FanWorker, Line, LinesWorker, Placed, SensorWorker, SupplyWorker};
use cgminer_board::assembly::AssemblyError;
use cgminer_board::file::BoardFile;
use cgminer_hal::devices::Devices;
use cgminer_hal::gpio::{GpioError, SignalSpec};
use cgminer_hal::led::{Led, LedSpec};
use cgminer_hal::watchdog::Watchdog;
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
/// When something is missing that power depends on. Lights, inputs and watchdog are not among it: they are reported.
pub fn open(
    board: &BoardFile,
    devices: &mut dyn Devices,
    choices: &Choices,
) -> Result<Machine, HardwareError> {
    let (mut machine, failures) = assemble(board, devices, choices);
    if let Some(first) = failures.into_iter().next() {
        return Err(first);
    }
    machine.watchdog = watchdog(board, devices);
    Ok(machine)
}

/// Opens what is there of a machine that is not all there. It gets no power; whatever can be driven is driven to safety,
/// fans full, and the watchdog is fed, so that its owner finds a machine that tells what is wrong.
pub fn open_what_is_there(
    board: &BoardFile,
    devices: &mut dyn Devices,
    choices: &Choices,
) -> Machine {
    let (mut machine, failures) = assemble(board, devices, choices);
    let told: Vec<_> = failures.iter().map(ToString::to_string).collect();
    if !told.is_empty() {
        machine.settings.broken = Some(told.join("; "));
    }
    machine.watchdog = watchdog(board, devices);
    machine
}

/// All of a machine but its watchdog, and what of it power depends on and is missing.
fn assemble(
    board: &BoardFile,
    devices: &mut dyn Devices,
    choices: &Choices,
) -> (Machine, Vec<HardwareError>) {
    let mut failures = Vec::new();
    let mut workers: Vec<Box<dyn Worker>> = vec![Box::new(lines(board, devices, &mut failures))];
    if !board.fans.is_empty() {
        let fans = parts::fans(board, devices, &mut failures);
        workers.push(Box::new(FanWorker::new(fans)));
    }
    workers.extend(sensors(board, devices, &mut failures));
    match &board.supply {
        Some(spec) => match supply::open(board, spec, devices) {
            Ok(supply) => workers.push(Box::new(SupplyWorker::new(supply))),
            Err(error) => failures.push(error),
        },
        None => failures.push(HardwareError::Missing {
            board: board.name.clone(),
            what: "a supply",
        }),
    }
    match controllers::open(board, devices) {
        Ok(controllers) => workers.extend(controllers),
        Err(error) => failures.push(error),
    }
    workers.extend(inputs::buttons(board, devices));
    workers.extend(inputs::converters(board, devices));
    let machine = Machine {
        settings: settings::guard(board, board.supply.as_ref(), choices),
        workers,
        watchdog: None,
        hashes_due: None,
    };
    (machine, failures)
}

fn watchdog(board: &BoardFile, devices: &mut dyn Devices) -> Option<Box<dyn Watchdog>> {
    devices
        .watchdog(board.watchdog.as_ref()?)
        .inspect_err(|error| tracing::error!(%error, "the keeper has no watchdog behind it"))
        .ok()
}

fn lines(
    board: &BoardFile,
    devices: &mut dyn Devices,
    failures: &mut Vec<HardwareError>,
) -> LinesWorker {
    let mut keep =
        |opened: Result<Line, GpioError>| opened.map_err(|error| failures.push(error.into())).ok();
    let enable = board
        .supply
        .as_ref()
        .and_then(|supply| supply.enable.as_ref());
    let enable = enable.and_then(|spec| keep(line("supply enable", spec, false, devices)));
    let resets = board
        .chains
        .iter()
        .map(|chain| keep(line("chain reset", &chain.reset, true, devices)))
        .collect();
    let presence = board
        .chains
        .iter()
        .map(|chain| {
            let opened = devices.input_signal(chain.presence.as_ref()?);
            opened.map_err(|error| failures.push(error.into())).ok()
        })
        .collect();
    LinesWorker {
        enable,
        resets,
        presence,
        green: light(board.leds.green.as_ref(), devices),
        red: light(board.leds.red.as_ref(), devices),
    }
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
    failures: &mut Vec<HardwareError>,
) -> Vec<Box<dyn Worker>> {
    let mut buses: BTreeMap<&str, Vec<Placed>> = BTreeMap::new();
    let mut first = 0;
    for spec in &board.sensors {
        match parts::thermometer(board, spec, devices) {
            Ok(part) => buses.entry(&spec.bus).or_default().push((first, part)),
            Err(error) => failures.push(error),
        }
        first += 1 + spec.remotes.len();
    }
    let worker = |(bus, parts)| Box::new(SensorWorker::new(bus, parts)) as Box<dyn Worker>;
    buses.into_iter().map(worker).collect()
}

/// What the guard has to know of a board, without its hardware.
#[cfg(test)]
pub(super) fn settings_for_tests(board: &BoardFile) -> super::guard::Settings {
    settings::guard(board, board.supply.as_ref(), &Choices::default())
}
