//! Takes in what workers and miner said since the last decision.

use super::super::cause::Cause;
use super::{Guard, Inputs, MinerEvent};
use cgminer_board::moment::Moment;
use cgminer_board::power::Rail;
use cgminer_board::thermal::{Observation, Place};

impl Guard {
    /// Takes in what happened; gives why the miner is gone, if it is.
    pub(super) fn take(&mut self, inputs: Inputs, now: Moment) -> Option<Cause> {
        let plant = self.plant();
        for (index, observation, at) in inputs.sensors {
            self.contradict_absence(index, observation);
            self.thermal.observe_sensor(index, observation, at, &plant);
        }
        for (index, speed, at) in inputs.fans {
            self.thermal.observe_fan(index, speed, at);
        }
        for (reading, at) in inputs.supply {
            self.supply.observe(reading, at);
        }
        for (chain, obeys, at) in inputs.controllers {
            if let Some(since) = self.disobeying.get_mut(chain) {
                *since = if obeys { None } else { since.or(Some(at)) };
            }
        }
        for (index, at) in inputs.beats {
            self.proofs.beat(index, at);
        }
        for (known, read) in self.present.iter_mut().zip(inputs.present) {
            *known = read.or(*known);
        }
        self.applied = inputs.applied;
        self.rail_off_since = match self.supply.rail(now) {
            Rail::Off => self.rail_off_since.or(Some(now)),
            Rail::On | Rail::Unknown => None,
        };
        inputs
            .miner
            .into_iter()
            .fold(None, |killed, event| killed.or(self.hear(event, now)))
    }

    /// A hash board whose EEPROM alone is dead is there all the same, and its heat counts.
    fn contradict_absence(&mut self, index: usize, observation: Observation) {
        let place = self.settings.thermal.points.get(index);
        let (Some(Place::Chain(chain)), Observation::Value(_)) =
            (place.map(|point| point.place), observation)
        else {
            return;
        };
        let chain = usize::from(chain);
        if self.settings.absent.get(chain) == Some(&true) {
            self.settings
                .absent
                .iter_mut()
                .skip(chain)
                .take(1)
                .for_each(|absent| *absent = false);
            self.present
                .iter_mut()
                .skip(chain)
                .take(1)
                .for_each(|present| *present = None);
            tracing::warn!(
                chain,
                "a hash board whose EEPROM is silent has a sensor that answers: it is there"
            );
        }
    }

    fn hear(&mut self, event: MinerEvent, now: Moment) -> Option<Cause> {
        let cause = match event {
            MinerEvent::Started => {
                self.miner.started(now);
                return None;
            }
            MinerEvent::Alive(which) => {
                self.miner.reported(which, now);
                return None;
            }
            MinerEvent::Died(how) => Cause::MinerDied { how },
            MinerEvent::LinkBroken(what) => Cause::LinkBroken { what },
        };
        if self.miner.is_running() {
            self.miner.gone(now);
        }
        self.forget_wishes();
        self.miner_death = Some(cause.clone());
        Some(cause)
    }

    /// A miner that is gone wants nothing any more.
    pub(super) fn forget_wishes(&mut self) {
        self.wishes.power = false;
        self.wishes.released.fill(false);
    }
}
