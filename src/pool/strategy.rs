//! Which pool the chains work for: decisions without I/O, told the time and the work done.

mod failover;
mod sharing;

use super::settings::{Place, StrategyKind};
use failover::Failover;
use sharing::{RoundRobin, Sharing};
use tokio::time::Instant;

/// What a strategy knows of one pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolView {
    /// Its place in the strategy.
    pub place: Place,
    /// Since when it has a job to work on; `None`: it has none.
    pub ready_since: Option<Instant>,
    /// Failures since start.
    pub failures: u64,
    /// Failures since it was last ready, or since start.
    pub failures_in_a_row: u64,
    /// Hashes whose shares it has not credited since it last accepted one.
    pub lost_in_a_row: f64,
}

impl PoolView {
    fn is_ready(&self) -> bool {
        self.place.enabled && self.ready_since.is_some()
    }
}

/// A choice with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Index of the pool to work for; `None`: none can be worked for.
    pub pool: Option<usize>,
    /// Why, in words.
    pub reason: &'static str,
}

/// A strategy with its memory.
#[derive(Debug)]
pub struct Strategy {
    kind: StrategyKind,
    /// Priority of the pools, best first.
    order: Vec<usize>,
    active: Option<usize>,
    accounts: Vec<f64>,
    counted: Option<f64>,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    Failover(Failover),
    RoundRobin(RoundRobin),
    Sharing(Sharing),
}

impl Strategy {
    /// A strategy for this many pools, best first.
    pub fn new(kind: StrategyKind, pools: usize) -> Self {
        let rule = match kind {
            StrategyKind::Failover => Rule::Failover(Failover::new(pools)),
            StrategyKind::RoundRobin => Rule::RoundRobin(RoundRobin::default()),
            StrategyKind::LoadBalance => Rule::Sharing(Sharing::equally(pools)),
            StrategyKind::Quota => Rule::Sharing(Sharing::by_quota(pools)),
            StrategyKind::Groups => Rule::Sharing(Sharing::by_group()),
        };
        Self {
            kind,
            order: (0..pools).collect(),
            active: None,
            accounts: vec![0.0; pools],
            counted: None,
            rule,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> StrategyKind {
        self.kind
    }

    /// Hashes done for each pool since the strategy began.
    pub fn accounts(&self) -> &[f64] {
        &self.accounts
    }

    /// Puts a pool first and works for it at once, if it is ready.
    pub fn prefer(&mut self, pool: usize) {
        if let Some(at) = self.order.iter().position(|each| *each == pool) {
            let pool = self.order.remove(at);
            self.order.insert(0, pool);
            if let Rule::Failover(failover) = &mut self.rule {
                failover.trust(pool);
            }
        }
    }

    /// Chooses. `hashes_done` counts from an arbitrary start and never falls; what was added since
    /// the last call was done for the pool chosen then.
    pub fn decide(&mut self, pools: &[PoolView], hashes_done: f64, now: Instant) -> Decision {
        let done = hashes_done - self.counted.replace(hashes_done).unwrap_or(hashes_done);
        let done = done.max(0.0);
        if let Some(account) = self.active.and_then(|active| self.accounts.get_mut(active)) {
            *account += done;
        }
        let decision = match &mut self.rule {
            Rule::Failover(rule) => rule.decide(pools, &self.order, self.active, done, now),
            Rule::RoundRobin(rule) => rule.decide(pools, &self.order, self.active, done, now),
            Rule::Sharing(rule) => rule.decide(pools, &self.order, self.active, done, now),
        };
        self.active = decision.pool;
        decision
    }

    /// Which pools should hold a session now. With failover: all down to the active one, so that a
    /// better one's return is noticed, and one in reserve behind it, whose job is at hand the
    /// moment the active one fails.
    pub fn wanted(&self, pools: &[PoolView]) -> Vec<bool> {
        let is_enabled = |pool: &PoolView| pool.place.enabled;
        if !matches!(self.rule, Rule::Failover(_)) {
            return pools.iter().map(is_enabled).collect();
        }
        let mut wanted = vec![false; pools.len()];
        let mut hopeful = 0;
        let mut active_is_behind = self.active;
        for index in &self.order {
            let (Some(pool), Some(wanted)) = (pools.get(*index), wanted.get_mut(*index)) else {
                continue;
            };
            if !pool.place.enabled {
                continue;
            }
            if hopeful >= 2 && active_is_behind.is_none() {
                break;
            }
            *wanted = true;
            hopeful += u32::from(pool.is_ready() || pool.failures_in_a_row == 0);
            active_is_behind = active_is_behind.filter(|active| active != index);
        }
        wanted
    }
}

/// The first ready pool in order of priority.
fn first_ready(pools: &[PoolView], order: &[usize]) -> Option<usize> {
    order
        .iter()
        .copied()
        .find(|index| pools.get(*index).is_some_and(PoolView::is_ready))
}

#[cfg(test)]
mod tests;
