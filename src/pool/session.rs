//! One connection's Stratum v1 conversation as a state machine: lines and time go in, lines and
//! jobs come out. No I/O.
//!
//! ```text
//! configuring -> subscribing -> authorizing -> running
//!      '-------------'--------------'------------'-----> ended (why)
//! ```
//!
//! Pools send `set_difficulty` and `notify` before the answers that they belong behind; all of it
//! is taken at any time, and jobs are given out from `running` on.

mod end;
mod handshake;
pub mod jobs;
pub mod ledger;
mod manners;
pub mod newest;
mod subscription;
pub mod vigil;

use super::discretion::discreet;
use super::message::{Extranonce, Message, Reconnect, Reply};
use super::redirect::redirect;
use super::reject::PoolError;
use super::request::{self, USER_AGENT};
use super::settings::StratumSettings;
use super::source::Numbers;
use super::status::{LineCounters, PoolPhase, PoolStatus, ShareCounters};
use crate::work::version::ROLLABLE_BITS;
use crate::work::{Job, SessionId, Share};
pub use end::{EndReason, Withheld};
use jobs::JobMaker;
use ledger::Ledger;
pub use manners::Manners;
use newest::Newest;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::Instant;
use vigil::Vigil;

/// A Stratum v1 session.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    settings: Arc<StratumSettings>,
    numbers: Arc<Numbers>,
    manners: Manners,
    /// The user as a JSON text, quotes included.
    user: Box<str>,
    state: State,
    /// When the present step of the handshake has taken too long.
    step_deadline: Instant,
    requests: Vec<(u64, Asked)>,
    jobs: JobMaker,
    ledger: Ledger,
    lines: LineCounters,
    noise_run: u32,
    resumable: Option<String>,
    message: Option<String>,
    vigil: Vigil,
    last_job_at: Option<Instant>,
    jobs_made: u64,
    out: Vec<u8>,
    newest: Newest,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Configuring,
    Subscribing,
    Authorizing,
    Running { since: Instant },
    Ended(EndReason),
}

/// Requests other than submits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Configure,
    Subscribe,
    Authorize,
    SuggestDifficulty,
    ExtranonceSubscribe,
}

/// Counters that live longer than a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Shares.
    pub shares: ShareCounters,
    /// Lines.
    pub lines: LineCounters,
}

impl Session {
    /// Begins a session on a fresh connection; its first line is at once in [`Self::output`].
    pub fn new(
        settings: Arc<StratumSettings>,
        numbers: Arc<Numbers>,
        manners: Manners,
        counters: Counters,
        now: Instant,
    ) -> Self {
        let id = numbers.next_session();
        let probation = manners.probation;
        let user = serde_json::Value::from(settings.user.as_str())
            .to_string()
            .into();
        let mut session = Self {
            id,
            jobs: JobMaker::new(id, Arc::clone(&numbers)),
            numbers,
            manners,
            user,
            state: State::Configuring,
            step_deadline: now,
            requests: Vec::with_capacity(5),
            ledger: Ledger::new(counters.shares, probation),
            lines: counters.lines,
            noise_run: 0,
            resumable: None,
            message: None,
            vigil: Vigil::new(settings.deadlines, now),
            last_job_at: None,
            jobs_made: 0,
            out: Vec::with_capacity(1024),
            newest: Newest::default(),
            settings,
        };
        if session.asks_for_version_rolling() {
            session.configure(now);
        } else {
            session.subscribe(now);
        }
        session
    }

    /// Its name.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Bytes for the pool. The caller sends and clears them.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The next new job to work on.
    pub fn next_job(&mut self) -> Option<Arc<Job>> {
        self.newest.take()
    }

    /// Why it is over, if it is.
    pub fn ended(&self) -> Option<&EndReason> {
        match &self.state {
            State::Ended(reason) => Some(reason),
            _ => None,
        }
    }

    /// Since when it has been through the handshake, if it is.
    pub fn running_since(&self) -> Option<Instant> {
        match self.state {
            State::Running { since } => Some(since),
            _ => None,
        }
    }

    /// The extranonce for its next job.
    pub fn extranonce(&self) -> Option<&Extranonce> {
        self.jobs.extranonce()
    }

    /// When [`Self::on_timer`] wants to be called next.
    pub fn next_deadline(&self) -> Instant {
        let step = match self.state {
            State::Running { .. } => None,
            _ => Some(self.step_deadline),
        };
        self.vigil.next_deadline(step, &self.ledger)
    }

    /// Whether the chains work for the pool from now on; it is so from the start.
    pub fn set_at_work(&mut self, at_work: bool, now: Instant) {
        self.vigil.set_at_work(at_work, now);
    }

