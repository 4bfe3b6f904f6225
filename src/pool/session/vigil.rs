//! What a session waits for, whatever the pool speaks: a sign of life, jobs, verdicts, the end of a farewell.
//!
//! A pool that is not worked for may have nothing to say: nobody sends it shares, and its block stays the same. Only the
//! time during which it was worked for counts against it, and beyond that an hour in all, for TCP itself looks whether the
//! other end lives.

use super::EndReason;
use super::ledger::{Distrust, Ledger};
use crate::pool::settings::Deadlines;
use std::time::Duration;
use tokio::time::Instant;

/// How long answers to shares are waited for after the pool has asked for a new connection.
pub const FAREWELL: Duration = Duration::from_secs(2);

/// The waits of one session.
#[derive(Debug)]
pub struct Vigil {
    deadlines: Deadlines,
    /// Since when the pool has been worked for.
    at_work: Option<Instant>,
    running_since: Option<Instant>,
    life: Wait,
    job: Option<Wait>,
    /// The pool has asked for a new connection; this is when we go.
    farewell: Option<(Instant, EndReason)>,
}

/// The wait for the next thing of its kind.
#[derive(Clone, Copy, Debug)]
struct Wait {
    /// When the last one came.
    since: Instant,
    /// How long the pool was worked for since then, this time aside.
    worked: Duration,
}

impl Wait {
    fn from(now: Instant) -> Self {
        Self {
            since: now,
            worked: Duration::ZERO,
        }
    }

    fn deadline(&self, at_work: Option<Instant>, limit: Duration, idle: Duration) -> Instant {
        let at_last = self.since + idle.max(limit);
        at_work.map_or(at_last, |began| {
            let rest = limit.saturating_sub(self.worked);
            at_last.min(began.max(self.since) + rest)
        })
    }

    fn pause(&mut self, began: Instant, now: Instant) {
        self.worked += now.saturating_duration_since(began.max(self.since));
    }
}

impl Vigil {
    /// Of a session that begins, and that is worked for until something else is said.
    pub fn new(deadlines: Deadlines, now: Instant) -> Self {
        Self {
            deadlines,
            at_work: Some(now),
            running_since: None,
            life: Wait::from(now),
            job: None,
            farewell: None,
        }
    }

    /// Whether the pool is worked for from now on.
    pub fn set_at_work(&mut self, at_work: bool, now: Instant) {
        match (self.at_work, at_work) {
            (None, true) => self.at_work = Some(now),
            (Some(began), false) => {
                self.life.pause(began, now);
                if let Some(job) = &mut self.job {
                    job.pause(began, now);
                }
                self.at_work = None;
            }
            _ => {}
        }
    }

    /// The handshake is done.
    pub fn running(&mut self, now: Instant) {
        self.running_since = Some(now);
        self.job = self.job.map(|_| Wait::from(now));
    }

    /// Something came that a pool says.
    pub fn heard(&mut self, now: Instant) {
        self.life = Wait::from(now);
    }

    /// When that was.
    pub fn heard_at(&self) -> Instant {
        self.life.since
    }

    /// A job came.
    pub fn job_came(&mut self, now: Instant) {
        self.job = Some(Wait::from(now));
    }

    /// The pool wants to be left, which is done when no verdict is waited for, or in a moment. Gives the reason at once if
    /// nothing is waited for.
    pub fn farewell(
        &mut self,
        reason: EndReason,
        ledger: &Ledger,
        now: Instant,
    ) -> Option<EndReason> {
        self.farewell.get_or_insert((now + FAREWELL, reason));
        self.no_more_verdicts(ledger)
    }

    /// Why the session is over now, if nothing but verdicts was waited for and none is any more.
    pub fn no_more_verdicts(&mut self, ledger: &Ledger) -> Option<EndReason> {
        let all_answered = ledger.oldest_sent_at().is_none();
        let farewell = self.farewell.take_if(|_| all_answered);
        farewell.map(|(_, reason)| reason)
    }

    /// The connection is closed: why, if the pool had wanted to be left.
    pub fn closed(&mut self) -> Option<EndReason> {
        self.farewell.take().map(|(_, reason)| reason)
    }

    /// When something is overdue next, beside the present `step` of the handshake.
    pub fn next_deadline(&self, step: Option<Instant>, ledger: &Ledger) -> Instant {
        let reply = ledger.due_since();
        let reply = reply.map(|at| at + self.deadlines.submit_reply);
        let farewell = self.farewell.as_ref().map(|(at, _)| *at);
        let job = self.job_deadline().map(|(at, _)| at);
        [step, job, reply, farewell]
            .into_iter()
            .flatten()
            .fold(self.life_deadline(), Instant::min)
    }

    /// Why the session is over, if something has not come in time.
    pub fn overdue(&mut self, ledger: &mut Ledger, now: Instant) -> Option<EndReason> {
        if let Some((_, reason)) = self.job_deadline().filter(|(at, _)| now >= *at) {
            return Some(reason);
        }
        let limit = self.deadlines.submit_reply;
        if let Some(since) = ledger.due_since().filter(|since| now >= *since + limit) {
            // Not a word since that share went out: the connection is dead, whatever TCP thinks.
            if self.heard_at() <= since {
                return Some(EndReason::SharesUnanswered);
            }
            if let Some(limit) = now.checked_sub(limit) {
                ledger.expire(limit);
            }
            if let Some(distrust) = ledger.distrust(now) {
                return Some(distrust.into());
            }
        }
        let farewell = self.farewell.take_if(|(at, _)| now >= *at);
        let silent = now >= self.life_deadline();
        farewell
            .map(|(_, reason)| reason)
            .or(silent.then_some(EndReason::Silent))
    }

    fn life_deadline(&self) -> Instant {
        let Deadlines { silence, idle, .. } = self.deadlines;
        self.life.deadline(self.at_work, silence, idle)
    }

    fn job_deadline(&self) -> Option<(Instant, EndReason)> {
        let since = self.running_since?;
        let Deadlines { next_job, idle, .. } = self.deadlines;
        Some(match &self.job {
            Some(job) => {
                let deadline = job.deadline(self.at_work, next_job, idle);
                (deadline, EndReason::NoNextJob)
            }
            None => (since + self.deadlines.first_job, EndReason::NoFirstJob),
        })
    }
}

impl From<Distrust> for EndReason {
    fn from(distrust: Distrust) -> Self {
        match distrust {
            Distrust::NoAnswers => Self::SharesUnanswered,
            Distrust::Rejects(last) => Self::SharesRejected(last),
            Distrust::Forgotten(last) => Self::Forgotten(last),
        }
    }
}
