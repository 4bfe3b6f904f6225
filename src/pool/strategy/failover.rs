//! Failover: the best pool that works, and back to a better one when it has held out for a while.

use super::{Decision, PoolView, first_ready};
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

/// Memory of the failover rule.
#[derive(Debug)]
pub struct Failover {
    trust: Vec<Trust>,
    /// When the active pool was chosen, and the hashes done for it since.
    turn: Option<(Instant, f64)>,
}

#[derive(Clone, Copy, Debug)]
struct Trust {
    return_after: Duration,
    /// Failures that are forgiven: the owner has asked for this pool.
    forgiven: Option<u64>,
}

impl Failover {
    pub fn new(pools: usize) -> Self {
        let trust = Trust {
            return_after: RETURN_AFTER,
            forgiven: None,
        };
        Self {
            trust: vec![trust; pools],
            turn: None,
        }
    }

    /// Forgives a pool its failures.
    pub fn trust(&mut self, pool: usize) {
        if let Some(trust) = self.trust.get_mut(pool) {
            *trust = Trust {
                return_after: RETURN_AFTER,
                forgiven: Some(u64::MAX),
            };
        }
    }

    pub fn decide(
        &mut self,
        pools: &[PoolView],
        order: &[usize],
        active: Option<usize>,
        done: f64,
        now: Instant,
    ) -> Decision {
        if let Some((_, so_far)) = &mut self.turn {
            *so_far += done;
        }
        let best = first_ready(pools, order);
        let still_ready = active.filter(|index| pools.get(*index).is_some_and(PoolView::is_ready));
        let decision = match (active, still_ready) {
            (_, Some(active)) => self.stay_or_return(pools, order, active, now),
            (Some(failed), None) => {
                let lost = pools.get(failed).map_or(0.0, |pool| pool.lost_in_a_row);
                self.distrust(failed, lost, now);
                let reason = if best.is_some() {
                    "the pool before it failed"
                } else {
                    "no pool is ready"
                };
                Decision { pool: best, reason }
            }
            (None, None) => {
                let reason = if best.is_some() {
                    "the first that is ready"
                } else {
                    "no pool is ready"
                };
                Decision { pool: best, reason }
            }
        };
        if decision.pool != active {
            self.turn = Some((now, 0.0));
        }
        decision
    }

    fn stay_or_return(
        &mut self,
        pools: &[PoolView],
        order: &[usize],
        active: usize,
        now: Instant,
    ) -> Decision {
        let better = order.iter().copied().take_while(|index| *index != active);
        for index in better {
            let (Some(pool), Some(trust)) = (pools.get(index), self.trust.get_mut(index)) else {
                continue;
            };
            let Some(since) = pool.ready_since.filter(|_| pool.place.enabled) else {
                continue;
            };
            // A pool that has not failed yet was only slower to connect.
            let is_new = pool.failures == 0;
            if trust.forgiven.take().is_some() {
                return Decision {
                    pool: Some(index),
                    reason: "chosen by the owner",
                };
            }
            if is_new || now >= since + trust.return_after {
                let reason = if is_new {
                    "a better pool is ready"
                } else {
                    "a better pool is back and has held out"
                };
                return Decision {
                    pool: Some(index),
                    reason,
                };
            }
        }
        Decision {
            pool: Some(active),
            reason: "the best that can be trusted",
        }
    }

    fn distrust(&mut self, failed: usize, lost: f64, now: Instant) {
        let (began, done) = self.turn.unwrap_or((now, 0.0));
        let lasted = now.saturating_duration_since(began);
        let Some(trust) = self.trust.get_mut(failed) else {
            return;
        };
        let after_failures = if lasted < TOO_EARLY {
            trust.return_after * 2
        } else {
            RETURN_AFTER
        };
        let part_lost = if done > 0.0 {
            (lost / done).min(1.0)
        } else {
            0.0
        };
        let after_loss = lasted.mul_f64(part_lost * PENANCE);
        trust.return_after = after_failures.max(after_loss).min(LONGEST_RETURN);
    }
}
