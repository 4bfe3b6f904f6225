//! Share difficulty that follows a client's hashrate: about one share a second.

use tokio::time::{Duration, Instant};

/// Shares a second that are aimed at.
const WANTED_RATE: f64 = 1.0;
/// How long shares are counted before a change.
const WINDOW: Duration = Duration::from_secs(10);
/// Shares that end a window early.
const ENOUGH: u32 = 40;
/// A rate within this factor of the wanted one is left alone.
const SLACK: f64 = 1.6;
/// Most that one step changes.
const LARGEST_STEP: f64 = 8.0;

/// The difficulty of one client.
#[derive(Debug)]
pub(super) struct Vardiff {
    difficulty: f64,
    range: (f64, f64),
    since: Instant,
    shares: u32,
}

impl Vardiff {
    pub fn new(start: f64, range: (f64, f64), now: Instant) -> Self {
        Self {
            difficulty: start.clamp(range.0, range.1),
            range,
            since: now,
            shares: 0,
        }
    }

    pub fn difficulty(&self) -> f64 {
        self.difficulty
    }

    /// Takes a client's wish, within the range.
    pub fn suggest(&mut self, difficulty: f64, now: Instant) {
        self.difficulty = difficulty.clamp(self.range.0, self.range.1);
        self.since = now;
        self.shares = 0;
    }

    /// A share was accepted.
    pub fn count(&mut self) {
        self.shares += 1;
    }

    /// Looks at the rate; true when the difficulty has changed.
    pub fn adjust(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed < WINDOW && self.shares < ENOUGH {
            return false;
        }
        // Half a share for none: silence says that the rate is small, not how small.
        let rate = f64::from(self.shares).max(0.5) / elapsed.as_secs_f64().max(0.1);
        self.since = now;
        self.shares = 0;
        let step = rate / WANTED_RATE;
        if (1.0 / SLACK..=SLACK).contains(&step) {
            return false;
        }
        let step = step.clamp(1.0 / LARGEST_STEP, LARGEST_STEP);
        let difficulty = (self.difficulty * step).clamp(self.range.0, self.range.1);
        let changed = difficulty.to_bits() != self.difficulty.to_bits();
        self.difficulty = difficulty;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares of a steady hashrate, in virtual time.
    fn run(start: f64, shares_a_second_at_one: f64, range: (f64, f64)) -> f64 {
        let began = Instant::now();
        let mut vardiff = Vardiff::new(start, range, began);
        let mut owed = 0.0;
        for tick in 1..6000 {
            owed += shares_a_second_at_one / vardiff.difficulty() / 10.0;
            while owed >= 1.0 {
                owed -= 1.0;
                vardiff.count();
            }
            vardiff.adjust(began + Duration::from_millis(100 * tick));
        }
        vardiff.difficulty()
    }

    #[test]
    fn any_hashrate_settles_at_about_a_share_a_second() {
        for hashrate in [0.003, 0.7, 40.0, 9000.0] {
            for start in [0.001, 1.0, 1000.0] {
                let rate = hashrate / run(start, hashrate, (1e-6, 1e9));
                assert!(
                    (0.5..2.0).contains(&rate),
                    "{hashrate} from {start}: {rate}"
                );
            }
        }
    }

    #[test]
    fn the_range_is_kept() {
        assert_eq!(run(1.0, 1000.0, (0.5, 10.0)).to_bits(), 10_f64.to_bits());
        assert_eq!(run(1.0, 0.0, (0.5, 10.0)).to_bits(), 0.5_f64.to_bits());
    }
}
