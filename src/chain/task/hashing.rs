//! A chain at work, or ready for it.

use super::symptoms::Symptoms;
use super::tally::worth;
use super::{ChainTask, End, set_frequency};
use crate::chain::bringup::{self, Action, Step};
use crate::chain::command::ChainCommand;
use crate::chain::error::{ChainError, StepError};
use crate::chain::frame::encode::{FULL_HEADER_LENGTH, MOST_MIDSTATES, midstate_frame_bytes};
use crate::chain::frame::{
    Command, FULL_HEADER_FRAME_BYTES, FrameBuffer, NonceReply, Reply, Target, full_header_job,
    midstate_job,
};
use crate::chain::hcn::job_timeout;
use crate::chain::model::JobFormat;
use crate::chain::registers::{HashCountingNumber, Register, VersionRolling};
use crate::chain::status::ChainPhase;
use crate::flight;
use crate::work::{ChipNonce, Job, NoWork, Verdict, Work};
use cgminer_hal::units::Megahertz;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, trace, warn};

/// Work is replaced at least so often, for the sake of a recent block time.
const LONGEST_WORK: Duration = Duration::from_secs(30);
/// Tokio's clock wakes by the millisecond, which is longer than work lasts where a pool lets few version bits be rolled. What was due
/// in the meantime follows at once, one unit behind the other; what is older than this is let go.
const CATCH_UP: Duration = Duration::from_millis(2);

/// How far the chips are.
///
/// ```text
/// prepared -- first job sent --> opening -- all steps done --> sweeping <-> halted
///    ^                              |
///    +------- job taken away -------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chips {
    /// Set up; the sweep's deadline has not been written.
    Prepared,
    /// The first job is out, what must follow it is on its way.
    Opening,
    /// At work.
    Sweeping,
    /// Without work: where the model has a sweep deadline, it is 0.
    Halted,
}

pub(super) struct Hashing<'a> {
    task: &'a mut ChainTask,
    chips: Chips,
    /// Writes on their way, paced.
    steps: VecDeque<Step>,
    next_step: Instant,
    next_work: Option<Instant>,
    next_error_read: Instant,
    next_status: Instant,
    last_good: Instant,
    /// Frequency last written.
    frequency: Megahertz,
    /// The settings' frequency has changed and no steps lead there yet.
    frequency_is_due: bool,
    /// Sweep deadline last written, or to be.
    number: HashCountingNumber,
    /// Version mask last written.
    rolling: VersionRolling,
    interval: Duration,
    jobs_are_open: bool,
    shares_lost_told: u64,
    symptoms: Symptoms,
}

impl<'a> Hashing<'a> {
    /// A chain that was just brought up to `frequency`.
    pub(super) fn new(task: &'a mut ChainTask, frequency: Megahertz) -> Self {
        let now = Instant::now();
        let deadlines = &task.settings.deadlines;
        let next_error_read = now + deadlines.error_counters;
        let next_status = now + deadlines.status;
        let frequency_is_due = task.settings.frequency != frequency;
        Self {
            shares_lost_told: task.tally.counters.shares_lost,
            symptoms: Symptoms::new(task.tally.counters, task.tally.chips(), now),
            task,
            chips: Chips::Prepared,
            steps: VecDeque::new(),
            next_step: now,
            next_work: None,
            next_error_read,
            next_status,
            last_good: now,
            frequency,
            frequency_is_due,
            number: HashCountingNumber::HALT,
            rolling: VersionRolling::FULL,
            interval: LONGEST_WORK,
            jobs_are_open: true,
        }
    }

