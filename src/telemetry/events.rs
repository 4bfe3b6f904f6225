//! What happened: the changes that an owner would want to have been told of, kept in a bounded ring.

use crate::chain::status::{ChainPhase, ChainStatus};
use crate::link::{KeeperStatus, State};
use crate::pool::status::{PoolPhase, PoolStatus, PoolsStatus};
use cgminer_board::thermal::FanCondition;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;

/// Events that are kept.
pub const KEPT: usize = 256;
/// Characters of a text that a pool may have put into an event.
const LONGEST_TEXT: usize = 200;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Counts from 1; greater is later. A gap means that older ones were dropped.
    pub number: u64,
    /// Wall clock in seconds since 1970; null while the clock was never set.
    pub unix_time: Option<f64>,
    /// Seconds since this program started.
    pub uptime_s: f64,
    /// How much it matters.
    pub severity: Severity,
    /// What kind of thing.
    pub kind: EventKind,
    /// Where it happened, as `chain 0` or `pool 1`.
    pub source: String,
    /// In words.
    pub message: String,
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Less work, or less safety margin, than there should be.
    Warning,
    /// No work, or a danger that had to be acted on.
    Error,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The run before this one ended without a wanted stop.
    LastEnd,
    /// The keeper went into another state.
    KeeperState,
    /// The machine stays off until an operator clears it.
    Latched,
    /// The operator cleared it.
    LatchCleared,
    /// The hottest tier changed.
    Tier,
    /// A fan's condition changed.
    Fan,
    /// A sensor is no longer believed, or believed again.
    Sensor,
    /// The supply has a fault, or has it no more.
    Supply,
    /// A chain went into another phase.
    ChainPhase,
    /// Another pool is worked for, or none.
    ActivePool,
    /// A pool is ready.
    PoolReady,
    /// A ready pool was lost.
    PoolLost,
    /// A pool said something to its owner.
    PoolMessage,
    /// A share met the network target.
    BlockFound,
}

/// A change, before it is numbered and dated.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// See [`Event`].
    pub severity: Severity,
    /// See [`Event`].
    pub kind: EventKind,
    /// See [`Event`].
    pub source: String,
    /// See [`Event`].
    pub message: String,
}

impl Change {
    /// Tells it to the log, unless the room that it happened in does so itself.
    pub fn log(&self) {
        let Self {
            severity,
            kind,
            source,
            message,
        } = self;
        // The keeper's process writes into the same log; pools tell their turns and their words.
        let untold = matches!(
            kind,
            EventKind::ChainPhase
                | EventKind::PoolReady
                | EventKind::PoolLost
                | EventKind::BlockFound
        );
        match severity {
            _ if !untold => {}
            Severity::Error => tracing::error!(source, "{message}"),
            Severity::Warning => tracing::warn!(source, "{message}"),
            Severity::Info => tracing::info!(source, "{message}"),
        }
    }
}

/// What the rooms told at one moment.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The keeper; `None` until it spoke.
    pub keeper: Option<Arc<KeeperStatus>>,
    /// Chains.
    pub chains: Vec<ChainStatus>,
    /// Pools.
    pub pools: PoolsStatus,
}

/// The latest events.
#[derive(Clone, Debug, Default)]
pub struct EventRing {
    events: VecDeque<Event>,
    last_number: u64,
}

impl EventRing {
    /// Keeps a change; the oldest event makes room.
    pub fn keep(&mut self, change: Change, unix_time: Option<f64>, uptime_s: f64) {
        let Change {
            severity,
            kind,
            source,
            message,
        } = change;
        self.last_number += 1;
        let number = self.last_number;
        if self.events.len() >= KEPT {
            self.events.pop_front();
        }
        self.events.push_back(Event {
            number,
            unix_time,
            uptime_s,
            severity,
            kind,
            source,
            message,
        });
    }

