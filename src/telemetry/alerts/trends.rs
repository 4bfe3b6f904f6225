//! What one Snapshot alone does not show: since when, how often, how many in a while.

use crate::telemetry::snapshot::{MachineState, Snapshot};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How far back refused shares are counted, in steps.
const STEPS: usize = 30;
/// One step.
const STEP: Duration = Duration::from_secs(60);
/// How far back restarts are counted.
const RESTARTS_WITHIN: Duration = Duration::from_secs(3600);
/// Restarts of one source that are remembered.
const RESTARTS: usize = 64;

/// Seconds by which a clock that jumps is off the one that cannot.
const JUMP: f64 = 30.0;

/// What is remembered between Snapshots.
#[derive(Default)]
pub struct Trends {
    /// Since when the machine mines without a break.
    pub mining_since: Option<Instant>,
    /// When pools last took a share.
    pub accepted_at: Option<Instant>,
    accepted: u64,
    answered: VecDeque<Answered>,
    restarts: Vec<Restarts>,
    /// Both clocks at the last look at which the wall's was set.
    clocks: Option<(f64, Instant)>,
    /// When the wall's clock last jumped, and how far.
    pub clock_jump: Option<(Instant, f64)>,
}

#[derive(Clone, Copy)]
struct Answered {
    at: Instant,
    accepted: u64,
    rejected: u64,
}

struct Restarts {
    source: String,
    counted: u64,
    times: VecDeque<Instant>,
}

impl Trends {
    /// Takes in a Snapshot.
    pub fn follow(&mut self, snapshot: &Snapshot, now: Instant) {
        if snapshot.machine.state == MachineState::Mining {
            self.mining_since.get_or_insert(now);
        } else {
            self.mining_since = None;
        }
        self.follow_clock(snapshot.unix_time, now);
        let shares = &snapshot.shares;
        // Counters fall when pools are replaced; that is no share.
        if shares.accepted > self.accepted {
            self.accepted_at = Some(now);
        }
        self.accepted = shares.accepted;
        self.follow_answers(shares.accepted, shares.rejected.total, now);
        let total = snapshot.keeper.restarts.map(|restarts| restarts.total);
        if let Some(total) = total {
            // Restarts before this program began are news: it was ended by one of them.
            self.follow_restarts("keeper", total.into(), now);
        }
        for chain in &snapshot.chains {
            let source = format!("chain {}", chain.index);
            self.follow_restarts(&source, chain.counters.failures, now);
        }
        for restarts in &mut self.restarts {
            restarts.times.retain(|at| now - *at < RESTARTS_WITHIN);
        }
    }

    /// Shares that pools took and refused in the past half hour.
    pub fn answers(&self) -> (u64, u64) {
        match (self.answered.front(), self.answered.back()) {
            (Some(first), Some(last)) => (
                last.accepted.saturating_sub(first.accepted),
                last.rejected.saturating_sub(first.rejected),
            ),
            _ => (0, 0),
        }
    }

    /// Restarts of each source within the past hour.
    pub fn restarts(&self) -> impl Iterator<Item = (&str, usize)> {
        self.restarts
            .iter()
            .map(|restarts| (restarts.source.as_str(), restarts.times.len()))
    }

    /// A clock that is set for the first time does not jump, nor does one that is slewed: between two looks that comes to
    /// less than a second.
    fn follow_clock(&mut self, unix_time: Option<f64>, now: Instant) {
        if let (Some(unix_time), Some((before, at))) = (unix_time, self.clocks) {
            let jump = unix_time - before - (now - at).as_secs_f64();
            if jump.abs() >= JUMP {
                self.clock_jump = Some((now, jump));
            }
        }
        self.clocks = unix_time.map(|unix_time| (unix_time, now));
    }

    fn follow_answers(&mut self, accepted: u64, rejected: u64, now: Instant) {
        let latest = Answered {
            at: now,
            accepted,
            rejected,
        };
        let fell = self
            .answered
            .back()
            .is_some_and(|last| accepted < last.accepted || rejected < last.rejected);
        if fell {
            self.answered.clear();
        }
        let before_last = self.answered.len().checked_sub(2);
        let is_step = before_last
            .and_then(|index| self.answered.get(index))
            .is_none_or(|step| now - step.at >= STEP);
        if !is_step {
            self.answered.pop_back();
        }
        self.answered.push_back(latest);
        if self.answered.len() > STEPS + 1 {
            self.answered.pop_front();
        }
    }

    fn follow_restarts(&mut self, source: &str, counted: u64, now: Instant) {
        let known = self.restarts.iter().position(|each| each.source == source);
        let known = known.unwrap_or_else(|| {
            self.restarts.push(Restarts {
                source: source.into(),
                counted: 0,
                times: VecDeque::new(),
            });
            self.restarts.len() - 1
        });
        let Some(restarts) = self.restarts.get_mut(known) else {
            return;
        };
        let news = counted.saturating_sub(restarts.counted);
        restarts.counted = counted;
        let room = RESTARTS.saturating_sub(restarts.times.len()) as u64;
        for _ in 0..news.min(room) {
            restarts.times.push_back(now);
        }
    }
}
