//! One channel: its messages become jobs, each with the target and the extranonce that are in force for it.

use super::message::{ChannelOpen, JobBody, JobMessage, NewPreviousHash};
use crate::pool::source::Numbers;
use crate::work::job::NTIME_ROLL_LIMIT;
use crate::work::{CountedBy, Job, JobId, MerkleRoots, SessionId, Target};
use std::collections::VecDeque;
use std::sync::Arc;
use thiserror::Error;
use tokio::time::Instant;

/// Jobs whose shares may still come; chips return work for seconds, not for this many jobs.
const LIVE_JOBS: usize = 64;
/// Jobs for the next block that are held; pools send one, or one a template.
const FUTURE_JOBS: usize = 16;

/// What all jobs of a session have in common.
#[derive(Debug)]
pub struct Maker {
    /// The session.
    pub session: SessionId,
    /// Names for jobs.
    pub numbers: Arc<Numbers>,
    /// Version bits that are rolled where a job allows it.
    pub version_mask: u32,
}

/// An open channel.
#[derive(Debug)]
pub struct Channel {
    id: u32,
    group: u32,
    /// In force for jobs activated from now on.
    target: Target,
    /// In force for jobs received from now on.
    prefix: Arc<[u8]>,
    /// Bytes of extranonce that are ours; none: the pool makes the merkle roots.
    extranonce_size: Option<u8>,
    previous: Option<Previous>,
    future: VecDeque<Template>,
    current: Option<Arc<Job>>,
    live: VecDeque<LiveJob>,
}

#[derive(Clone, Copy, Debug)]
struct Previous {
    hash: [u8; 32],
    min_ntime: u32,
    nbits: u32,
    network_target: Target,
}

/// A job as it was received, with the prefix of that time.
#[derive(Debug)]
struct Template {
    message: JobMessage,
    prefix: Arc<[u8]>,
}

#[derive(Clone, Copy, Debug)]
struct LiveJob {
    sequence: u64,
    id: u32,
}

/// A message that makes no sense on this channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChannelError {
    /// A standard job on an extended channel, or the other way round.
    #[error("job {0} is for another kind of channel")]
    Kind(u32),
    /// A job to be worked on at once, on no known block.
    #[error("job {0} came before any previous hash")]
    NoPreviousHash(u32),
    /// A new block with a job that was never sent.
    #[error("a new previous hash for job {0}, which was not sent")]
    UnknownJob(u32),
}

impl Channel {
    /// A channel that the pool has just opened.
    pub fn new(open: ChannelOpen) -> Self {
        Self {
            id: open.channel,
            group: open.group,
            target: open.target,
            prefix: open.prefix.into(),
            extranonce_size: open.extranonce_size,
            previous: None,
            future: VecDeque::new(),
            current: None,
            live: VecDeque::with_capacity(LIVE_JOBS),
        }
    }

    /// Its name.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether a message to this channel or group is for it.
    pub fn is_addressed(&self, to: u32) -> bool {
        to == self.id || to == self.group
    }

    /// Puts it into a group.
    pub fn set_group(&mut self, group: u32) {
        self.group = group;
    }

    /// A target for jobs that are activated from now on.
    pub fn set_target(&mut self, target: Target) {
        self.target = target;
    }

    /// A prefix for jobs that are received from now on.
    pub fn set_prefix(&mut self, prefix: Box<[u8]>) {
        self.prefix = prefix.into();
    }

    /// The pool's part of the extranonce, and the bytes of ours.
    pub fn extranonce(&self) -> (&[u8], Option<u8>) {
        (&self.prefix, self.extranonce_size)
    }

    /// The newest job.
    pub fn current(&self) -> Option<&Arc<Job>> {
        self.current.as_ref()
    }

    /// Whether shares of this job still count: no block came since, its name was not given to another job, and it is
    /// not too old.
    pub fn is_live(&self, sequence: u64) -> bool {
        self.live
            .binary_search_by_key(&sequence, |live| live.sequence)
            .is_ok()
    }

