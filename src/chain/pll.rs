//! The clock of the cores: f = 25 MHz * feedback / (reference * post1 * post2).

use crate::chain::error::PllError;
use cgminer_hal::units::Megahertz;

/// Crystal of every known board.
pub const CRYSTAL_MHZ: u32 = 25;

/// No chip is ever asked for less, whatever a board file says: the start of every ramp.
pub const LOWEST: Megahertz = Megahertz(50.0);
/// No chip is ever asked for more, whatever a board file says. No public profile of these chips goes that far.
pub const HIGHEST: Megahertz = Megahertz(1000.0);

/// From this internal frequency on the oscillator is switched to its high range.
const HIGH_RANGE_MHZ: u32 = 2400;
const LARGEST_REFERENCE: u8 = 2;
const LARGEST_POST: u8 = 7;

/// What one model's clock can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PllRange {
    /// Smallest feedback divider.
    pub feedback_min: u16,
    /// Largest feedback divider.
    pub feedback_max: u16,
    /// Whether the register holds each post divider less one.
    pub post_less_one: bool,
    /// Whether bits 31 to 28 tell the oscillator's range; BM1397 drivers always write 4.
    pub has_high_range: bool,
    /// Slowest clock that this model is set to while it hashes.
    pub lowest: Megahertz,
    /// Fastest clock that this model is set to.
    pub highest: Megahertz,
}

/// Dividers of one clock setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pll {
    /// Multiplies the crystal.
    pub feedback: u16,
    /// Divides the crystal.
    pub reference: u8,
    /// First divider behind the oscillator.
    pub post1: u8,
    /// Second divider behind the oscillator, never greater than the first.
    pub post2: u8,
}

impl Pll {
    /// The setting nearest to `wanted`; of equally near ones the slowest oscillator, then the greatest first divider.
    ///
    /// # Errors
    /// When `wanted` is no number, or outside [`LOWEST`] to [`HIGHEST`], or above what the model is ever set to.
    pub fn solve(range: &PllRange, wanted: Megahertz) -> Result<Self, PllError> {
        let highest = Megahertz(range.highest.0.min(HIGHEST.0));
        if !(wanted.0 >= LOWEST.0 && wanted.0 <= highest.0) {
            return Err(PllError::OutOfBounds {
                wanted,
                lowest: LOWEST,
                highest,
            });
        }
        let mut best: Option<(f64, u32, Self)> = None;
        for reference in (1..=LARGEST_REFERENCE).rev() {
            for post1 in (1..=LARGEST_POST).rev() {
                for post2 in (1..=post1).rev() {
                    let Some(pll) = Self::with_dividers(range, wanted, reference, post1, post2)
                    else {
                        continue;
                    };
                    let distance = (pll.exact_mhz() - f64::from(wanted.0)).abs();
                    let oscillator = u32::from(pll.feedback) * 2 / u32::from(reference);
                    // Ratios of small integers near each other differ by far more than this.
                    let nearer = best.as_ref().is_none_or(|(least, slowest, _)| {
                        distance < least - 1e-9
                            || (distance < least + 1e-9 && oscillator < *slowest)
                    });
                    if nearer {
                        best = Some((distance, oscillator, pll));
                    }
                }
            }
        }
        best.map(|(_, _, pll)| pll).ok_or(PllError::NoDividers {
            wanted,
            feedback_min: range.feedback_min,
            feedback_max: range.feedback_max,
        })
    }

    fn with_dividers(
        range: &PllRange,
        wanted: Megahertz,
        reference: u8,
        post1: u8,
        post2: u8,
    ) -> Option<Self> {
        let divider = u32::from(reference) * u32::from(post1) * u32::from(post2);
        let exact = f64::from(wanted.0) * f64::from(divider) / f64::from(CRYSTAL_MHZ);
        let feedback = exact.round() as u16;
        (range.feedback_min..=range.feedback_max)
            .contains(&feedback)
            .then_some(Self {
                feedback,
                reference,
                post1,
                post2,
            })
    }

    /// The clock that these dividers make.
    pub fn frequency(self) -> Megahertz {
        Megahertz(self.exact_mhz() as f32)
    }

    /// All dividers but the feedback one, multiplied.
    pub fn divider(self) -> u32 {
        u32::from(self.reference) * u32::from(self.post1) * u32::from(self.post2)
    }

    fn exact_mhz(self) -> f64 {
        f64::from(CRYSTAL_MHZ) * f64::from(self.feedback) / f64::from(self.divider())
    }

    /// Frequency of the oscillator in front of the post dividers, in MHz.
    pub fn oscillator_mhz(self) -> f32 {
        CRYSTAL_MHZ as f32 * f32::from(self.feedback) / f32::from(self.reference)
    }

    /// The value of register 08.
    pub fn encode(self, range: &PllRange) -> u32 {
        let high =
            CRYSTAL_MHZ * u32::from(self.feedback) >= HIGH_RANGE_MHZ * u32::from(self.reference);
        let flag = if high && range.has_high_range {
            0x50
        } else {
            0x40
        };
        let less = u8::from(range.post_less_one);
        let post = (self.post1.saturating_sub(less)) << 4 | self.post2.saturating_sub(less);
        u32::from_be_bytes([flag, self.feedback as u8, self.reference, post])
    }

    /// Divides the value of register 08; `None` when a divider is 0, which would stop the clock.
    pub fn decode(value: u32, post_less_one: bool) -> Option<Self> {
        let less = u8::from(post_less_one);
        let pll = Self {
            feedback: (value >> 16) as u16 & 0x0FFF,
            reference: (value >> 8) as u8 & 0x3F,
            post1: (value >> 4) as u8 % 16 + less,
            post2: value as u8 % 16 + less,
        };
        (pll.divider() > 0).then_some(pll)
    }
}

