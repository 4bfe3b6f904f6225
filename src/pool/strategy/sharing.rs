//! Strategies that part the work: in turns, equally, by quota, by groups. All parts are of hashes,
//! not of time.

use super::{Decision, PoolView, first_ready};
use std::time::Duration;
use tokio::time::Instant;

/// Shortest time with one pool. A switch costs next to nothing, but pools judge a miner by its
/// steadiness.
pub const SHORTEST_TURN: Duration = Duration::from_secs(10);
/// How long a pool's turn is with round-robin, at the rate of the turn before it.
pub const ROUND: Duration = Duration::from_secs(600);

/// Each pool in turn for the same work.
#[derive(Debug, Default)]
pub struct RoundRobin {
    /// The turn: when it began, and what was done in it.
    turn: Option<(Instant, f64)>,
    /// What a turn is worth, once one has been measured.
    worth: Option<f64>,
}

impl RoundRobin {
    pub fn decide(
        &mut self,
        pools: &[PoolView],
        order: &[usize],
        active: Option<usize>,
        done: f64,
        now: Instant,
    ) -> Decision {
        let still_ready = active.filter(|index| pools.get(*index).is_some_and(PoolView::is_ready));
        if let (Some(active), Some((began, so_far))) = (still_ready, &mut self.turn) {
            *so_far += done;
            let lasted = now.saturating_duration_since(*began);
            let is_over = match self.worth {
                // Twice as long at most: chips that have stopped must not hold the turn for ever.
                Some(worth) if worth > 0.0 => *so_far >= worth || lasted >= 2 * ROUND,
                _ => lasted >= ROUND,
            };
            if !is_over {
                return Decision {
                    pool: Some(active),
                    reason: "it is its turn",
                };
            }
            self.worth.get_or_insert(*so_far);
        }
        self.turn = Some((now, 0.0));
        let position = active.and_then(|active| order.iter().position(|index| *index == active));
        let (before, after) = order.split_at(position.map_or(0, |at| at + 1).min(order.len()));
        let next = first_ready(pools, after).or_else(|| first_ready(pools, before));
        let reason = if next.is_some() {
            "it is its turn"
        } else {
            "no pool is ready"
        };
        Decision { pool: next, reason }
    }
}

/// Parts of the work by weight.
#[derive(Debug)]
pub struct Sharing {
    parting: Parting,
    /// Work done for each pool or group, divided by its weight. The one furthest behind comes next.
    progress: Vec<Progress>,
    turn_began: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Parting {
    Equally,
    ByQuota,
    ByGroup,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    done: f64,
    was_available: bool,
}

/// Those who get a part: a pool, or the best pool of a group.
struct Claim {
    unit: usize,
    pool: usize,
    weight: u32,
}

impl Sharing {
    pub fn equally(pools: usize) -> Self {
        Self::new(Parting::Equally, pools)
    }

    pub fn by_quota(pools: usize) -> Self {
        Self::new(Parting::ByQuota, pools)
    }

    pub fn by_group() -> Self {
        Self::new(Parting::ByGroup, usize::from(u8::MAX) + 1)
    }

    fn new(parting: Parting, units: usize) -> Self {
        Self {
            parting,
            progress: vec![Progress::default(); units],
            turn_began: None,
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
        self.credit(pools, active, done);
        let claims = self.claims(pools, order);
        self.let_late_ones_join(&claims);
        let current = claims
            .iter()
            .find(|claim| Some(claim.pool) == active && claim.weight > 0);
        let turn = current.zip(self.turn_began);
        if let Some((current, _)) = turn.filter(|(_, began)| now < *began + SHORTEST_TURN) {
            return Decision {
                pool: Some(current.pool),
                reason: "it has its part of the work",
            };
        }
        let progress = |claim: &&Claim| self.progress.get(claim.unit).map_or(0.0, |p| p.done);
        let furthest_behind = claims
            .iter()
            .filter(|claim| claim.weight > 0)
            .min_by(|a, b| progress(a).total_cmp(&progress(b)));
        let chosen = furthest_behind.or(claims.first()).map(|claim| claim.pool);
        if chosen != active
            || self
                .turn_began
                .is_none_or(|began| now >= began + SHORTEST_TURN)
        {
            self.turn_began = Some(now);
        }
        let reason = match (furthest_behind, chosen) {
            (Some(_), _) => "it has its part of the work",
            (None, Some(_)) => "no pool with a quota is ready",
            (None, None) => "no pool is ready",
        };
        Decision {
            pool: chosen,
            reason,
        }
    }

    fn unit_of(&self, pools: &[PoolView], index: usize) -> usize {
        match self.parting {
            Parting::ByGroup => pools
                .get(index)
                .map_or(0, |pool| usize::from(pool.place.group)),
            Parting::Equally | Parting::ByQuota => index,
        }
    }

    fn weight_of(&self, pools: &[PoolView], order: &[usize], index: usize) -> u32 {
        let quota = |index: usize| pools.get(index).map_or(0, |pool| pool.place.quota);
        match self.parting {
            Parting::Equally => 1,
            Parting::ByQuota => quota(index),
            // A group's weight is that of its first pool, ready or not.
            Parting::ByGroup => order
                .iter()
                .find(|other| self.unit_of(pools, **other) == self.unit_of(pools, index))
                .map_or(0, |first| quota(*first)),
        }
    }

    fn credit(&mut self, pools: &[PoolView], active: Option<usize>, done: f64) {
        let Some(active) = active else { return };
        let order: Vec<usize> = (0..pools.len()).collect();
        let weight = self.weight_of(pools, &order, active);
        let unit = self.unit_of(pools, active);
        if let (Some(progress), true) = (self.progress.get_mut(unit), weight > 0) {
            progress.done += done / f64::from(weight);
        }
    }

    fn claims(&self, pools: &[PoolView], order: &[usize]) -> Vec<Claim> {
        let mut claims: Vec<Claim> = Vec::with_capacity(pools.len());
        for index in order {
            let unit = self.unit_of(pools, *index);
            let is_ready = pools.get(*index).is_some_and(PoolView::is_ready);
            if is_ready && !claims.iter().any(|claim| claim.unit == unit) {
                let weight = self.weight_of(pools, order, *index);
                claims.push(Claim {
                    unit,
                    pool: *index,
                    weight,
                });
            }
        }
        claims
    }

    /// What was missed while away is not made up for: a pool back after five hours would have all
    /// the work for hours.
    fn let_late_ones_join(&mut self, claims: &[Claim]) {
        let was_available = |claim: &&Claim| {
            self.progress
                .get(claim.unit)
                .is_some_and(|progress| progress.was_available)
        };
        let slowest = claims
            .iter()
            .filter(was_available)
            .filter(|claim| claim.weight > 0)
            .filter_map(|claim| self.progress.get(claim.unit))
            .map(|progress| progress.done)
            .reduce(f64::min);
        for (unit, progress) in self.progress.iter_mut().enumerate() {
            let available = claims.iter().any(|claim| claim.unit == unit);
            if let (true, false, Some(slowest)) = (available, progress.was_available, slowest) {
                progress.done = progress.done.max(slowest);
            }
            progress.was_available = available;
        }
    }
}
