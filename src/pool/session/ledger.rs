//! Shares of one session between submit and verdict, and what the verdicts say about the pool.

use crate::pool::reject::{PoolError, RejectReason};
use crate::pool::status::{PoolStatus, ShareCounters};
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
/// Lanes that are kept apart: channels, of which there is one a chain at most.
const MOST_LANES: usize = 16;
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
    /// Shares of a lane that the pool may collect before it gives a verdict.
    batch: usize,
    /// The pool has not shown yet how many it collects.
    batch_is_guess: bool,
    last_reply: Option<Duration>,
    last_accepted_at: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    /// Shares of one lane are answered in the order in which they were sent: a channel of Stratum v2.
    lane: u32,
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
            batch: 1,
            batch_is_guess: false,
            last_reply: None,
            last_accepted_at: None,
        }
    }

    /// The numbers so far.
    pub fn counters(&self) -> &ShareCounters {
        &self.counters
    }

    /// Writes what it knows into the pool's status.
    pub fn describe(&self, status: &mut PoolStatus) {
        status.last_accepted_at = self.last_accepted_at.or(status.last_accepted_at);
        let reply = self.last_reply.map(|reply| reply.as_secs_f64() * 1000.0);
        status.reply_ms = reply.or(status.reply_ms);
        status.shares.clone_from(&self.counters);
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

    /// A ledger for a pool that may collect this many shares before it gives a verdict, until it shows how many it does.
    #[must_use]
    pub fn with_batch(self, guess: usize) -> Self {
        Self {
            batch: guess.clamp(1, WAITING / 2),
            batch_is_guess: true,
            ..self
        }
    }

    /// How many shares the pool has collected at most; none while it has shown nothing.
    pub fn batch(&self) -> Option<usize> {
        (!self.batch_is_guess).then_some(self.batch)
    }

    /// When the oldest share without a verdict was sent.
    pub fn oldest_sent_at(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.sent_at)
    }

    /// When the verdict on some share began to be due: when it was sent, or whatever share after it fills a batch.
    pub fn due_since(&self) -> Option<Instant> {
        self.full_batch().map(|(_, filled_at)| filled_at)
    }

    /// The lane whose oldest shares have waited longest as a full batch, and since when.
    fn full_batch(&self) -> Option<(u32, Instant)> {
        if self.batch == 1 {
            return self
                .waiting
                .front()
                .map(|oldest| (oldest.lane, oldest.sent_at));
        }
        let mut lanes: heapless::Vec<(u32, usize), MOST_LANES> = heapless::Vec::new();
        self.waiting.iter().find_map(|waiting| {
            let known = lanes.iter_mut().find(|(lane, _)| *lane == waiting.lane);
            let count = match known {
                Some((_, count)) => {
                    *count += 1;
                    *count
                }
                None => lanes.push((waiting.lane, 1)).map_or(0, |()| 1),
            };
            (count == self.batch).then_some((waiting.lane, waiting.sent_at))
        })
    }

    /// A share was submitted under this request id. Ids rise.
    pub fn sent(&mut self, request: u64, share: &Share, now: Instant) {
        self.sent_in(0, request, share, now);
    }

    /// The same, in a lane of its own.
    pub fn sent_in(&mut self, lane: u32, request: u64, share: &Share, now: Instant) {
        if self.waiting.len() == WAITING {
            self.unanswered();
        }
        self.counters.submitted += 1;
        self.counters.blocks_submitted += u64::from(share.is_block);
        let difficulty = share.job.share_target.difficulty();
        let is_block = share.is_block;
        self.waiting.push_back(Waiting {
            lane,
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
        let Some(waiting) = self.waiting.remove(at) else {
            return false;
        };
        self.settle(&waiting, error, now);
        true
    }

    /// The verdict "accepted" for `count` shares of a lane up to this one, which is one of them; the oldest of them if
    /// more wait than that, for a reject of the others may be on its way. Says how many shares it was for.
    pub fn accept_up_to(&mut self, lane: u32, last: u64, count: usize, now: Instant) -> usize {
        let mut left = count.max(1);
        let is_last = |waiting: &Waiting| waiting.lane == lane && waiting.request == last;
        if self.waiting.iter().any(is_last) {
            left -= 1;
        }
        let mut accepted = 0;
        let mut at = 0;
        while let Some(waiting) = self
            .waiting
            .get(at)
            .filter(|waiting| waiting.request <= last)
        {
            let counts = waiting.lane == lane && (waiting.request == last || left > 0);
            if !counts {
                at += 1;
                continue;
            }
            left -= usize::from(waiting.request != last);
            if let Some(waiting) = self.waiting.remove(at) {
                self.settle(&waiting, None, now);
                accepted += 1;
            }
        }
        if accepted > 0 {
            // Whoever has collected so many may do it again.
            let known = self.batch().unwrap_or(1);
            self.batch = known.max(accepted.min(WAITING / 2));
            self.batch_is_guess = false;
        }
        accepted
    }

    fn settle(&mut self, waiting: &Waiting, error: Option<&PoolError>, now: Instant) {
        let Waiting {
            sent_at,
            difficulty,
            is_block,
            chain,
            ..
        } = *waiting;
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
    }

    /// Counts shares as unanswered whose verdict has been due since `limit` or longer.
    pub fn expire(&mut self, limit: Instant) {
        while let Some((lane, _)) = self
            .full_batch()
            .filter(|(_, filled_at)| *filled_at <= limit)
        {
            for _ in 0..self.batch {
                let oldest = self.waiting.iter().position(|waiting| waiting.lane == lane);
                let Some(waiting) = oldest.and_then(|at| self.waiting.remove(at)) else {
                    break;
                };
                self.counters.give_up(waiting.difficulty);
                self.unanswered_run += 1;
            }
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