    /// Events with a greater number, oldest first.
    pub fn after(&self, number: u64) -> Vec<Event> {
        self.events
            .iter()
            .filter(|event| event.number > number)
            .cloned()
            .collect()
    }

    /// Number of the latest event; 0 when there was none.
    pub fn last_number(&self) -> u64 {
        self.last_number
    }
}

/// What happened between two looks.
pub fn changes(before: &Seen, after: &Seen) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(keeper) = &after.keeper {
        keeper_changes(before.keeper.as_deref(), keeper, &mut changes);
    }
    for chain in &after.chains {
        let known = before
            .chains
            .iter()
            .find(|known| known.chain == chain.chain);
        chain_changes(known, chain, &mut changes);
    }
    pools_changes(&before.pools, &after.pools, &mut changes);
    changes
}

fn keeper_changes(before: Option<&KeeperStatus>, after: &KeeperStatus, changes: &mut Vec<Change>) {
    let mut add = |severity, kind, source: &str, message: String| {
        changes.push(Change {
            severity,
            kind,
            source: source.into(),
            message,
        });
    };
    let bad_end = after.last_end.filter(|end| end.is_bad());
    if let (None, Some(end)) = (before, bad_end) {
        let message = format!("how the last run ended: {end}");
        add(Severity::Warning, EventKind::LastEnd, "keeper", message);
    }
    if before.is_none_or(|before| before.state != after.state) {
        let severity = match after.state {
            State::Dangerous | State::Latched | State::FanOnly => Severity::Error,
            State::Hot | State::CoolDown => Severity::Warning,
            _ => Severity::Info,
        };
        let message = format!("{}: {}", after.state, after.reason);
        add(severity, EventKind::KeeperState, "keeper", message);
    }
    match (
        before.and_then(|before| before.latched.as_ref()),
        &after.latched,
    ) {
        (None, Some(latch)) => {
            let message = format!("stays off until an operator clears it: {}", latch.cause);
            add(Severity::Error, EventKind::Latched, "keeper", message);
        }
        (Some(_), None) => {
            add(
                Severity::Info,
                EventKind::LatchCleared,
                "keeper",
                "an operator cleared it".into(),
            );
        }
        _ => {}
    }
    if let Some(before) = before {
        if before.tier != after.tier {
            let severity = if after.tier > before.tier {
                Severity::Warning
            } else {
                Severity::Info
            };
            let name = super::from_pools::name(after.tier);
            add(
                severity,
                EventKind::Tier,
                "keeper",
                format!("the hottest tier is now {name}"),
            );
        }
    }
    for fan in &after.fans {
        let known =
            before.and_then(|before| before.fans.iter().find(|known| known.name == fan.name));
        let settled = |condition| matches!(condition, FanCondition::Turning | FanCondition::Off);
        let was_well = known.is_none_or(|known| settled(known.condition));
        let changed = known.is_none_or(|known| known.condition != fan.condition);
        // Spinning up is a step between two conditions, not news.
        let news = changed && fan.condition != FanCondition::SpinningUp;
        if news && !settled(fan.condition) {
            let message = format!("the fan is {}", fan.condition);
            add(Severity::Error, EventKind::Fan, &fan.name, message);
        } else if news && !was_well {
            add(
                Severity::Info,
                EventKind::Fan,
                &fan.name,
                format!("the fan is {}", fan.condition),
            );
        }
    }
    for sensor in &after.sensors {
        let known = before.and_then(|before| {
            before
                .sensors
                .iter()
                .find(|known| known.name == sensor.name)
        });
        match (known.and_then(|known| known.fault), sensor.fault) {
            (None, Some(fault)) => {
                let message = format!("the sensor {fault}");
                add(Severity::Warning, EventKind::Sensor, &sensor.name, message);
            }
            (Some(_), None) => {
                let message = "the sensor is believed again".into();
                add(Severity::Info, EventKind::Sensor, &sensor.name, message);
            }
            _ => {}
        }
    }
    match (
        before.and_then(|before| before.supply.fault),
        after.supply.fault,
    ) {
        (known, Some(fault)) if known != Some(fault) => {
            let message = format!("the supply {fault}");
            add(
                Severity::Error,
                EventKind::Supply,
                &after.supply.part,
                message,
            );
        }
        (Some(_), None) => {
            let message = "the supply is well again".into();
            add(
                Severity::Info,
                EventKind::Supply,
                &after.supply.part,
                message,
            );
        }
        _ => {}
    }
}

