//! What a chain at work suffers from without failing. Told to the log when it begins, and rarely while it lasts: a board
//! with a bad solder joint has one for months.

use crate::chain::status::{ChainCounters, ChipCounters};
use heapless::Vec;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(60);
/// Before the same is told again.
const AGAIN: Duration = Duration::from_secs(3_600);
/// So few bad replies between two looks are everyday life.
const FEW: u64 = 10;
/// Nor are so many of a hundred.
const PERCENT: u64 = 1;
/// A chip of which so many nonces were due and none came is silent: by chance that is one case in 10^10.
const DUE: u64 = 25;
/// Kinds of symptoms.
const KINDS: usize = 4;

/// One symptom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symptom {
    /// The line damages replies.
    DamagedReplies {
        /// With a wrong checksum or of no known type.
        frames: u64,
        /// That belonged to no reply.
        bytes: u64,
    },
    /// Nonces come again.
    Repeats {
        /// How many.
        count: u64,
        /// Chip that most of them name.
        chip: usize,
    },
    /// Nonces are none.
    Wrong {
        /// How many.
        count: u64,
        /// Chip that most of them name.
        chip: usize,
    },
    /// Chips that give nothing while others do.
    Silent {
        /// How many.
        count: usize,
        /// The first.
        chip: usize,
    },
}

impl Symptom {
    const fn kind(self) -> usize {
        match self {
            Self::DamagedReplies { .. } => 0,
            Self::Repeats { .. } => 1,
            Self::Wrong { .. } => 2,
            Self::Silent { .. } => 3,
        }
    }
}

/// Compares what is counted with what was.
pub(super) struct Symptoms {
    looked: Instant,
    counted: ChainCounters,
    chips: Box<[ChipCounters]>,
    /// Good nonces of each chip when silence was last looked for, which takes longer than a look.
    nonces: Box<[u32]>,
    told: [Option<Instant>; KINDS],
}

impl Symptoms {
    /// Counts from now on.
    pub(super) fn new(counted: ChainCounters, chips: &[ChipCounters], now: Instant) -> Self {
        Self {
            looked: now,
            counted,
            chips: chips.into(),
            nonces: chips.iter().map(|chip| chip.nonces).collect(),
            told: [None; KINDS],
        }
    }

    /// What is to be told now.
    pub(super) fn look(
        &mut self,
        counted: &ChainCounters,
        chips: &[ChipCounters],
        now: Instant,
    ) -> Vec<Symptom, KINDS> {
        if now.saturating_duration_since(self.looked) < LOOK {
            return Vec::new();
        }
        self.looked = now;
        let mut seen = self.bad_replies(counted, chips);
        seen.extend(self.silence(chips));
        self.counted = *counted;
        self.chips.copy_from_slice(chips);
        seen.retain(|symptom| self.is_news(*symptom, now));
        seen
    }

    fn is_news(&mut self, symptom: Symptom, now: Instant) -> bool {
        let Some(told) = self.told.get_mut(symptom.kind()) else {
            return false;
        };
        let news = told.is_none_or(|told| now.saturating_duration_since(told) >= AGAIN);
        if news {
            *told = Some(now);
        }
        news
    }

    fn bad_replies(&self, counted: &ChainCounters, chips: &[ChipCounters]) -> Vec<Symptom, KINDS> {
        let grown =
            |count: fn(&ChainCounters) -> u64| count(counted).saturating_sub(count(&self.counted));
        let frames = grown(|counted| counted.crc_errors + counted.unknown_types);
        let bytes = grown(|counted| counted.lost_bytes);
        let repeats = grown(|counted| counted.duplicates);
        let wrong =
            grown(|counted| counted.mismatches + counted.below_ticket + counted.unknown_work);
        let all = frames + repeats + wrong + grown(|counted| counted.nonces);
        let many = |count: u64| count >= FEW && count * 100 >= all * PERCENT;
        let worst = |count: fn(&ChipCounters) -> u32| {
            let grown = chips.iter().zip(&self.chips).enumerate();
            grown
                .max_by_key(|(_, (now, before))| count(now).saturating_sub(count(before)))
                .map_or(0, |(chip, _)| chip)
        };
        let damaged = many(frames.max(bytes)).then_some(Symptom::DamagedReplies { frames, bytes });
        let repeats = many(repeats).then(|| Symptom::Repeats {
            count: repeats,
            chip: worst(|chip| chip.duplicates),
        });
        let wrong = many(wrong).then(|| Symptom::Wrong {
            count: wrong,
            chip: worst(|chip| chip.mismatches.saturating_add(chip.below_ticket)),
        });
        [damaged, repeats, wrong].into_iter().flatten().collect()
    }

