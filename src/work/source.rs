//! A chain's endless supply of work that nobody else has.
//!
//! The cheapest step that gives unseen headers is taken first: one second more of ntime (no hashing), the next
//! versions (one compression each, where the host rolls them), the next extranonce2 (about 40 compressions).

use super::coinbase::{CoinbaseTemplate, LANES};
use super::job::Job;
use super::partition::Extranonce2Partition;
use super::sha256::Midstate;
use super::share::Extranonce2;
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
    #[error(
        "extranonce2 of {size} bytes has no value left for part {part:?}: ask the pool for a larger one"
    )]
    EmptyPart {
        /// Bytes of extranonce2.
        size: u8,
        /// The chain's part.
        part: Extranonce2Partition,
    },
    /// All headers are spent that may be searched by now.
    #[error("the chain's part of the job is searched through")]
    Exhausted {
        /// When ntime may step on; `None` where only a new job brings work.
        more_at: Option<Instant>,
    },
}

/// Makes the work of one chain. Within a job no header is ever given twice.
#[derive(Debug)]
pub struct WorkSource {
    partition: Extranonce2Partition,
    rolling: VersionRolling,
    job: Option<Arc<Job>>,
    coinbase: CoinbaseTemplate,
    /// Next extranonce2 of the part. Runs on from job to job, so that a job sent again is not searched again.
    cursor: u64,
    prepared: heapless::Deque<Root, LANES>,
    place: Option<Place>,
}

#[derive(Clone, Debug)]
struct Root {
    extranonce2: Extranonce2,
    merkle_root: [u8; 32],
}

/// Where in the job's space the last unit of work was.
#[derive(Debug)]
struct Place {
    root: Root,
    midstates: heapless::Vec<RolledMidstate, MIDSTATES>,
    /// Versions of this root that are still to come.
    versions: VersionBits,
    ntime: u32,
    /// Values of extranonce2 not yet taken into a root's place at this ntime.
    roots_left: u64,
}

impl WorkSource {
    /// A source for the chain that owns this part of the extranonce2 space.
    pub fn new(partition: Extranonce2Partition, rolling: VersionRolling) -> Self {
        Self {
            partition,
            rolling,
            job: None,
            coinbase: CoinbaseTemplate::default(),
            cursor: 0,
            prepared: heapless::Deque::new(),
            place: None,
        }
    }

    /// Turns to a new job; nothing of the one before is given out any more.
    pub fn set_job(&mut self, job: Arc<Job>) {
        self.coinbase.set_job(&job);
        self.prepared.clear();
        self.place = None;
        self.job = Some(job);
    }

    /// Gives up the job, as when all pools are gone.
    pub fn clear_job(&mut self) {
        self.prepared.clear();
        self.place = None;
        self.job = None;
    }

    /// The job in work.
    pub fn job(&self) -> Option<&Arc<Job>> {
        self.job.as_ref()
    }

    /// The next unit of work. `now` bounds ntime: it runs no further ahead than time has passed since the job
    /// came, and never beyond the job's limit.
    pub fn next_work(&mut self, now: Instant) -> Result<Work, NoWork> {
        let job = Arc::clone(self.job.as_ref().ok_or(NoWork::NoJob)?);
        let mut place = match self.place.take() {
            None => self.first_place(&job)?,
            Some(place) => match self.step(place, &job, now) {
                Ok(place) => place,
                Err(place) => {
                    let more_at = ntime_steps_at(&job, place.ntime);
                    self.place = Some(place);
                    return Err(NoWork::Exhausted { more_at });
                }
            },
        };
        if place.midstates.is_empty() {
            self.roll_versions(&mut place, &job);
        }
        let work = Work {
            extranonce2: place.root.extranonce2,
            ntime: place.ntime,
            merkle_root: place.root.merkle_root,
            midstates: place.midstates.clone(),
            chip_mask: match self.rolling {
                VersionRolling::Chip => job.version_mask & ROLLABLE_BITS,
                VersionRolling::Host(_) => 0,
            },
            job,
        };
        self.place = Some(place);
        Ok(work)
    }

