//! One connection's Stratum v2 conversation as a state machine: plain frames and time go in, plain frames and jobs come
//! out. No I/O.
//!
//! ```text
//! setting up -> opening channels -> running
//!      '--------------'----------------'-----> ended (why)
//! ```

mod deadlines;
mod handshake;

use super::channel::{Channel, Maker};
use super::frame::{Frame, FrameReader, TooLong};
use super::message::{ChannelOpen, Message};
use super::request::{self, Unencodable};
use super::settings::Sv2Settings;
use crate::pool::message::Reconnect;
use crate::pool::reconnect::Conversation;
use crate::pool::redirect::redirect;
use crate::pool::reject::PoolError;
use crate::pool::session::ledger::Ledger;
use crate::pool::session::newest::Newest;
use crate::pool::session::vigil::Vigil;
use crate::pool::session::{Counters, EndReason, Withheld};
use crate::pool::settings::Sv2Channel;
use crate::pool::source::Numbers;
use crate::pool::status::{LineCounters, PoolPhase, PoolStatus};
use crate::pool::url::Host;
use crate::work::version::ROLLABLE_BITS;
use crate::work::{Job, MerkleRoots, SessionId, Share, Target};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Messages of noise, one after another, that end a session.
const NOISE_RUN: u32 = 100;
/// Shares that a pool may collect before its first verdict; the reference implementation collects ten.
const BATCH_GUESS: usize = 32;

/// A Stratum v2 session.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Sv2Settings>,
    maker: Maker,
    lessons: Lessons,
    state: State,
    /// When the present step of the handshake has taken too long.
    step_deadline: Instant,
    reader: FrameReader,
    /// One for all chains, or one for each; those still to be opened are none.
    channels: Vec<Option<Channel>>,
    kind: Sv2Channel,
    /// Easiest target that we take.
    easiest: Target,
    /// How many channels were asked for once more, without a bound on the target.
    asked_again: usize,
    /// Hash rate that the pool was told, and when it was last compared.
    told_rate: f64,
    rate_seen_at: Instant,
    ledger: Ledger,
    /// Of the last share sent.
    sequence: u32,
    lines: LineCounters,
    noise_run: u32,
    vigil: Vigil,
    last_job_at: Option<Instant>,
    out: Vec<u8>,
    newest: Newest,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    SettingUp,
    Opening,
    Running { since: Instant },
    Ended(EndReason),
}

/// What a session should know of its pool from those before it.
#[derive(Clone, Debug, Default)]
pub struct Lessons {
    /// It was left for its verdicts, or their absence, and has accepted nothing since.
    pub probation: bool,
    /// How many shares it has collected for one verdict.
    pub batch: Option<usize>,
    /// It opens no standard channels.
    pub extended_only: bool,
}

impl Session {
    /// Begins a session on a fresh connection; its first frame is at once in the output.
    pub fn new(
        settings: Arc<Sv2Settings>,
        numbers: Arc<Numbers>,
        lessons: Lessons,
        counters: Counters,
        now: Instant,
    ) -> Self {
        let guess = lessons.batch.unwrap_or(BATCH_GUESS);
        let rolls = settings.pool.version_rolling;
        let kind = if lessons.extended_only {
            Sv2Channel::Extended
        } else {
            settings.channel
        };
        let mut session = Self {
            maker: Maker {
                session: numbers.next_session(),
                numbers,
                version_mask: if rolls { ROLLABLE_BITS } else { 0 },
            },
            state: State::SettingUp,
            step_deadline: now + settings.pool.deadlines.subscribe,
            reader: FrameReader::default(),
            channels: Vec::new(),
            kind,
            easiest: settings
                .pool
                .suggest_difficulty
                .map_or(Target::MAX, Target::from_difficulty),
            asked_again: 0,
            told_rate: 0.0,
            rate_seen_at: now,
            ledger: Ledger::new(counters.shares, lessons.probation).with_batch(guess),
            sequence: 0,
            lines: counters.lines,
            noise_run: 0,
            vigil: Vigil::new(settings.pool.deadlines, now),
            last_job_at: None,
            out: Vec::with_capacity(1024),
            newest: Newest::default(),
            lessons,
            settings,
        };
        session.set_up();
        session
    }

    /// Its name.
    pub fn id(&self) -> SessionId {
        self.maker.session
    }

