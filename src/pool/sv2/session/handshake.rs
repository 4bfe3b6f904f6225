//! From a connection to open channels.

use super::{
    Channel, ChannelOpen, EndReason, PoolError, Session, State, Sv2Channel, Target, Unencodable,
    request,
};
use tokio::time::Instant;

/// `SetupConnection.Success.flags`: the pool takes no version but the one that it sends.
const REQUIRES_FIXED_VERSION: u32 = 1;
/// `SetupConnection.Success.flags`: the pool opens no standard channels.
const REQUIRES_EXTENDED_CHANNELS: u32 = 2;
/// A refusal that says: ask for less.
const TARGET_OUT_OF_RANGE: &str = "max-target-out-of-range";
/// Name of the first request for a channel; those for further chains follow it, and there are no others.
const REQUEST: u32 = 1;

impl Session {
    pub(super) fn set_up(&mut self) {
        let standard = self.kind == Sv2Channel::Standard;
        let sent = request::setup(&mut self.out, &self.settings.pool.url, standard);
        self.unless_sent("SetupConnection", sent);
    }

    pub(super) fn on_set_up(&mut self, version: u16, flags: u32, now: Instant) {
        if self.state != State::SettingUp {
            self.lines.unknown += 1;
            return;
        }
        if version != request::PROTOCOL_VERSION {
            return self.end(EndReason::Version(version));
        }
        if flags & REQUIRES_EXTENDED_CHANNELS != 0 && self.kind == Sv2Channel::Standard {
            // We have told the pool that we can do without; the next session tells it otherwise.
            self.lessons.extended_only = true;
            let error =
                PoolError::from_text("it opens extended channels alone; they are asked for next");
            return self.end(EndReason::ChannelRefused(error));
        }
        if flags & REQUIRES_FIXED_VERSION != 0 {
            self.maker.version_mask = 0;
        }
        self.state = State::Opening;
        self.step_deadline = now + self.settings.pool.deadlines.authorize;
        self.told_rate = self.settings.hash_rate();
        let channels = match self.kind {
            Sv2Channel::Extended => 1,
            Sv2Channel::Standard => self.settings.chains.max(1),
        };
        self.channels.resize_with(channels, || None);
        for at in 0..channels {
            self.open(at);
        }
    }

    fn open(&mut self, at: usize) {
        let Some(request) = u32::try_from(at).ok().map(|at| REQUEST + at) else {
            return;
        };
        let (out, user) = (&mut self.out, &self.settings.pool.user);
        let rate = self.told_rate / self.channels.len().max(1) as f64;
        let sent = request::open(out, self.kind, request, user, rate, self.easiest);
        self.unless_sent("OpenMiningChannel", sent);
    }

    pub(super) fn on_open(&mut self, open: ChannelOpen, now: Instant) {
        let is_kind = open.extranonce_size.is_some() == (self.kind == Sv2Channel::Extended);
        let at = self.asked_for(open.request);
        let (State::Opening, Some(at), true) = (&self.state, at, is_kind) else {
            self.lines.unknown += 1;
            return;
        };
        if let Some(place) = self.channels.get_mut(at) {
            *place = Some(Channel::new(open));
        }
        if self.channels.iter().any(Option::is_none) {
            return;
        }
        self.rate_seen_at = now;
        self.state = State::Running { since: now };
        self.vigil.running(now);
        // Jobs of the channels that were opened before the last one.
        let newest = self.channels().filter_map(Channel::current);
        if let Some(job) = newest.max_by_key(|job| job.sequence).cloned() {
            self.give_out(job);
        }
    }

    /// The channel that this request asked for, if it is not open yet.
    fn asked_for(&self, request: u32) -> Option<usize> {
        let at = usize::try_from(request.checked_sub(REQUEST)?).ok()?;
        self.channels.get(at)?.is_none().then_some(at)
    }

    pub(super) fn on_open_error(&mut self, request: u32, error: PoolError, now: Instant) {
        let (State::Opening, Some(at)) = (&self.state, self.asked_for(request)) else {
            self.lines.unknown += 1;
            return;
        };
        let asked_again = self.asked_again;
        if error.text == TARGET_OUT_OF_RANGE
            && self.settings.pool.suggest_difficulty.is_some()
            && asked_again <= at
        {
            tracing::info!(
                pool = %self.settings.pool.url,
                "the pool does not take the suggested difficulty: going on with the one that it gives"
            );
            self.asked_again = at + 1;
            self.easiest = Target::MAX;
            self.step_deadline = now + self.settings.pool.deadlines.authorize;
            return self.open(at);
        }
        self.end(EndReason::ChannelRefused(error));
    }

    pub(super) fn unless_sent(&mut self, name: &'static str, sent: Result<(), Unencodable>) {
        if sent.is_err() {
            self.end(EndReason::Unencodable(name));
        }
    }
}
