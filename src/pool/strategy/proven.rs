//! Who may have a part of the work: a pool that has failed must hold out first, by failover's own rule, while another can do
//! the work.

use super::PoolView;
use super::trust::{Trust, Turn};
use tokio::time::Instant;

/// How each pool stands since it last came.
#[derive(Debug)]
pub struct Proven {
    pools: Vec<Standing>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// It is ready and has proved itself.
    trusted: bool,
    /// What it was given since it may have work.
    turn: Option<Turn>,
}

impl Proven {
    /// None of so many pools has come yet.
    pub fn new(pools: usize) -> Self {
        Self {
            pools: vec![Standing::default(); pools],
        }
    }

    /// The pools as a strategy should see them: those that have to hold out are not ready. Where no other is ready, none
    /// has to. `done` are hashes that were done for the `active` one.
    pub fn among(
        &mut self,
        trust: &mut Trust,
        pools: &[PoolView],
        active: Option<usize>,
        done: f64,
        now: Instant,
    ) -> Vec<PoolView> {
        for (index, (standing, view)) in self.pools.iter_mut().zip(pools).enumerate() {
            if let Some(turn) = standing.turn.as_mut().filter(|_| active == Some(index)) {
                turn.done += done;
            }
            if view.is_ready() {
                standing.trusted = standing.trusted || trust.welcome(index, view, now).is_some();
            } else {
                if let Some(turn) = standing.turn {
                    trust.left(index, view, turn, now);
                }
                *standing = Standing::default();
            }
        }
        let any_trusted = self.pools.iter().any(|standing| standing.trusted);
        let seen = self.pools.iter_mut().zip(pools).map(|(standing, view)| {
            let mut view = *view;
            if !view.is_ready() {
                return view;
            }
            if any_trusted && !standing.trusted {
                view.ready_since = None;
            } else {
                standing.turn.get_or_insert(Turn {
                    began: now,
                    done: 0.0,
                });
            }
            view
        });
        seen.collect()
    }

    /// The pools are others now: each one's index before, if it was there.
    pub fn remap(&mut self, from: &[Option<usize>]) {
        let before = |old: &Option<usize>| old.and_then(|old| self.pools.get(old).copied());
        self.pools = from
            .iter()
            .map(|old| before(old).unwrap_or_default())
            .collect();
    }
}
