//! Which pool the chains work for: decisions without I/O, told the time and the work done.

mod failover;
mod groups;
mod proven;
mod sharing;
mod trust;

use super::settings::{Place, StrategyKind};
use failover::Failover;
use proven::Proven;
use sharing::{RoundRobin, Sharing};
use tokio::time::Instant;
use trust::Trust;

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

impl Decision {
    /// For this pool for this reason, or for none because none is ready.
    fn of(pool: Option<usize>, reason: &'static str) -> Self {
        let reason = pool.map_or("no pool is ready", |_| reason);
        Self { pool, reason }
    }
}

/// A strategy with its memory.
#[derive(Debug)]
pub struct Strategy {
    kind: StrategyKind,
    /// Pools that the owner has put first by hand, the latest first.
    preferred: Vec<usize>,
    /// Priority of the pools, best first: the preferred ones, then the others as configured.
    order: Vec<usize>,
    active: Option<usize>,
    accounts: Vec<f64>,
    counted: Option<f64>,
    trust: Trust,
    proven: Proven,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    Failover(Failover),
    RoundRobin(RoundRobin),
    Sharing(Sharing),
}

impl Rule {
    fn new(kind: StrategyKind, pools: usize) -> Self {
        match kind {
            StrategyKind::Failover => Self::Failover(Failover::default()),
            StrategyKind::RoundRobin => Self::RoundRobin(RoundRobin::default()),
            StrategyKind::LoadBalance => Self::Sharing(Sharing::equally(pools)),
            StrategyKind::Quota => Self::Sharing(Sharing::by_quota(pools)),
            StrategyKind::Groups => Self::Sharing(Sharing::by_group()),
        }
    }
}

impl Strategy {
    /// A strategy for this many pools, best first.
    pub fn new(kind: StrategyKind, pools: usize) -> Self {
        Self {
            kind,
            preferred: Vec::new(),
            order: (0..pools).collect(),
            active: None,
            accounts: vec![0.0; pools],
            counted: None,
            trust: Trust::new(pools),
            proven: Proven::new(pools),
            rule: Rule::new(kind, pools),
        }
    }

    /// The pools are others now, `from` tells each one's index before, if it was there; and so may the kind be. Pools
    /// that stay keep their accounts, what is held against them, and their place by hand; that one until the owner
    /// changes their order.
    pub fn change(&mut self, kind: StrategyKind, from: &[Option<usize>]) {
        self.active = moved(self.active, from);
        self.accounts = from
            .iter()
            .map(|old| old.and_then(|old| self.accounts.get(old).copied()))
            .map(Option::unwrap_or_default)
            .collect();
        self.trust.remap(from);
        let same_order = from.iter().flatten().is_sorted();
        let preferred = std::mem::take(&mut self.preferred);
        if same_order {
            let stayed = preferred
                .into_iter()
                .filter_map(|old| moved(Some(old), from));
            self.preferred = stayed.collect();
        }
        if self.kind == kind {
            self.proven.remap(from);
            match &mut self.rule {
                Rule::Failover(rule) => rule.remap(from),
                // Its turn goes on with the active pool.
                Rule::RoundRobin(rule) => rule.remap(from),
                Rule::Sharing(rule) => rule.remap(from),
            }
        } else {
            self.kind = kind;
            self.proven = Proven::new(from.len());
            self.rule = Rule::new(kind, from.len());
        }
        self.put_in_order();
    }

    /// Its kind.
    pub fn kind(&self) -> StrategyKind {
        self.kind
    }

    /// Hashes done for each pool since the strategy began.
    pub fn accounts(&self) -> &[f64] {
        &self.accounts
    }

    /// Puts a pool first: of all with failover, of its group with groups, where the group's turn begins too. With
    /// round-robin it is its turn now. Where each pool has its part there is no first, and nothing happens
    /// ([`StrategyKind::has_a_first`]).
    pub fn prefer(&mut self, pool: usize) {
        if pool >= self.order.len() || !self.kind.has_a_first() {
            return;
        }
        self.trust.forgive(pool);
        match &mut self.rule {
            Rule::Failover(_) => {}
            Rule::RoundRobin(rule) => return rule.call(pool),
            Rule::Sharing(rule) => rule.call(pool),
        }
        self.preferred.retain(|each| *each != pool);
        self.preferred.insert(0, pool);
        self.put_in_order();
    }

    fn put_in_order(&mut self) {
        let pools = self.accounts.len();
        let others = (0..pools).filter(|pool| !self.preferred.contains(pool));
        self.order = self.preferred.iter().copied().chain(others).collect();
    }

    /// Chooses. `hashes_done` counts from an arbitrary start and never falls; what was added since
    /// the last call was done for the pool chosen then.
    pub fn decide(&mut self, pools: &[PoolView], hashes_done: f64, now: Instant) -> Decision {
        let done = hashes_done - self.counted.replace(hashes_done).unwrap_or(hashes_done);
        let done = done.max(0.0);
        if let Some(account) = self.active.and_then(|active| self.accounts.get_mut(active)) {
            *account += done;
        }
        let (trust, order, active) = (&mut self.trust, &self.order, self.active);
        // One line of succession, or one in each group, has a better and a worse pool: there trust is asked for in place.
        let is_flat = !matches!(self.kind, StrategyKind::Failover | StrategyKind::Groups);
        let proven = is_flat.then(|| self.proven.among(trust, pools, active, done, now));
        let pools = proven.as_deref().unwrap_or(pools);
        let decision = match &mut self.rule {
            Rule::Failover(rule) => rule.decide(trust, pools, order, done, now),
            Rule::RoundRobin(rule) => rule.decide(pools, order, active, done, now),
            Rule::Sharing(rule) => rule.decide(trust, pools, order, active, done, now),
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

/// Where the pool of this index stands now.
fn moved(old: Option<usize>, from: &[Option<usize>]) -> Option<usize> {
    old.and_then(|old| from.iter().position(|each| *each == Some(old)))
}

#[cfg(test)]
mod tests;
