//! What only shows over time: hashrate, the health of chips, events, and when each room was last heard.

use super::chip_health::ChipHealth;
use super::dues::{Dues, Word};
use super::events::{EventRing, Seen, changes};
use super::from_pools;
use super::hash_rate::{HashRateMeter, WindowRate};
use crate::chain::status::{ChainPhase, ChainStatus};
use crate::link::KeeperStatus;
use cgminer_hal::units::HashRate;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How far back the health of chips looks, in steps of a minute.
const HEALTH_STEPS: usize = 15;
/// One step.
const HEALTH_STEP: Duration = Duration::from_secs(60);

/// Everything that is kept between looks.
pub struct Recorder {
    started: Instant,
    seen: Seen,
    accepted: Option<HashRateMeter>,
    credited: (f64, u64),
    chains: Vec<ChainRecord>,
    /// Number of the keeper's latest status, and when it was first seen.
    keeper_heard: Option<(u64, Instant)>,
    looked: Instant,
    /// The latest events.
    pub events: EventRing,
}

#[derive(Default)]
struct ChainRecord {
    meter: Option<HashRateMeter>,
    credited: (f64, u64),
    dues: Dues,
    /// Nonces that each chip should have found.
    expected: f64,
    /// Counts of each past minute, oldest first.
    steps: VecDeque<Step>,
    /// When it was last seen with more good nonces than before.
    last_nonce: Option<Instant>,
    /// When it was last seen hashing.
    last_well: Option<Instant>,
    /// When it was last seen failed, or waiting to be brought up after a failure.
    last_ill: Option<Instant>,
}

/// How long ago it was that this was seen of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LastSeen {
    /// A good nonce.
    pub nonce: Option<Duration>,
    /// Hashing.
    pub well: Option<Duration>,
    /// Failed.
    pub ill: Option<Duration>,
}

struct Step {
    at: Instant,
    expected: f64,
    nonces: Box<[u32]>,
}

impl Recorder {
    /// A recorder that has seen nothing.
    pub fn new(now: Instant) -> Self {
        Self {
            started: now,
            seen: Seen::default(),
            accepted: None,
            credited: (0.0, 0),
            chains: Vec::new(),
            keeper_heard: None,
            looked: now,
            events: EventRing::default(),
        }
    }

    /// Takes in what the rooms tell now.
    pub fn look(&mut self, seen: Seen, unix_time: Option<f64>, now: Instant) {
        self.looked = now;
        self.credit_pools(&seen, now);
        self.chains
            .resize_with(seen.chains.len(), ChainRecord::default);
        for (record, status) in self.chains.iter_mut().zip(&seen.chains) {
            record.note(status, now);
            let word = Word::of(seen.keeper.as_deref(), status.chain);
            record.credit(status, word, now);
            record.step(status, now);
        }
        if let Some(keeper) = &seen.keeper {
            self.hear_keeper(keeper.sequence, now);
        }
        let uptime_s = now.saturating_duration_since(self.started).as_secs_f64();
        for change in changes(&self.seen, &seen) {
            change.log();
            self.events.keep(change, unix_time, uptime_s);
        }
        self.seen = seen;
    }

    /// Notes that a status of that number is here.
    pub fn hear_keeper(&mut self, sequence: u64, now: Instant) {
        if self.keeper_heard.is_none_or(|(known, _)| known != sequence) {
            self.keeper_heard = Some((sequence, now));
        }
    }

