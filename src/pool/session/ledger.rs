//! Shares of one session between submit and verdict, and what the verdicts say about the pool.

use crate::pool::reject::{PoolError, RejectReason};
use crate::pool::status::ShareCounters;
use crate::work::{ChainIndex, Share};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Shares that may wait for a verdict; the oldest counts as unanswered when one more comes.
const WAITING: usize = 512;
/// Rejects without an accepted share between them that end a session.
const REJECT_RUN: u32 = 20;
/// The same for rejects that say the pool has forgotten us: nothing but a new session helps.
const FORGOTTEN_RUN: u32 = 3;
/// Verdicts that the reject rate is taken over.
const RATE_WINDOW: u32 = 64;
/// Rejects among them that end a session: three of four.
const RATE_LIMIT: u32 = 48;
/// Shares without any verdict, one after another, that end a session.
const UNANSWERED_RUN: u32 = 10;
/// Rejects in a row that are too many when the first is this long ago: where shares are rare, twenty take hours.
const LASTING_REJECTS: (u32, Duration) = (3, Duration::from_secs(300));
/// Rejects, or shares without a verdict, that end a session on probation.
const PROBATION_RUNS: (u32, u32) = (3, 1);

/// Submitted shares and their fate.
#[derive(Debug)]
pub struct Ledger {
    counters: ShareCounters,
    waiting: VecDeque<Waiting>,
    /// One bit a verdict, newest lowest, set for a reject.
    history: u64,
    verdicts: u32,
    reject_run: u32,
    /// When that run of rejects began.
    rejects_since: Option<Instant>,
    forgotten_run: u32,
    unanswered_run: u32,
    /// The session before was ended by [`Distrust`], and no share was accepted since.
    probation: bool,
    last_reply: Option<Duration>,
    last_accepted_at: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    request: u64,
    sent_at: Instant,
    difficulty: f64,
    is_block: bool,
    chain: ChainIndex,
}

/// Why a pool's verdicts, or their absence, end its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// It rejects what we send.
    Rejects(String),
    /// It does not know us any more.
    Forgotten(String),
    /// It does not answer.
    NoAnswers,
}

impl Ledger {
    /// A ledger that counts on from these numbers.
    pub fn new(counters: ShareCounters, probation: bool) -> Self {
        Self {
            counters,
            waiting: VecDeque::with_capacity(WAITING),
            history: 0,
            verdicts: 0,
            reject_run: 0,
            rejects_since: None,
            forgotten_run: 0,
            unanswered_run: 0,
            probation,
            last_reply: None,
            last_accepted_at: None,
        }
    }

    /// The numbers so far.
    pub fn counters(&self) -> &ShareCounters {
        &self.counters
    }

    /// From submit to verdict, the last one.
    pub fn last_reply(&self) -> Option<Duration> {
        self.last_reply
    }

    /// When the last share was accepted.
    pub fn last_accepted_at(&self) -> Option<Instant> {
        self.last_accepted_at
    }

    /// Whether the pool has yet to accept a share after it was distrusted.
    pub fn is_on_probation(&self) -> bool {
        self.probation
    }

    /// When the oldest share without a verdict was sent.
    pub fn oldest_sent_at(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.sent_at)
    }

    /// A share was submitted under this request id. Ids rise.
    pub fn sent(&mut self, request: u64, share: &Share, now: Instant) {
        if self.waiting.len() == WAITING {
            self.unanswered();
        }
        self.counters.submitted += 1;
        self.counters.blocks_submitted += u64::from(share.is_block);
        let difficulty = share.job.share_target.difficulty();
        let is_block = share.is_block;
        self.waiting.push_back(Waiting {
            request,
            sent_at: now,
            difficulty,
            is_block,
            chain: share.chain,
        });
    }

    /// A share was held back: its job is worthless.
    pub fn withheld(&mut self, share: &Share) {
        self.counters.withhold(share.job.share_target.difficulty());
    }

    /// A share was found after its session had ended.
    pub fn is_late(&mut self, share: &Share) {
        self.counters.is_late(share);
    }

    /// The verdict for a request id. False if no share waits under it.
    pub fn verdict(&mut self, id: u64, error: Option<&PoolError>, now: Instant) -> bool {
        let Ok(at) = self
            .waiting
            .binary_search_by_key(&id, |waiting| waiting.request)
        else {
            return false;
        };
        let Some(Waiting {
            sent_at,
            difficulty,
            is_block,
            chain,
            ..
        }) = self.waiting.remove(at)
        else {
            return false;
        };
        self.unanswered_run = 0;
        self.last_reply = Some(now.saturating_duration_since(sent_at));
        self.verdicts = self.verdicts.saturating_add(1);
        self.history = self.history << 1 | u64::from(error.is_some());
        match error {
            None => {
                self.counters.accept(difficulty, is_block);
                self.counters
                    .of_chain(chain, |shares| shares.accept(difficulty, now));
                self.last_accepted_at = Some(now);
                self.probation = false;
                self.reject_run = 0;
                self.rejects_since = None;
                self.forgotten_run = 0;
            }
            Some(error) => {
                let reason = error.reason();
                self.counters.reject(difficulty, reason, error.to_string());
                self.counters
                    .of_chain(chain, |shares| shares.reject(difficulty));
                self.reject_run += 1;
                self.rejects_since.get_or_insert(now);
                let forgotten = matches!(
                    reason,
                    RejectReason::Unauthorized | RejectReason::NotSubscribed
                );
                self.forgotten_run = if forgotten { self.forgotten_run + 1 } else { 0 };
            }
        }
        true
    }

    /// Counts shares as unanswered that were sent at or before `limit`.
    pub fn expire(&mut self, limit: Instant) {
        while self
            .waiting
            .front()
            .is_some_and(|waiting| waiting.sent_at <= limit)
        {
            self.unanswered();
        }
    }

    /// Whether the verdicts so far speak against going on.
    pub fn distrust(&self, now: Instant) -> Option<Distrust> {
        let last = || self.counters.last_reject.clone().unwrap_or_default();
        let (rejects, unanswered) = if self.probation {
            PROBATION_RUNS
        } else {
            (REJECT_RUN, UNANSWERED_RUN)
        };
        let rate_is_bad = self.verdicts >= RATE_WINDOW && self.history.count_ones() >= RATE_LIMIT;
        let (lasting, for_so_long) = LASTING_REJECTS;
        let rejects_last = self.reject_run >= lasting
            && self
                .rejects_since
                .is_some_and(|since| now >= since + for_so_long);
        if self.forgotten_run >= FORGOTTEN_RUN {
            Some(Distrust::Forgotten(last()))
        } else if self.reject_run >= rejects || rejects_last || rate_is_bad {
            Some(Distrust::Rejects(last()))
        } else if self.unanswered_run >= unanswered {
            Some(Distrust::NoAnswers)
        } else {
            None
        }
    }

    /// The session is over: whatever still waits will get no verdict.
    pub fn close(mut self) -> ShareCounters {
        while !self.waiting.is_empty() {
            self.unanswered();
        }
        self.counters
    }

    fn unanswered(&mut self) {
        if let Some(waiting) = self.waiting.pop_front() {
            self.counters.give_up(waiting.difficulty);
            self.unanswered_run += 1;
        }
    }
}