fn chain_changes(before: Option<&ChainStatus>, after: &ChainStatus, changes: &mut Vec<Change>) {
    let known = before.map_or(ChainPhase::Waiting, |before| before.phase);
    // Between idle and hashing a chain goes with every pause of the pool.
    let at_work = |phase| matches!(phase, ChainPhase::Idle | ChainPhase::Hashing);
    if known == after.phase || (at_work(known) && at_work(after.phase)) {
        return;
    }
    let severity = match after.phase {
        ChainPhase::Failed => Severity::Error,
        ChainPhase::BackOff => Severity::Warning,
        _ => Severity::Info,
    };
    let phase = super::from_pools::name(after.phase);
    let message = match &after.reason {
        Some(reason) => format!("{phase}: {reason}"),
        None => phase,
    };
    let source = format!("chain {}", after.chain);
    changes.push(Change {
        severity,
        kind: EventKind::ChainPhase,
        source,
        message,
    });
}

fn pools_changes(before: &PoolsStatus, after: &PoolsStatus, changes: &mut Vec<Change>) {
    for (index, pool) in after.pools.iter().enumerate() {
        // Pools that were replaced start anew.
        let known = before
            .pools
            .get(index)
            .filter(|known| known.url == pool.url);
        pool_changes(index, known, pool, changes);
    }
    if before.active != after.active {
        let (severity, message) = match after.active {
            Some(index) => (
                Severity::Info,
                format!("works for pool {index}: {}", after.reason),
            ),
            None => (
                Severity::Error,
                format!("no pool to work for: {}", after.reason),
            ),
        };
        let source = "pools".into();
        changes.push(Change {
            severity,
            kind: EventKind::ActivePool,
            source,
            message,
        });
    }
}

