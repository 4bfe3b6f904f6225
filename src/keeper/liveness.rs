//! What the keeper knows of the miner: that it lives, which of its loops do, and when to start it again.

use crate::link::Loop;
use cgminer_board::moment::Moment;
use cgminer_board::power::{Restarts, Verdict};
use std::time::Duration;

/// How long a new miner may take until each of its loops reports.
pub const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// Pause before a miner is started again once the quick restarts are spent. It costs nothing: the rail is off.
const LAST_PAUSE: Duration = Duration::from_secs(600);

/// How old the last report of a loop may be.
#[must_use]
pub const fn deadline(which: Loop) -> Duration {
    match which {
        Loop::Chain | Loop::Pool => Duration::from_secs(10),
        Loop::Api => Duration::from_secs(15),
    }
}

/// The miner as the keeper sees it.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    started: Option<Moment>,
    reports: [Option<Moment>; Loop::ALL.len()],
    restarts: Restarts,
    spent: bool,
    start_at: Moment,
}

impl Liveness {
    /// A miner was started.
    pub fn started(&mut self, now: Moment) {
        self.started = Some(now);
        self.reports = [None; Loop::ALL.len()];
    }

    /// The miner is gone; it may be started again after a pause that grows.
    pub fn gone(&mut self, now: Moment) {
        self.started = None;
        let verdict = self.restarts.fault(now);
        self.spent = verdict == Verdict::Spent;
        self.start_at = match verdict {
            Verdict::RestartAt(then) => then,
            Verdict::Spent => now.plus(LAST_PAUSE),
        };
    }

    /// Restarts that count now.
    #[must_use]
    pub const fn restarts(&self) -> u32 {
        self.restarts.used()
    }

    /// Whether it died as often as it may, so that it gets no power any more.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.spent
    }

    /// An operator starts anew.
    pub fn forgive(&mut self) {
        self.restarts.forgive();
        self.spent = false;
    }

    /// A loop met its deadline.
    pub fn reported(&mut self, which: Loop, now: Moment) {
        for (report, _) in self
            .reports
            .iter_mut()
            .zip(Loop::ALL)
            .filter(|(_, one)| *one == which)
        {
            *report = Some(now);
        }
    }

    /// Whether a miner runs, as far as is known.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.started.is_some()
    }

    /// Whether a miner is to be started.
    #[must_use]
    pub fn is_start_due(&self, now: Moment) -> bool {
        self.started.is_none() && now >= self.start_at
    }

    /// The first loop that is late. To be called at every decision.
    pub fn late(&mut self, now: Moment) -> Option<Loop> {
        let started = self.started?;
        let late = self
            .reports
            .iter()
            .zip(Loop::ALL)
            .find(|(report, which)| match report {
                Some(at) => now.since(*at) > deadline(*which),
                None => now.since(started) > STARTS_WITHIN,
            });
        if late.is_none() {
            self.restarts.running(now);
        }
        late.map(|(_, which)| which)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn each_loop_has_its_own_deadline() {
        for silent in Loop::ALL {
            let mut miner = Liveness::default();
            miner.started(at(0));
            let late = (0..100).find_map(|second| {
                for which in Loop::ALL {
                    if which != silent || second <= 20 {
                        miner.reported(which, at(second));
                    }
                }
                miner.late(at(second)).map(|which| (second, which))
            });
            assert_eq!(late, Some((21 + deadline(silent).as_secs(), silent)));
        }
    }

    #[test]
    fn a_new_miner_has_time_to_start_but_not_for_ever() {
        let mut miner = Liveness::default();
        miner.started(at(100));
        assert_eq!(miner.late(at(100 + STARTS_WITHIN.as_secs())), None);
        assert_eq!(
            miner.late(at(101 + STARTS_WITHIN.as_secs())),
            Some(Loop::Chain)
        );
    }

    #[test]
    fn a_miner_that_keeps_dying_is_started_ever_more_rarely_but_never_given_up() {
        let mut miner = Liveness::default();
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let due = (now..now + 1_000)
                .find(|second| miner.is_start_due(at(*second)))
                .unwrap_or(now);
            pauses.push(due - now);
            now = due;
            miner.started(at(now));
            miner.gone(at(now));
        }
        assert_eq!(pauses, [0, 15, 30, 60, 120, 240, 600, 600]);
    }

    #[test]
    fn no_miner_is_no_late_miner() {
        assert_eq!(Liveness::default().late(at(1_000)), None);
    }
}
