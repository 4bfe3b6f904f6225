//! The keeper's decision: all that was read comes in, all that is to be driven goes out, with the reason.
//!
//! It is pure: no clock, no I/O. [`super::task`] feeds it and does what it says.

mod inputs;
mod news;
mod taking;
mod terms;
#[cfg(test)]
mod tests;
mod waiting;

pub use terms::{Analog, Applied, Inputs, LastKeeper, MinerEvent, MinerOrder, Outputs, Settings};

use super::cause::Cause;
use super::liveness::Liveness;
use super::proofs::Proofs;
use super::reason::Reason;
use super::state::{Event, State};
use super::status::Latch;
use crate::link::Loop;
use cgminer_board::moment::Moment;
use cgminer_board::power::supply::OFF_WITHIN;
use cgminer_board::power::{
    Drive, Expected, Outcome, Rail, Readback, Restarts, Sequence, Step, Supply, SupplyFault,
    Verdict,
};
use cgminer_board::thermal::{self, FanMode, Plant, Thermal, Tier};
use cgminer_hal::units::{DutyPercent, Millivolts};
use news::News;
use std::time::Duration;

/// How long the self-check at boot may take before it counts as a fault.
pub const BOOT_PATIENCE: Duration = Duration::from_secs(180);
/// How long a machine may take to become ready again after a fault before it is latched.
pub const COOL_DOWN_PATIENCE: Duration = Duration::from_secs(1_800);
/// How long a voltage controller may not do as told.
pub const CONTROLLER_PATIENCE: Duration = Duration::from_secs(8);
/// How long a wanted stop waits for the machine to cool.
pub const STOP_PATIENCE: Duration = Duration::from_secs(600);

/// All that the keeper knows, and what follows from it.
#[derive(Clone, Debug)]
pub struct Guard {
    pub(super) settings: Settings,
    pub(super) thermal: Thermal,
    pub(super) supply: Supply,
    pub(super) restarts: Restarts,
    pub(super) state: State,
    pub(super) since: Moment,
    pub(super) reason: Reason,
    pub(super) heat: thermal::Decision,
    pub(super) supply_fault: Option<SupplyFault>,
    pub(super) last_cause: Option<Cause>,
    /// Why the last miner is gone.
    miner_death: Option<Cause>,
    pub(super) latch: Option<Latch>,
    pub(super) restart_at: Option<Moment>,
    /// When a latched cause was last cleared over the network.
    pub(super) cleared_from_afar: Option<Moment>,
    /// Until when the first token may be claimed from outside.
    claim_until: Option<Moment>,
    analog: Vec<inputs::AnalogSeen>,
    pub(super) miner: Liveness,
    pub(super) wishes: Wishes,
    pub(super) applied: Applied,
    pub(super) present: Vec<Option<bool>>,
    pub(super) snapshots: u64,
    proofs: Proofs,
    news: News,
    /// For each chain, since when its voltage controller does not do as told.
    disobeying: Vec<Option<Moment>>,
    sequence: Option<Sequence>,
    heated_since: Vec<Option<Moment>>,
    rail_off_since: Option<Moment>,
    unpowered_since: Moment,
}

/// What the miner and operators asked for, as far as it was granted.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one independent wish"
)]
pub(super) struct Wishes {
    pub(super) power: bool,
    pub(super) held_off: bool,
    pub(super) stop: bool,
    pub(super) clear: bool,
    pub(super) locate: bool,
    pub(super) mode: FanMode,
    pub(super) voltage: Millivolts,
    pub(super) voltage_since: Moment,
    /// For each chain, whether the miner wants it out of reset.
    pub(super) released: Vec<bool>,
}

impl Guard {
    /// A keeper that has just started, with the cause that was kept from before, if one was.
    #[must_use]
    pub fn new(settings: Settings, kept: Option<Latch>, now: Moment) -> Self {
        let chains = usize::from(settings.thermal.chains);
        Self {
            thermal: Thermal::new(settings.thermal.clone(), now),
            supply: Supply::new(settings.voltage, settings.power_limit, now),
            restarts: Restarts::default(),
            state: State::Boot,
            since: now,
            reason: Reason::JustStarted,
            heat: thermal::Decision {
                tier: Tier::Normal,
                duty: DutyPercent::FULL,
                throttle: thermal::Throttle::NONE,
            },
            supply_fault: None,
            last_cause: kept.as_ref().map(|latch| latch.cause.clone()),
            miner_death: None,
            latch: kept,
            restart_at: None,
            cleared_from_afar: None,
            claim_until: None,
            analog: vec![inputs::AnalogSeen::default(); settings.analog.len()],
            miner: Liveness::default(),
            wishes: Wishes {
                power: false,
                held_off: false,
                stop: false,
                clear: false,
                locate: false,
                mode: settings.fan_mode,
                voltage: settings.default_voltage,
                voltage_since: now,
                released: vec![false; chains],
            },
            applied: Applied::default(),
            present: (0..chains)
                .map(|chain| settings.absent.get(chain)?.then_some(false))
                .collect(),
            snapshots: 0,
            news: News::default(),
            proofs: Proofs::new(settings.loops.clone(), now),
            disobeying: vec![None; chains],
            sequence: None,
            heated_since: vec![None; chains],
            rail_off_since: None,
            unpowered_since: now,
            settings,
        }
    }

