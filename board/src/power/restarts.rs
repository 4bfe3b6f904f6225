//! How often power may be given again after a fault.

use crate::moment::Moment;
use core::time::Duration;

/// Restarts that count at one time.
pub const BUDGET: u32 = 5;
/// A restart stops counting after this long with power on and no fault.
pub const FORGIVEN_AFTER: Duration = Duration::from_secs(3_600);

/// Pause before the first restart; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What becomes of a machine after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be tried again from then on.
    RestartAt(Moment),
    /// It has been tried often enough.
    Spent,
}

/// Restarts that were tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restarts {
    used: u32,
    total: u32,
    good_since: Option<Moment>,
}

impl Restarts {
    /// Restarts that count now.
    #[must_use]
    pub const fn used(&self) -> u32 {
        self.used
    }

    /// Restarts since the start.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.total
    }

    /// A fault took the power away.
    pub fn fault(&mut self, now: Moment) -> Verdict {
        self.good_since = None;
        if self.used >= BUDGET {
            return Verdict::Spent;
        }
        let pause = FIRST_PAUSE
            .saturating_mul(1 << self.used.min(16))
            .min(LONGEST_PAUSE);
        self.used += 1;
        self.total += 1;
        Verdict::RestartAt(now.plus(pause))
    }

    /// The machine runs without a fault. To be called at every decision.
    pub fn running(&mut self, now: Moment) {
        let since = *self.good_since.get_or_insert(now);
        if now.since(since) >= FORGIVEN_AFTER {
            self.used = self.used.saturating_sub(1);
            self.good_since = Some(now);
        }
    }

    /// The machine has no power, of its own will or ours: that proves nothing.
    pub fn resting(&mut self) {
        self.good_since = None;
    }

    /// An operator starts anew.
    pub fn forgive(&mut self) {
        self.used = 0;
        self.good_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn pauses_double_and_the_budget_ends() {
        let mut restarts = Restarts::default();
        let pauses: Vec<_> = (0..=BUDGET)
            .map(|_| match restarts.fault(at(0)) {
                Verdict::RestartAt(then) => Some(then.elapsed().as_secs()),
                Verdict::Spent => None,
            })
            .collect();
        assert_eq!(
            pauses,
            [Some(15), Some(30), Some(60), Some(120), Some(240), None]
        );
    }

    #[test]
    fn an_hour_without_fault_forgives_one() {
        let mut restarts = Restarts::default();
        restarts.fault(at(0));
        restarts.fault(at(0));
        (0..=3_600).for_each(|second| restarts.running(at(second)));
        assert_eq!(restarts.used(), 1);
        assert_eq!(restarts.total(), 2);
        (3_601..=7_100).for_each(|second| restarts.running(at(second)));
        restarts.resting();
        (7_101..=7_300).for_each(|second| restarts.running(at(second)));
        assert_eq!(restarts.used(), 1, "an interrupted hour does not count");
    }

    #[test]
    fn an_operator_starts_anew() {
        let mut restarts = Restarts::default();
        for _ in 0..10 {
            restarts.fault(at(0));
        }
        restarts.forgive();
        assert_eq!(restarts.fault(at(9)), Verdict::RestartAt(at(9 + 15)));
    }

    proptest! {
        #[test]
        fn no_hour_sees_more_restarts_than_the_budget_and_one(gaps in prop::collection::vec(0u64..4_000, 1..200)) {
            let mut restarts = Restarts::default();
            let mut now = 0;
            let mut given = Vec::new();
            for gap in gaps {
                for second in (now..now + gap).step_by(10) {
                    restarts.running(at(second));
                }
                now += gap;
                if let Verdict::RestartAt(then) = restarts.fault(at(now)) {
                    given.push(now);
                    now = then.elapsed().as_secs();
                }
            }
            for (index, start) in given.iter().enumerate() {
                let in_hour = given.iter().skip(index).take_while(|time| **time < start + 3_600).count();
                prop_assert!(in_hour <= BUDGET as usize + 1, "{given:?}");
            }
        }
    }
}