    fn silence(&mut self, chips: &[ChipCounters]) -> Option<Symptom> {
        let found = || {
            let pairs = chips.iter().zip(&self.nonces);
            pairs.map(|(chip, before)| chip.nonces.saturating_sub(*before))
        };
        let all: u64 = found().map(u64::from).sum();
        if all < DUE * chips.len() as u64 {
            return None;
        }
        let first = found().position(|nonces| nonces == 0);
        let count = found().filter(|nonces| *nonces == 0).count();
        for (before, chip) in self.nonces.iter_mut().zip(chips) {
            *before = chip.nonces;
        }
        first.map(|chip| Symptom::Silent { count, chip })
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DamagedReplies { frames, bytes } => write!(
                formatter,
                "{frames} replies were damaged and {bytes} bytes belonged to none; look at the cable and its connector"
            ),
            Self::Repeats { count, chip } => write!(
                formatter,
                "{count} nonces came again, most of them from chip {chip}; a core of it is stuck"
            ),
            Self::Wrong { count, chip } => write!(
                formatter,
                "{count} nonces were none, most of them from chip {chip}; less frequency or more voltage may help"
            ),
            Self::Silent { count: 1, chip } => write!(
                formatter,
                "chip {chip} gives no nonces while others do; look at its solder joints"
            ),
            Self::Silent { count, chip } => write!(
                formatter,
                "{count} chips give no nonces while others do, the first of them chip {chip}; look where they begin"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn chips(nonces: [u32; 3]) -> Vec<ChipCounters> {
        let chip = |nonces| ChipCounters {
            nonces,
            ..ChipCounters::default()
        };
        nonces.map(chip).to_vec()
    }

    fn begin(now: Instant) -> Symptoms {
        Symptoms::new(ChainCounters::default(), &chips([0; 3]), now)
    }

    #[test]
    fn a_chain_that_is_well_says_nothing() {
        let now = Instant::now();
        let counted = ChainCounters {
            nonces: 10_000,
            crc_errors: 9,
            lost_bytes: 9,
            duplicates: 9,
            mismatches: 50,
            ..ChainCounters::default()
        };
        let seen = begin(now).look(&counted, &chips([30, 20, 28]), now + LOOK);
        assert!(seen.is_empty(), "{seen:?}");
    }

    #[test]
    fn each_symptom_is_told_at_the_first_look_and_again_only_after_an_hour() {
        let now = Instant::now();
        let mut symptoms = begin(now);
        let mut bad = chips([0; 3]);
        let mut told = Vec::new();
        let mut counted = ChainCounters::default();
        for minute in 1..=70 {
            counted.nonces += 100;
            counted.crc_errors += 20;
            counted.duplicates += 20;
            counted.mismatches += 20;
            bad[1].duplicates += 20;
            bad[2].mismatches += 20;
            let at = now + LOOK * minute;
            for symptom in symptoms.look(&counted, &bad, at) {
                told.push((minute, symptom.kind()));
                if let Symptom::Repeats { chip, .. } | Symptom::Wrong { chip, .. } = symptom {
                    assert_eq!(chip, symptom.kind(), "{symptom}");
                }
            }
            assert_eq!(symptoms.look(&counted, &bad, at + LOOK / 2), []);
        }
        assert_eq!(told, [(1, 0), (1, 1), (1, 2), (61, 0), (61, 1), (61, 2)]);
    }

    #[test]
    fn a_chip_is_silent_only_when_enough_was_due_of_it() {
        let now = Instant::now();
        let mut symptoms = begin(now);
        let counted = ChainCounters::default();
        assert_eq!(
            symptoms.look(&counted, &chips([30, 0, 40]), now + LOOK),
            [],
            "23 are due"
        );
        let seen = symptoms.look(&counted, &chips([40, 0, 40]), now + LOOK * 2);
        assert_eq!(seen, [Symptom::Silent { count: 1, chip: 1 }]);
        let seen = symptoms.look(&counted, &chips([80, 0, 80]), now + LOOK * 3);
        assert_eq!(seen, [], "it is known");
    }
}
