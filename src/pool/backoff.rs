//! When to try a pool again: soon at first, seldom later, never in step with others, never too
//! often.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Longest first wait.
const FIRST: Duration = Duration::from_secs(1);
/// Longest wait at all: nobody wants to find their miner idle for 25 minutes.
const LONGEST: Duration = Duration::from_secs(60);
/// Shortest wait after a refusal: the owner must change something first.
const REFUSED: Duration = Duration::from_secs(30);
/// Connections to one pool within [`WINDOW`], whatever it does.
const CONNECTIONS: usize = 10;
/// See [`CONNECTIONS`].
const WINDOW: Duration = Duration::from_secs(60);

/// Exponential back-off with full jitter, and a bound on connections a minute.
#[derive(Debug)]
pub struct Backoff {
    failures: u32,
    random: fastrand::Rng,
    attempts: VecDeque<Instant>,
}

impl Backoff {
    /// A fresh one; the seed decides all its waits.
    pub fn new(seed: u64) -> Self {
        Self {
            failures: 0,
            random: fastrand::Rng::with_seed(seed),
            attempts: VecDeque::with_capacity(CONNECTIONS),
        }
    }

    /// A connection is tried now.
    pub fn attempted(&mut self, now: Instant) {
        if self.attempts.len() == CONNECTIONS {
            self.attempts.pop_front();
        }
        self.attempts.push_back(now);
    }

    /// The pool has proved itself: the next failure counts as the first.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// A try or a session failed: when to try again.
    pub fn failed(&mut self, refused: bool, now: Instant) -> Instant {
        let most = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let floor = if refused { REFUSED } else { Duration::ZERO };
        let jitter = most.mul_f64(self.random.f64());
        self.not_before(now + floor + jitter)
    }

    /// The given time, or the later one that the bound on connections asks for.
    pub fn not_before(&self, at: Instant) -> Instant {
        match self.attempts.front() {
            Some(oldest) if self.attempts.len() == CONNECTIONS => at.max(*oldest + WINDOW),
            _ => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_grow_to_a_minute_and_no_further() {
        let mut backoff = Backoff::new(7);
        let now = Instant::now();
        for failure in 0..40 {
            let wait = backoff.failed(false, now) - now;
            assert!(wait <= Duration::from_secs(60).min(Duration::from_secs(1 << failure.min(10))));
        }
    }

    #[test]
    fn two_machines_do_not_wait_alike() {
        let now = Instant::now();
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..8)
                .map(|_| backoff.failed(false, now) - now)
                .collect::<Vec<_>>()
        };
        assert_ne!(waits(1), waits(2));
        assert_eq!(waits(3), waits(3));
    }

    #[test]
    fn a_refusal_waits_half_a_minute_at_least() {
        let now = Instant::now();
        assert!(Backoff::new(1).failed(true, now) - now >= REFUSED);
    }

    proptest! {
        /// However a pool fails, ten connections a minute are the most it can make us open.
        #[test]
        fn connections_are_bounded(seed: u64, sessions in prop::collection::vec((0u64..3000, any::<bool>()), 1..200)) {
            let mut backoff = Backoff::new(seed);
            let mut now = Instant::now();
            let mut attempts = Vec::new();
            for (lasted, proved) in sessions {
                backoff.attempted(now);
                attempts.push(now);
                now += Duration::from_millis(lasted);
                if proved { backoff.succeeded(); }
                now = backoff.failed(false, now);
            }
            for window in attempts.windows(CONNECTIONS + 1) {
                prop_assert!(window[CONNECTIONS] - window[0] >= WINDOW);
            }
        }
    }
}
