//! The keeper's snapshot, made of what the guard knows.

use super::guard::Guard;
use super::status::{
    ChainSafety, FanStatus, KeeperStatus, RestartStatus, SensorStatus, SupplyStatus, WatchdogStatus,
};
use cgminer_board::moment::Moment;
use cgminer_board::power::restarts::BUDGET;
use cgminer_board::thermal::{Place, Point, View};
use std::time::Duration;

impl Guard {
    /// All that is known now. The caller knows the watchdog and the process.
    pub fn snapshot(&mut self, watchdog: WatchdogStatus, now: Moment) -> KeeperStatus {
        self.snapshots += 1;
        KeeperStatus {
            sequence: self.snapshots,
            board: self.settings.board.clone(),
            emulated: self.settings.emulated,
            state: self.state,
            state_seconds: seconds(now.since(self.since)),
            reason: self.reason.to_string(),
            last_cause: self.last_cause.clone(),
            tier: self.heat.tier,
            throttle: self.heat.throttle,
            fan_mode: self.wishes.mode,
            sensors: self
                .settings
                .thermal
                .points
                .iter()
                .zip(self.thermal.views())
                .map(|(point, view)| sensor(point, view))
                .collect(),
            chains: (0..self.settings.thermal.chains)
                .map(|chain| self.chain(chain))
                .collect(),
            fans: self.fans(now),
            supply: self.supply_status(now),
            restarts: RestartStatus {
                used: self.restarts.used(),
                budget: BUDGET,
                total: self.restarts.total(),
                next_in_seconds: self
                    .restart_at
                    .filter(|_| self.state == super::State::CoolDown)
                    .map(|at| seconds(at.since(now))),
            },
            last_end: self.settings.last_end.end,
            unclean_ends: self.settings.last_end.unclean_ends,
            latched: self.latch.clone(),
            watchdog,
            process: None,
            locate: self.wishes.locate,
            analog: self.analog_status(now),
            claim_seconds: self.claim_rest(now).map(seconds),
        }
    }

    fn chain(&self, chain: u8) -> ChainSafety {
        let temperature = self.thermal.chain(chain);
        let index = usize::from(chain);
        ChainSafety {
            chain,
            temperature: temperature.map(|(temperature, _)| temperature),
            measured: temperature.is_some_and(|(_, measured)| measured),
            reset_held: self.applied.resets.get(index).copied().flatten(),
            present: self.present.get(index).copied().flatten(),
            hash_board: self.settings.hash_boards.get(index).cloned().flatten(),
            hashes_due: None,
        }
    }

    fn fans(&self, now: Moment) -> Vec<FanStatus> {
        let settings = self.settings.thermal.fans.iter();
        settings
            .zip(self.thermal.fans())
            .map(|((name, _), fan)| {
                let speed = fan.speed(now);
                FanStatus {
                    name: name.clone(),
                    duty: self.applied.duty,
                    speed: speed.map(|(speed, _)| speed),
                    age_seconds: speed.map(|(_, age)| seconds(age)),
                    condition: fan.condition(),
                }
            })
            .collect()
    }

    fn supply_status(&self, now: Moment) -> SupplyStatus {
        let measured = self.supply.measured(now);
        let value = measured.map(|(measured, _)| measured);
        SupplyStatus {
            part: self.settings.supply.clone(),
            limits: self.settings.voltage,
            wanted_on: self.state.may_power(),
            wanted: self.wishes.voltage,
            measured: value.map(|value| value.volts),
            power: value.and_then(|value| value.power),
            temperature: value.and_then(|value| value.temperature),
            age_seconds: measured.map(|(_, age)| seconds(age)),
            fault: self.supply_fault.or(self.supply.failing()),
        }
    }
}

fn sensor(point: &Point, view: &View) -> SensorStatus {
    SensorStatus {
        name: point.name.clone(),
        chain: match point.place {
            Place::Chain(chain) => Some(chain),
            Place::Machine => None,
        },
        tiers: point.tiers,
        reading: view.reading,
        age_seconds: view.age.map(seconds),
        acted_on: view.acted_on,
        fault: view.fault,
    }
}

fn seconds(duration: Duration) -> f64 {
    // Milliseconds are enough for an age, and make a shorter message.
    duration.as_millis() as f64 / 1_000.0
}
