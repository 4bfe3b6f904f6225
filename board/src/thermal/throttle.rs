//! How far the miner is asked to slow down before power would have to be cut.

use super::Throttle;
use crate::moment::Moment;
use core::time::Duration;

/// Lowest frequency asked for, in per cent of the configured one.
pub const LEAST: Throttle = Throttle(30);

/// First step down, at once.
const FIRST: u8 = 10;
/// Further steps down, while it stays hot ...
const DOWN: u8 = 5;
/// ... each after this long, which is what a board needs to show the last one.
const DOWN_EVERY: Duration = Duration::from_secs(5);
/// Steps up again ...
const UP: u8 = 1;
/// ... each after this long below the hot limit.
const UP_EVERY: Duration = Duration::from_secs(10);

/// Remembers how far throttling has gone.
#[derive(Clone, Copy, Debug)]
pub struct Throttling {
    allowed: Throttle,
    changed: Moment,
}

impl Throttling {
    /// No throttling.
    #[must_use]
    pub const fn none(now: Moment) -> Self {
        Self {
            allowed: Throttle::NONE,
            changed: now,
        }
    }

    /// What is allowed now. `is_hot` says whether the hot limit is reached.
    pub fn step(&mut self, is_hot: bool, now: Moment) -> Throttle {
        let since = now.since(self.changed);
        let Throttle(allowed) = self.allowed;
        let next = if is_hot && self.allowed == Throttle::NONE {
            allowed - FIRST
        } else if is_hot && since >= DOWN_EVERY {
            allowed.saturating_sub(DOWN).max(LEAST.0)
        } else if !is_hot && since >= UP_EVERY {
            (allowed + UP).min(Throttle::NONE.0)
        } else {
            allowed
        };
        if next != allowed {
            self.allowed = Throttle(next);
            self.changed = now;
        }
        self.allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(hot: impl Fn(u64) -> bool, seconds: u64) -> Vec<u8> {
        let mut throttling = Throttling::none(Moment::START);
        (0..seconds)
            .map(|second| {
                throttling
                    .step(
                        hot(second),
                        Moment::after_start(Duration::from_secs(second)),
                    )
                    .0
            })
            .collect()
    }

    #[test]
    fn heat_slows_the_miner_at_once_and_then_step_by_step_to_the_least() {
        let allowed = run(|_| true, 200);
        assert_eq!(allowed[..11], [90, 90, 90, 90, 90, 85, 85, 85, 85, 85, 80]);
        assert_eq!(allowed[199], LEAST.0);
    }

    #[test]
    fn coolness_gives_the_frequency_back_slowly() {
        let allowed = run(|second| second < 20, 400);
        assert_eq!(allowed[19], 75);
        assert!(
            allowed
                .windows(2)
                .skip(20)
                .all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1)
        );
        assert_eq!(allowed[399], Throttle::NONE.0);
        assert!(allowed[100] < 90);
    }
}