    /// Takes a line from the pool.
    pub fn on_line(&mut self, line: &[u8], now: Instant) {
        if self.ended().is_some() {
            return;
        }
        self.lines.received += 1;
        match Message::parse(line) {
            Ok(message) => {
                self.noise_run = 0;
                self.vigil.heard(now);
                self.on_message(message, now);
            }
            Err(error) if error.is_bad_parameters() => {
                self.noise_run = 0;
                self.vigil.heard(now);
                self.lines.bad_parameters += 1;
                let error = self.discreet(&error.to_string());
                tracing::warn!(pool = %self.settings.url, error, "line dropped");
            }
            Err(error) => {
                self.lines.malformed += 1;
                self.noise_run += 1;
                let error = self.discreet(&error.to_string());
                tracing::debug!(pool = %self.settings.url, error, "line dropped");
                if self.noise_run >= end::NOISE_RUN {
                    self.end(EndReason::Noise);
                }
            }
        }
    }

    /// Counts lines that the reader skipped for their length.
    pub fn on_over_long(&mut self, lines: u64) {
        self.lines.received += lines;
        self.lines.over_long += lines;
    }

    /// Looks whether something is overdue.
    pub fn on_timer(&mut self, now: Instant) {
        match self.state {
            State::Ended(_) => return,
            State::Configuring if now >= self.step_deadline => {
                tracing::info!(pool = %self.settings.url, "no answer to mining.configure: going on without version rolling");
                self.subscribe(now);
            }
            State::Subscribing if now >= self.step_deadline => {
                return self.end(EndReason::Unanswered("mining.subscribe"));
            }
            State::Authorizing if now >= self.step_deadline => {
                // A pool that sends jobs may never answer; its verdicts on shares will tell.
                if self.jobs.current().is_none() {
                    return self.end(EndReason::Unanswered("mining.authorize"));
                }
                self.run(now);
            }
            _ => {}
        }
        let overdue = self.vigil.overdue(&mut self.ledger, now);
        self.end_if(overdue);
    }

    /// The pool has closed the connection, or reset it. If it had asked for a new one, that is why.
    pub fn on_closed(&mut self) {
        let reason = self.vigil.closed();
        self.end_if(reason);
    }

    /// Appends the submit line of a share to the output, if its job still counts.
    pub fn submit(&mut self, share: &Share, now: Instant) -> Result<(), Withheld> {
        if share.job.session != self.id || self.running_since().is_none() {
            return Err(Withheld::OtherSession);
        }
        let mask = self.jobs.mask();
        // A block is worth a reject. The mask may have shrunk since the job was made.
        let is_live = share.is_block || self.jobs.is_live(share.job.sequence, &share.hash);
        if !is_live || share.version_bits & !mask.unwrap_or(0) != 0 {
            self.ledger.withheld(share);
            return Err(Withheld::Stale);
        }
        let version = share.job.version | share.version_bits;
        let id = self.numbers.next_request();
        request::submit(
            &mut self.out,
            id,
            &self.user,
            share,
            mask.map(|mask| version & mask),
        );
        tracing::debug!(
            session = self.id.0,
            job = share.job.sequence,
            nonce = format_args!("{:08x}", share.nonce),
            request = id,
            "share sent"
        );
        self.ledger.sent(id, share, now);
        Ok(())
    }

    /// Counts a share whose session is over, and which is therefore sent nowhere.
    pub fn share_is_late(&mut self, share: &Share) {
        self.ledger.is_late(share);
    }

    /// Ends it, for its counters. Shares without a verdict count as unanswered.
    pub fn close(self) -> Counters {
        Counters {
            shares: self.ledger.close(),
            lines: self.lines,
        }
    }

    /// Writes what it knows into the pool's status.
    pub fn describe(&self, status: &mut PoolStatus) {
        let job = self.jobs.current();
        let running = self.running_since();
        status.phase = match (&self.state, job) {
            (State::Running { .. }, Some(_)) => PoolPhase::Ready,
            (State::Running { .. }, None) => PoolPhase::WaitingForJob,
            _ => PoolPhase::Handshake,
        };
        status.session = Some(self.id.0);
        status.ready_since = running.filter(|_| job.is_some());
        status.difficulty = job.map(|job| job.share_target.difficulty());
        status.job_id = job.map(|job| job.id.0.to_string());
        status.version_mask = running.map(|_| self.jobs.mask().unwrap_or(0));
        status.extranonce2_size = self.jobs.extranonce().map(|nonce| nonce.extranonce2_size);
        status.last_job_at = self.last_job_at.or(status.last_job_at);
        self.ledger.describe(status);
        if let Some(message) = &self.message {
            status.message = Some(message.clone());
        }
        status.lines.clone_from(&self.lines);
    }

