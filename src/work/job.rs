//! A job as every room sees it: immutable, shared, complete.

use super::share::ChainIndex;
use super::target::Target;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::time::Instant;

/// Furthest that ntime is rolled beyond a job's time, in seconds. ckpool takes 7000 and consensus two hours beyond the nodes' clocks, but
/// no public rule says what other pools take.
pub const NTIME_ROLL_LIMIT: u32 = 600;

/// Which pool session made a job. Never reused within a process, so a share can never reach a wrong session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u32);

/// A pool's own name for a job: any string, case sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobId(pub Box<str>);

/// What the merkle roots of a job's headers come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum MerkleRoots {
    /// The job's coinbase: as many as it has values of extranonce2.
    #[default]
    Coinbase,
    /// The pool has made the only one (standard channels of Stratum v2). Header byte order.
    Fixed([u8; 32]),
    /// Each chain has a job of its own; none while the pool has sent it none. The job that holds them is no work itself.
    EachChain(Box<[Option<Arc<Job>>]>),
}

/// How many units of work were sent to chips. Whoever makes jobs has one for all of them.
#[derive(Clone, Debug, Default)]
pub struct UnitCount(Arc<AtomicU64>);

impl UnitCount {
    /// Units so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where the units of a job are counted; nowhere, until its maker has said so.
#[derive(Clone, Debug, Default)]
pub struct CountedBy(OnceLock<UnitCount>);

impl CountedBy {
    /// Counts one more unit that was sent.
    pub fn one_sent(&self) {
        if let Some(count) = self.0.get() {
            count.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// It says nothing of the work itself.
impl PartialEq for CountedBy {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// All that is needed to make work and to check shares. Hashes are in header byte order.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Session that made the job and will take its shares.
    pub session: SessionId,
    /// Counts the jobs of this process; a greater one is newer.
    pub sequence: u64,
    /// The pool's name for it.
    pub id: JobId,
    /// Block version without rolled bits.
    pub version: u32,
    /// Bits of the version that may be rolled; 0 when none.
    pub version_mask: u32,
    /// Hash of the previous block.
    pub previous_hash: [u8; 32],
    /// What merkle roots come from; coinbase and branches say nothing where it is not the coinbase.
    pub roots: MerkleRoots,
    /// Coinbase up to extranonce2: first part, then extranonce1.
    pub coinbase_prefix: Box<[u8]>,
    /// Bytes of extranonce2, 1 to 32; 0 where roots do not come from the coinbase.
    pub extranonce2_size: u8,
    /// Coinbase behind extranonce2.
    pub coinbase_suffix: Box<[u8]>,
    /// Merkle path of the coinbase, nearest sibling first.
    pub merkle_branches: Box<[[u8; 32]]>,
    /// Compact network target.
    pub nbits: u32,
    /// Block time, seconds since 1970.
    pub ntime: u32,
    /// How many seconds ntime may be rolled forward.
    pub ntime_roll_limit: u32,
    /// Work on all earlier jobs is worthless from now on.
    pub clean: bool,
    /// A hash at or below it is a share.
    pub share_target: Target,
    /// A hash at or below it is a block.
    pub network_target: Target,
    /// When the job reached this machine.
    pub received_at: Instant,
    /// Where units of it are counted.
    pub counted: CountedBy,
}

impl Job {
    /// The job as it is for this chain; none while there is none for it.
    pub fn for_chain(self: &Arc<Self>, chain: ChainIndex) -> Option<Arc<Self>> {
        match &self.roots {
            MerkleRoots::EachChain(jobs) => jobs.get(usize::from(chain.0))?.clone(),
            MerkleRoots::Coinbase | MerkleRoots::Fixed(_) => Some(Arc::clone(self)),
        }
    }

    /// Has the units of this job counted there, each chain's own included; the first who says so is right.
    pub fn count_by(&self, count: &UnitCount) {
        // Somebody has said so before.
        let _ = self.counted.0.set(count.clone());
        if let MerkleRoots::EachChain(jobs) = &self.roots {
            for job in jobs.iter().flatten() {
                job.count_by(count);
            }
        }
    }

    /// Whether its block holds nothing, or one transaction, beside the coinbase; none where the pool shows no merkle path.
    pub fn is_nearly_empty(&self) -> Option<bool> {
        matches!(self.roots, MerkleRoots::Coinbase).then(|| self.merkle_branches.len() < 2)
    }

    /// The same job, which makes all earlier ones worthless.
    pub fn cleaning(self: Arc<Self>) -> Arc<Self> {
        if self.clean {
            return self;
        }
        Arc::new(Self {
            clean: true,
            ..(*self).clone()
        })
    }

    /// The same job, with each chain's own as the chains know it already from `before`, under whatever number, where it
    /// is the same: a chain would take an older number for an older job.
    pub fn keeping(self: Arc<Self>, before: &Self) -> Arc<Self> {
        let (MerkleRoots::EachChain(own), MerkleRoots::EachChain(known)) =
            (&self.roots, &before.roots)
        else {
            return self;
        };
        let kept = own
            .iter()
            .zip(known)
            .map(|(own, known)| match (own, known) {
                (Some(own), Some(known))
                    if (own.session, &own.id, own.received_at, &own.roots)
                        == (known.session, &known.id, known.received_at, &known.roots) =>
                {
                    Some(Arc::clone(known))
                }
                _ => own.clone(),
            });
        let roots = MerkleRoots::EachChain(kept.collect());
        Arc::new(Self {
            roots,
            ..(*self).clone()
        })
    }

    /// The same job, and each chain's own, under another sequence number.
    #[must_use]
    pub fn restamped(&self, sequence: u64, clean: bool) -> Self {
        let roots = match &self.roots {
            MerkleRoots::EachChain(jobs) => {
                let restamped = |job: &Option<Arc<Self>>| {
                    let job = job.as_ref()?;
                    Some(Arc::new(job.restamped(sequence, clean)))
                };
                MerkleRoots::EachChain(jobs.iter().map(restamped).collect())
            }
            other => other.clone(),
        };
        Self {
            sequence,
            roots,
            clean,
            ..self.clone()
        }
    }
}
