//! Which of the chips' nonces are really looked at.
//!
//! Every core of every chip is, at any time, at one place of its own sweep. The chain looks at those places in turn,
//! chip after chip and core after core, at a declared number of hashes per second, so that each core finds its share
//! and each nonce is one that this core could have found at that time.

use super::{
    ChainSettings,
    chip::{Chip, Position},
    codec::Reply,
    fault::ChainFaults,
    job::{Job, rolled_bits, second_hash_head},
    model::{ChipType, ResultHeader},
    wire::Outbound,
};
use std::{collections::BTreeMap, ops::Range};

/// Time from a core's find to the chip's answer.
const PIPELINE_NANOS: u64 = 200_000;

/// Time between the repetitions of a stuck core.
const REPEAT_NANOS: u64 = 1_000_000_000;

/// What the search needs of the chain besides its chips.
pub(super) struct Surroundings<'a> {
    pub(super) now: u64,
    pub(super) outbound: &'a mut Outbound,
    pub(super) faults: &'a ChainFaults,
    pub(super) chance: &'a mut fastrand::Rng,
}

/// A part of the search space to look at instead, once per job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Focus {
    /// First nonce, its most significant byte the first on the wire.
    pub first_nonce: u32,
    /// Nonces to try.
    pub nonces: u32,
    /// First version or midstate number.
    pub first_variant: u32,
    /// Versions or midstates to try.
    pub variants: u32,
}

/// The chain's look at its own search space.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) focus: Option<Focus>,
    kind: ChipType,
    zero_bits: u32,
    /// One unit is one core at one place, all its sub-cores.
    unit_nanos: f64,
    unit: u64,
    /// Units whose turn has come.
    units_due: u64,
    active: bool,
    cache: Option<Batch>,
    /// When each stuck core may repeat itself again.
    repeats: BTreeMap<(usize, u32), u64>,
}

/// States after the first header block, one per sub-core, good for as long as the key holds.
#[derive(Debug)]
struct Batch {
    serial: u64,
    number: u32,
    mask: u16,
    midstates: Vec<[u32; 8]>,
}

impl Search {
    pub(super) fn new(settings: &ChainSettings) -> Self {
        let rate = settings.hashes_per_second.max(1.0);
        Self {
            focus: None,
            kind: settings.chip,
            zero_bits: settings.hardwired_zero_bits.min(32),
            unit_nanos: f64::from(settings.chip.subcores()) * 1e9 / rate,
            unit: 0,
            units_due: 0,
            active: false,
            cache: None,
            repeats: BTreeMap::new(),
        }
    }

    /// Says whether there is anything to look for; when work begins, the units that passed without are skipped.
    pub(super) fn resume(&mut self, now: u64, hashing: bool) {
        let active = hashing && self.focus.is_none();
        if active && !self.active {
            self.unit = (now as f64 / self.unit_nanos).ceil() as u64;
        }
        self.active = active;
    }

    /// Looks at this many hashes per second from now on.
    pub(super) fn set_pace(&mut self, now: u64, hashes_per_second: f64) {
        self.unit_nanos = f64::from(self.kind.subcores()) * 1e9 / hashes_per_second.max(1.0);
        self.unit = (now as f64 / self.unit_nanos).ceil() as u64;
    }

    /// Leaves out what should have been looked at before this time.
    pub(super) fn skip_to(&mut self, time: u64) {
        self.unit = self.unit.max((time as f64 / self.unit_nanos) as u64);
    }

    /// Hashes that all chips together had to look at so far.
    pub(super) fn hashes_due(&self) -> f64 {
        self.units_due as f64 * f64::from(self.kind.subcores())
    }

    /// When the next unit is due.
    pub(super) fn next_unit(&self) -> Option<u64> {
        self.active
            .then_some((self.unit as f64 * self.unit_nanos) as u64)
    }

    /// Looks at the place of the core whose turn it is.
    pub(super) fn unit(&mut self, chips: &mut [Chip], around: &mut Surroundings<'_>) {
        let count = chips.len().max(1) as u64;
        let core = (self.unit / count % u64::from(self.kind.cores())) as u32;
        let index = (self.unit % count) as usize;
        self.unit += 1;
        self.units_due += 1;
        if !around.faults.reaches(index) {
            return;
        }
        let Some(chip) = chips.get_mut(index) else {
            return;
        };
        let Some(Position { batch, counter }) = chip.position(around.now) else {
            return;
        };
        if around.faults.stuck.contains(&(index, core)) {
            self.repeat(index, core, chip, around);
            return;
        }
        let subcores = self.kind.subcores();
        self.look(
            index,
            chip,
            core << 25 | counter,
            batch * subcores..(batch + 1) * subcores,
            around,
        );
    }

