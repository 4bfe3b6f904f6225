//! Strategies that part the work: in turns, equally, by quota, by groups. All parts are of hashes,
//! not of time.

use super::groups::Groups;
use super::trust::Trust;
use super::{Decision, PoolView, first_ready, moved};
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
    /// The owner wants this pool's turn to begin.
    called: Option<usize>,
}

impl RoundRobin {
    /// This pool's turn begins now, or when it is ready.
    pub fn call(&mut self, pool: usize) {
        self.called = Some(pool);
    }

    /// The pools are others now: each one's index before, if it was there.
    pub fn remap(&mut self, from: &[Option<usize>]) {
        self.called = moved(self.called, from);
    }

    pub fn decide(
        &mut self,
        pools: &[PoolView],
        order: &[usize],
        active: Option<usize>,
        done: f64,
        now: Instant,
    ) -> Decision {
        let is_ready = |index: &usize| pools.get(*index).is_some_and(PoolView::is_ready);
        if let Some(called) = self.called.take_if(|called| is_ready(called)) {
            self.turn = Some((now, 0.0));
            return Decision::of(Some(called), "chosen by the owner");
        }
        let still_ready = active.filter(is_ready);
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
        Decision::of(next, "it is its turn")
    }
}

/// Parts of the work by weight.
#[derive(Debug)]
pub struct Sharing {
    parting: Parting,
    /// Work done for each pool or group, divided by its weight. The one furthest behind comes next.
    progress: Vec<Progress>,
    /// Who stands for each group.
    groups: Groups,
    turn_began: Option<Instant>,
    /// The owner wants this pool's turn to begin.
    called: Option<usize>,
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
            groups: Groups::default(),
            turn_began: None,
            called: None,
        }
    }

    /// This pool's turn begins now, if it stands for its group; later turns make up for it.
    pub fn call(&mut self, pool: usize) {
        self.called = Some(pool);
    }

    /// The pools are others now: each one's index before, if it was there.
    pub fn remap(&mut self, from: &[Option<usize>]) {
        self.called = moved(self.called, from);
        self.groups.remap(from);
        if !matches!(self.parting, Parting::ByGroup) {
            let before = |old: &Option<usize>| self.progress.get((*old)?).copied();
            self.progress = from
                .iter()
                .map(|old| before(old).unwrap_or_default())
                .collect();
        }
    }

    pub fn decide(
        &mut self,
        trust: &mut Trust,
        pools: &[PoolView],
        order: &[usize],
        active: Option<usize>,
        done: f64,
        now: Instant,
    ) -> Decision {
        self.credit(pools, active, done);
        let claims = match self.parting {
            // One a group: that of the pool which its own failover has chosen.
            Parting::ByGroup => {
                let chosen = self.groups.decide(trust, pools, order, active, done, now);
                self.claims(pools, chosen)
            }
            Parting::Equally | Parting::ByQuota => {
                let is_ready = |index: &usize| pools.get(*index).is_some_and(PoolView::is_ready);
                self.claims(pools, order.iter().copied().filter(is_ready))
            }
        };
        self.let_late_ones_join(&claims);
        let called = self.called.take();
        let is_called = |claim: &&Claim| Some(claim.pool) == called && claim.weight > 0;
        if let Some(claim) = claims.iter().find(is_called) {
            self.turn_began = Some(now);
            return Decision::of(Some(claim.pool), "chosen by the owner");
        }
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
            (None, Some(_)) => "no pool with a quota can be worked for",
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

    /// A group's weight is that of its first pool as configured, ready or not, whoever else was put first by hand.
    fn weight_of(&self, pools: &[PoolView], index: usize) -> u32 {
        let quota = |index: usize| pools.get(index).map_or(0, |pool| pool.place.quota);
        let unit = self.unit_of(pools, index);
        match self.parting {
            Parting::Equally => 1,
            Parting::ByQuota => quota(index),
            Parting::ByGroup => (0..pools.len())
                .find(|other| self.unit_of(pools, *other) == unit)
                .map_or(0, quota),
        }
    }

    fn credit(&mut self, pools: &[PoolView], active: Option<usize>, done: f64) {
        let Some(active) = active else { return };
        let weight = self.weight_of(pools, active);
        let unit = self.unit_of(pools, active);
        if let (Some(progress), true) = (self.progress.get_mut(unit), weight > 0) {
            progress.done += done / f64::from(weight);
        }
    }

    fn claims(&self, pools: &[PoolView], indices: impl IntoIterator<Item = usize>) -> Vec<Claim> {
        indices
            .into_iter()
            .map(|index| self.claim(pools, index))
            .collect()
    }

    fn claim(&self, pools: &[PoolView], index: usize) -> Claim {
        Claim {
            unit: self.unit_of(pools, index),
            pool: index,
            weight: self.weight_of(pools, index),
        }
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
