//! A chain's endless supply of work that nobody else has.
//!
//! The cheapest step that gives unseen headers is taken first: one second more of ntime (no
//! hashing), the next versions (one compression each, where the host rolls them), the next
//! extranonce2 (about 40 compressions).

use super::job::{Job, MerkleRoots};
use super::partition::Extranonce2Partition;
use super::roots::{Root, Roots};
use super::sha256::{Block, Midstate};
use super::unit::{MIDSTATES, RolledMidstate, Work, base_version, first_block};
use super::version::{ROLLABLE_BITS, VersionBits};
use std::sync::Arc;
use thiserror::Error;
use tokio::time::{Duration, Instant};

/// Who steps through the versions that a job allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionRolling {
    /// The chip (BM1362, BM1366, BM1368, BM1370): work carries the version with rolled bits clear.
    Chip,
    /// The host (BM1397 and older): work carries one midstate a version.
    Host(MidstateCount),
}

/// Midstates in one job frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MidstateCount {
    /// One.
    One,
    /// Two.
    Two,
    /// Four.
    Four,
}

/// Why there is no work right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoWork {
    /// No job has been set.
    #[error("no job yet")]
    NoJob,
    /// The job's extranonce2 is too small to give this chain a value of its own.
    #[error("extranonce2 of {size} bytes has no value for part {part}: the pool must give more")]
    EmptyPart {
        /// Bytes of extranonce2.
        size: u8,
        /// The chain's part.
        part: Extranonce2Partition,
    },
    /// All headers are spent that may be searched by now.
    #[error(
        "the chain's part of the job is searched through: a new job or the next second brings work"
    )]
    Exhausted {
        /// When ntime may step on; `None` where only a new job brings work.
        more_at: Option<Instant>,
    },
}

/// Roots of pools that are remembered: of as many pools as a machine is likely to work for in turn.
const REMEMBERED_ROOTS: usize = 8;

/// Makes the work of one chain. Within a job no header is ever given twice.
#[derive(Debug)]
pub struct WorkSource {
    rolling: VersionRolling,
    job: Option<Arc<Job>>,
    roots: Roots,
    place: Option<Place>,
    /// Roots that pools have made, and the last ntime that each was searched at: jobs may come back to them.
    searched: heapless::Vec<([u8; 32], u32), REMEMBERED_ROOTS>,
}

/// Where in the job's space the last unit of work was.
#[derive(Debug)]
struct Place {
    root: Root,
    /// The header's first 64 bytes, whatever the version in them.
    first_block: Block,
    midstates: heapless::Vec<RolledMidstate, MIDSTATES>,
    /// Versions of this root that are still to come.
    versions: VersionBits,
    ntime: u32,
    /// Roots still to come at this ntime.
    roots_left: u64,
}

impl WorkSource {
    /// A source for the chain that owns this part of the extranonce2 space.
    pub fn new(partition: Extranonce2Partition, rolling: VersionRolling) -> Self {
        Self {
            rolling,
            job: None,
            roots: Roots::new(partition),
            place: None,
            searched: heapless::Vec::new(),
        }
    }

    /// Turns to a new job; nothing of the one before is given out any more. A job of this chain alone that comes again,
    /// because another chain has got a new one, is gone on with.
    pub fn set_job(&mut self, job: Arc<Job>) {
        let is_own = matches!(job.roots, MerkleRoots::Fixed(_));
        let is_same = |known: &Arc<Job>| Arc::ptr_eq(known, &job);
        if is_own && self.job.as_ref().is_some_and(is_same) {
            return;
        }
        self.roots.set_job(&job);
        self.place = None;
        self.job = Some(job);
    }

    /// Gives up the job, as when all pools are gone.
    pub fn clear_job(&mut self) {
        self.place = None;
        self.job = None;
    }

    /// The job in work.
    pub fn job(&self) -> Option<&Arc<Job>> {
        self.job.as_ref()
    }

    /// The next unit of work. `now` bounds ntime: it runs no further ahead than time has passed
    /// since the job came, and never beyond the job's limit.
    pub fn next_work(&mut self, now: Instant) -> Result<Work, NoWork> {
        let job = self.job.as_ref().ok_or(NoWork::NoJob)?;
        let place = if let Some(place) = &mut self.place {
            if !place.step(job, self.rolling, &mut self.roots, now) {
                return Err(NoWork::Exhausted {
                    more_at: ntime_steps_at(job, place.ntime),
                });
            }
            place
        } else {
            let begin = first_ntime(job, &self.searched, now)?;
            let place = Place::first(job, begin, self.rolling, &mut self.roots)?;
            self.place.insert(place)
        };
        if let MerkleRoots::Fixed(root) = job.roots {
            let ntime = place.ntime;
            if let Some((_, last)) = self.searched.iter_mut().find(|(known, _)| *known == root) {
                *last = ntime;
            } else {
                if self.searched.is_full() {
                    self.searched.remove(0);
                }
                // There is room now.
                let _ = self.searched.push((root, ntime));
            }
        }
        Ok(Work {
            job: Arc::clone(job),
            extranonce2: place.root.extranonce2,
            ntime: place.ntime,
            merkle_root: place.root.merkle_root,
            midstates: place.midstates.clone(),
            chip_mask: self.rolling.chip_mask(job),
        })
    }

