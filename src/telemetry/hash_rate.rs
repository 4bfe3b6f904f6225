//! Hashrate from credited work: what shares prove, over several windows, with the error that chance leaves.
//!
//! Finding shares is a Poisson process, so `n` shares say the rate to about `1/sqrt(n)`. Each window keeps sums in a ring
//! of slots: constant memory, constant work for a share, whatever the rate.

use cgminer_hal::units::HashRate;
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;

/// The windows, shortest first.
pub const WINDOWS: [Duration; 6] = [
    Duration::from_secs(5),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(24 * 60 * 60),
];

/// A window is this many slots, the running one not counted.
const SLOTS: u32 = 60;
/// 2^256.
const MOST_HASHES: f64 = 1.157_920_892_373_162e77;
/// Standard deviations that hold 95 % of a normal distribution.
pub(super) const Z_95: f64 = 1.96;

/// The rate over one window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WindowRate {
    /// Length of the window in seconds.
    pub window_s: u64,
    /// Credited hashes per second of the time covered.
    pub rate: HashRate,
    /// The true rate is above this with 97.5 % certainty.
    pub lower: HashRate,
    /// The true rate is below this with 97.5 % certainty; null while no share has told what one is worth.
    pub upper: Option<HashRate>,
    /// Shares behind it.
    pub shares: u64,
    /// The window is not yet full: the rate covers the time since the start.
    pub settling: bool,
}

/// Counts credited work from a start on.
#[derive(Clone, Debug)]
pub struct HashRateMeter {
    started: Instant,
    windows: [Window; WINDOWS.len()],
    /// Hashes that the latest share stood for.
    share_worth: Option<f64>,
}

#[derive(Clone, Debug)]
struct Window {
    length: Duration,
    /// Slot `k` stands at `k % slots.len()`.
    slots: [Slot; SLOTS as usize + 1],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    number: u64,
    sums: Sums,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    hashes: f64,
    /// Sum of the squares of what each share stood for: the variance of `hashes`.
    squares: f64,
    shares: u64,
}

impl HashRateMeter {
    /// A meter for work that begins now.
    pub fn new(now: Instant) -> Self {
        let window = |length| Window {
            length,
            slots: [Slot::default(); SLOTS as usize + 1],
        };
        Self {
            started: now,
            windows: WINDOWS.map(window),
            share_worth: None,
        }
    }

    /// Credits `shares` that stand for `hashes` together. A share of less than one hash, or of more than all that
    /// SHA-256 has, is none.
    pub fn record(&mut self, hashes: f64, shares: u64, now: Instant) {
        let worth = hashes / shares as f64;
        if shares == 0 || !(1.0..=MOST_HASHES).contains(&worth) {
            return;
        }
        self.share_worth = Some(worth);
        let since_start = now.saturating_duration_since(self.started);
        for window in &mut self.windows {
            window.add(
                Sums {
                    hashes,
                    squares: hashes * worth,
                    shares,
                },
                since_start,
            );
        }
    }

    /// The rate over each window, shortest first.
    pub fn read(&self, now: Instant) -> [WindowRate; WINDOWS.len()] {
        let since_start = now.saturating_duration_since(self.started);
        std::array::from_fn(|index| match self.windows.get(index) {
            Some(window) => window.rate(since_start, self.share_worth),
            None => Sums::default().rate(Duration::ZERO, Duration::ZERO, None),
        })
    }
}

impl Window {
    fn slot_number(&self, since_start: Duration) -> u64 {
        let slot = self.length / SLOTS;
        u64::try_from(since_start.as_nanos() / slot.as_nanos().max(1)).unwrap_or(u64::MAX)
    }

    fn add(&mut self, sums: Sums, since_start: Duration) {
        let number = self.slot_number(since_start);
        let ring = self.slots.len() as u64;
        if let Some(slot) = self.slots.get_mut((number % ring) as usize) {
            if slot.number != number {
                *slot = Slot {
                    number,
                    sums: Sums::default(),
                };
            }
            slot.sums.add(sums);
        }
    }

    fn rate(&self, since_start: Duration, share_worth: Option<f64>) -> WindowRate {
        let newest = self.slot_number(since_start);
        let oldest = newest.saturating_sub(u64::from(SLOTS));
        let mut sums = Sums::default();
        for slot in self
            .slots
            .iter()
            .filter(|slot| (oldest..=newest).contains(&slot.number))
        {
            sums.add(slot.sums);
        }
        let slot = self.length / SLOTS;
        let before = Duration::from_secs_f64(slot.as_secs_f64() * oldest as f64);
        sums.rate(self.length, since_start.saturating_sub(before), share_worth)
    }
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.hashes += other.hashes;
        self.squares += other.squares;
        self.shares += other.shares;
    }

    fn rate(self, window: Duration, covered: Duration, share_worth: Option<f64>) -> WindowRate {
        // A share in the first instant proves no rate.
        let seconds = covered.as_secs_f64().max(0.001);
        let per_second = |hashes: f64| HashRate(hashes / seconds);
        // Shares of unequal worth count as fewer equal ones with the same mean and variance.
        let (count, worth) = if self.hashes > 0.0 {
            (
                self.hashes * self.hashes / self.squares,
                Some(self.squares / self.hashes),
            )
        } else {
            (0.0, share_worth)
        };
        WindowRate {
            window_s: window.as_secs(),
            rate: per_second(self.hashes),
            lower: per_second(worth.unwrap_or(0.0) * poisson_lower(count)),
            upper: worth.map(|worth| per_second(worth * poisson_upper(count))),
            shares: self.shares,
            settling: covered < window,
        }
    }
}

