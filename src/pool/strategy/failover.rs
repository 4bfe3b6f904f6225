//! Failover: the best pool that works, and back to a better one when it has held out for a while. The whole strategy
//! of that name, and what happens inside each group.

use super::trust::{Trust, Turn};
use super::{Decision, PoolView, first_ready};
use tokio::time::Instant;

/// Memory of one line of succession.
#[derive(Debug, Default)]
pub struct Failover {
    active: Option<usize>,
    /// What the active pool was given since it was chosen.
    turn: Option<Turn>,
}

impl Failover {
    /// Chooses among the pools of `order`, best first. `done` are hashes that were done for the one chosen before.
    pub fn decide(
        &mut self,
        trust: &mut Trust,
        pools: &[PoolView],
        order: &[usize],
        done: f64,
        now: Instant,
    ) -> Decision {
        // One that stands in another line now has not failed in this one.
        let active = self.active.filter(|active| order.contains(active));
        if let Some(turn) = &mut self.turn {
            turn.done += done;
        }
        let best = first_ready(pools, order);
        let view = active.and_then(|index| pools.get(index));
        let decision = match (active, view) {
            (Some(active), Some(view)) if view.is_ready() => {
                Self::stay_or_return(trust, pools, order, active, now)
            }
            (Some(failed), Some(view)) => {
                let fresh = Turn {
                    began: now,
                    done: 0.0,
                };
                trust.left(failed, view, self.turn.unwrap_or(fresh), now);
                Decision::of(best, "the pool before it failed")
            }
            _ => Decision::of(best, "the first that is ready"),
        };
        if decision.pool != self.active {
            self.turn = Some(Turn {
                began: now,
                done: 0.0,
            });
        }
        self.active = decision.pool;
        decision
    }

    /// The one chosen last.
    pub fn active(&self) -> Option<usize> {
        self.active
    }

    /// The pools are others now: each one's index before, if it was there.
    pub fn remap(&mut self, from: &[Option<usize>]) {
        self.active = super::moved(self.active, from);
    }

    fn stay_or_return(
        trust: &mut Trust,
        pools: &[PoolView],
        order: &[usize],
        active: usize,
        now: Instant,
    ) -> Decision {
        let better = order.iter().copied().take_while(|index| *index != active);
        for index in better {
            let Some(pool) = pools.get(index).filter(|pool| pool.is_ready()) else {
                continue;
            };
            if let Some(reason) = trust.welcome(index, pool, now) {
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
}