    /// How long ago the keeper's latest status came.
    pub fn keeper_silence(&self, now: Instant) -> Duration {
        self.keeper_heard
            .map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(at))
    }

    /// How long ago the last look was.
    pub fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.looked)
    }

    /// Hashrate that the pools credited.
    pub fn accepted(&self, now: Instant) -> Vec<WindowRate> {
        self.accepted
            .as_ref()
            .map(|meter| meter.read(now).to_vec())
            .unwrap_or_default()
    }

    /// Hashrate that a chain's nonces prove.
    pub fn chain(&self, index: usize, now: Instant) -> Vec<WindowRate> {
        let meter = self
            .chains
            .get(index)
            .and_then(|chain| chain.meter.as_ref());
        meter
            .map(|meter| meter.read(now).to_vec())
            .unwrap_or_default()
    }

    /// When what was last seen of a chain.
    pub fn last_seen(&self, index: usize, now: Instant) -> LastSeen {
        let Some(chain) = self.chains.get(index) else {
            return LastSeen::default();
        };
        let ago = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        LastSeen {
            nonce: ago(chain.last_nonce),
            well: ago(chain.last_well),
            ill: ago(chain.last_ill),
        }
    }

    /// Health of one chip, from the nonces that it should have found.
    pub fn chip_health(&self, chain: usize, chip: usize, now: Instant) -> ChipHealth {
        self.chains.get(chain).map_or_else(
            || ChipHealth::of(0, Some(0.0), 0, 0),
            |record| record.health(chip, now),
        )
    }

    /// What a chain's chips should do in a second; none while they are in reset, and when nobody knows.
    pub fn nominal(
        &self,
        index: usize,
        status: &ChainStatus,
        keeper: Option<&KeeperStatus>,
        now: Instant,
    ) -> Option<HashRate> {
        let word = Word::of(keeper, status.chain);
        let unseen = Dues::default();
        let record = self.chains.get(index).map(|record| &record.dues);
        record.unwrap_or(&unseen).rate(word, status, now)
    }

    /// Takes the growth of the pools' counters. The clock starts when a chain first works for a pool: the time that power-up
    /// takes is not held against the hashrate.
    fn credit_pools(&mut self, seen: &Seen, now: Instant) {
        let works = seen
            .chains
            .iter()
            .any(|chain| chain.phase == ChainPhase::Hashing);
        if self.accepted.is_none() && works && seen.pools.active.is_some() {
            self.accepted = Some(HashRateMeter::new(now));
        }
        let counted = from_pools::credit(&seen.pools);
        let before = std::mem::replace(&mut self.credited, counted);
        if let Some(meter) = &mut self.accepted {
            // Counters fall when pools are replaced; what is left of them was credited before.
            meter.record(
                counted.0 - before.0,
                counted.1.saturating_sub(before.1),
                now,
            );
        }
    }
}

impl ChainRecord {
    fn note(&mut self, status: &ChainStatus, now: Instant) {
        if status.counters.nonces > self.credited.1 {
            self.last_nonce = Some(now);
        }
        match status.phase {
            ChainPhase::Hashing => self.last_well = Some(now),
            ChainPhase::BackOff | ChainPhase::Failed => self.last_ill = Some(now),
            _ => {}
        }
    }

    /// Takes the growth of a chain's counters, from its first nonce on.
    fn credit(&mut self, status: &ChainStatus, word: Word, now: Instant) {
        let counted = (status.counters.hashes, status.counters.nonces);
        let before = std::mem::replace(&mut self.credited, counted);
        if let Some(meter) = &mut self.meter {
            meter.record(
                counted.0 - before.0,
                counted.1.saturating_sub(before.1),
                now,
            );
        } else if status.frequency.is_some() && counted.1 > 0 {
            self.meter = Some(HashRateMeter::new(now));
        }
        let due = self.dues.grow(word, status, now);
        if counted.1 > 0 {
            let nonces = due / (counted.0 / counted.1 as f64);
            self.expected += nonces / status.chips.len().max(1) as f64;
        }
    }

    fn step(&mut self, status: &ChainStatus, now: Instant) {
        if self
            .steps
            .back()
            .is_some_and(|last| now - last.at < HEALTH_STEP)
        {
            return;
        }
        if self.steps.len() >= HEALTH_STEPS {
            self.steps.pop_front();
        }
        let nonces = status.chips.iter().map(|chip| chip.nonces).collect();
        self.steps.push_back(Step {
            at: now,
            expected: self.expected,
            nonces,
        });
    }