    /// Hashes the next roots ahead, two side by side, for an idle moment. Says whether there was anything to do.
    pub fn prepare_next(&mut self) -> bool {
        let (Some(job), Some(place)) = (&self.job, &self.place) else {
            return false;
        };
        if !self.prepared.is_empty() || place.roots_left == 0 {
            return false;
        }
        let job = Arc::clone(job);
        if place.roots_left == 1 {
            return match self.compute_roots::<1>(&job) {
                Some([root]) => self.prepared.push_back(root).is_ok(),
                None => false,
            };
        }
        match self.compute_roots::<2>(&job) {
            Some(roots) => roots
                .into_iter()
                .all(|root| self.prepared.push_back(root).is_ok()),
            None => false,
        }
    }

    fn first_place(&mut self, job: &Arc<Job>) -> Result<Place, NoWork> {
        let size = job.extranonce2_size;
        let [root] = self.compute_roots(job).ok_or(NoWork::EmptyPart {
            size,
            part: self.partition,
        })?;
        Ok(Place {
            root,
            midstates: heapless::Vec::new(),
            versions: self.versions(job),
            ntime: job.ntime,
            roots_left: self.partition.count(size).saturating_sub(1),
        })
    }

    /// The place after this one, or this one again where there is none yet.
    fn step(&mut self, mut place: Place, job: &Arc<Job>, now: Instant) -> Result<Place, Place> {
        let spent = place.versions.is_spent();
        if place.ntime < latest_ntime(job, now) {
            place.ntime += 1;
            if spent && place.roots_left == 0 {
                // The whole part is spent at the ntime before; at this one it is all new.
                place.roots_left = self.partition.count(job.extranonce2_size).saturating_sub(1);
                self.restart_versions(&mut place, job);
            }
            return Ok(place);
        }
        if !spent {
            place.midstates.clear();
            return Ok(place);
        }
        if place.roots_left == 0 {
            return Err(place);
        }
        let next = self.prepared.pop_front().or_else(|| {
            let [root] = self.compute_roots(job)?;
            Some(root)
        });
        let Some(root) = next else { return Err(place) };
        place.roots_left -= 1;
        place.root = root;
        self.restart_versions(&mut place, job);
        Ok(place)
    }

    fn compute_roots<const N: usize>(&mut self, job: &Job) -> Option<[Root; N]> {
        let size = job.extranonce2_size;
        let count = self.partition.count(size);
        let mut extranonces = [Extranonce2 { value: 0, size }; N];
        for extranonce2 in &mut extranonces {
            let k = self.cursor.checked_rem(count)?;
            *extranonce2 = self.partition.value(k, size)?;
            self.cursor = k + 1;
        }
        let mut roots = extranonces.map(|extranonce2| Root {
            extranonce2,
            merkle_root: [0; 32],
        });
        let merkle_roots = self
            .coinbase
            .merkle_roots(&job.merkle_branches, &extranonces);
        for (root, merkle_root) in roots.iter_mut().zip(merkle_roots) {
            root.merkle_root = merkle_root;
        }
        Some(roots)
    }

    fn versions(&self, job: &Job) -> VersionBits {
        VersionBits::of_mask(match self.rolling {
            VersionRolling::Chip => 0,
            VersionRolling::Host(_) => job.version_mask & ROLLABLE_BITS,
        })
    }

    fn restart_versions(&self, place: &mut Place, job: &Job) {
        place.midstates.clear();
        place.versions = self.versions(job);
    }

    /// Fills the place with the midstates of its next versions.
    fn roll_versions(&self, place: &mut Place, job: &Job) {
        let group = match self.rolling {
            VersionRolling::Chip | VersionRolling::Host(MidstateCount::One) => 1,
            VersionRolling::Host(MidstateCount::Two) => 2,
            VersionRolling::Host(MidstateCount::Four) => 4,
        };
        let base = base_version(job);
        let mut block = first_block(job, base, &place.root.merkle_root);
        for bits in place.versions.by_ref().take(group) {
            let version = base | bits;
            block[..4].copy_from_slice(&version.to_le_bytes());
            let state = Midstate::INITIAL.after(std::slice::from_ref(&block));
            if place
                .midstates
                .push(RolledMidstate { version, state })
                .is_err()
            {
                break;
            }
        }
    }
}

/// The latest ntime that may be used by now: ahead of the job's by the time passed, within the job's limit.
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
