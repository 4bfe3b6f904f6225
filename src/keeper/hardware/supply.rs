//! The supply of a board file: what is asked of it in a round, and what its failures mean.

use super::HardwareError;
use crate::keeper::worker::Epoch;
use crate::keeper::workers::{Answering, PowerSupply, SupplyAnswer, SupplyOrder};
use cgminer_board::assembly;
use cgminer_board::file::{BoardFile, SupplyPart, SupplySpec};
use cgminer_board::parts::{PartError, Problem, Supply, SupplyReply, SupplyRequest};
use cgminer_board::power::{SupplyFault, SupplyReading};
use cgminer_hal::devices::Devices;
use cgminer_hal::units::Millivolts;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often it is looked whether an answer is there.
const LOOK: Duration = Duration::from_millis(25);
/// No answer takes longer; drivers give up before.
const ANSWER_DEADLINE: Duration = Duration::from_secs(3);

/// The supply of the board file.
pub(super) fn open(
    board: &BoardFile,
    spec: &SupplySpec,
    devices: &mut dyn Devices,
) -> Result<Box<dyn PowerSupply>, HardwareError> {
    Ok(Box::new(BoardSupply {
        part: assembly::supply(board, spec, devices)?,
        has_watchdog: spec.part != SupplyPart::Pmbus,
        has_switch: spec.part == SupplyPart::Pmbus,
        known: Known::default(),
        epoch: Epoch::begin(),
        complained: false,
    }))
}

struct BoardSupply {
    part: Box<dyn Supply>,
    has_watchdog: bool,
    has_switch: bool,
    known: Known,
    epoch: Epoch,
    complained: bool,
}

/// What the supply has confirmed since it was last lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Known {
    identified: bool,
    watched: bool,
    preset: Option<Millivolts>,
    on: Option<bool>,
}

impl PowerSupply for BoardSupply {
    fn attend(&mut self, order: SupplyOrder) -> Answering<'_> {
        Box::pin(async move {
            let reading = match self.bring_to(order).await {
                Ok(reading) => {
                    self.complained = false;
                    reading
                }
                Err(error) => {
                    if !self.complained {
                        tracing::warn!(%error, "the supply does not do as told");
                    }
                    self.complained = true;
                    // It may have lost its power and with it all that it was told.
                    self.known = Known::default();
                    SupplyReading::Failed(meaning(&error))
                }
            };
            SupplyAnswer {
                reading,
                preset: self.known.preset,
            }
        })
    }
}

impl BoardSupply {
    /// Off before anything else, on after everything else.
    async fn bring_to(&mut self, order: SupplyOrder) -> Result<SupplyReading, PartError> {
        if self.has_switch && !order.enable && self.known.on != Some(false) {
            self.ask(SupplyRequest::Switch(false)).await?;
            self.known.on = Some(false);
        }
        if !self.known.identified {
            if let SupplyReply::Identity(name) = self.ask(SupplyRequest::Identify).await? {
                tracing::info!(%name, "the supply was recognised");
            }
            self.known.identified = true;
        }
        if let Some(preset) = order
            .preset
            .filter(|preset| self.known.preset != Some(*preset))
        {
            self.ask(SupplyRequest::SetVoltage(preset)).await?;
            self.known.preset = Some(preset);
        }
        if order.enable && self.has_watchdog && !self.known.watched {
            // From now on each of our questions keeps the output up, and our silence ends it.
            self.ask(SupplyRequest::Watchdog(true)).await?;
            self.known.watched = true;
        }
        if self.has_switch && order.enable && self.known.on != Some(true) {
            self.ask(SupplyRequest::Switch(true)).await?;
            self.known.on = Some(true);
        }
        match self.ask(SupplyRequest::Measure).await? {
            SupplyReply::Measured(measured) => Ok(SupplyReading::Measured(measured)),
            _ => Ok(SupplyReading::Failed(SupplyFault::Silent)),
        }
    }

    async fn ask(&mut self, request: SupplyRequest) -> Result<SupplyReply, PartError> {
        ask(self.part.as_mut(), self.epoch, request).await
    }
}

/// Asks a supply, and waits for its answer.
///
/// # Errors
/// What its driver says; a driver that neither answers nor gives up says what it is still busy with.
pub async fn ask(
    part: &mut dyn Supply,
    epoch: Epoch,
    request: SupplyRequest,
) -> Result<SupplyReply, PartError> {
    part.begin(request, epoch.now())?;
    let until = Instant::now() + ANSWER_DEADLINE;
    loop {
        if let Some(answer) = part.poll(epoch.now()) {
            return answer;
        }
        if Instant::now() >= until {
            part.begin(request, epoch.now())?;
            return Ok(SupplyReply::Done);
        }
        sleep(LOOK).await;
    }
}

/// What a failure says of the supply.
fn meaning(error: &PartError) -> SupplyFault {
    match &error.problem {
        Problem::Damaged(_) => SupplyFault::BadChecksum,
        Problem::Bus {
            kind: embedded_hal::i2c::ErrorKind::NoAcknowledge(_),
            ..
        }
        | Problem::Refused
        | Problem::WrongPart { .. }
        | Problem::Unsupported(_)
        | Problem::NotTaken { .. }
        | Problem::OutOfRange { .. } => SupplyFault::Refused,
        _ => SupplyFault::Silent,
    }
}