    fn health(&self, chip: usize, now: Instant) -> ChipHealth {
        let (Some(oldest), Some(newest)) = (self.steps.front(), self.steps.back()) else {
            return ChipHealth::of(0, Some(0.0), 0, 0);
        };
        let count = |step: &Step| step.nonces.get(chip).copied().unwrap_or(0);
        let expected = newest.expected - oldest.expected;
        let nonces = count(newest).saturating_sub(count(oldest));
        ChipHealth::of(
            nonces,
            (!self.dues.is_unknown()).then_some(expected),
            (newest.at - oldest.at).as_secs(),
            now.saturating_duration_since(newest.at).as_secs(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::samples;

    const DIFFICULTY_ONE: f64 = 4_294_967_296.0;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn accepted(count: u64) -> Seen {
        let mut seen = samples::seen();
        seen.pools.pools[0].shares.accepted = count;
        seen.pools.pools[0].shares.accepted_hashes = count as f64 * DIFFICULTY_ONE;
        seen
    }

    #[test]
    fn replaced_pools_credit_nothing_twice() {
        let start = Instant::now();
        let mut recorder = Recorder::new(start);
        for (second, count) in [(0, 0), (1, 10), (2, 0), (3, 1)] {
            recorder.look(accepted(count), None, after(start, second));
        }
        assert_eq!(recorder.accepted(after(start, 4))[5].shares, 11);
    }

    /// A chain whose two chips find `nonces` each second, of which each stands for difficulty one.
    fn run_chain(seconds: u64, nonces: [u32; 2], nominal_nonces: f64) -> (Recorder, Instant) {
        let start = Instant::now();
        let mut recorder = Recorder::new(start);
        for second in 0..=seconds {
            let mut chain = samples::chain();
            for (chip, per_second) in chain.chips.iter_mut().zip(nonces) {
                chip.nonces = per_second * second as u32;
            }
            chain.counters.nonces = u64::from(nonces[0] + nonces[1]) * second;
            chain.counters.hashes = chain.counters.nonces as f64 * DIFFICULTY_ONE;
            chain.nominal_hash_rate = Some(HashRate(nominal_nonces * DIFFICULTY_ONE));
            let seen = Seen {
                chains: vec![chain],
                ..Seen::default()
            };
            recorder.look(seen, None, after(start, second));
        }
        (recorder, after(start, seconds))
    }

    #[test]
    fn power_up_is_not_held_against_the_hashrate() {
        let start = Instant::now();
        let mut recorder = Recorder::new(start);
        for second in 0..=130 {
            let mut seen = accepted(u64::saturating_sub(second, 100));
            if second < 100 {
                seen.chains[0].phase = ChainPhase::BringUp;
            }
            recorder.look(seen, None, after(start, second));
        }
        let day = recorder.accepted(after(start, 130))[5];
        assert!((day.rate.0 / DIFFICULTY_ONE - 1.0).abs() < 1e-6, "{day:?}");
    }

    #[test]
    fn a_chip_is_as_healthy_as_it_finds_of_what_it_should() {
        let (recorder, now) = run_chain(1200, [10, 5], 20.0);
        let percent = |chip| recorder.chip_health(0, chip, now).percent.unwrap();
        assert!((percent(0) - 100.0).abs() < 1.0 && (percent(1) - 50.0).abs() < 1.0);
        assert_eq!(recorder.chip_health(0, 0, now).window_s, 14 * 60);
    }

    #[test]
    fn a_chip_that_few_nonces_are_expected_of_has_no_health_yet() {
        let (recorder, now) = run_chain(100, [10, 0], 0.1);
        assert_eq!(recorder.chip_health(0, 1, now).percent, None);
        let (recorder, now) = run_chain(10, [10, 10], 20.0);
        assert_eq!(
            recorder.chip_health(0, 0, now).percent,
            None,
            "within the first minute"
        );
        assert_eq!(recorder.chip_health(7, 7, now).percent, None);
    }

    #[test]
    fn a_chains_nonces_become_its_hashrate() {
        let (recorder, now) = run_chain(120, [10, 10], 20.0);
        let minute = recorder.chain(0, now)[1].rate.0;
        assert!(
            (minute / (20.0 * DIFFICULTY_ONE) - 1.0).abs() < 0.05,
            "{minute}"
        );
        assert_eq!(recorder.chain(1, now), []);
    }

    #[test]
    fn the_keeper_is_silent_from_its_last_new_status_on() {
        let start = Instant::now();
        let mut recorder = Recorder::new(start);
        for second in [1, 5] {
            recorder.look(samples::seen(), None, after(start, second));
        }
        assert_eq!(
            recorder.keeper_silence(after(start, 11)),
            Duration::from_secs(10)
        );
    }

    #[test]
    fn events_are_dated_from_the_start() {
        let start = Instant::now();
        let mut recorder = Recorder::new(start);
        recorder.look(samples::seen(), Some(1.8e9), after(start, 3));
        let event = &recorder.events.after(0)[0];
        assert!((event.uptime_s - 3.0).abs() < 1e-9 && event.unix_time == Some(1.8e9));
    }
}