    /// Where the keeper stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The cause to be kept on disk, while the keeper is latched.
    #[must_use]
    pub const fn latch(&self) -> Option<&Latch> {
        self.latch.as_ref()
    }

    /// Decides on all that happened.
    pub fn decide(&mut self, inputs: Inputs, now: Moment) -> (Outputs, Reason) {
        let killed = self.take(inputs, now);
        let plant = self.plant();
        let (heat, heat_reason) = self.thermal.decide(&plant, now);
        self.heat = heat;
        self.supply_fault = self.supply.judge(self.expected(now), now);
        let late_miner = self.miner.late(now);
        let (drive, outcome) = self.advance_sequence(now);
        let trip = self.trip(heat, &heat_reason, outcome, killed, late_miner, now);
        self.reason = match self.event(trip, outcome, heat_reason, &plant, now) {
            (Some(event), reason) => self.enter(event, reason, now),
            (None, reason) => reason,
        };
        if self.state.may_hash() && self.heat.tier == Tier::Normal {
            self.restarts.running(now);
        } else {
            self.restarts.resting();
        }
        self.tell_news(now);
        let drive = if self.state.may_power() {
            drive
        } else {
            Drive::OFF
        };
        let outputs = self.outputs(drive, late_miner, now);
        (outputs, self.reason.clone())
    }

    /// Tells the log what changed besides the state.
    fn tell_news(&mut self, now: Moment) {
        let settings = &self.settings.thermal;
        let news = &mut self.news;
        let reason = news.of_reason(self.state, &self.reason, now);
        let sensors = news.of_sensors(&settings.points, &self.thermal, now);
        let fans = news.of_fans(&settings.fans, &self.thermal, now);
        let lines = sensors.into_iter().chain(fans).chain(reason);
        lines.for_each(|line| line.log());
    }

    /// Whether the rail is known to be off: measured, or switched off by its line long enough ago.
    #[must_use]
    pub fn is_rail_off(&self, now: Moment) -> bool {
        let line_off = self.settings.has_enable_line && self.applied.enable == Some(false);
        match self.supply.rail(now) {
            Rail::Off => line_off || !self.settings.has_enable_line,
            Rail::On => false,
            Rail::Unknown => {
                let was_stuck = self.supply_fault == Some(SupplyFault::StuckOn);
                line_off && !was_stuck && now.since(self.unpowered_since) >= OFF_WITHIN
            }
        }
    }

    pub(super) fn plant(&self) -> Plant {
        let going_off = matches!(self.state, State::Dangerous | State::Stopping);
        Plant {
            powered: self.state.may_power() || going_off && self.rail_off_since.is_none(),
            heated_since: self.heated_since.clone(),
            present: self
                .present
                .iter()
                .map(|present| present.unwrap_or(true))
                .collect(),
            mode: self.wishes.mode,
            duty: self.applied.duty.unwrap_or(DutyPercent::FULL),
        }
    }

    /// What the rail should be like. While the sequence waits for it, only what is far out is judged.
    fn expected(&self, now: Moment) -> Expected {
        let setting = self.wishes.voltage;
        match self.sequence {
            None => Expected::Off {
                since: self.unpowered_since,
            },
            Some(sequence) if sequence.step() < Step::Enable => Expected::Off { since: now },
            Some(sequence) => Expected::On {
                setting,
                since: sequence
                    .done_since()
                    .map_or(now, |done| done.max(self.wishes.voltage_since)),
            },
        }
    }

    fn advance_sequence(&mut self, now: Moment) -> (Drive, Option<Outcome>) {
        let readback = Readback {
            fans_up: self.wishes.mode == FanMode::Immersion
                || self.applied.duty == Some(DutyPercent::FULL)
                    && self.thermal.fans_at_full_speed(now) >= self.settings.thermal.fans_required,
            rail_off: self.supply.rail(now) == Rail::Off,
            resets_held: !self.applied.resets.contains(&None)
                && !self.applied.resets.contains(&Some(false)),
            preset: self.applied.preset == Some(self.wishes.voltage),
            enabled: !self.settings.has_enable_line || self.applied.enable == Some(true),
            at_setting: self.supply.is_at(self.wishes.voltage, now),
            controllers_on: self.are_controllers_on(),
        };
        let off_since = self.rail_off_since;
        self.sequence
            .as_mut()
            .map_or((Drive::OFF, None), |sequence| {
                let (drive, outcome) = sequence.advance(&readback, off_since, now);
                (drive, Some(outcome))
            })
    }

