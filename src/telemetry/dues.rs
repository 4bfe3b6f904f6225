//! How much a chain's chips should compute.
//!
//! Silicon does what its clock says. Emulated chips look at a small part of their search space only, as much as the computer
//! spares for it: of them whoever plays them says what they were to do, and where nobody does it is not known.

use super::hash_rate::{HashRateMeter, WINDOWS};
use crate::chain::status::{ChainPhase, ChainStatus};
use crate::link::KeeperStatus;
use cgminer_hal::units::HashRate;
use std::time::Duration;
use tokio::time::Instant;

/// Window over which the emulated chips' dues become a rate.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Who says how much the chips should compute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Word {
    /// Their clock.
    Clock,
    /// Who plays them: so many hashes since their start.
    Emulator(f64),
    /// Nobody: they are emulated, at the end of lines that are real.
    Nobody,
}

/// What a chain's chips should have computed.
#[derive(Default)]
pub struct Dues {
    looked: Option<Instant>,
    told: Option<f64>,
    /// How fast the emulator's word grows.
    meter: Option<HashRateMeter>,
    is_unknown: bool,
}

impl Word {
    /// Of a chain, by what the keeper tells.
    pub fn of(keeper: Option<&KeeperStatus>, chain: u8) -> Self {
        let Some(keeper) = keeper.filter(|keeper| keeper.emulated) else {
            return Self::Clock;
        };
        let chain = keeper.chains.iter().find(|safety| safety.chain == chain);
        match chain.and_then(|safety| safety.hashes_due) {
            Some(hashes) => Self::Emulator(hashes),
            None => Self::Nobody,
        }
    }
}

impl Dues {
    /// Hashes that fell due since the last look.
    pub fn grow(&mut self, word: Word, status: &ChainStatus, now: Instant) -> f64 {
        let before = self.looked.replace(now);
        let since = before.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.is_unknown = word == Word::Nobody;
        match word {
            Word::Clock => match (status.nominal_hash_rate, status.phase) {
                // Without work there is nothing that a chip could find.
                (Some(HashRate(nominal)), ChainPhase::Hashing) => nominal * since.as_secs_f64(),
                _ => 0.0,
            },
            Word::Emulator(told) => {
                // It falls when the emulator starts anew.
                let grown = self
                    .told
                    .replace(told)
                    .map_or(0.0, |before| (told - before).max(0.0));
                if grown > 0.0 {
                    self.meter
                        .get_or_insert_with(|| HashRateMeter::new(before.unwrap_or(now)))
                        .record(grown, 1, now);
                }
                grown
            }
            Word::Nobody => 0.0,
        }
    }

    /// Whether nobody knows them.
    pub fn is_unknown(&self) -> bool {
        self.is_unknown
    }

    /// What the chips should do in a second, while they are out of reset.
    pub fn rate(&self, word: Word, status: &ChainStatus, now: Instant) -> Option<HashRate> {
        let by_clock = status.nominal_hash_rate?;
        match word {
            Word::Clock => Some(by_clock),
            Word::Emulator(_) => {
                let mut windows = WINDOWS.into_iter().zip(self.meter.as_ref()?.read(now));
                let (_, window) = windows.find(|(length, _)| *length == WINDOW)?;
                Some(window.rate).filter(|rate| rate.0 > 0.0)
            }
            Word::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::samples;

    fn keeper(emulated: bool, hashes_due: Option<f64>) -> KeeperStatus {
        let mut keeper = samples::keeper();
        keeper.emulated = emulated;
        keeper.chains[0].hashes_due = hashes_due;
        keeper
    }

    #[test]
    fn silicon_does_what_its_clock_says_and_emulated_chips_what_their_emulator_says() {
        assert_eq!(Word::of(None, 0), Word::Clock);
        assert_eq!(Word::of(Some(&keeper(false, None)), 0), Word::Clock);
        assert_eq!(Word::of(Some(&keeper(true, None)), 0), Word::Nobody);
        assert_eq!(Word::of(Some(&keeper(true, Some(1.0))), 9), Word::Nobody);
        let told = Word::of(Some(&keeper(true, Some(4096.0))), 0);
        assert_eq!(told, Word::Emulator(4096.0));
    }

    #[test]
    fn a_chain_without_work_owes_nothing() {
        let start = Instant::now();
        let mut dues = Dues::default();
        let mut chain = samples::chain();
        let mut owed = 0.0;
        for second in 0..=20 {
            chain.phase = if second > 10 {
                ChainPhase::Idle
            } else {
                ChainPhase::Hashing
            };
            owed += dues.grow(Word::Clock, &chain, start + Duration::from_secs(second));
        }
        assert!((owed - 10.0 * 1e12).abs() < 1.0, "{owed}");
        assert_eq!(dues.rate(Word::Clock, &chain, start), Some(HashRate(1e12)));
    }

    #[test]
    fn the_emulators_word_is_what_emulated_chips_owe_and_do() {
        let start = Instant::now();
        let mut dues = Dues::default();
        let chain = samples::chain();
        let mut owed = 0.0;
        let at = |second| start + Duration::from_secs(second);
        for second in 0..=100_u64 {
            // The emulator has run for a while, and starts anew in the middle.
            let told = 1e9 + 5000.0 * second as f64;
            let told = if second < 50 { told } else { told - 1e9 };
            owed += dues.grow(Word::Emulator(told), &chain, at(second));
        }
        assert!((owed - 99.0 * 5000.0).abs() < 1.0, "{owed}");
        let word = Word::Emulator(0.0);
        let rate = dues.rate(word, &chain, at(100)).unwrap().0;
        assert!((rate / 5000.0 - 1.0).abs() < 0.05, "{rate}");
        let mut held = chain.clone();
        held.nominal_hash_rate = None;
        assert_eq!(dues.rate(word, &held, at(100)), None, "in reset");
        dues.grow(Word::Nobody, &chain, at(101));
        assert!(dues.is_unknown());
        assert_eq!(dues.rate(Word::Nobody, &chain, at(101)), None);
    }

    #[test]
    fn the_clock_is_not_asked_before_the_emulators_word_grows() {
        let mut dues = Dues::default();
        let chain = samples::chain();
        let word = Word::Emulator(0.0);
        dues.grow(word, &chain, Instant::now());
        assert_eq!(dues.rate(word, &chain, Instant::now()), None);
    }
}
