//! Which pool may have work again: one that has failed must hold out first, one that has only changed its connection
//! need not.

use super::PoolView;
use std::time::Duration;
use tokio::time::Instant;

/// How long a pool that has failed must be ready before it is trusted again.
pub const RETURN_AFTER: Duration = Duration::from_secs(60);
/// The longest that a pool which fails again and again has to wait.
pub const LONGEST_RETURN: Duration = Duration::from_secs(900);
/// A pool that fails sooner than this after its return was trusted too early.
const TOO_EARLY: Duration = Duration::from_secs(600);
/// A pool that has cost work waits this many times as long as that work took, so that trying it
/// again and again can cost no more than one part in so many.
const PENANCE: f64 = 20.0;

/// What is held against each pool.
#[derive(Debug)]
pub struct Trust {
    records: Vec<Record>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    return_after: Duration,
    pardon: Option<Pardon>,
}

/// Why a pool need not hold out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pardon {
    /// The owner has asked for it.
    Owner,
    /// It went without failing, as after `client.reconnect`; good while it has failed no more often than then.
    Polite { failures: u64 },
}

/// What a pool was given before it was left.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// When it began.
    pub began: Instant,
    /// Hashes done for it since.
    pub done: f64,
}

impl Record {
    const CLEAN: Self = Self {
        return_after: RETURN_AFTER,
        pardon: None,
    };
}

impl Trust {
    /// Nothing against any of so many pools.
    pub fn new(pools: usize) -> Self {
        Self {
            records: vec![Record::CLEAN; pools],
        }
    }

    /// Forgives a pool its failures, as its owner wants it.
    pub fn forgive(&mut self, pool: usize) {
        if let Some(record) = self.records.get_mut(pool) {
            *record = Record {
                pardon: Some(Pardon::Owner),
                ..Record::CLEAN
            };
        }
    }

    /// A pool that was worked for is not ready any more.
    pub fn left(&mut self, pool: usize, view: &PoolView, turn: Turn, now: Instant) {
        let Some(record) = self.records.get_mut(pool) else {
            return;
        };
        if view.failures_in_a_row == 0 {
            record.pardon = Some(Pardon::Polite {
                failures: view.failures,
            });
            return;
        }
        let lasted = now.saturating_duration_since(turn.began);
        let after_failures = if lasted < TOO_EARLY {
            record.return_after * 2
        } else {
            RETURN_AFTER
        };
        let part_lost = if turn.done > 0.0 {
            (view.lost_in_a_row / turn.done).min(1.0)
        } else {
            0.0
        };
        let after_loss = lasted.mul_f64(part_lost * PENANCE);
        *record = Record {
            return_after: after_failures.max(after_loss).min(LONGEST_RETURN),
            pardon: None,
        };
    }

    /// Why a ready pool may take the work from a worse one, if it may. A pardon is used up by it.
    pub fn welcome(&mut self, pool: usize, view: &PoolView, now: Instant) -> Option<&'static str> {
        let reason = self.reason(pool, view, now);
        let record = self
            .records
            .get_mut(pool)
            .filter(|_| view.ready_since.is_some());
        if let Some(record) = record {
            record.pardon = None;
        }
        reason
    }

    /// The same, with nothing used up.
    pub fn reason(&self, pool: usize, view: &PoolView, now: Instant) -> Option<&'static str> {
        let since = view.ready_since?;
        let record = self.records.get(pool)?;
        let pardon = record.pardon;
        if pardon == Some(Pardon::Owner) {
            return Some("chosen by the owner");
        }
        let failures = view.failures;
        if pardon == Some(Pardon::Polite { failures }) {
            return Some("a better pool has only changed its connection");
        }
        // A pool that has not failed yet was only slower to connect.
        if failures == 0 {
            return Some("a better pool is ready");
        }
        (now >= since + record.return_after).then_some("a better pool is back and has held out")
    }

    /// The pools are others now: each one's index before, if it was there.
    pub fn remap(&mut self, from: &[Option<usize>]) {
        let before = |old: &Option<usize>| old.and_then(|old| self.records.get(old).copied());
        self.records = from
            .iter()
            .map(|old| before(old).unwrap_or(Record::CLEAN))
            .collect();
    }
}