/// A clock is raised and lowered in steps, so that the supply follows the load.
pub const RAMP_STEP: Megahertz = Megahertz(6.25);
/// First setting after a reset.
pub const RAMP_START: Megahertz = Megahertz(56.25);

/// The settings on the way from one clock to another: whole multiples of [`RAMP_STEP`], then the target itself.
#[derive(Clone, Debug)]
pub struct Ramp {
    target: f32,
    next: Option<f32>,
}

impl Ramp {
    /// From reset: [`RAMP_START`] is the first setting.
    pub fn from_reset(target: Megahertz) -> Self {
        Self {
            target: target.0,
            next: Some(RAMP_START.0.min(target.0)),
        }
    }

    /// From a clock in force, up or down; the first setting is one step away.
    pub fn between(current: Megahertz, target: Megahertz) -> Self {
        let mut ramp = Self {
            target: target.0,
            next: None,
        };
        ramp.next = ramp.after(current.0);
        ramp
    }

    fn after(&self, current: f32) -> Option<f32> {
        let step = RAMP_STEP.0;
        if !current.is_finite() || !self.target.is_finite() {
            return None;
        }
        if current < self.target {
            Some(((current / step).floor() * step + step).min(self.target))
        } else if current > self.target {
            Some(((current / step).ceil() * step - step).max(self.target))
        } else {
            None
        }
    }
}

impl Iterator for Ramp {
    type Item = Megahertz;

    fn next(&mut self) -> Option<Megahertz> {
        let current = self.next?;
        self.next = self.after(current);
        Some(Megahertz(current))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::models::{BM1362, BM1366, BM1368, BM1370, BM1397, L7};

    #[test]
    fn the_captured_ends_of_the_ramps_come_out() {
        let at = |range, mhz| Pll::solve(range, Megahertz(mhz)).map(|pll| pll.encode(range));
        assert_eq!(at(&BM1362.pll, 56.25), Ok(0x40A2_0255));
        assert_eq!(at(&BM1362.pll, 525.0), Ok(0x40A8_0230));
        assert_eq!(at(&BM1370.pll, 56.25), Ok(0x40A2_0255));
        assert_eq!(at(&BM1370.pll, 600.0), Ok(0x50C0_0230));
    }

    #[test]
    fn no_other_dividers_are_nearer() {
        for model in [&BM1362, &BM1366, &BM1368, &BM1370, &BM1397, &L7] {
            let range = &model.pll;
            let mut wanted = LOWEST.0;
            while wanted <= range.highest.0 {
                let pll = Pll::solve(range, Megahertz(wanted)).expect("within bounds");
                assert!(pll.post1 >= pll.post2 && pll.post2 >= 1);
                let distance = (pll.exact_mhz() - f64::from(wanted)).abs();
                for feedback in range.feedback_min..=range.feedback_max {
                    for divider in divider_products() {
                        let other = 25.0 * f64::from(feedback) / f64::from(divider);
                        assert!(
                            (other - f64::from(wanted)).abs() >= distance - 1e-9,
                            "{}: {other} is nearer to {wanted} than {pll:?}",
                            model.name
                        );
                    }
                }
                assert_eq!(
                    Pll::decode(pll.encode(range), range.post_less_one),
                    Some(pll)
                );
                wanted += 17.3;
            }
        }
    }

    fn divider_products() -> Vec<u32> {
        let mut products = Vec::new();
        for reference in 1..=2 {
            for post1 in 1..=7 {
                for post2 in 1..=post1 {
                    products.push(reference * post1 * post2);
                }
            }
        }
        products
    }

    #[test]
    fn a_clock_beyond_model_or_constant_is_refused() {
        for mhz in [f32::NAN, f32::INFINITY, -1.0, 0.0, 49.9, 1000.1, 1e9] {
            let refused = Pll::solve(&BM1362.pll, Megahertz(mhz));
            assert!(
                matches!(refused, Err(PllError::OutOfBounds { .. })),
                "{mhz}"
            );
        }
        let above_model = Megahertz(BM1397.pll.highest.0 + 1.0);
        assert!(Pll::solve(&BM1397.pll, above_model).is_err());
    }

    #[test]
    fn a_ramp_goes_from_56_25_in_steps_of_6_25_and_ends_at_its_target() {
        let steps: Vec<f32> = Ramp::from_reset(Megahertz(80.0)).map(|it| it.0).collect();
        assert_eq!(steps, [56.25, 62.5, 68.75, 75.0, 80.0]);
        assert_eq!(Ramp::from_reset(Megahertz(525.0)).count(), 76);
    }

    #[test]
    fn a_ramp_in_operation_takes_no_greater_step() {
        let down: Vec<f32> = Ramp::between(Megahertz(80.0), Megahertz(60.0))
            .map(|it| it.0)
            .collect();
        assert_eq!(down, [75.0, 68.75, 62.5, 60.0]);
        let up: Vec<f32> = Ramp::between(Megahertz(60.0), Megahertz(64.0))
            .map(|it| it.0)
            .collect();
        assert_eq!(up, [62.5, 64.0]);
        assert_eq!(Ramp::between(Megahertz(525.0), Megahertz(525.0)).count(), 0);
        assert_eq!(
            Ramp::between(Megahertz(f32::NAN), Megahertz(525.0)).count(),
            0
        );
    }

    #[test]
    fn a_register_value_that_stops_the_clock_is_none() {
        assert_eq!(Pll::decode(0x40A8_0030, true), None);
        assert_eq!(Pll::decode(0x40A0_0200, false), None);
    }
}
