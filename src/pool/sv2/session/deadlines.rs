//! What is due when, and what follows when it does not come.

use super::{EndReason, Session, State, request};
use std::time::Duration;
use tokio::time::Instant;

/// How often the hash rate is compared with the one that the pool knows.
const RATE_LOOK: Duration = Duration::from_secs(60);
/// By which part of it the hash rate must differ for the pool to be told.
const RATE_DRIFT: f64 = 0.25;

impl Session {
    pub(super) fn deadline(&self) -> Instant {
        let step = match self.state {
            // The next look at the hash rate.
            State::Running { .. } => self.rate_seen_at + RATE_LOOK,
            _ => self.step_deadline,
        };
        self.vigil.next_deadline(Some(step), &self.ledger)
    }

    pub(super) fn look_for_overdue(&mut self, now: Instant) {
        match self.state {
            State::Ended(_) => return,
            State::SettingUp if now >= self.step_deadline => {
                return self.end(EndReason::Unanswered("SetupConnection"));
            }
            State::Opening if now >= self.step_deadline => {
                return self.end(EndReason::Unanswered("OpenMiningChannel"));
            }
            State::Running { .. } => self.compare_rate(now),
            _ => {}
        }
        let overdue = self.vigil.overdue(&mut self.ledger, now);
        self.end_if(overdue);
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
