//! Counts what nonces turn out to be, for the chain and for each chip.

use crate::chain::frame::DecoderCounters;
use crate::chain::status::{ChainCounters, ChainStatus, ChipCounters};
use crate::work::Verdict;

/// A chain's counts, in arrays that are allocated once.
pub(super) struct Tally {
    pub(super) counters: ChainCounters,
    chips: Box<[ChipCounters]>,
    /// What was counted before this task's own decoder began to count.
    before: ChainCounters,
}

impl Tally {
    /// Counts on from what the status says: a chain may have had tasks before this one.
    pub(super) fn new(status: &ChainStatus) -> Self {
        Self {
            counters: status.counters,
            chips: status.chips.clone(),
            before: status.counters,
        }
    }

    /// Counts a nonce from the chip at a place in the chain, if it named one. Whether the nonce proves that the chip works.
    pub(super) fn nonce(&mut self, chip: Option<u16>, verdict: &Verdict) -> bool {
        let counters = &mut self.counters;
        let mut nowhere = ChipCounters::default();
        let chip = chip.and_then(|index| self.chips.get_mut(usize::from(index)));
        let unplaced = chip.is_none();
        let chip = chip.unwrap_or(&mut nowhere);
        counters.hashes += verdict.hashes();
        match verdict {
            Verdict::Share { .. } | Verdict::Ticket { .. } | Verdict::Stale { .. } => {
                counters.nonces += 1;
                counters.stale += u64::from(matches!(verdict, Verdict::Stale { .. }));
                counters.unplaced += u64::from(unplaced);
                chip.nonces = chip.nonces.saturating_add(1);
                return true;
            }
            Verdict::Duplicate => {
                counters.duplicates += 1;
                chip.duplicates = chip.duplicates.saturating_add(1);
            }
            Verdict::BelowTicket => {
                counters.below_ticket += 1;
                chip.below_ticket = chip.below_ticket.saturating_add(1);
            }
            Verdict::Mismatch => {
                counters.mismatches += 1;
                chip.mismatches = chip.mismatches.saturating_add(1);
            }
            Verdict::UnknownSlot | Verdict::UnknownMidstate | Verdict::BadVersion => {
                counters.unknown_work += 1;
            }
        }
        false
    }

    /// What was counted of each chip.
    pub(super) fn chips(&self) -> &[ChipCounters] {
        &self.chips
    }

    /// Keeps the value of a chip's own error counter.
    pub(super) fn error_counter(&mut self, chip: Option<u16>, value: u32) {
        if let Some(chip) = chip.and_then(|index| self.chips.get_mut(usize::from(index))) {
            chip.error_counter = Some(value);
        }
    }

    /// Takes over what the decoder counted since this task began.
    pub(super) fn take_decoder(&mut self, decoder: &DecoderCounters) {
        self.counters.crc_errors = self.before.crc_errors + decoder.crc_errors;
        self.counters.unknown_types = self.before.unknown_types + decoder.unknown_types;
        self.counters.lost_bytes = self.before.lost_bytes + decoder.lost_bytes;
    }

    /// Writes all counts into a status, without allocating.
    pub(super) fn write_to(&self, status: &mut ChainStatus) {
        status.counters = self.counters;
        for (into, from) in status.chips.iter_mut().zip(&self.chips) {
            *into = *from;
        }
    }
}

/// What a nonce is worth, as the flight recorder has it.
pub(super) fn worth(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Share { .. } => "share",
        Verdict::Ticket { .. } => "right",
        Verdict::Stale { .. } => "stale",
        Verdict::BelowTicket => "below the ticket mask",
        Verdict::Mismatch => "wrong",
        Verdict::Duplicate => "repeated",
        Verdict::UnknownSlot => "no such work",
        Verdict::UnknownMidstate => "no such midstate",
        Verdict::BadVersion => "forbidden version bits",
    }
}