    /// Looks at the part of the search space that `set_focus` named, for the chip that owns it.
    pub(super) fn focused(&mut self, chips: &mut [Chip], around: &mut Surroundings<'_>) {
        let Some(focus) = self.focus else { return };
        for nonce in (0..focus.nonces).map(|step| focus.first_nonce.wrapping_add(step)) {
            let low = nonce & 0x01FF_FFFF;
            let owner = chips
                .iter_mut()
                .enumerate()
                .filter(|(_, chip)| chip.first_nonce() <= low)
                .max_by_key(|(_, chip)| chip.first_nonce());
            if let Some((index, chip)) = owner {
                let variants = focus.first_variant..focus.first_variant + focus.variants;
                self.look(index, chip, nonce, variants, around);
            }
        }
    }

    fn look(
        &mut self,
        index: usize,
        chip: &mut Chip,
        nonce: u32,
        variants: Range<u32>,
        around: &mut Surroundings<'_>,
    ) {
        let Some(work) = chip.work.clone() else {
            return;
        };
        let mask = chip.version_mask();
        let block = work.job.second_block(nonce.to_be_bytes());
        let (kind, zero_bits, first) = (self.kind, self.zero_bits, variants.start);
        for (variant, midstate) in (first..).zip(self.batch(&work.job, work.serial, mask, variants))
        {
            let head = second_hash_head(*midstate, block);
            if let Some(excess) = passes(head, zero_bits, chip.ticket_mask()) {
                let mut told = nonce;
                if around.faults.bad_share > 0.0 && around.chance.f64() < around.faults.bad_share {
                    told ^= 1 << around.chance.u32(..17);
                    chip.nonce_errors = chip.nonce_errors.saturating_add(1);
                }
                let reply = answer(kind, chip, &work.job, told, variant, excess);
                around.send(index, chip, reply);
            }
        }
    }

    /// A stuck core says what it said before, whatever the job.
    fn repeat(&mut self, index: usize, core: u32, chip: &mut Chip, around: &mut Surroundings<'_>) {
        let due = self.repeats.entry((index, core)).or_insert(around.now);
        if around.now < *due {
            return;
        }
        *due = around.now + REPEAT_NANOS;
        if let Some(work) = chip.work.clone() {
            let nonce = core << 25 | chip.first_nonce();
            let reply = answer(self.kind, chip, &work.job, nonce, 0, 0);
            around.send(index, chip, reply);
        }
    }

    fn batch(&mut self, job: &Job, serial: u64, mask: u16, variants: Range<u32>) -> &[[u32; 8]] {
        let number = variants.start;
        let hit = self.cache.as_ref().is_some_and(|batch| {
            (batch.serial, batch.number, batch.mask) == (serial, number, mask)
        });
        if !hit {
            let end = variants.end.min(job.variants(mask));
            let midstates = (number..end)
                .filter_map(|variant| job.midstate(variant, mask))
                .collect();
            self.cache = Some(Batch {
                serial,
                number,
                mask,
                midstates,
            });
        }
        self.cache.as_ref().map_or(&[], |batch| &batch.midstates)
    }
}

/// Zero bits beyond those asked for, when hard-wired bits and ticket mask let the hash pass.
fn passes(head: u64, zero_bits: u32, ticket_mask: u32) -> Option<u8> {
    let beyond = head.checked_shl(zero_bits).unwrap_or(0);
    let passes = head.leading_zeros() >= zero_bits && (beyond >> 32) as u32 & ticket_mask == 0;
    passes.then(|| {
        head.leading_zeros()
            .saturating_sub(zero_bits + ticket_mask.count_ones()) as u8
    })
}

impl Surroundings<'_> {
    fn send(&mut self, index: usize, chip: &mut Chip, reply: Reply) {
        if !self.faults.silent.contains(&index)
            && !self
                .outbound
                .push(self.now + PIPELINE_NANOS, chip.baud(), reply)
        {
            chip.overflows = chip.overflows.saturating_add(1);
        }
    }
}

fn answer(kind: ChipType, chip: &Chip, job: &Job, nonce: u32, variant: u32, excess: u8) -> Reply {
    let subcore = (variant % kind.subcores()) as u8;
    let result_header = match kind.result_header() {
        ResultHeader::JobOver3Bits => job.header & 0xF8 | subcore,
        ResultHeader::JobOver4Bits => job.header << 1 & 0xF0 | subcore,
        ResultHeader::JobOver2Bits => job.header & 0xFC | subcore,
    };
    let version = rolled_bits(variant, chip.version_mask());
    Reply::nonce(
        nonce.to_be_bytes(),
        excess,
        result_header,
        version,
        chip.long_replies(),
    )
}