    pub(super) async fn run(mut self) -> End {
        match self.work().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn work(&mut self) -> Result<std::convert::Infallible, End> {
        self.number = bringup::hash_counting_number(&self.task.settings, self.frequency)?;
        self.take_job().await?;
        loop {
            self.act(Instant::now()).await?;
            let wake = self.next_wake();
            tokio::select! {
                biased;
                changed = self.task.jobs.changed(), if self.jobs_are_open => {
                    if changed.is_err() {
                        self.jobs_are_open = false;
                        self.halt("nothing gives jobs any more").await?;
                    } else {
                        self.take_job().await?;
                    }
                }
                command = self.task.commands.recv() => self.obey(command)?,
                () = sleep_until(wake) => {}
                received = self.task.serial.receive() => {
                    received.map_err(|cause| ChainError::Line { doing: "reading replies", cause })?;
                    self.take_replies();
                }
            }
        }
    }

    fn obey(&mut self, command: Option<ChainCommand>) -> Result<(), End> {
        match command {
            None | Some(ChainCommand::Stop) => Err(End::Stop),
            Some(ChainCommand::Restart { reason }) => Err(End::Restart(reason)),
            Some(ChainCommand::SetFrequency { frequency, reply }) => {
                let task = &mut *self.task;
                let allowed = set_frequency(&mut task.settings, &task.status, frequency);
                self.frequency_is_due |= allowed.is_ok();
                // Whoever asked may have gone.
                let _ = reply.send(allowed);
                Ok(())
            }
        }
    }

    /// When something is to be done at the latest.
    fn next_wake(&self) -> Instant {
        let mut wake = self.next_error_read.min(self.next_status);
        if let Some(next_work) = self.next_work {
            wake = wake.min(next_work);
        }
        if !self.steps.is_empty() {
            wake = wake.min(self.next_step);
        }
        wake
    }

    /// Does what is due.
    async fn act(&mut self, now: Instant) -> Result<(), End> {
        if self.frequency_is_due && self.chips != Chips::Opening {
            self.frequency_is_due = false;
            let settings = &self.task.settings;
            let steps = bringup::change_frequency(settings, self.frequency, settings.frequency)?;
            self.steps = steps.into();
        }
        // Ends: each round moves the due time on by an interval, and it lies no more than `CATCH_UP` back.
        while self.next_work.is_some_and(|due| due <= now) {
            self.feed(now).await?;
        }
        if !self.steps.is_empty() && self.next_step <= now {
            self.step(now).await?;
        }
        if self.next_error_read <= now {
            self.next_error_read = now + self.task.settings.deadlines.error_counters;
            self.send(Command::Read {
                target: Target::All,
                register: Register::NONCE_ERROR_COUNTER,
            })
            .await?;
        }
        if self.next_status <= now {
            self.next_status = now + self.task.settings.deadlines.status;
            self.publish(now);
            self.check_mute(now)?;
        }
        Ok(())
    }

    /// Turns to the job that is published now.
    async fn take_job(&mut self) -> Result<(), End> {
        let job = self.task.jobs.borrow_and_update().clone();
        let chain = self.task.settings.chain;
        match job.and_then(|job| job.for_chain(chain)) {
            Some(job) => self.begin(job).await,
            None => self.halt("no job from any pool").await,
        }
    }

    async fn begin(&mut self, job: Arc<Job>) -> Result<(), End> {
        self.task.registry.begin_job(&job);
        let chain = self.task.index();
        debug!(
            chain,
            session = job.session.0,
            job = job.sequence,
            "chain works on a job"
        );
        self.task.source.set_job(job);
        self.task.tally.counters.jobs += 1;
        self.feed(Instant::now()).await
    }

    /// Sends the next unit of work, in one write with what must go with it.
    async fn feed(&mut self, now: Instant) -> Result<(), End> {
        let due = self.next_work;
        let work = match self.task.source.next_work(now) {
            Ok(work) => work,
            Err(NoWork::Exhausted { more_at }) => {
                self.task.tally.counters.work_missing += 1;
                self.next_work = more_at;
                return Ok(());
            }
            Err(none @ (NoWork::EmptyPart { .. } | NoWork::NoJob)) => {
                warn!(chain = self.task.index(), %none, "no work for the chain");
                return self.halt(&none.to_string()).await;
            }
        };
        let mut frames = FrameBuffer::new();
        let model = self.task.settings.model;
        let rolling = VersionRolling::of_version_mask(work.chip_mask);
        // Ahead of the job, or chips would roll bits that it does not allow.
        let mask_changes = model.rolls_versions() && rolling != self.rolling;
        if mask_changes {
            append(
                &mut frames,
                write_all(Register::MIDSTATE_CONFIG, rolling.encode()),
            );
            self.rolling = rolling;
        }
        self.append_job(&mut frames, work);
        // Behind the job, or chips would go on with the one before.
        let resumes = self.chips == Chips::Halted;
        if resumes && model.has_hash_counting_number {
            self.number = self.number_for_resuming()?;
            let command = write_all(Register::HASH_COUNTING_NUMBER, self.number.0);
            append(&mut frames, command);
        }
        let sent = self.task.serial.send(&frames).await;
        sent.map_err(|cause| line_failed("sending work", cause))?;
        self.task.tally.counters.work += 1;
        if let Some(job) = self.task.source.job() {
            job.counted.one_sent();
        }

        match self.chips {
            Chips::Prepared => {
                let settings = &self.task.settings;
                // A change of frequency on its way is planned anew behind the opening.
                self.frequency_is_due |= self.frequency != settings.frequency;
                self.steps = bringup::open(settings, self.frequency, rolling)?.into();
                self.next_step = now + settings.pacing.write;
                self.chips = Chips::Opening;
                self.finish_opening(now);
            }
            Chips::Halted => {
                self.chips = Chips::Sweeping;
                self.last_good = now;
            }
            Chips::Opening | Chips::Sweeping => {}
        }
        if self.next_work.is_none() || resumes || mask_changes {
            self.set_interval();
            self.task.enter(ChainPhase::Hashing, None);
        }
        let late = due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        self.next_work = (now + self.interval).checked_sub(late.min(CATCH_UP));
        self.task.source.prepare_next();
        Ok(())
    }

    /// Puts work into its slot and the frame for it into the buffer.
    fn append_job(&mut self, frames: &mut FrameBuffer, work: Work) {
        let model = self.task.settings.model;
        let header = work.header(work.version(), 0);
        let states: heapless::Vec<[u32; 8], MOST_MIDSTATES> =
            work.midstates.iter().map(|rolled| rolled.state.0).collect();
        let job = work.job.sequence;
        let slot = self.task.registry.insert(work);
        trace!(chain = self.task.index(), job, work = slot, "work sent");
        flight::job_sent(self.task.index(), job, slot);
        let job_header = model.job_number.encode(slot);
        let fits = match model.job {
            JobFormat::FullHeader => {
                let frame = full_header_job(job_header, FULL_HEADER_LENGTH, &header);
                frames.extend_from_slice(&frame).is_ok()
            }
            JobFormat::Midstates(_) => match header.get(64..76).and_then(<[u8]>::first_chunk) {
                Some(tail) => midstate_job(frames, job_header, tail, &states),
                None => false,
            },
        };
        debug_assert!(fits, "the buffer has room for a job and two commands");
    }

    /// While the clock is on its way, the faster end counts: a deadline that is too short only leaves nonces out.
    fn number_for_resuming(&self) -> Result<HashCountingNumber, End> {
        let settings = &self.task.settings;
        let faster = self.frequency.0.max(settings.frequency.0);
        Ok(bringup::hash_counting_number(settings, Megahertz(faster))?)
    }

    /// Takes the chips' work away.
    ///
    /// A chip that rolls versions would hash its last job over and over, at full power, for nothing; so its sweep is
    /// halted. A BM1397 has no such register and stops within milliseconds, at the end of its nonces.
    async fn halt(&mut self, reason: &str) -> Result<(), End> {
        self.task.source.clear_job();
        self.next_work = None;
        let running = matches!(self.chips, Chips::Opening | Chips::Sweeping);
        if running && self.task.settings.model.has_hash_counting_number {
            let halt = write_all(Register::HASH_COUNTING_NUMBER, HashCountingNumber::HALT.0);
            self.send(halt).await?;
        }
        match self.chips {
            Chips::Opening => {
                self.steps.clear();
                self.chips = Chips::Prepared;
            }
            Chips::Sweeping => self.chips = Chips::Halted,
            Chips::Prepared | Chips::Halted => {}
        }
        info!(chain = self.task.index(), reason, "chain is idle");
        self.task
            .status
            .send_modify(|status| status.work_interval_ms = None);
        self.task.enter(ChainPhase::Idle, Some(reason.to_owned()));
        Ok(())
    }

    /// Sends the next of the paced writes.
    async fn step(&mut self, now: Instant) -> Result<(), End> {
        let Some(step) = self.steps.pop_front() else {
            return Ok(());
        };
        self.next_step = now + step.pause;
        match step.action {
            Action::Send(command) => {
                if let Some(command) = self.as_of_now(command) {
                    self.send(command).await?;
                }
            }
            Action::Clock(command, frequency) => {
                self.send(command).await?;
                flight::clock(self.task.index(), frequency);
                self.frequency = frequency;
                let settings = &self.task.settings;
                let nominal = settings.model.nominal_hash_rate(settings.chips, frequency);
                self.task.status.send_modify(|status| {
                    status.frequency = Some(frequency);
                    status.nominal_hash_rate = Some(nominal);
                });
                self.set_interval();
            }
            Action::Replies(format) => self.task.serial.set_format(format),
            // Only the way from reset has the others.
            _ => debug_assert!(false, "{step:?} while hashing"),
        }
        self.finish_opening(now);
        Ok(())
    }

    /// A planned write as it must be by now: the job, and with it the version mask, may have changed since it was planned;
    /// and chips without work must stay halted.
    fn as_of_now(&mut self, command: Command) -> Option<Command> {
        let Command::Write {
            register, value, ..
        } = command
        else {
            return Some(command);
        };
        match register {
            Register::MIDSTATE_CONFIG => Some(write_all(register, self.rolling.encode())),
            Register::HASH_COUNTING_NUMBER => {
                let running = matches!(self.chips, Chips::Opening | Chips::Sweeping);
                if running {
                    self.number = HashCountingNumber(value);
                    self.set_interval();
                }
                running.then_some(command)
            }
            _ => Some(command),
        }
    }

    fn finish_opening(&mut self, now: Instant) {
        if self.chips == Chips::Opening && self.steps.is_empty() {
            self.chips = Chips::Sweeping;
            self.last_good = now;
        }
    }

    /// How long work lasts: less than the chips need for all of it, and no less than the line can carry.
    fn set_interval(&mut self) {
        let settings = &self.task.settings;
        let model = settings.model;
        let deadlines = &settings.deadlines;
        let lasts = if model.has_hash_counting_number {
            let epoch = model.sweep.version_epoch(self.number, self.rolling);
            epoch.mul_f64(deadlines.work_fraction)
        } else {
            let versions = match model.job {
                JobFormat::Midstates(count) => u32::from(count),
                JobFormat::FullHeader => self.rolling.versions(),
            };
            let sweep = &model.sweep;
            let small_cores = u32::from(sweep.cores) * u32::from(sweep.subcores);
            job_timeout(
                sweep.cores,
                small_cores,
                settings.chips,
                versions,
                self.frequency,
                deadlines.work_fraction,
            )
        };
        let bytes = match model.job {
            JobFormat::FullHeader => FULL_HEADER_FRAME_BYTES,
            JobFormat::Midstates(count) => midstate_frame_bytes(count),
        };
        let carried = self.task.serial.crossing_time(bytes);
        let least = carried.mul_f64(1.0 / deadlines.line_share.clamp(0.01, 1.0));
        self.interval = lasts.min(LONGEST_WORK).max(least);
        let milliseconds = self.interval.as_secs_f64() * 1000.0;
        self.task
            .status
            .send_modify(|status| status.work_interval_ms = Some(milliseconds));
    }

    fn take_replies(&mut self) {
        let now = Instant::now();
        while let Some(reply) = self.task.serial.next_reply() {
            match reply {
                Reply::Nonce(nonce) => self.take_nonce(nonce, now),
                Reply::Register(reply) => {
                    self.task.tally.counters.register_replies += 1;
                    let (chip, at) = (reply.chip_address, reply.register.0);
                    flight::register(self.task.index(), chip, reply.value, at);
                    if reply.register == Register::NONCE_ERROR_COUNTER {
                        let settings = &self.task.settings;
                        let addressing = settings.model.addressing;
                        let chip = addressing.index(reply.chip_address, settings.chips);
                        self.task.tally.error_counter(chip, reply.value);
                    }
                }
            }
        }
        let wrong = self.task.serial.new_crc_errors();
        if wrong > 0 {
            flight::crc_errors(self.task.index(), wrong);
        }
    }

    fn take_nonce(&mut self, reply: NonceReply, now: Instant) {
        let settings = &self.task.settings;
        let model = settings.model;
        let place = model.place(&reply, settings.chips);
        let found = ChipNonce {
            slot: model.job_number.decode(reply.result_header),
            midstate: match model.job {
                JobFormat::FullHeader => 0,
                JobFormat::Midstates(_) => place.subcore,
            },
            nonce: reply.nonce,
            version_field: reply.version,
        };
        let verdict = self.task.registry.check(&found, now);
        let (chain, worth) = (self.task.index(), worth(&verdict));
        let nonce = u32::from_le_bytes(found.nonce);
        flight::nonce(chain, nonce, place.chip, found.slot, worth);
        if self.task.tally.nonce(place.chip, &verdict) {
            self.last_good = now;
        } else {
            debug!(
                chain = self.task.index(),
                chip = place.chip,
                core = place.core,
                subcore = place.subcore,
                ?verdict,
                "a nonce without worth"
            );
        }
        if let Verdict::Share { share, .. } = verdict {
            debug!(
                chain = self.task.index(),
                chip = place.chip,
                work = found.slot,
                nonce = format_args!("{:08x}", share.nonce),
                session = share.job.session.0,
                job = share.job.sequence,
                "share found"
            );
            let counters = &mut self.task.tally.counters;
            match self.task.shares.try_send(share) {
                Ok(()) => counters.shares += 1,
                Err(TrySendError::Full(_) | TrySendError::Closed(_)) => counters.shares_lost += 1,
            }
        }
    }

    fn publish(&mut self, now: Instant) {
        let task = &mut *self.task;
        task.tally.take_decoder(&task.serial.counters());
        task.status
            .send_modify(|status| task.tally.write_to(status));
        let lost = task.tally.counters.shares_lost;
        if lost > self.shares_lost_told {
            warn!(
                chain = task.index(),
                shares = lost - self.shares_lost_told,
                "shares lost: the queue to the pool was full or closed"
            );
            self.shares_lost_told = lost;
        }
        let tally = &task.tally;
        for symptom in self.symptoms.look(&tally.counters, tally.chips(), now) {
            warn!(chain = task.index(), %symptom, "the chain hashes, and is not well");
        }
    }

    /// Chips at work that give no good nonce have lost power, clock or speed, and tell nobody.
    fn check_mute(&self, now: Instant) -> Result<(), End> {
        let settings = &self.task.settings;
        if self.chips != Chips::Sweeping || self.next_work.is_none() {
            return Ok(());
        }
        let rate = settings
            .model
            .nominal_hash_rate(settings.chips, self.frequency);
        let mean = self.task.registry.ticket().hashes() / rate.0;
        let mean = Duration::try_from_secs_f64(mean).unwrap_or(Duration::MAX);
        let deadlines = &settings.deadlines;
        let patience = mean.as_secs_f64() * deadlines.mute_intervals;
        let patience = Duration::try_from_secs_f64(patience)
            .unwrap_or(Duration::MAX)
            .max(deadlines.mute_least);
        let silent_for = now.saturating_duration_since(self.last_good);
        if silent_for > patience {
            return Err(ChainError::Mute { silent_for, mean }.into());
        }
        Ok(())
    }

    async fn send(&mut self, command: Command) -> Result<(), End> {
        let sent = self.task.serial.send(&command.encode()).await;
        sent.map_err(|cause| line_failed("sending a command", cause))
    }
}

fn line_failed(doing: &'static str, cause: StepError) -> End {
    ChainError::Line { doing, cause }.into()
}

fn write_all(register: Register, value: u32) -> Command {
    Command::Write {
        target: Target::All,
        register,
        value,
    }
}

fn append(frames: &mut FrameBuffer, command: Command) {
    let fits = frames.extend_from_slice(&command.encode()).is_ok();
    debug_assert!(fits, "the buffer has room for a job and two commands");
}
