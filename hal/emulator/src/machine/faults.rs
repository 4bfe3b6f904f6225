//! What is wrong with the machine at the moment, and how it shows.

use super::{physics::error_share, settings::SensorWiring, world::World};
use crate::{
    chain::ChainFaults,
    fault::{Fault, Subject},
    scenario::{Scenario, Step},
};
use std::time::Duration;
use thiserror::Error;

/// Faults in force or planned at once.
const FAULTS_MAX: usize = 4096;

/// Why a fault was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FaultError {
    /// It names something that the machine does not have.
    #[error("the machine has no {0}; look at `status` for what it has")]
    Unknown(String),
    /// Too many are active.
    #[error("{FAULTS_MAX} faults are active already; clear some first")]
    TooMany,
}

/// What a sensor feels: itself, then its remote diodes.
#[derive(Clone, Debug, PartialEq)]
pub enum Sensed {
    /// It does not answer.
    Nak,
    /// Temperatures; none for an open diode.
    Celsius(f32, Vec<Option<f32>>),
    /// The least that its register holds.
    Least,
}

/// What a sensor would say if nothing were wrong.
pub(super) type Felt = (f32, Vec<Option<f32>>);

/// Faults in force and those to come.
#[derive(Debug, Default)]
pub(super) struct Faults {
    active: Vec<Active>,
    planned: Vec<Planned>,
    last: u64,
}

#[derive(Clone, Debug)]
struct Active {
    id: u64,
    fault: Fault,
    until: Option<Duration>,
    held: Option<Felt>,
}

#[derive(Clone, Debug)]
struct Planned {
    at: Duration,
    step: Step,
}

impl Faults {
    /// Number and fault of each in force.
    pub(super) fn in_force(&self) -> impl Iterator<Item = (u64, &Fault)> {
        self.active.iter().map(|active| (active.id, &active.fault))
    }
}

impl World {
    /// Makes something go wrong, for a while or until cleared; gives the number by which to clear it.
    ///
    /// # Errors
    /// When it names what the machine does not have.
    pub fn inject(&mut self, fault: Fault, lasting: Option<Duration>) -> Result<u64, FaultError> {
        self.check(&fault)?;
        if self.faults.active.len() >= FAULTS_MAX {
            return Err(FaultError::TooMany);
        }
        let held = match &fault {
            Fault::SensorStuck { sensor } => {
                self.sensor_index(sensor).and_then(|index| self.felt(index))
            }
            _ => None,
        };
        if fault == Fault::SupplyTrip {
            self.supply.rail.tripped = true;
        }
        self.faults.last += 1;
        let id = self.faults.last;
        let until = lasting.map(|time| self.now().saturating_add(time));
        self.faults.active.push(Active {
            id,
            fault,
            until,
            held,
        });
        Ok(id)
    }

    /// Ends a fault; false when there is none of that number.
    pub fn clear(&mut self, id: u64) -> bool {
        let before = self.faults.active.len();
        self.faults.active.retain(|active| active.id != id);
        self.faults.active.len() < before
    }

    /// Ends all faults.
    pub fn clear_all(&mut self) {
        self.faults.active.clear();
    }

    /// Faults in force.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.faults.active.iter().map(|active| &active.fault)
    }

    /// Plans the faults of a scenario from now on.
    ///
    /// # Errors
    /// When one of them names what the machine does not have; none is planned then.
    pub fn play(&mut self, scenario: &Scenario) -> Result<(), FaultError> {
        for step in &scenario.steps {
            self.check(&step.inject)?;
        }
        if self.faults.planned.len() + scenario.steps.len() > FAULTS_MAX {
            return Err(FaultError::TooMany);
        }
        let now = self.now();
        let planned = scenario.steps.iter().map(|step| Planned {
            at: now.saturating_add(step.at()),
            step: step.clone(),
        });
        self.faults.planned.extend(planned);
        Ok(())
    }

    /// What the sensor of that number gives.
    pub fn sense(&self, index: usize) -> Sensed {
        let Some((mut local, mut remotes)) = self.felt(index) else {
            return Sensed::Nak;
        };
        let Some(SensorWiring { name, .. }) = self.settings.sensors.get(index) else {
            return Sensed::Nak;
        };
        for Active { fault, held, .. } in &self.faults.active {
            match fault {
                Fault::SensorNak { sensor } if sensor == name => return Sensed::Nak,
                Fault::SensorImplausible { sensor } if sensor == name => return Sensed::Least,
                Fault::SensorZero { sensor } if sensor == name => {
                    local = 0.0;
                    remotes.fill(Some(0.0));
                }
                Fault::SensorStuck { sensor } if sensor == name => {
                    if let Some(held) = held {
                        (local, remotes) = held.clone();
                    }
                }
                Fault::SensorJump { sensor, celsius } if sensor == name => {
                    local += celsius;
                    remotes
                        .iter_mut()
                        .flatten()
                        .for_each(|remote| *remote += celsius);
                }
                Fault::SensorLate { sensor, seconds } if sensor == name => {
                    let past = self
                        .remembered
                        .iter()
                        .rev()
                        .nth(*seconds as usize)
                        .or(self.remembered.front());
                    if let Some(felt) = past.and_then(|all| all.get(index)) {
                        (local, remotes) = felt.clone();
                    }
                }
                Fault::SensorOpenDiode { sensor } if sensor == name => {
                    remotes.fill(None);
                }
                _ => {}
            }
        }
        Sensed::Celsius(local, remotes)
    }

    /// Faults that the chain itself has to show; `mhz` is the clock that its chips run at.
    pub fn chain_faults(&self, index: usize, mhz: f32) -> ChainFaults {
        let mut faults = ChainFaults::default();
        for fault in self.faults() {
            faults.add(index, fault);
        }
        let rail_mv = self.boards.get(index).map_or(0.0, |board| board.rail_mv);
        faults.bad_share = faults
            .bad_share
            .max(error_share(&self.settings.board, rail_mv, mhz));
        faults
    }

    /// Begins and ends what is due.
    pub(super) fn step_faults(&mut self, now: Duration) {
        let active = &mut self.faults.active;
        active.retain(|active| active.until.is_none_or(|until| now < until));
        if self.faults.planned.iter().all(|planned| planned.at > now) {
            return;
        }
        let planned = std::mem::take(&mut self.faults.planned);
        let (due, later): (Vec<_>, Vec<_>) =
            planned.into_iter().partition(|planned| planned.at <= now);
        self.faults.planned = later;
        for Planned { step, .. } in due {
            // It was checked when planned; only too many at once can refuse it now, and then it is left out.
            let _ = self.inject(step.inject.clone(), step.lasting());
        }
    }

    fn sensor_index(&self, name: &str) -> Option<usize> {
        self.settings
            .sensors
            .iter()
            .position(|sensor| sensor.name == name)
    }

    fn check(&self, fault: &Fault) -> Result<(), FaultError> {
        let known = match fault.subject() {
            Subject::Machine => true,
            Subject::Sensor(name) => self.sensor_index(name).is_some(),
            Subject::Fan(name) => self.fans.iter().any(|fan| fan.name == name),
            Subject::Chain(chain) => chain < self.boards.len(),
            Subject::Chip(chain, chip) => self
                .settings
                .chains
                .get(chain)
                .is_some_and(|wiring| chip < wiring.chips),
        };
        if known {
            Ok(())
        } else {
            Err(FaultError::Unknown(fault.subject().to_string()))
        }
    }
}
