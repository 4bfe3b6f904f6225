//! What pools have done that are configured no more.
//!
//! A total that fell when its owner takes a pool away, or changes its password, would be read as a program that started
//! anew. So the counts of a pool outlive it, and one that comes back under the same address and user goes on from them.

use super::status::{LineCounters, PoolStatus, ShareCounters, SourceKind, Traffic};
use serde::Serialize;
use std::collections::VecDeque;

/// Pools that are remembered one by one; older ones are added up.
const REMEMBERED: usize = 32;

/// Counts of one pool, or of several together, since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PoolCounters {
    /// Connection attempts.
    pub connection_attempts: u64,
    /// Sessions that reached `ready`.
    pub sessions_ready: u64,
    /// Sessions that failed, or could not begin.
    pub failures: u64,
    /// Jobs.
    pub jobs: u64,
    /// Jobs of nearly empty blocks.
    pub nearly_empty_jobs: u64,
    /// Jobs without a merkle path.
    pub opaque_jobs: u64,
    /// Units of work.
    pub units: u64,
    /// Shares.
    pub shares: ShareCounters,
    /// Lines.
    pub lines: LineCounters,
    /// What went over the connections.
    pub traffic: Option<Traffic>,
    /// Difficulty of the best hash.
    pub best_difficulty: Option<f64>,
    /// Blocks that its jobs have built on; of several pools the most.
    pub blocks: u64,
}

impl PoolCounters {
    /// What a pool has done.
    pub fn of(status: &PoolStatus) -> Self {
        Self {
            connection_attempts: status.connection_attempts,
            sessions_ready: status.sessions_ready,
            failures: status.failures,
            jobs: status.jobs,
            nearly_empty_jobs: status.nearly_empty_jobs,
            opaque_jobs: status.opaque_jobs,
            units: status.units,
            shares: status.shares.clone(),
            lines: status.lines.clone(),
            traffic: status.traffic,
            best_difficulty: status.record.best_difficulty,
            blocks: status.record.blocks,
        }
    }

    /// The same once its session is over: shares that were still on their way will get no verdict.
    #[must_use]
    pub fn ended(mut self) -> Self {
        let shares = &mut self.shares;
        let told = shares.accepted + shares.rejected.total + shares.unanswered;
        shares.unanswered += shares.submitted.saturating_sub(told);
        self
    }

    /// The status of a pool that did this before.
    pub fn under(&self, mut status: PoolStatus) -> PoolStatus {
        status.connection_attempts += self.connection_attempts;
        status.sessions_ready += self.sessions_ready;
        status.failures += self.failures;
        status.jobs += self.jobs;
        status.nearly_empty_jobs += self.nearly_empty_jobs;
        status.opaque_jobs += self.opaque_jobs;
        status.units += self.units;
        status.shares.add(&self.shares);
        status.lines.add(&self.lines);
        status.traffic = added(status.traffic, self.traffic);
        let record = &mut status.record;
        record.best_difficulty = better(record.best_difficulty, self.best_difficulty);
        record.blocks += self.blocks;
        status
    }

    /// Adds what another has done.
    pub fn add(&mut self, other: &Self) {
        self.connection_attempts += other.connection_attempts;
        self.sessions_ready += other.sessions_ready;
        self.failures += other.failures;
        self.jobs += other.jobs;
        self.nearly_empty_jobs += other.nearly_empty_jobs;
        self.opaque_jobs += other.opaque_jobs;
        self.units += other.units;
        self.shares.add(&other.shares);
        self.lines.add(&other.lines);
        self.traffic = added(self.traffic, other.traffic);
        self.best_difficulty = better(self.best_difficulty, other.best_difficulty);
        self.blocks = self.blocks.max(other.blocks);
    }
}

/// By what a pool is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    kind: SourceKind,
    url: String,
    user: String,
}

impl Identity {
    /// That of a pool.
    pub fn of(status: &PoolStatus) -> Self {
        Self {
            kind: status.kind,
            url: status.url.clone(),
            user: status.user.clone(),
        }
    }
}

/// The pools that are no more.
#[derive(Debug, Default)]
pub struct Retired {
    pools: VecDeque<(Identity, PoolCounters)>,
    older: PoolCounters,
}

impl Retired {
    /// Keeps what a pool has done that ends now.
    pub fn keep(&mut self, identity: Identity, counters: PoolCounters) {
        if self.pools.len() == REMEMBERED {
            if let Some((_, counters)) = self.pools.pop_front() {
                self.older.add(&counters);
            }
        }
        self.pools.push_back((identity, counters));
    }

    /// Gives back what a pool did before that begins now.
    pub fn take(&mut self, identity: &Identity) -> PoolCounters {
        let known = self.pools.iter().position(|(known, _)| known == identity);
        known
            .and_then(|at| self.pools.remove(at))
            .map(|(_, counters)| counters)
            .unwrap_or_default()
    }

    /// All of them together.
    pub fn total(&self) -> PoolCounters {
        let mut total = self.older.clone();
        for (_, counters) in &self.pools {
            total.add(counters);
        }
        total
    }
}

fn added(one: Option<Traffic>, other: Option<Traffic>) -> Option<Traffic> {
    match (one, other) {
        (Some(mut one), Some(other)) => {
            one.add(other);
            Some(one)
        }
        (one, other) => one.or(other),
    }
}

fn better(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(name: u8, jobs: u64) -> PoolStatus {
        PoolStatus {
            url: format!("stratum+tcp://pool{name}.example:1"),
            jobs,
            ..PoolStatus::default()
        }
    }

    #[test]
    fn shares_on_their_way_at_the_end_are_unanswered() {
        let mut status = pool(0, 1);
        status.shares.submitted = 7;
        status.shares.accepted = 3;
        status.shares.rejected.total = 1;
        let mut retired = Retired::default();
        let identity = Identity::of(&status);
        retired.keep(identity.clone(), PoolCounters::of(&status).ended());
        assert_eq!(retired.total().shares.unanswered, 3);
        let back = retired.take(&identity).under(pool(0, 2));
        assert_eq!((back.jobs, back.shares.unanswered), (3, 3));
        assert_eq!(retired.total(), PoolCounters::default());
    }

    proptest! {
        /// Whatever pools come and go: those that are there and those that were make up all that was ever done.
        #[test]
        fn nothing_that_was_done_is_lost(steps in proptest::collection::vec((0..80_u8, 0..100_u64), 0..200)) {
            let mut retired = Retired::default();
            let mut living: Vec<(PoolCounters, PoolStatus)> = Vec::new();
            let mut done = 0;
            for (name, jobs) in steps {
                let fresh = pool(name, jobs);
                let at = living.iter().position(|(_, status)| status.url == fresh.url);
                if let Some(at) = at {
                    let (base, status) = living.swap_remove(at);
                    let status = base.under(status);
                    retired.keep(Identity::of(&status), PoolCounters::of(&status).ended());
                } else {
                    done += jobs;
                    let base = retired.take(&Identity::of(&fresh));
                    living.push((base, fresh));
                }
                let lives: u64 = living.iter().map(|(base, status)| base.jobs + status.jobs).sum();
                prop_assert_eq!(lives + retired.total().jobs, done);
                prop_assert!(retired.pools.len() <= REMEMBERED);
            }
        }
    }
}
