//! What is due when, and what follows when it does not come.

use super::{Conversation, EndReason, Session, State, request};
use std::time::Duration;
use tokio::time::Instant;

/// How often the hash rate is compared with the one that the pool knows.
const RATE_LOOK: Duration = Duration::from_secs(60);
/// By which part of it the hash rate must differ for the pool to be told.
const RATE_DRIFT: f64 = 0.25;

impl Session {
    pub(super) fn deadline(&self) -> Instant {
        let deadlines = &self.settings.pool.deadlines;
        let step = match self.state {
            State::Running { since } => match self.last_job_at {
                Some(at) => at.max(since) + deadlines.next_job,
                None => since + deadlines.first_job,
            },
            _ => self.step_deadline,
        };
        let rate = self.running_since().map(|_| self.rate_seen_at + RATE_LOOK);
        let reply = self
            .ledger
            .due_since()
            .map(|at| at + deadlines.submit_reply);
        let farewell = self.farewell.as_ref().map(|(at, _)| *at);
        let silence = self.last_frame_at + deadlines.silence;
        [Some(step), rate, reply, farewell]
            .into_iter()
            .flatten()
            .fold(silence, Instant::min)
    }

    pub(super) fn look_for_overdue(&mut self, now: Instant) {
        let deadlines = self.settings.pool.deadlines;
        match self.state {
            State::Ended(_) => return,
            State::SettingUp if now >= self.step_deadline => {
                return self.end(EndReason::Unanswered("SetupConnection"));
            }
            State::Opening if now >= self.step_deadline => {
                return self.end(EndReason::Unanswered("OpenMiningChannel"));
            }
            State::Running { since } => match self.last_job_at {
                Some(at) if now >= at.max(since) + deadlines.next_job => {
                    return self.end(EndReason::NoNextJob);
                }
                None if now >= since + deadlines.first_job => {
                    return self.end(EndReason::NoFirstJob);
                }
                _ => self.compare_rate(now),
            },
            _ => {}
        }
        let overdue = |since: &Instant| now >= *since + deadlines.submit_reply;
        if let Some(since) = self.ledger.due_since().filter(overdue) {
            // Not a frame since that batch went out: the connection is dead, whatever TCP thinks.
            if self.last_frame_at <= since {
                return self.end(EndReason::SharesUnanswered);
            }
            if let Some(limit) = now.checked_sub(deadlines.submit_reply) {
                self.ledger.expire(limit);
            }
            self.judge_pool(now);
        }
        if let Some((_, reason)) = self.farewell.take_if(|(at, _)| now >= *at) {
            self.end(reason);
        } else if now >= self.last_frame_at + deadlines.silence {
            self.end(EndReason::Silent);
        }
    }

    /// Tells the pool of a hash rate that is another one by now, so that it can set a target that fits.
    fn compare_rate(&mut self, now: Instant) {
        if now < self.rate_seen_at + RATE_LOOK {
            return;
        }
        self.rate_seen_at = now;
        let rate = self.settings.hash_rate();
        let drift = (rate - self.told_rate).abs();
        if rate <= 0.0 || drift <= self.told_rate * RATE_DRIFT {
            return;
        }
        self.told_rate = rate;
        let share = rate / self.channels.len().max(1) as f64;
        let channels: Vec<u32> = self.channels().map(super::Channel::id).collect();
        for channel in channels {
            let sent = request::update(&mut self.out, channel, share, self.easiest);
            self.unless_sent("UpdateChannel", sent);
        }
    }
}
