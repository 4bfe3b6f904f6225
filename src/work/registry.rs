//! What the chips of a chain work on, and what their nonces are worth.

use super::job::Job;
use super::seen::SeenNonces;
use super::sha256::{self, Block, Midstate};
use super::share::{ChainIndex, Share};
use super::ticket::Ticket;
use super::unit::{NONCE_OFFSET, Work, first_block, tail_block};
use super::version::ROLLABLE_BITS;
use std::sync::Arc;
use tokio::time::Instant;

/// Most slots of any model (BM1397: 7 bits of job id).
pub const MAX_SLOTS: u8 = 128;

/// A chain's units of work by slot. The chip's job id is the slot number in the model's own
/// encoding. Slots are taken in turn, so each lives until all others have been used once more.
#[derive(Debug)]
pub struct Registry {
    chain: ChainIndex,
    ticket: Ticket,
    slots: Box<[Slot]>,
    next: usize,
    /// Work on jobs before this one is stale.
    oldest_fresh: u64,
}

/// A nonce as a chip reported it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChipNonce {
    /// Slot, decoded from the reply's job id.
    pub slot: u8,
    /// Midstate within the slot; 0 where the frame carries a full header.
    pub midstate: u8,
    /// Nonce bytes as received: they stand in the header in the same order.
    pub nonce: [u8; 4],
    /// Version field of 11-byte replies, bits 13 to 28 of the version; 0 where there is none.
    pub version_field: u16,
}

/// What a nonce turned out to be.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Proof of work for the pool.
    Share {
        /// To be submitted.
        share: Share,
        /// Hashes it stands for; 0 if it would have fallen short of the ticket mask.
        hashes: f64,
    },
    /// The chip worked well, but the hash falls short of the share target.
    Ticket {
        /// Hashes it stands for.
        hashes: f64,
    },
    /// Right, but for a job that a clean job has replaced.
    Stale {
        /// Hashes it stands for; 0 if it falls short of the ticket mask.
        hashes: f64,
    },
    /// Has the hardwired zero bits, but not those of the ticket mask: the chip's mask is not the
    /// one set.
    BelowTicket,
    /// Has not even the hardwired zero bits: the chip computed wrongly, or its work has been
    /// replaced.
    Mismatch,
    /// Reported before.
    Duplicate,
    /// No work was ever put into this slot.
    UnknownSlot,
    /// The work of this slot has fewer midstates.
    UnknownMidstate,
    /// The chip rolled version bits outside the mask it was given.
    BadVersion,
}

impl Verdict {
    /// Hashes that a chip must have tried on the average for this reply; 0 where it proves none.
    pub fn hashes(&self) -> f64 {
        match self {
            Self::Share { hashes, .. } | Self::Ticket { hashes } | Self::Stale { hashes } => {
                *hashes
            }
            _ => 0.0,
        }
    }
}

impl Registry {
    /// An empty registry of `slots` slots, 1 to [`MAX_SLOTS`] (the nearest of these is taken).
    pub fn new(chain: ChainIndex, slots: u8, ticket: Ticket) -> Self {
        let slots = slots.clamp(1, MAX_SLOTS);
        let slots = (0..slots).map(|_| Slot::default()).collect();
        Self {
            chain,
            ticket,
            slots,
            next: 0,
            oldest_fresh: 0,
        }
    }

    /// Takes note of a new job: a clean one makes stale all work on jobs before it.
    pub fn begin_job(&mut self, job: &Job) {
        if job.clean {
            self.oldest_fresh = self.oldest_fresh.max(job.sequence);
        }
    }

    /// Keeps a unit of work in the next slot and names the slot.
    pub fn insert(&mut self, work: Work) -> u8 {
        let index = self.next;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.put(work);
        }
        self.next = (index + 1) % self.slots.len();
        index as u8
    }

    /// Forgets all work, as after a reset of the chips.
    pub fn clear(&mut self) {
        for slot in &mut self.slots {
            *slot = Slot::default();
        }
        self.next = 0;
    }

    /// The threshold that chips report by.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Changes the threshold, along with the chips' ticket mask.
    pub fn set_ticket(&mut self, ticket: Ticket) {
        self.ticket = ticket;
    }

    /// Judges a nonce that arrived at `now`.
    pub fn check(&mut self, found: &ChipNonce, now: Instant) -> Verdict {
        let Some(slot) = self.slots.get_mut(usize::from(found.slot)) else {
            return Verdict::UnknownSlot;
        };
        let Some(work) = &slot.work else {
            return Verdict::UnknownSlot;
        };
        let Some(rolled) = work.midstates.get(usize::from(found.midstate)) else {
            return Verdict::UnknownMidstate;
        };
        let bits = u32::from(found.version_field) << ROLLABLE_BITS.trailing_zeros();
        if bits & !work.chip_mask != 0 {
            return Verdict::BadVersion;
        }
        // Early, so that the short store has reached the cache when the compression loads it as
        // part of a vector.
        slot.tail[NONCE_OFFSET..NONCE_OFFSET + 4].copy_from_slice(&found.nonce);
        let nonce = u32::from_le_bytes(found.nonce);
        if slot
            .seen
            .contains(nonce, found.midstate, found.version_field)
        {
            return Verdict::Duplicate;
        }

        let version = rolled.version | bits;
        let midstate = if bits == 0 {
            rolled.state
        } else {
            slot.first[..4].copy_from_slice(&version.to_le_bytes());
            Midstate::INITIAL.after(&slot.first)
        };
        let hash = sha256::double_hash_tail(&midstate, &slot.tail);
        let number = hash.number();
        if !self.ticket.has_hardwired_zeros(number[0]) {
            return Verdict::Mismatch;
        }
        slot.seen.insert(nonce, found.midstate, found.version_field);

        let is_ticket = self.ticket.is_met_by(number[0]);
        let hashes = if is_ticket { self.ticket.hashes() } else { 0.0 };
        let job = &work.job;
        if job.sequence < self.oldest_fresh {
            return Verdict::Stale { hashes };
        }
        if job.share_target.is_met_by_number(&number) {
            let share = Share {
                job: Arc::clone(job),
                extranonce2: work.extranonce2,
                ntime: work.ntime,
                nonce,
                version_bits: version & job.version_mask,
                hash: hash.digest(),
                is_block: job.network_target.is_met_by_number(&number),
                chain: self.chain,
                found_at: now,
            };
            return Verdict::Share { share, hashes };
        }
        if is_ticket {
            Verdict::Ticket { hashes }
        } else {
            Verdict::BelowTicket
        }
    }
}

#[derive(Debug)]
struct Slot {
    work: Option<Work>,
    /// First block of the header; the version is written into it where the chip rolled it.
    first: Block,
    /// Second block of the header; the nonce is written into it at each check.
    tail: Block,
    seen: SeenNonces,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            work: None,
            first: [0; 64],
            tail: [0; 64],
            seen: SeenNonces::EMPTY,
        }
    }
}

impl Slot {
    fn put(&mut self, work: Work) {
        self.first = first_block(&work.job, work.version(), &work.merkle_root);
        self.tail = tail_block(&work.job, work.ntime, &work.merkle_root);
        self.seen = SeenNonces::EMPTY;
        self.work = Some(work);
    }
}
