//! The voltage controllers on hash boards, where a machine has them.

use super::HardwareError;
use crate::keeper::proofs::LoopRule;
use crate::keeper::worker::{Found, Orders, Reports, Round, Worker};
use cgminer_board::assembly;
use cgminer_board::file::BoardFile;
use cgminer_board::parts::PartError;
use cgminer_board::parts::controller::{HEARTBEAT, VoltageController};
use cgminer_hal::devices::Devices;
use std::collections::BTreeMap;
use std::time::Duration;

/// A worker for each bus that has controllers.
pub(super) fn open(
    board: &BoardFile,
    devices: &mut dyn Devices,
) -> Result<Vec<Box<dyn Worker>>, HardwareError> {
    let mut buses: BTreeMap<&str, Vec<Controller>> = BTreeMap::new();
    for (chain, spec) in board.chains.iter().enumerate() {
        let Some(spec) = &spec.voltage_controller else {
            continue;
        };
        let part = assembly::voltage_controller(board, spec, devices)?;
        buses.entry(&spec.bus).or_default().push(Controller {
            chain,
            part,
            on: false,
            complained: false,
        });
    }
    let worker = |(bus, controllers): (&str, _)| {
        Box::new(ControllerWorker {
            bus: bus.to_owned(),
            controllers,
        }) as Box<dyn Worker>
    };
    Ok(buses.into_iter().map(worker).collect())
}

/// Keeps the controllers of one bus on while the supply delivers, and off otherwise.
struct ControllerWorker {
    bus: String,
    controllers: Vec<Controller>,
}

struct Controller {
    chain: usize,
    part: Box<dyn VoltageController>,
    on: bool,
    complained: bool,
}

impl Controller {
    /// Brings it to the order. One that does not hear us switches off by itself.
    fn bring_to(&mut self, on: bool) -> Result<(), PartError> {
        match (on, self.on) {
            (true, true) => self.part.heartbeat(),
            (true, false) => {
                self.part.start()?;
                self.part.heartbeat()?;
                self.part.switch(true)?;
                self.on = true;
                Ok(())
            }
            (false, true) => {
                self.part.switch(false)?;
                self.on = false;
                Ok(())
            }
            (false, false) => Ok(()),
        }
    }
}

impl Worker for ControllerWorker {
    fn rule(&self) -> LoopRule {
        LoopRule {
            name: format!("controllers {}", self.bus),
            deadline: Duration::from_secs(8),
            always: false,
        }
    }

    fn period(&self) -> Duration {
        HEARTBEAT
    }

    fn minds(&self, old: &Orders, new: &Orders) -> bool {
        old.enable != new.enable
    }

    fn round<'a>(&'a mut self, orders: &'a Orders, reports: &'a Reports) -> Round<'a> {
        Box::pin(async move {
            for controller in &mut self.controllers {
                let done = controller.bring_to(orders.enable);
                if let Err(error) = &done {
                    controller.on &= orders.enable;
                    if !controller.complained {
                        tracing::warn!(chain = controller.chain, %error, "a voltage controller does not do as told");
                    }
                }
                controller.complained = done.is_err();
                let on = done.is_ok().then_some(controller.on);
                reports.found(Found::Controller(controller.chain, on));
            }
        })
    }
}