    /// Whether each board that has a voltage controller is switched on by it. An absent board has none.
    fn are_controllers_on(&self) -> bool {
        let chains = self.settings.controllers.iter().zip(&self.present);
        chains.enumerate().all(|(chain, (has_one, present))| {
            !has_one
                || *present == Some(false)
                || self.applied.controllers.get(chain) == Some(&Some(true))
        })
    }

    /// Why power has to go, the gravest first.
    fn trip(
        &self,
        heat: thermal::Decision,
        heat_reason: &thermal::Reason,
        outcome: Option<Outcome>,
        killed: Option<Cause>,
        late_miner: Option<Loop>,
        now: Moment,
    ) -> Option<Cause> {
        if !self.state.may_power() {
            return None;
        }
        if heat.tier == Tier::Dangerous {
            return Cause::of_heat(heat_reason);
        }
        if let Some(fault) = self.supply_fault {
            return Some(self.supply_cause(fault, now));
        }
        if let Some(Outcome::Failed(step)) = outcome {
            return Some(Cause::PowerSequence {
                step: step.to_string(),
            });
        }
        if let Some(chain) = self.disobeying_controller(now) {
            return Some(Cause::BoardPower { chain });
        }
        if let Some(which) = self.proofs.late(false, now) {
            return Some(Cause::KeeperLate {
                which: which.to_owned(),
            });
        }
        killed.or_else(|| late_miner.map(|which| Cause::MinerSilent { which }))
    }

    /// The first chain whose controller has not done as told for too long. An absent board has none to obey.
    fn disobeying_controller(&self, now: Moment) -> Option<u8> {
        (0..)
            .zip(self.disobeying.iter().zip(&self.present))
            .find(|(_, (since, present))| {
                **present != Some(false)
                    && since.is_some_and(|since| now.since(since) >= CONTROLLER_PATIENCE)
            })
            .map(|(chain, _)| chain)
    }

    fn supply_cause(&self, fault: SupplyFault, now: Moment) -> Cause {
        Cause::Supply {
            fault,
            measured: self
                .supply
                .measured(now)
                .map(|(measured, _)| measured.volts),
        }
    }

    /// What happens in this state, and the reason for it or for staying.
    fn event(
        &self,
        trip: Option<Cause>,
        outcome: Option<Outcome>,
        heat: thermal::Reason,
        plant: &Plant,
        now: Moment,
    ) -> (Option<Event>, Reason) {
        let stopping = matches!(self.state, State::Stopping | State::Stopped);
        let stuck = !self.state.may_power() && self.supply_fault == Some(SupplyFault::StuckOn);
        // While nothing switches the rail off, nobody but the keeper gives the machine air: it stops when the rail is off.
        let has_to_stay = stuck && self.state == State::Latched;
        if self.wishes.stop && !stopping && !has_to_stay {
            return (Some(Event::StopWanted), Reason::StopWanted);
        }
        if let Some(cause) = trip {
            return (Some(Event::Trip), Reason::Tripped(cause));
        }
        if stuck && self.state != State::Latched {
            let cause = self.supply_cause(SupplyFault::StuckOn, now);
            return (Some(Event::RailStuck), Reason::Latched(cause));
        }
        match self.state {
            State::Boot => self.boot(plant, now),
            State::Standby => self.standby(plant),
            State::PowerUp | State::Running | State::Hot if !self.is_power_wanted() => {
                (Some(Event::PowerUnwanted), self.why_unwanted())
            }
            State::PowerUp => match outcome {
                Some(Outcome::Done) => (Some(Event::PowerConfirmed), Reason::Heat(heat)),
                Some(Outcome::Waiting(step) | Outcome::Failed(step)) => {
                    (None, Reason::Sequence(step))
                }
                None => (None, self.reason.clone()),
            },
            State::Running => (
                (self.heat.tier >= Tier::Hot).then_some(Event::Hot),
                Reason::Heat(heat),
            ),
            State::Hot => (
                (self.heat.tier == Tier::Normal).then_some(Event::NoLongerHot),
                Reason::Heat(heat),
            ),
            State::Dangerous if now.since(self.since) >= OFF_WITHIN.saturating_mul(2) => {
                self.rail_unknown(now)
            }
            State::Dangerous => (
                self.is_rail_off(now).then_some(Event::RailOff),
                self.reason.clone(),
            ),
            State::CoolDown => self.cool_down(plant, now),
            State::Latched if self.wishes.clear => (Some(Event::Cleared), Reason::JustStarted),
            // No supply, no sensor and no fan of it is known, so there is nothing that waiting could show.
            State::Stopping if self.settings.unknown.is_some() => {
                (Some(Event::CooledAfterStop), Reason::StopWanted)
            }
            State::Stopping => {
                let over = now.since(self.since) >= STOP_PATIENCE;
                if !self.is_rail_off(now) {
                    return if over {
                        self.rail_unknown(now)
                    } else {
                        (None, Reason::StopWanted)
                    };
                }
                let cool = over || self.thermal.is_cool(plant);
                (cool.then_some(Event::CooledAfterStop), Reason::StopWanted)
            }
            State::FanOnly | State::Latched | State::Stopped => (None, self.reason.clone()),
        }
    }

