//! Templates into jobs: which extranonce, target and version mask each job carries, and which
//! earlier jobs still count.

use crate::pool::message::Extranonce;
use crate::pool::notify::Template;
use crate::pool::source::Numbers;
use crate::work::job::NTIME_ROLL_LIMIT;
use crate::work::{CountedBy, Difficulty, Job, JobId, SessionId, Target};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::Instant;

/// Jobs of a session whose shares may still come; chips return work for seconds, not for this many
/// jobs.
const LIVE_JOBS: usize = 64;

/// Stratum's difficulty while the pool has named none.
const DEFAULT_TARGET: Target = Target::DIFFICULTY_ONE;

/// Makes the jobs of one session.
#[derive(Debug)]
pub struct JobMaker {
    session: SessionId,
    numbers: Arc<Numbers>,
    /// In force for the next job.
    extranonce: Option<Extranonce>,
    /// In force for the next job; `None` while the pool has named no difficulty.
    target: Option<Target>,
    /// Version bits agreed on; `None` without version rolling.
    mask: Option<u32>,
    /// Came before the extranonce.
    held: Option<Box<Template>>,
    current: Option<Current>,
    live: VecDeque<LiveJob>,
}

#[derive(Debug)]
struct Current {
    template: Box<Template>,
    extranonce: Extranonce,
    job: Arc<Job>,
    /// Made before the pool named a difficulty.
    guessed_target: bool,
}

#[derive(Debug)]
struct LiveJob {
    sequence: u64,
    id: JobId,
    /// The pool has sent it again with this target since, and may judge by either.
    also_meets: Option<Target>,
}

impl JobMaker {
    /// Makes jobs for this session.
    pub fn new(session: SessionId, numbers: Arc<Numbers>) -> Self {
        Self {
            session,
            numbers,
            extranonce: None,
            target: None,
            mask: None,
            held: None,
            current: None,
            live: VecDeque::with_capacity(LIVE_JOBS),
        }
    }

    /// The newest job.
    pub fn current(&self) -> Option<&Arc<Job>> {
        self.current.as_ref().map(|current| &current.job)
    }

    /// Extranonce for the next job.
    pub fn extranonce(&self) -> Option<&Extranonce> {
        self.extranonce.as_ref()
    }

    /// Version bits agreed on.
    pub fn mask(&self) -> Option<u32> {
        self.mask
    }

    /// The answer to `mining.subscribe`. Gives the job that came before it, if one did.
    pub fn subscribed(&mut self, extranonce: Extranonce, now: Instant) -> Option<Arc<Job>> {
        // A set_extranonce that overtook the answer is newer than it.
        self.extranonce.get_or_insert(extranonce);
        let held = self.held.take()?;
        self.notify(held, now)
    }

    /// `mining.set_extranonce`: in force from the next job on.
    pub fn set_extranonce(&mut self, extranonce: Extranonce) {
        self.extranonce = Some(extranonce);
    }

    /// `mining.set_difficulty`. In force from the next job on, but a job that was made while no
    /// difficulty was known is made again: its target was our guess, not the pool's word.
    pub fn set_difficulty(&mut self, difficulty: Difficulty, now: Instant) -> Option<Arc<Job>> {
        self.set_target(Target::from_difficulty(difficulty), now)
    }

    /// `mining.set_target`, in force like a difficulty.
    pub fn set_target(&mut self, target: Target, now: Instant) -> Option<Arc<Job>> {
        self.target = Some(target);
        let current = self.current.take_if(|current| current.guessed_target)?;
        Some(self.remake(current, target, now))
    }

    /// The version bits agreed on or changed: in force at once (BIP 310), so the current job is
    /// made again.
    pub fn set_mask(&mut self, mask: u32, now: Instant) -> Option<Arc<Job>> {
        if self.mask.replace(mask) == Some(mask) {
            return None;
        }
        let current = self.current.take()?;
        let target = current.job.share_target;
        Some(self.remake(current, target, now))
    }

