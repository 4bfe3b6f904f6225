//! What can be said of a chip by the nonces that it found.
//!
//! Finding nonces is a Poisson process as finding shares is, so a count carries a band, and a verdict against a chip needs the
//! whole band to be below the bound: hundreds of chips are looked at, and by chance alone some of them find little.

use super::hash_rate::{Z_95, poisson_lower, poisson_upper};
use serde::Serialize;

/// Per cent of its nonces that a good chip finds.
const GOOD: f64 = 80.0;
/// Per cent of its nonces below which a chip is a poor one.
const POOR: f64 = 50.0;
/// Half the band of a chip that finds just what it should, as a part of that. Nothing is said of a chip before the band is
/// that narrow.
const NARROW: f64 = 1.0 / 3.0;

/// Why nothing is said of a chip whose dues nobody knows.
pub const NOBODY_SAYS: &str =
    "the chips are emulated, and whoever plays them does not say how much they are to compute";
/// Why nothing is said of a chip yet.
pub const TOO_FEW: &str = "too few nonces are expected yet to tell the chip from chance";

/// What is said of a chip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing yet.
    #[default]
    Unknown,
    /// Nothing speaks against it.
    Good,
    /// It surely finds less than 80 % of what it should.
    Fair,
    /// It surely finds less than 50 % of what it should.
    Poor,
}

/// What a chip found of what it should have found, over the past minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ChipHealth {
    /// Seconds that were looked at.
    pub window_s: u64,
    /// Seconds since their end.
    pub age_s: u64,
    /// Good nonces found.
    pub nonces: u32,
    /// Good nonces that a chip without fault finds in that time on average; null when nobody knows.
    pub expected: Option<f64>,
    /// The one in per cent of the other; null until so many are expected that chance matters little.
    pub percent: Option<f64>,
    /// The true value is above this with 97.5 % certainty, in per cent.
    pub lower: Option<f64>,
    /// The true value is below this with 97.5 % certainty, in per cent.
    pub upper: Option<f64>,
    /// What is said of it.
    pub verdict: Verdict,
    /// Why nothing is said of it.
    pub reason: Option<&'static str>,
}

impl ChipHealth {
    /// The judgement on so many nonces of so many.
    pub fn of(nonces: u32, expected: Option<f64>, window_s: u64, age_s: u64) -> Self {
        let unjudged = Self {
            window_s,
            age_s,
            nonces,
            expected,
            ..Self::default()
        };
        let Some(due) = expected else {
            return Self {
                reason: Some(NOBODY_SAYS),
                ..unjudged
            };
        };
        if due <= 0.0 || Z_95 / due.sqrt() > NARROW {
            return Self {
                reason: Some(TOO_FEW),
                ..unjudged
            };
        }
        let percent = |count: f64| 100.0 * count / due;
        let found = f64::from(nonces);
        let upper = percent(poisson_upper(found));
        Self {
            percent: Some(percent(found)),
            lower: Some(percent(poisson_lower(found))),
            upper: Some(upper),
            verdict: if upper < POOR {
                Verdict::Poor
            } else if upper < GOOD {
                Verdict::Fair
            } else {
                Verdict::Good
            },
            ..unjudged
        }
    }

    /// Whether it surely finds less than so many per cent.
    pub fn is_below(&self, percent: f64) -> bool {
        self.upper.is_some_and(|upper| upper < percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdict(nonces: u32, expected: f64) -> Verdict {
        ChipHealth::of(nonces, Some(expected), 60, 0).verdict
    }

    #[test]
    fn nothing_is_said_while_chance_says_more_than_the_chip() {
        for (nonces, expected) in [(0, 0.0), (0, 34.0), (70, 34.0)] {
            let health = ChipHealth::of(nonces, Some(expected), 60, 0);
            assert_eq!(health.verdict, Verdict::Unknown, "{health:?}");
            assert_eq!((health.percent, health.reason), (None, Some(TOO_FEW)));
        }
        let health = ChipHealth::of(9, None, 60, 0);
        assert_eq!((health.expected, health.reason), (None, Some(NOBODY_SAYS)));
    }

    #[test]
    fn a_verdict_against_a_chip_needs_the_whole_band() {
        assert_eq!(verdict(35, 35.0), Verdict::Good);
        assert_eq!(verdict(21, 35.0), Verdict::Good, "60 % may be chance");
        assert_eq!(verdict(12, 35.0), Verdict::Fair, "34 % is surely not 80 %");
        assert_eq!(verdict(5, 35.0), Verdict::Poor);
        assert_eq!(verdict(0, 35.0), Verdict::Poor);
        assert_eq!(verdict(600, 1000.0), Verdict::Fair);
        assert_eq!(verdict(400, 1000.0), Verdict::Poor);
    }

    #[test]
    fn of_all_chips_of_a_machine_chance_makes_none_a_poor_one() {
        // As many chips as an L7 has, each looked at for the first time, a hundred machines. Knuth's way to a Poisson count.
        let mut chance = fastrand::Rng::with_seed(7);
        let (expected, chips) = (35.0_f64, 37_800);
        let mut fair = 0;
        for _ in 0..chips {
            let (mut nonces, mut product) = (0_u32, chance.f64());
            while product > (-expected).exp() {
                nonces += 1;
                product *= chance.f64();
            }
            let verdict = verdict(nonces, expected);
            assert_ne!(verdict, Verdict::Poor, "{nonces} of {expected}");
            fair += u32::from(verdict == Verdict::Fair);
        }
        assert!(fair < chips / 200, "{fair} of {chips}");
    }

    proptest! {
        #[test]
        fn more_nonces_never_make_a_chip_look_worse(nonces in 0_u32..5000, expected in 35.0_f64..5000.0) {
            let rank = |nonces| match verdict(nonces, expected) {
                Verdict::Unknown => 0,
                Verdict::Poor => 1,
                Verdict::Fair => 2,
                Verdict::Good => 3,
            };
            prop_assert!(rank(nonces) <= rank(nonces + 1));
            let health = ChipHealth::of(nonces, Some(expected), 60, 0);
            prop_assert!(health.lower <= health.percent && health.percent <= health.upper);
        }
    }
}