    fn on_message(&mut self, message: Message, now: Instant) {
        match message {
            Message::Notify(template) => {
                self.last_job_at = Some(now);
                self.vigil.job_came(now);
                let job = self.jobs.notify(template, now);
                self.give_out(job);
            }
            Message::SetDifficulty(difficulty) => {
                let job = self.jobs.set_difficulty(difficulty, now);
                self.give_out(job);
            }
            Message::SetTarget(target) => {
                let job = self.jobs.set_target(target, now);
                self.give_out(job);
            }
            Message::SetExtranonce(extranonce) => self.jobs.set_extranonce(extranonce),
            Message::SetVersionMask(mask) => self.set_mask(mask, now),
            Message::ShowMessage(text) => {
                let text = self.discreet(&text);
                tracing::info!(pool = %self.settings.url, "the pool says: {text}");
                self.message = Some(text);
            }
            Message::GetVersion(id) => request::answer(&mut self.out, &id, USER_AGENT),
            Message::Ping(id) => request::answer(&mut self.out, &id, "pong"),
            Message::Reconnect(reconnect) => self.on_reconnect(&reconnect, now),
            Message::UnknownMethod(method) => {
                self.lines.unknown += 1;
                let method = self.discreet(&method);
                tracing::debug!(pool = %self.settings.url, method, "unknown method ignored");
            }
            Message::Reply(reply) => self.on_reply(reply, now),
        }
    }

    fn on_reply(&mut self, mut reply: Reply, now: Instant) {
        if let Some(error) = &mut reply.error {
            error.text = self.discreet(&error.text);
        }
        if let Some(at) = self.requests.iter().position(|(id, _)| *id == reply.id) {
            match self.requests.swap_remove(at).1 {
                Asked::Configure => self.on_configured(&reply, now),
                Asked::Subscribe => self.on_subscribed(reply, now),
                Asked::Authorize => self.on_authorized(reply, now),
                // Optional: nothing hangs on the answer.
                Asked::SuggestDifficulty | Asked::ExtranonceSubscribe => {}
            }
            return;
        }
        let refusal = match (reply.error, &reply.result) {
            (Some(error), _) => Some(error),
            // A bare null or false is a reject without a reason.
            (None, Value::Null | Value::Bool(false)) => Some(PoolError::from_text("")),
            (None, _) => None,
        };
        if !self.ledger.verdict(reply.id, refusal.as_ref(), now) {
            self.lines.unknown += 1;
            return;
        }
        let (session, request) = (self.id.0, reply.id);
        if let Some(error) = refusal {
            tracing::warn!(pool = %self.settings.url, session, request, %error, "share rejected");
        } else {
            tracing::debug!(session, request, "share accepted");
        }
        let distrust = self.ledger.distrust(now).map(EndReason::from);
        let over = distrust.or_else(|| self.vigil.no_more_verdicts(&self.ledger));
        self.end_if(over);
    }

    fn discreet(&self, words: &str) -> String {
        discreet(words, &self.settings.password)
    }

    fn on_reconnect(&mut self, reconnect: &Reconnect, now: Instant) {
        let Some(url) = redirect(&self.settings.url, reconnect) else {
            self.lines.bad_parameters += 1;
            tracing::warn!(
                pool = %self.settings.url, ?reconnect,
                "client.reconnect to another domain refused"
            );
            return;
        };
        let end = EndReason::Reconnect {
            url,
            wait: reconnect.wait,
        };
        let over = self.vigil.farewell(end, &self.ledger, now);
        self.end_if(over);
    }

    fn ask(&mut self, asked: Asked, method: &str, params: &Value) {
        let id = self.numbers.next_request();
        request::request(&mut self.out, id, method, params);
        self.requests.push((id, asked));
    }

    fn set_mask(&mut self, mask: u32, now: Instant) {
        if !self.asks_for_version_rolling() {
            return;
        }
        let job = self.jobs.set_mask(mask & ROLLABLE_BITS, now);
        self.give_out(job);
    }

    fn give_out(&mut self, job: Option<Arc<Job>>) {
        let Some(job) = job.filter(|_| self.running_since().is_some()) else {
            return;
        };
        self.jobs_made += 1;
        self.newest.put(job);
    }

    fn end_if(&mut self, reason: Option<EndReason>) {
        if let Some(reason) = reason {
            self.end(reason);
        }
    }

    fn end(&mut self, reason: EndReason) {
        self.newest = Newest::default();
        self.state = State::Ended(reason);
    }
}

#[cfg(test)]
mod tests;