    /// A `mining.notify`. Gives the new job; nothing for an exact repetition of the current one, or
    /// while there is no extranonce yet.
    pub fn notify(&mut self, mut template: Box<Template>, now: Instant) -> Option<Arc<Job>> {
        let Some(extranonce) = self.extranonce.clone() else {
            template.clean |= self.held.as_ref().is_some_and(|held| held.clean);
            self.held = Some(template);
            return None;
        };
        let target = self.target.unwrap_or(DEFAULT_TARGET);
        match &self.current {
            Some(current)
                if current.template.is_same_work(&template)
                    && current.extranonce == extranonce
                    && current.job.share_target == target =>
            {
                let sequence = current.job.sequence;
                if template.clean {
                    self.live.retain(|live| live.sequence >= sequence);
                }
                return None;
            }
            // Some pools forget the flag when a block was found.
            Some(current) => {
                template.clean |= template.previous_hash != current.template.previous_hash;
            }
            None => template.clean = true,
        }
        let is_again = self.current.as_ref().is_some_and(|current| {
            current.extranonce == extranonce && current.template.is_same_work(&template)
        });
        if is_again {
            // The same work for another target: a share of its first make that meets both is as good as ever.
            for live in &mut self.live {
                if *live.id.0 == *template.job_id {
                    live.also_meets = Some(target);
                }
            }
            let id = &*template.job_id;
            let clean = template.clean;
            self.live.retain(|live| !clean || *live.id.0 == *id);
        } else if template.clean {
            self.live.clear();
        } else {
            // An id given to another job: the pool would judge the old shares by the new job.
            self.live.retain(|live| *live.id.0 != *template.job_id);
        }
        let guessed_target = self.target.is_none();
        Some(self.make(template, extranonce, target, guessed_target, now))
    }

    /// Whether a share of this job still counts: the job was not cleaned away, its id not given to another one, it is
    /// not too old, and the share's hash meets what the pool asks of it by now.
    pub fn is_live(&self, sequence: u64, hash: &[u8; 32]) -> bool {
        self.live
            .binary_search_by_key(&sequence, |live| live.sequence)
            .ok()
            .and_then(|at| self.live.get(at))
            .is_some_and(|live| live.also_meets.is_none_or(|target| target.is_met_by(hash)))
    }

    /// A job once more, under another target or mask; shares of its first make still count.
    fn remake(&mut self, current: Current, target: Target, now: Instant) -> Arc<Job> {
        let Current {
            mut template,
            extranonce,
            guessed_target,
            ..
        } = current;
        template.clean = false;
        let guessed_target = guessed_target && self.target.is_none();
        self.make(template, extranonce, target, guessed_target, now)
    }

    fn make(
        &mut self,
        template: Box<Template>,
        extranonce: Extranonce,
        share_target: Target,
        guessed_target: bool,
        now: Instant,
    ) -> Arc<Job> {
        let job = Arc::new(Job {
            session: self.session,
            sequence: self.numbers.next_job(),
            id: JobId(template.job_id.clone()),
            version: template.version,
            // Pools either replace the masked bits (BIP 310) or add them with OR (ckpool): leaving
            // alone what the template has set means the same header to both.
            version_mask: self.mask.unwrap_or(0) & !template.version,
            previous_hash: template.previous_hash,
            roots: crate::work::MerkleRoots::Coinbase,
            coinbase_prefix: [&*template.coinbase_1, &*extranonce.extranonce1]
                .concat()
                .into(),
            extranonce2_size: extranonce.extranonce2_size,
            coinbase_suffix: template.coinbase_2.clone(),
            merkle_branches: template.merkle_branches.clone(),
            nbits: template.nbits,
            ntime: template.ntime,
            ntime_roll_limit: NTIME_ROLL_LIMIT,
            clean: template.clean,
            share_target,
            network_target: template.network_target,
            received_at: now,
            counted: CountedBy::default(),
        });
        tracing::debug!(session = job.session.0, job = job.sequence, id = %job.id.0, clean = job.clean, "job made");
        if self.live.len() == LIVE_JOBS {
            self.live.pop_front();
        }
        let live = LiveJob {
            sequence: job.sequence,
            id: job.id.clone(),
            also_meets: None,
        };
        self.live.push_back(live);
        self.current = Some(Current {
            template,
            extranonce,
            job: Arc::clone(&job),
            guessed_target,
        });
        job
    }
}