    /// Takes a job: for now, and then it is given back made, or for the next block.
    pub fn on_job(
        &mut self,
        message: JobMessage,
        maker: &Maker,
        now: Instant,
    ) -> Result<Option<Arc<Job>>, ChannelError> {
        if self.extranonce_size.is_some() != matches!(message.body, JobBody::Coinbase { .. }) {
            return Err(ChannelError::Kind(message.id));
        }
        let template = Template {
            message,
            prefix: Arc::clone(&self.prefix),
        };
        let id = template.message.id;
        let Some(min_ntime) = template.message.min_ntime else {
            self.future.retain(|held| held.message.id != id);
            if self.future.len() == FUTURE_JOBS {
                self.future.pop_front();
            }
            self.future.push_back(template);
            return Ok(None);
        };
        let previous = self.previous.ok_or(ChannelError::NoPreviousHash(id))?;
        // A name given to another job: the pool would judge the old shares by the new one.
        self.live.retain(|live| live.id != id);
        let ntime = min_ntime.max(previous.min_ntime);
        Ok(Some(
            self.make(&template, &previous, ntime, false, maker, now),
        ))
    }

    /// A new block: all work but that on the named job is worthless.
    pub fn on_new_previous_hash(
        &mut self,
        message: &NewPreviousHash,
        maker: &Maker,
        now: Instant,
    ) -> Result<Arc<Job>, ChannelError> {
        let previous = Previous {
            hash: message.hash,
            min_ntime: message.min_ntime,
            nbits: message.nbits,
            network_target: message.network_target,
        };
        self.previous = Some(previous);
        self.live.clear();
        let at = self
            .future
            .iter()
            .position(|held| held.message.id == message.job);
        let template = at.and_then(|at| self.future.remove(at));
        self.future.clear();
        let template = template.ok_or(ChannelError::UnknownJob(message.job))?;
        Ok(self.make(&template, &previous, message.min_ntime, true, maker, now))
    }

    fn make(
        &mut self,
        template: &Template,
        previous: &Previous,
        ntime: u32,
        clean: bool,
        maker: &Maker,
        now: Instant,
    ) -> Arc<Job> {
        let Template { message, prefix } = template;
        let mask = if message.version_rolling {
            maker.version_mask
        } else {
            0
        };
        let (coinbase_prefix, coinbase_suffix, merkle_branches) = match &message.body {
            JobBody::Coinbase {
                prefix: front,
                suffix,
                branches,
            } => (
                [front, &**prefix].concat().into(),
                suffix.clone(),
                branches.clone(),
            ),
            JobBody::Root(_) => Default::default(),
        };
        let roots = match &message.body {
            JobBody::Coinbase { .. } => MerkleRoots::Coinbase,
            JobBody::Root(root) => MerkleRoots::Fixed(*root),
        };
        let job = Arc::new(Job {
            session: maker.session,
            sequence: maker.numbers.next_job(),
            id: JobId(message.id.to_string().into()),
            version: message.version,
            // Bits that the template has set are left alone, as with Stratum v1.
            version_mask: mask & !message.version,
            previous_hash: previous.hash,
            roots,
            coinbase_prefix,
            extranonce2_size: self.extranonce_size.unwrap_or(0),
            coinbase_suffix,
            merkle_branches,
            nbits: previous.nbits,
            ntime,
            ntime_roll_limit: NTIME_ROLL_LIMIT,
            clean,
            share_target: self.target,
            network_target: previous.network_target,
            received_at: now,
            counted: CountedBy::default(),
        });
        if self.live.len() == LIVE_JOBS {
            self.live.pop_front();
        }
        self.live.push_back(LiveJob {
            sequence: job.sequence,
            id: message.id,
        });
        self.current = Some(Arc::clone(&job));
        job
    }
}