fn pool_changes(
    index: usize,
    before: Option<&PoolStatus>,
    after: &PoolStatus,
    changes: &mut Vec<Change>,
) {
    let mut add = |severity, kind, message: String| {
        let message = message.chars().take(LONGEST_TEXT).collect();
        changes.push(Change {
            severity,
            kind,
            source: format!("pool {index}"),
            message,
        });
    };
    let was_ready = before.is_some_and(|before| before.phase == PoolPhase::Ready);
    let is_ready = after.phase == PoolPhase::Ready;
    if is_ready && !was_ready {
        add(
            Severity::Info,
            EventKind::PoolReady,
            format!("ready at {}", after.url),
        );
    }
    // A pool that was let go is idle; it was not lost.
    if was_ready && !is_ready && after.phase != PoolPhase::Idle {
        let reason = after.last_error.as_deref().unwrap_or("the session ended");
        add(Severity::Warning, EventKind::PoolLost, reason.to_owned());
    }
    if let Some(message) = &after.message {
        if before.and_then(|before| before.message.as_ref()) != Some(message) {
            add(Severity::Info, EventKind::PoolMessage, message.clone());
        }
    }
    let blocks = |pool: &PoolStatus| pool.shares.blocks_submitted;
    if blocks(after) > before.map_or(0, blocks) {
        add(
            Severity::Info,
            EventKind::BlockFound,
            "a share met the network target".into(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::samples;
    use cgminer_board::thermal::{SensorFault, Tier};

    fn kinds(before: &Seen, after: &Seen) -> Vec<(EventKind, Severity)> {
        changes(before, after)
            .iter()
            .map(|change| (change.kind, change.severity))
            .collect()
    }

    #[test]
    fn nothing_happened_when_nothing_changed() {
        let seen = samples::seen();
        assert_eq!(changes(&seen, &seen), []);
    }

    #[test]
    fn a_machine_that_comes_up_tells_of_its_keeper_its_chains_and_its_pool() {
        let happened = kinds(&Seen::default(), &samples::seen());
        assert_eq!(
            happened,
            [
                (EventKind::KeeperState, Severity::Info),
                (EventKind::ChainPhase, Severity::Info),
                (EventKind::PoolReady, Severity::Info),
                (EventKind::ActivePool, Severity::Info),
            ]
        );
    }

    #[test]
    fn every_fault_and_its_end_is_told_once() {
        type Break = fn(&mut Seen);
        fn keeper(seen: &mut Seen) -> &mut KeeperStatus {
            Arc::make_mut(seen.keeper.as_mut().unwrap())
        }
        let rows: [(Break, EventKind, Severity); 7] = [
            (
                |seen| keeper(seen).tier = Tier::Hot,
                EventKind::Tier,
                Severity::Warning,
            ),
            (
                |seen| keeper(seen).fans[0].condition = FanCondition::Stalled,
                EventKind::Fan,
                Severity::Error,
            ),
            (
                |seen| keeper(seen).sensors[0].fault = Some(SensorFault::Zero),
                EventKind::Sensor,
                Severity::Warning,
            ),
            (
                |seen| keeper(seen).supply.fault = Some(cgminer_board::power::SupplyFault::Silent),
                EventKind::Supply,
                Severity::Error,
            ),
            (
                |seen| keeper(seen).latched = Some(samples::latch()),
                EventKind::Latched,
                Severity::Error,
            ),
            (
                |seen| seen.chains[0].phase = ChainPhase::Failed,
                EventKind::ChainPhase,
                Severity::Error,
            ),
            (
                |seen| seen.pools.active = None,
                EventKind::ActivePool,
                Severity::Error,
            ),
        ];
        let well = samples::seen();
        for (break_it, kind, severity) in rows {
            let mut broken = well.clone();
            break_it(&mut broken);
            assert_eq!(kinds(&well, &broken), [(kind, severity)]);
            assert_eq!(changes(&broken, &broken), [], "{kind:?} is told once");
            let mended = kinds(&broken, &well);
            assert_eq!(mended.len(), 1, "{kind:?} ends with one event");
            assert_eq!(mended[0].1, Severity::Info, "{kind:?}");
        }
    }

    #[test]
    fn a_lost_pool_is_told_with_its_reason_and_a_dismissed_one_is_not() {
        let well = samples::seen();
        let mut lost = well.clone();
        lost.pools.pools[0].phase = PoolPhase::BackingOff;
        lost.pools.pools[0].last_error = Some("x".repeat(5000));
        let told = changes(&well, &lost);
        assert_eq!(told[0].kind, EventKind::PoolLost);
        assert_eq!(told[0].message.len(), LONGEST_TEXT);
        lost.pools.pools[0].phase = PoolPhase::Idle;
        assert_eq!(changes(&well, &lost), []);
    }

    #[test]
    fn a_pause_between_jobs_is_no_event() {
        let well = samples::seen();
        let mut idle = well.clone();
        idle.chains[0].phase = ChainPhase::Idle;
        assert_eq!(changes(&well, &idle), []);
    }

    #[test]
    fn the_ring_keeps_the_latest_and_numbers_go_on() {
        let mut ring = EventRing::default();
        for number in 0..KEPT + 10 {
            let change = Change {
                severity: Severity::Info,
                kind: EventKind::Tier,
                source: "keeper".into(),
                message: number.to_string(),
            };
            ring.keep(change, None, 0.0);
        }
        assert_eq!(ring.last_number(), KEPT as u64 + 10);
        let events = ring.after(0);
        assert_eq!((events.len(), events[0].number), (KEPT, 11));
        assert_eq!(ring.after(ring.last_number() - 2).len(), 2);
    }
}
