//! How long a core sweeps, and when a chip has seen all of its work.
//!
//! A core sweeps nonces for the versions at hand until the hash counting number runs out, then takes the next versions and
//! sweeps the same nonces again. After all versions it starts over and says nothing: work must be replaced in time.

use crate::chain::pll::Pll;
use crate::chain::registers::{HashCountingNumber, VersionRolling};
use cgminer_hal::units::Megahertz;
use std::time::Duration;

/// Ticks of the crystal in a second.
const TICKS_PER_SECOND: f64 = 25_000_000.0;

/// What the sweep of a model depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Cores of a chip.
    pub cores: u16,
    /// Versions that a core hashes at once.
    pub subcores: u16,
    /// Ticks kept back because a sweep overruns its deadline: 130 were measured (mujina), some drivers keep 268.
    pub guard: u32,
}

impl Sweep {
    /// Nonces of one core: the nonce space divided among cores and chips, both rounded up to a power of two.
    pub fn slice(&self, chips: u16) -> u64 {
        let cores = u64::from(self.cores.max(1)).next_power_of_two();
        let chips = u64::from(chips.max(1)).next_power_of_two();
        (1_u64 << 32) / cores / chips
    }

    /// The longest deadline with which no core leaves its slice. Computed from the dividers, so it is exact.
    ///
    /// It holds for this clock only. At least 1, because 0 halts.
    pub fn hash_counting_number(&self, chips: u16, pll: &Pll) -> HashCountingNumber {
        // A core advances two nonces a clock.
        let ticks =
            self.slice(chips) * u64::from(pll.divider()) / (2 * u64::from(pll.feedback.max(1)));
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        HashCountingNumber(ticks.saturating_sub(self.guard).max(1))
    }

    /// How long a chip finds new headers in one job.
    pub fn version_epoch(&self, number: HashCountingNumber, rolling: VersionRolling) -> Duration {
        let batches = rolling.versions().div_ceil(u32::from(self.subcores.max(1)));
        Duration::from_secs_f64(f64::from(batches) * f64::from(number.0) / TICKS_PER_SECOND)
    }
}

/// The job timeout that public drivers compute for chips without a deadline register, from the clock alone.
///
/// `small_cores` counts cores and their sub-cores; `fraction` of the full search is waited for.
pub fn job_timeout(
    cores: u16,
    small_cores: u32,
    chips: u16,
    versions: u32,
    frequency: Megahertz,
    fraction: f64,
) -> Duration {
    let slice = Sweep {
        cores,
        subcores: 1,
        guard: 0,
    }
    .slice(chips);
    let at_once = f64::from(small_cores.div_ceil(u32::from(cores.max(1))).max(1));
    let clocks = slice as f64 * f64::from(versions) / at_once;
    let seconds = clocks / (f64::from(frequency.0) * 1e6) * fraction;
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::models::{BM1362, BM1370};

    fn pll(feedback: u16, post1: u8) -> Pll {
        Pll {
            feedback,
            reference: 2,
            post1,
            post2: 1,
        }
    }

    #[test]
    fn a_sweep_never_leaves_its_slice_and_wastes_little_of_it() {
        let sweep = BM1362.sweep;
        let pll = pll(168, 4);
        let number = sweep.hash_counting_number(126, &pll);
        assert_eq!(number, HashCountingNumber(6241 - 200));
        let swept = 2.0 * f64::from(number.0 + 130) * 525.0 / 25.0;
        let slice = sweep.slice(126) as f64;
        assert!(swept <= slice && swept > 0.95 * slice, "{swept} of {slice}");
    }

    #[test]
    fn a_slower_clock_gets_a_longer_deadline() {
        let sweep = BM1370.sweep;
        let fast = sweep.hash_counting_number(65, &pll(192, 4));
        let slow = sweep.hash_counting_number(65, &pll(192, 6));
        assert!(slow > fast);
    }

    #[test]
    fn no_setting_halts_by_accident() {
        let sweep = Sweep {
            cores: 128,
            subcores: 16,
            guard: u32::MAX,
        };
        assert_eq!(
            sweep.hash_counting_number(256, &pll(239, 1)),
            HashCountingNumber(1)
        );
    }

    #[test]
    fn fewer_versions_make_a_shorter_epoch() {
        let sweep = BM1362.sweep;
        let number = HashCountingNumber(0x1381);
        let full = sweep.version_epoch(number, VersionRolling::FULL);
        let byte = sweep.version_epoch(number, VersionRolling { mask: 0x00FF });
        assert_eq!(full, byte * 256);
        let none = sweep.version_epoch(number, VersionRolling { mask: 0 });
        assert_eq!(none, Duration::from_nanos(0x1381 * 40));
    }
}
