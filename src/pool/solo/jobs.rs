//! From templates to jobs, and from shares back to the templates they were made of.

use super::block::{Block, Found};
use super::coinbase::{EXTRANONCE1_SIZE, EXTRANONCE2_SIZE, coinbase_parts};
use super::settings::SoloSettings;
use super::template::BlockTemplate;
use crate::work::{CountedBy, Job, JobId, SessionId, Share, Target};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::Instant;

/// Makes the jobs of one connection to the node.
#[derive(Clone, Debug)]
pub struct JobMaker {
    payout_script: Box<[u8]>,
    tag: String,
    extranonce1: [u8; EXTRANONCE1_SIZE],
    version_mask: u32,
    share_target: Target,
}

impl JobMaker {
    /// A maker that pays `payout_script`, with an extranonce1 of its own.
    pub fn new(settings: &SoloSettings, payout_script: Box<[u8]>) -> Self {
        Self {
            payout_script,
            tag: settings.tag().to_owned(),
            extranonce1: fastrand::u32(..).to_be_bytes(),
            version_mask: settings.version_mask,
            share_target: Target::from_difficulty(settings.share_difficulty),
        }
    }

    /// Makes the job of a template.
    pub fn job(
        &self,
        template: &BlockTemplate,
        session: SessionId,
        sequence: u64,
        clean: bool,
    ) -> Job {
        let coinbase = coinbase_parts(template, &self.payout_script, &self.tag, self.extranonce1);
        Job {
            session,
            sequence,
            id: JobId(format!("{}-{sequence}", template.height).into()),
            version: template.version,
            version_mask: self.version_mask & template.rollable_version_bits,
            previous_hash: template.previous_hash,
            roots: crate::work::MerkleRoots::Coinbase,
            coinbase_prefix: coinbase.prefix,
            extranonce2_size: EXTRANONCE2_SIZE,
            coinbase_suffix: coinbase.suffix,
            merkle_branches: template.merkle_branches.clone(),
            nbits: template.nbits,
            ntime: template.time,
            ntime_roll_limit: template.ntime_roll_limit,
            clean,
            // Where blocks are easier than shares, as on a test chain, each block is a share.
            share_target: self.share_target.max(template.target),
            network_target: template.target,
            received_at: Instant::now(),
            counted: CountedBy::default(),
        }
    }
}

/// Templates of the block that is being mined, the newest last: work on an older one can still make a block.
#[derive(Debug, Default)]
pub struct Templates {
    kept: VecDeque<(u64, Arc<BlockTemplate>)>,
}

/// Templates kept at once; each can hold megabytes.
const KEPT: usize = 4;

/// What a share is worth.
#[derive(Debug)]
pub enum Verdict {
    /// A block.
    Block(Block),
    /// Good for the statistics.
    Share,
    /// Made for a block that is no longer the one to mine.
    Stale,
    /// Its hash, worked out anew, does not meet the share target.
    LowDifficulty,
}

impl Templates {
    /// Keeps a template under its job's sequence number; those that build on another block go. True when it does so.
    pub fn keep(&mut self, sequence: u64, template: Arc<BlockTemplate>) -> bool {
        let is_new = !self.builds_on(&template.previous_hash);
        if is_new {
            self.kept.clear();
        } else if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((sequence, template));
        is_new
    }

    /// Whether the templates build on this block.
    pub fn builds_on(&self, previous_hash: &[u8; 32]) -> bool {
        self.kept
            .back()
            .is_some_and(|(_, template)| template.previous_hash == *previous_hash)
    }

    /// Judges a share by its own header, trusting nothing that was worked out before.
    pub fn judge(&self, share: &Share) -> Verdict {
        let kept = self
            .kept
            .iter()
            .find(|(sequence, _)| *sequence == share.job.sequence);
        let Some((_, template)) = kept else {
            return Verdict::Stale;
        };
        let block = Block::assemble(Arc::clone(template), &share.job, Found::from(share));
        let hash = block.hash();
        if template.target.is_met_by(&hash) {
            Verdict::Block(block)
        } else if share.job.share_target.is_met_by(&hash) {
            Verdict::Share
        } else {
            Verdict::LowDifficulty
        }
    }
}
