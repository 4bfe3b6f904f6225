//! Groups: a line of succession in each, and a group that has failed must hold out before it has a part again.

use super::PoolView;
use super::failover::Failover;
use super::trust::Trust;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Memory of all groups, by number.
#[derive(Debug, Default)]
pub struct Groups {
    groups: BTreeMap<u8, Group>,
}

#[derive(Debug, Default)]
struct Group {
    /// Who stands for it.
    succession: Failover,
    /// One of its pools is ready, and one has proved itself since none was.
    trusted: bool,
    /// It could be worked for and was passed over, for it was not trusted.
    waits: bool,
}

impl Groups {
    /// The pools that stand for their groups, best first. A group that has failed as a whole has none until one of its pools has held out,
    /// by failover's own rule; where no other group can be worked for, it need not. `done` are hashes that were done for the `active` pool.
    pub fn decide(
        &mut self,
        trust: &mut Trust,
        pools: &[PoolView],
        order: &[usize],
        active: Option<usize>,
        done: f64,
        now: Instant,
    ) -> Vec<usize> {
        let lines = lines(pools, order);
        self.groups
            .retain(|group, _| lines.iter().any(|(known, _)| known == group));
        let mut seen = Vec::with_capacity(lines.len());
        for (number, line) in lines {
            let group = self.groups.entry(number).or_default();
            seen.push((number, group.look(trust, pools, line, now)));
        }
        let any_trusted = self.groups.values().any(|group| group.trusted);
        let mut chosen = Vec::with_capacity(seen.len());
        for (number, line) in seen {
            let group = self.groups.entry(number).or_default();
            let is_at_work = active.is_some() && group.succession.active() == active;
            let is_ready = |index: &usize| pools.get(*index).is_some_and(PoolView::is_ready);
            group.waits = any_trusted && !group.trusted && line.iter().any(is_ready);
            if group.waits {
                continue;
            }
            let done = if is_at_work { done } else { 0.0 };
            let decision = group.succession.decide(trust, pools, &line, done, now);
            chosen.extend(decision.pool);
        }
        chosen
    }

    /// The pools are others now: each one's index before, if it was there.
    pub fn remap(&mut self, from: &[Option<usize>]) {
        for group in self.groups.values_mut() {
            group.succession.remap(from);
        }
    }
}

impl Group {
    /// Finds out whether the group is to be trusted. Gives its line: of a group that has waited for that, those that have held out.
    fn look(
        &mut self,
        trust: &Trust,
        pools: &[PoolView],
        line: Vec<usize>,
        now: Instant,
    ) -> Vec<usize> {
        let ready = |index: &usize| pools.get(*index).filter(|view| view.is_ready());
        if !line.iter().any(|index| ready(index).is_some()) {
            self.trusted = false;
            return line;
        }
        if self.trusted {
            return line;
        }
        let mut welcome = line.clone();
        welcome.retain(|index| {
            ready(index).is_some_and(|view| trust.reason(*index, view, now).is_some())
        });
        self.trusted = !welcome.is_empty();
        if self.trusted && self.waits {
            welcome
        } else {
            line
        }
    }
}

/// The groups in the order of their best pools, each with its pools, best first.
fn lines(pools: &[PoolView], order: &[usize]) -> Vec<(u8, Vec<usize>)> {
    let mut lines: Vec<(u8, Vec<usize>)> = Vec::new();
    for index in order.iter().copied() {
        let Some(pool) = pools.get(index) else {
            continue;
        };
        let group = pool.place.group;
        match lines.iter_mut().find(|(known, _)| *known == group) {
            Some((_, line)) => line.push(index),
            None => lines.push((group, vec![index])),
        }
    }
    lines
}