/// Lower 97.5 % bound of a Poisson mean after `count` events (Wilson and Hilferty's approximation of the exact one).
pub(super) fn poisson_lower(count: f64) -> f64 {
    if count < 1.0 {
        return 0.0;
    }
    count * (1.0 - 1.0 / (9.0 * count) - Z_95 / (3.0 * count.sqrt())).powi(3)
}

/// Upper 97.5 % bound of a Poisson mean after `count` events.
pub(super) fn poisson_upper(count: f64) -> f64 {
    let next = count + 1.0;
    next * (1.0 - 1.0 / (9.0 * next) + Z_95 / (3.0 * next.sqrt())).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHARE: f64 = 4_294_967_296.0;

    fn close(value: f64, expected: f64, relative: f64) -> bool {
        (value - expected).abs() <= expected.abs() * relative
    }

    fn after(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_steady_stream_gives_its_rate_in_every_window_once_full() {
        let start = Instant::now();
        let mut meter = HashRateMeter::new(start);
        for share in 0..90_000_u32 {
            meter.record(SHARE, 1, after(start, f64::from(share)));
        }
        let rates = meter.read(after(start, 90_000.0));
        for rate in rates {
            assert!(!rate.settling, "{rate:?}");
            assert!(close(rate.rate.0, SHARE, 0.25), "{rate:?}");
            assert!(
                rate.lower.0 <= SHARE && SHARE <= rate.upper.unwrap().0,
                "{rate:?}"
            );
        }
        assert!(close(rates[5].rate.0, SHARE, 0.001), "{:?}", rates[5]);
    }

    #[test]
    fn a_window_that_is_not_full_says_so_and_divides_by_the_time_it_covers() {
        let start = Instant::now();
        let mut meter = HashRateMeter::new(start);
        for share in 0..30_u32 {
            meter.record(SHARE, 1, after(start, f64::from(share)));
        }
        let [five, minute, .., day] = meter.read(after(start, 30.0));
        assert!(!five.settling && minute.settling && day.settling);
        assert!(close(day.rate.0, SHARE, 1e-9), "{day:?}");
    }

    #[test]
    fn old_work_leaves_the_window_even_when_no_new_work_comes() {
        let start = Instant::now();
        let mut meter = HashRateMeter::new(start);
        meter.record(SHARE * 100.0, 100, after(start, 1.0));
        let [five, minute, _, quarter, ..] = meter.read(after(start, 70.0));
        assert_eq!((five.shares, minute.shares, quarter.shares), (0, 0, 100));
        assert!(five.rate.0.abs() < f64::EPSILON);
        assert!(
            five.upper.unwrap().0 > 0.0,
            "silence does not prove a rate of zero"
        );
    }

    #[test]
    fn before_the_first_share_nothing_is_claimed_about_the_upper_bound() {
        let start = Instant::now();
        let [five, ..] = HashRateMeter::new(start).read(after(start, 60.0));
        assert_eq!((five.rate.0, five.lower.0, five.upper), (0.0, 0.0, None));
    }

    #[test]
    fn the_band_matches_the_exact_poisson_bounds() {
        // Exact 95 % bounds (Garwood) for 0, 1, 10 and 100 events.
        for (count, lower, upper) in [
            (0.0, 0.0, 3.689),
            (1.0, 0.0253, 5.572),
            (10.0, 4.795, 18.39),
            (100.0, 81.36, 121.63),
        ] {
            assert!((poisson_lower(count) - lower).abs() < 0.02, "{count}");
            assert!(close(poisson_upper(count), upper, 0.01), "{count}");
        }
    }

    #[test]
    fn the_band_holds_the_true_rate_about_as_often_as_it_says() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut held = 0;
        let runs = 1000;
        for _ in 0..runs {
            let start = Instant::now();
            let mut meter = HashRateMeter::new(start);
            // Shares every 4 s on average, of two worths that make one hash a second together.
            let mut at = 0.0;
            loop {
                at -= 4.0 * random.f64().ln();
                if at >= 60.0 {
                    break;
                }
                let worth = if random.bool() { 2.0 } else { 6.0 };
                meter.record(worth, 1, after(start, at));
            }
            let [_, minute, ..] = meter.read(after(start, 60.0));
            let upper = minute.upper.map_or(f64::INFINITY, |upper| upper.0);
            held += u32::from(minute.lower.0 <= 1.0 && 1.0 <= upper);
        }
        assert!((920..=990).contains(&held), "held in {held} of {runs} runs");
    }

    proptest! {
        #[test]
        fn any_history_gives_finite_numbers_in_order(
            history in proptest::collection::vec((0_u64..100_000_000, any::<f64>(), 0_u64..5), 0..200),
            read_at in 0_u64..200_000_000,
        ) {
            let start = Instant::now();
            let mut meter = HashRateMeter::new(start);
            let mut history = history;
            history.sort_by_key(|(at, ..)| *at);
            for (at, hashes, shares) in history {
                meter.record(hashes, shares, start + Duration::from_millis(at));
            }
            for rate in meter.read(start + Duration::from_millis(read_at)) {
                prop_assert!(rate.rate.0.is_finite() && rate.lower.0.is_finite());
                prop_assert!(rate.lower.0 <= rate.rate.0 * 1.0001);
                if let Some(upper) = rate.upper {
                    prop_assert!(upper.0.is_finite() && upper.0 >= rate.rate.0);
                }
            }
        }
    }
}