    /// Goes where an event leads.
    fn enter(&mut self, event: Event, reason: Reason, now: Moment) -> Reason {
        let from = self.state;
        let to = from.after(event);
        if to == from {
            return reason;
        }
        self.state = to;
        self.since = now;
        if from.may_power() && !to.may_power() {
            self.unpowered_since = now;
            self.sequence = None;
            self.wishes.released.fill(false);
        }
        match (&reason, to) {
            (Reason::Tripped(cause), State::Dangerous) => {
                self.last_cause = Some(cause.clone());
                self.restart_at = match self.restarts.fault(now) {
                    Verdict::RestartAt(then) => Some(then),
                    Verdict::Spent => None,
                };
            }
            (Reason::Latched(cause), State::Latched) => {
                self.last_cause = Some(cause.clone());
                self.latch.get_or_insert_with(|| Latch {
                    cause: cause.clone(),
                    unix_time: None,
                    kept: false,
                });
            }
            (_, State::PowerUp) => self.sequence = Some(Sequence::begin(self.wishes.voltage, now)),
            (_, State::Boot) => {
                self.latch = None;
                self.restart_at = None;
                self.restarts.forgive();
                self.miner.forgive();
            }
            _ => {}
        }
        self.wishes.clear = false;
        log_move(from, to, &reason);
        self.news.moved(to, &reason);
        reason
    }

    fn outputs(&mut self, drive: Drive, late_miner: Option<Loop>, now: Moment) -> Outputs {
        let resets: Vec<_> = self
            .wishes
            .released
            .iter()
            .map(|released| drive.hold_resets || !released)
            .collect();
        for (since, held) in self.heated_since.iter_mut().zip(&resets) {
            *since = if *held { None } else { since.or(Some(now)) };
        }
        Outputs {
            state: self.state,
            // A changed wish for volts goes to a supply that is on, too.
            preset: drive.preset.map(|_| self.wishes.voltage),
            enable: drive.enable,
            resets,
            duty: self.duty(now),
            feed_watchdog: self.proofs.late(self.is_rail_off(now), now).is_none(),
            miner: self.miner_order(late_miner, now),
        }
    }

    fn duty(&self, now: Moment) -> DutyPercent {
        let is_cool = || self.is_rail_off(now) && self.thermal.is_cool(&self.plant());
        let idle = match self.wishes.mode {
            FanMode::Auto => self.settings.thermal.duty_minimum,
            FanMode::Fixed { duty } => duty,
            FanMode::Immersion => DutyPercent::OFF,
        };
        match self.state {
            State::Running | State::Hot => self.heat.duty,
            State::PowerUp if self.wishes.mode == FanMode::Immersion => self.heat.duty,
            State::Stopping if self.heat.tier == Tier::Normal && !is_cool() => self.heat.duty,
            State::Standby | State::Latched if is_cool() => idle,
            State::Stopping | State::Stopped if is_cool() => DutyPercent::OFF,
            _ => DutyPercent::FULL,
        }
    }

    fn miner_order(&mut self, late: Option<Loop>, now: Moment) -> MinerOrder {
        if matches!(self.state, State::Stopping | State::Stopped) {
            return MinerOrder::Stop;
        }
        if let Some(which) = late {
            self.miner.gone(now);
            self.miner_death = Some(Cause::MinerSilent { which });
            self.forget_wishes();
            return MinerOrder::Kill;
        }
        if self.miner.is_start_due(now) {
            MinerOrder::Start
        } else {
            MinerOrder::Leave
        }
    }
}

fn log_move(from: State, to: State, reason: &Reason) {
    match to {
        State::Latched | State::Dangerous | State::FanOnly => {
            tracing::error!(%from, %to, %reason, "the keeper changed its state");
        }
        State::CoolDown | State::Hot => {
            tracing::warn!(%from, %to, %reason, "the keeper changed its state");
        }
        _ => tracing::info!(%from, %to, %reason, "the keeper changed its state"),
    }
}
