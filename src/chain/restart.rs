//! How often, and after what wait, a failed chain is brought up again.

use crate::chain::settings::RestartPolicy;
use std::time::Duration;
use tokio::time::Instant;

/// Failures remembered; no policy allows more.
const MOST_FAILURES: usize = 32;

/// Counts failures within a sliding window.
#[derive(Debug)]
pub struct RestartBudget {
    policy: RestartPolicy,
    failures: heapless::Deque<Instant, MOST_FAILURES>,
}

impl RestartBudget {
    /// A budget of which nothing is spent.
    pub fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            failures: heapless::Deque::new(),
        }
    }

    /// Counts a failure at `now` and says how long to wait before the next try; `None` when the budget is spent.
    pub fn failed(&mut self, now: Instant) -> Option<Duration> {
        while let Some(oldest) = self.failures.front() {
            if now.saturating_duration_since(*oldest) < self.policy.window {
                break;
            }
            self.failures.pop_front();
        }
        let spent = self.failures.len();
        if spent >= usize::from(self.policy.budget) || self.failures.push_back(now).is_err() {
            return None;
        }
        let doubled = 2_u32.saturating_pow(u32::try_from(spent).unwrap_or(u32::MAX));
        let wait = self.policy.first_wait.saturating_mul(doubled);
        Some(wait.min(self.policy.longest_wait))
    }

    /// Forgets all failures, as when a restart was asked for.
    pub fn renew(&mut self) {
        self.failures.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> RestartBudget {
        RestartBudget::new(RestartPolicy {
            first_wait: Duration::from_secs(2),
            longest_wait: Duration::from_secs(10),
            budget: 4,
            window: Duration::from_secs(600),
        })
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end_with_the_budget() {
        let mut budget = budget();
        let start = Instant::now();
        let waits: Vec<_> = (0..5)
            .map(|second| budget.failed(start + Duration::from_secs(second)))
            .collect();
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(
            waits,
            [seconds(2), seconds(4), seconds(8), seconds(10), None]
        );
    }

    #[test]
    fn failures_outside_the_window_are_forgiven() {
        let mut budget = budget();
        let start = Instant::now();
        for hour in 0..100 {
            let now = start + Duration::from_secs(3600 * hour);
            assert_eq!(budget.failed(now), Some(Duration::from_secs(2)));
        }
    }

    #[test]
    fn a_renewed_budget_starts_over() {
        let mut budget = budget();
        let now = Instant::now();
        while budget.failed(now).is_some() {}
        budget.renew();
        assert_eq!(budget.failed(now), Some(Duration::from_secs(2)));
    }
}