    /// Hashes the next roots ahead, two side by side, for an idle moment. Says whether there was
    /// anything to do.
    pub fn prepare_next(&mut self) -> bool {
        match (&self.job, &self.place) {
            (Some(job), Some(place)) => self.roots.prepare(job, place.roots_left),
            _ => false,
        }
    }
}

impl Place {
    fn first(
        job: &Job,
        ntime: u32,
        rolling: VersionRolling,
        roots: &mut Roots,
    ) -> Result<Self, NoWork> {
        let (size, part) = (job.extranonce2_size, roots.partition());
        let root = roots.take(job).ok_or(NoWork::EmptyPart { size, part })?;
        let mut place = Self {
            root,
            first_block: first_block(job, base_version(job), &root.merkle_root),
            midstates: heapless::Vec::new(),
            versions: rolling.versions(job),
            ntime,
            roots_left: roots.count(job).saturating_sub(1),
        };
        place.roll_versions(job, rolling);
        Ok(place)
    }

    /// Goes on to headers not given yet; false where there are none until ntime may step on.
    fn step(
        &mut self,
        job: &Job,
        rolling: VersionRolling,
        roots: &mut Roots,
        now: Instant,
    ) -> bool {
        let versions_spent = self.versions.is_spent();
        if self.ntime < latest_ntime(job, now) {
            self.ntime += 1;
            if !(versions_spent && self.roots_left == 0) {
                return true;
            }
            // The whole part was spent at the ntime before; at this one it is all new.
            self.roots_left = roots.count(job).saturating_sub(1);
            self.versions = rolling.versions(job);
        } else if versions_spent {
            if self.roots_left == 0 {
                return false;
            }
            let Some(root) = roots.take(job) else {
                return false;
            };
            self.root = root;
            self.first_block = first_block(job, base_version(job), &root.merkle_root);
            self.roots_left -= 1;
            self.versions = rolling.versions(job);
        }
        self.roll_versions(job, rolling);
        true
    }

    /// Hashes the midstates of the next versions.
    fn roll_versions(&mut self, job: &Job, rolling: VersionRolling) {
        let base = base_version(job);
        let mut blocks = [self.first_block; MIDSTATES];
        self.midstates.clear();
        let group = self.versions.by_ref().take(rolling.group());
        for (bits, block) in group.zip(&mut blocks) {
            let version = base | bits;
            block[..4].copy_from_slice(&version.to_le_bytes());
            let rolled = RolledMidstate {
                version,
                state: Midstate::INITIAL,
            };
            if self.midstates.push(rolled).is_err() {
                break;
            }
        }
        // All blocks first, then all hashes: these do not depend on each other and run side by
        // side.
        for (rolled, block) in self.midstates.iter_mut().zip(&blocks) {
            rolled.state.absorb(block);
        }
    }
}

impl VersionRolling {
    /// Midstates in one unit of work.
    fn group(self) -> usize {
        match self {
            Self::Chip | Self::Host(MidstateCount::One) => 1,
            Self::Host(MidstateCount::Two) => 2,
            Self::Host(MidstateCount::Four) => 4,
        }
    }

    /// Bits that the chip rolls.
    fn chip_mask(self, job: &Job) -> u32 {
        match self {
            Self::Chip => job.version_mask & ROLLABLE_BITS,
            Self::Host(_) => 0,
        }
    }

    /// Versions that the host rolls.
    fn versions(self, job: &Job) -> VersionBits {
        match self {
            Self::Chip => VersionBits::of_mask(0),
            Self::Host(_) => VersionBits::of_mask(job.version_mask & ROLLABLE_BITS),
        }
    }
}

/// Where the search of a job begins: at its own ntime, or, with the one root that the pool has made, behind what was
/// searched before.
fn first_ntime(job: &Job, searched: &[([u8; 32], u32)], now: Instant) -> Result<u32, NoWork> {
    let MerkleRoots::Fixed(root) = &job.roots else {
        return Ok(job.ntime);
    };
    let known = searched.iter().find(|(known, _)| known == root);
    let Some((_, last)) = known.copied().filter(|(_, last)| *last >= job.ntime) else {
        return Ok(job.ntime);
    };
    if last < latest_ntime(job, now) {
        return Ok(last + 1);
    }
    Err(NoWork::Exhausted {
        more_at: ntime_steps_at(job, last),
    })
}

/// The latest ntime that may be used by now: ahead of the job's by the time passed, within the
/// job's limit.
fn latest_ntime(job: &Job, now: Instant) -> u32 {
    let passed = now.saturating_duration_since(job.received_at).as_secs();
    let rolled = passed.min(u64::from(job.ntime_roll_limit));
    u32::try_from(u64::from(job.ntime) + rolled).unwrap_or(u32::MAX)
}

/// When ntime may go beyond `ntime`; `None` where the job's limit is reached.
fn ntime_steps_at(job: &Job, ntime: u32) -> Option<Instant> {
    let rolled = ntime.checked_add(1)? - job.ntime;
    (rolled <= job.ntime_roll_limit)
        .then(|| job.received_at + Duration::from_secs(u64::from(rolled)))
}
