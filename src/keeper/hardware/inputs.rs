//! What is read and decides nothing: buttons and analogue inputs. One that cannot be opened is reported and left out.

use crate::keeper::guard::Analog;
use crate::keeper::worker::Worker;
use crate::keeper::workers::{AnalogInput, AnalogWorker, ButtonsWorker, Converter};
use cgminer_board::assembly;
use cgminer_board::file::{AdcChannel, BoardFile};
use cgminer_board::parts::mcp3208::Mcp3208;
use cgminer_hal::button::Button;
use cgminer_hal::devices::Devices;
use cgminer_hal::gpio::SignalSpec;
use cgminer_hal::spi;
use cgminer_hal::units::Millivolts;

/// The buttons of the board file.
pub(super) fn buttons(board: &BoardFile, devices: &mut dyn Devices) -> Option<Box<dyn Worker>> {
    let mut open = |spec: Option<&SignalSpec>| {
        let opened = devices.input_signal(spec?);
        opened
            .inspect_err(|error| tracing::warn!(%error, "a button is left out"))
            .ok()
            .map(Button::new)
    };
    let locate = open(board.buttons.locate.as_ref());
    let reset = open(board.buttons.reset.as_ref());
    (locate.is_some() || reset.is_some())
        .then(|| Box::new(ButtonsWorker::new(locate, reset)) as Box<dyn Worker>)
}

/// A worker for each converter of the board file.
pub(super) fn converters(board: &BoardFile, devices: &mut dyn Devices) -> Vec<Box<dyn Worker>> {
    let mut workers: Vec<Box<dyn Worker>> = Vec::new();
    let mut first = 0;
    for spec in &board.adc {
        match assembly::adc(spec, devices) {
            Ok(part) => {
                let inputs = spec.channels.iter().map(input).collect();
                let device = &spec.spi.device;
                workers.push(Box::new(AnalogWorker::new(
                    device,
                    Box::new(part),
                    first,
                    inputs,
                )));
            }
            Err(error) => tracing::warn!(%error, "analogue inputs are left out"),
        }
        first += spec.channels.len();
    }
    workers
}

/// All analogue inputs of the board file, in the order of the workers' indices.
pub(super) fn analog(board: &BoardFile) -> Vec<Analog> {
    let channels = board.adc.iter().flat_map(|spec| &spec.channels);
    channels
        .map(|channel| Analog {
            name: channel.name.clone(),
            chain: channel.chain,
            measures: channel.measures,
        })
        .collect()
}

fn input(channel: &AdcChannel) -> AnalogInput {
    AnalogInput {
        name: channel.name.clone(),
        channel: channel.channel,
        measures: channel.measures,
        per_volt: channel.per_volt,
    }
}

impl Converter for Mcp3208<spi::Handle> {
    fn read(&mut self, channel: u8) -> Result<Millivolts, String> {
        Mcp3208::read(self, channel).map_err(|error| error.to_string())
    }
}