    /// Its open channels.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.channels.iter().flatten()
    }

    /// What the next session should know of the pool, given that this connection is over.
    pub fn lessons(&self) -> Lessons {
        let distrusted = self.ended().is_some_and(EndReason::is_distrust);
        Lessons {
            probation: self.ledger.is_on_probation() || distrusted,
            batch: self.ledger.batch().or(self.lessons.batch),
            extended_only: self.lessons.extended_only,
        }
    }

    /// Ends it, for its counters. Shares without a verdict count as unanswered.
    pub fn close(self) -> Counters {
        Counters {
            shares: self.ledger.close(),
            lines: self.lines,
        }
    }

    /// Takes a frame from the pool.
    fn on_frame(&mut self, frame: Frame<'_>, now: Instant) {
        self.lines.received += 1;
        match Message::parse(frame) {
            Ok(message) => {
                self.noise_run = 0;
                self.vigil.heard(now);
                self.on_message(message, now);
            }
            Err(error) => {
                self.lines.malformed += 1;
                self.noise_run += 1;
                tracing::warn!(pool = %self.settings.pool.url, %error, "message dropped");
                if self.noise_run >= NOISE_RUN {
                    self.end(EndReason::Noise);
                }
            }
        }
    }

    fn on_message(&mut self, message: Message, now: Instant) {
        match message {
            Message::SetupSuccess { version, flags } => self.on_set_up(version, flags, now),
            Message::SetupError(error) => self.end(EndReason::SetupRefused(error)),
            Message::ChannelOpen(open) => self.on_open(open, now),
            Message::OpenError { request, error } => self.on_open_error(request, error, now),
            Message::Job(message) => {
                let addressed = message.channel;
                self.each_channel(
                    addressed,
                    |channel, maker| channel.on_job(message.clone(), maker, now),
                    now,
                );
            }
            Message::NewPreviousHash(message) => {
                self.each_channel(
                    message.channel,
                    |channel, maker| channel.on_new_previous_hash(&message, maker, now).map(Some),
                    now,
                );
            }
            Message::SetTarget { channel, target } => {
                self.addressed(channel)
                    .for_each(|channel| channel.set_target(target));
            }
            Message::SetExtranoncePrefix { channel, prefix } => {
                self.addressed(channel)
                    .for_each(|channel| channel.set_prefix(prefix.clone()));
            }
            Message::SetGroup { group, channels } => {
                for channel in self.channels.iter_mut().flatten() {
                    if channels.contains(&channel.id()) {
                        channel.set_group(group);
                    }
                }
            }
            Message::Accepted {
                channel,
                last,
                count,
            } => {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                if self.ledger.accept_up_to(channel, last.into(), count, now) == 0 {
                    self.lines.unknown += 1;
                }
                self.on_verdict(now);
            }
            Message::Rejected {
                sequence, error, ..
            } => {
                tracing::warn!(pool = %self.settings.pool.url, %error, "share rejected");
                if !self.ledger.verdict(sequence.into(), Some(&error), now) {
                    self.lines.unknown += 1;
                }
                self.on_verdict(now);
            }
            Message::UpdateError(error) => {
                tracing::warn!(pool = %self.settings.pool.url, %error, "the pool does not take our hash rate");
            }
            Message::Closed { channel, reason } => {
                if self.channels().any(|known| known.is_addressed(channel)) {
                    self.end(EndReason::ChannelClosed(reason));
                } else {
                    self.lines.unknown += 1;
                }
            }
            Message::Reconnect { host, port } => self.on_reconnect(&host, port, now),
            Message::Unknown(kind) => {
                self.lines.unknown += 1;
                tracing::debug!(pool = %self.settings.pool.url, kind, "unknown message ignored");
            }
        }
    }

    fn addressed(&mut self, to: u32) -> impl Iterator<Item = &mut Channel> {
        self.channels
            .iter_mut()
            .flatten()
            .filter(move |channel| channel.is_addressed(to))
    }

    /// Gives a message to the channels that it is for, and their jobs to the chains.
    fn each_channel<E: std::fmt::Display>(
        &mut self,
        to: u32,
        mut give: impl FnMut(&mut Channel, &Maker) -> Result<Option<Arc<Job>>, E>,
        now: Instant,
    ) {
        let (mut known, mut failed) = (false, false);
        let mut newest = None;
        let addressed = |channel: &&mut Channel| channel.is_addressed(to);
        for channel in self.channels.iter_mut().flatten().filter(addressed) {
            known = true;
            match give(channel, &self.maker) {
                Ok(job) => newest = job.or(newest),
                Err(error) => {
                    failed = true;
                    self.lines.bad_parameters += 1;
                    tracing::warn!(pool = %self.settings.pool.url, %error, "message dropped");
                }
            }
        }
        if failed {
            // A block that was told of without a job for it makes worthless what no chain has seen yet.
            let channels = &self.channels;
            self.newest.keep_if(|job| is_live(job, channels));
        }
        self.lines.unknown += u64::from(!known);
        if let Some(job) = newest {
            self.last_job_at = Some(now);
            self.vigil.job_came(now);
            self.give_out(job);
        }
    }

    /// Gives the newest job to the chains, with what the other chains work on.
    fn give_out(&mut self, job: Arc<Job>) {
        if self.running_since().is_none() {
            return;
        }
        let job = match self.kind {
            Sv2Channel::Extended => job,
            Sv2Channel::Standard => self.for_each_chain(&job),
        };
        self.newest.put(job);
    }

    /// One job out of those of all channels. A channel that has not heard of the newest block yet has none.
    fn for_each_chain(&self, newest: &Job) -> Arc<Job> {
        let current = |channel: &Option<Channel>| {
            let job = channel.as_ref()?.current()?;
            (job.previous_hash == newest.previous_hash).then(|| Arc::clone(job))
        };
        Arc::new(Job {
            sequence: self.maker.numbers.next_job(),
            roots: MerkleRoots::EachChain(self.channels.iter().map(current).collect()),
            ..newest.clone()
        })
    }

    fn on_verdict(&mut self, now: Instant) {
        let distrust = self.ledger.distrust(now).map(EndReason::from);
        let over = distrust.or_else(|| self.vigil.no_more_verdicts(&self.ledger));
        self.end_if(over);
    }

    fn on_reconnect(&mut self, host: &str, port: u16, now: Instant) {
        let parsed = (!host.is_empty()).then(|| Host::parse(host)).transpose();
        let reconnect = parsed.ok().map(|host| Reconnect {
            host,
            port: (port != 0).then_some(port),
            wait: Duration::ZERO,
        });
        let url = reconnect.and_then(|reconnect| redirect(&self.settings.pool.url, &reconnect));
        let Some(url) = url else {
            self.lines.bad_parameters += 1;
            tracing::warn!(pool = %self.settings.pool.url, host, port, "Reconnect to another domain refused");
            return;
        };
        let end = EndReason::Reconnect {
            url,
            wait: Duration::ZERO,
        };
        let over = self.vigil.farewell(end, &self.ledger, now);
        self.end_if(over);
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

/// Whether shares of this job, or of that of some chain, still count on these channels.
fn is_live(job: &Job, channels: &[Option<Channel>]) -> bool {
    match &job.roots {
        MerkleRoots::EachChain(jobs) => jobs.iter().flatten().any(|job| is_live(job, channels)),
        MerkleRoots::Coinbase | MerkleRoots::Fixed(_) => channels
            .iter()
            .flatten()
            .any(|channel| channel.is_live(job.sequence)),
    }
}

impl Conversation for Session {
    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn on_bytes(&mut self, bytes: &[u8], now: Instant) {
        let mut reader = std::mem::take(&mut self.reader);
        reader.push(bytes);
        while self.ended().is_none() {
            match reader.next_frame() {
                Ok(Some(frame)) => self.on_frame(frame, now),
                Ok(None) => break,
                Err(TooLong(length)) => self.end(EndReason::FrameTooLong(length)),
            }
        }
        self.reader = reader;
    }

    /// Half a frame says nothing.
    fn on_closed(&mut self, _: Instant) {}

    fn next_job(&mut self) -> Option<Arc<Job>> {
        self.newest.take()
    }

    fn ended(&self) -> Option<&EndReason> {
        match &self.state {
            State::Ended(reason) => Some(reason),
            _ => None,
        }
    }

    fn set_at_work(&mut self, at_work: bool, now: Instant) {
        self.vigil.set_at_work(at_work, now);
    }

    fn running_since(&self) -> Option<Instant> {
        match self.state {
            State::Running { since } => Some(since),
            _ => None,
        }
    }

    fn next_deadline(&self) -> Instant {
        self.deadline()
    }

    fn on_timer(&mut self, now: Instant) {
        self.look_for_overdue(now);
    }

    fn submit(&mut self, share: &Share, now: Instant) -> Result<(), Withheld> {
        if share.job.session != self.id() || self.running_since().is_none() {
            return Err(Withheld::OtherSession);
        }
        let at = match self.kind {
            Sv2Channel::Extended => 0,
            Sv2Channel::Standard => usize::from(share.chain.0),
        };
        let channel = self.channels.get(at).and_then(Option::as_ref);
        let job = share.job.id.0.parse::<u32>().ok();
        let (Some(channel), Some(job)) = (channel, job) else {
            return Err(Withheld::OtherSession);
        };
        // A block is worth a reject.
        if !(share.is_block || channel.is_live(share.job.sequence)) {
            self.ledger.withheld(share);
            return Err(Withheld::Stale);
        }
        let (lane, sequence) = (channel.id(), self.sequence.wrapping_add(1));
        if request::submit(&mut self.out, lane, sequence, job, share).is_err() {
            self.end(EndReason::Unencodable("SubmitShares"));
            return Err(Withheld::OtherSession);
        }
        self.sequence = sequence;
        self.ledger.sent_in(lane, sequence.into(), share, now);
        Ok(())
    }

    fn share_is_late(&mut self, share: &Share) {
        self.ledger.is_late(share);
    }

    fn describe(&self, status: &mut PoolStatus) {
        let channel = self.channels().next();
        let job = channel.and_then(Channel::current);
        let running = self.running_since();
        status.phase = match (running, job) {
            (Some(_), Some(_)) => PoolPhase::Ready,
            (Some(_), None) => PoolPhase::WaitingForJob,
            _ => PoolPhase::Handshake,
        };
        status.session = Some(self.id().0);
        status.ready_since = running.filter(|_| job.is_some());
        status.difficulty = job.map(|job| job.share_target.difficulty());
        status.job_id = job.map(|job| job.id.0.to_string());
        status.version_mask = job.map(|job| job.version_mask);
        status.extranonce2_size = channel.and_then(|channel| channel.extranonce().1);
        status.last_job_at = self.last_job_at.or(status.last_job_at);
        self.ledger.describe(status);
        status.lines.clone_from(&self.lines);
    }
}

#[cfg(test)]
mod tests;
