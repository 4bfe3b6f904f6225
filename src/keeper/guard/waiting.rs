//! What each state without power waits for.

use super::super::cause::Cause;
use super::super::reason::Reason;
use super::super::state::Event;
use super::{BOOT_PATIENCE, COOL_DOWN_PATIENCE, Guard};
use cgminer_board::moment::Moment;
use cgminer_board::power::{Rail, Step, SupplyFault};
use cgminer_board::thermal::Plant;

impl Guard {
    /// The rail was switched off and nothing tells that it is.
    pub(super) fn rail_unknown(&self, now: Moment) -> (Option<Event>, Reason) {
        if self.is_rail_off(now) {
            return (Some(Event::RailOff), self.reason.clone());
        }
        let fault = self.supply.failing().unwrap_or(SupplyFault::Silent);
        (
            Some(Event::RailStuck),
            Reason::Latched(self.supply_cause(fault, now)),
        )
    }

    pub(super) fn boot(&self, plant: &Plant, now: Moment) -> (Option<Event>, Reason) {
        if let Some(latch) = &self.latch {
            return (Some(Event::GivenUp), Reason::Latched(latch.cause.clone()));
        }
        if let Some(read) = &self.settings.unknown {
            return (
                Some(Event::BoardUnknown),
                Reason::BoardUnknown(read.clone()),
            );
        }
        if let Some(what) = &self.settings.broken {
            return (
                Some(Event::BoardUnknown),
                Reason::HardwareMissing(what.clone()),
            );
        }
        let overdue = now.since(self.since) >= BOOT_PATIENCE;
        match self.thermal.ready(plant) {
            Err(reason) => {
                let cause = Cause::of_heat(&reason).filter(|_| overdue);
                match cause {
                    Some(cause) => (Some(Event::Trip), Reason::Tripped(cause)),
                    None => (None, Reason::NotReady(reason)),
                }
            }
            Ok(()) if self.is_rail_off(now) && self.supply.rail(now) == Rail::Off => {
                (Some(Event::SelfCheckPassed), Reason::PowerNotWanted)
            }
            Ok(()) if overdue => {
                let fault = self.supply.failing().unwrap_or(SupplyFault::Silent);
                (
                    Some(Event::Trip),
                    Reason::Tripped(self.supply_cause(fault, now)),
                )
            }
            Ok(()) => (None, Reason::RailNotSeenOff),
        }
    }

    pub(super) fn standby(&self, plant: &Plant) -> (Option<Event>, Reason) {
        if let Some(last) = self.miner_death.clone().filter(|_| self.miner.is_spent()) {
            let spent = Cause::RestartsSpent {
                tried: self.miner.restarts(),
                last: Box::new(last),
            };
            return (Some(Event::GivenUp), Reason::Latched(spent));
        }
        if !self.is_power_wanted() {
            return (None, self.why_unwanted());
        }
        match self.thermal.ready(plant) {
            Ok(()) => (Some(Event::PowerDue), Reason::Sequence(Step::FansUp)),
            Err(reason) => (None, Reason::NotReady(reason)),
        }
    }

    pub(super) fn cool_down(&self, plant: &Plant, now: Moment) -> (Option<Event>, Reason) {
        let last = || {
            self.last_cause
                .clone()
                .unwrap_or_else(|| Cause::KeptCauseUnreadable {
                    what: "no cause was noted".into(),
                })
        };
        let Some(restart_at) = self.restart_at else {
            let spent = Cause::RestartsSpent {
                tried: self.restarts.used(),
                last: Box::new(last()),
            };
            return (Some(Event::GivenUp), Reason::Latched(spent));
        };
        if now.since(self.since) >= COOL_DOWN_PATIENCE.max(restart_at.since(self.since)) {
            return (Some(Event::GivenUp), Reason::Latched(last()));
        }
        if let Err(reason) = self.thermal.ready(plant) {
            return (None, Reason::NotReady(reason));
        }
        if self.supply.rail(now) != Rail::Off {
            return (None, Reason::RailNotSeenOff);
        }
        if now < restart_at {
            let rest = restart_at.since(now);
            return (None, Reason::Pausing { rest });
        }
        (Some(Event::Recovered), self.why_unwanted())
    }

    pub(super) fn is_power_wanted(&self) -> bool {
        self.wishes.power && !self.wishes.held_off
    }

    pub(super) fn why_unwanted(&self) -> Reason {
        if self.wishes.held_off {
            Reason::HeldOff
        } else {
            Reason::PowerNotWanted
        }
    }
}
