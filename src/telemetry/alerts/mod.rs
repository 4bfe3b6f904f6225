//! Alerts: what of the Snapshot an owner should be told of, once when it begins and once when it ends.
//!
//! ```text
//! Snapshot ─► rules ─► findings (good, between, bad) ─► book (hold, hysteresis, rate limit) ─► notices
//! ```
//!
//! Rules and book are pure; the time is an argument.

mod book;
mod rules;
#[cfg(test)]
mod tests;
mod trends;

use super::events::Severity;
use super::snapshot::Snapshot;
use book::Book;
use cgminer_hal::units::Celsius;
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;
use trends::Trends;

/// How often the Snapshot is judged.
pub const ALERT_STEP: Duration = Duration::from_secs(5);

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A chain is too hot, or a sensor is not believed.
    Temperature,
    /// A fan does not turn as told.
    Fan,
    /// The supply has a fault, or its rail is off its setting.
    Supply,
    /// Less hashrate is credited than the chips should give.
    HashRate,
    /// Pools took no share for long.
    NoShare,
    /// Pools refuse too many shares.
    Rejects,
    /// A pool, or every pool, is out of reach.
    PoolLost,
    /// The machine or a chain was started anew after a fault.
    Restart,
    /// A hash board has lost chips or all of its work.
    DegradedBoard,
    /// The keeper holds the power back.
    Halted,
    /// A file system is nearly full.
    Disk,
    /// The clock was never set, or has jumped.
    Clock,
}

/// When something is worth an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertLimits {
    /// For how long something must be bad before it is told, and good before it is over.
    pub hold: Duration,
    /// One and the same thing is told to begin at most once in this time.
    pub repeat: Duration,
    /// Chip temperature; none: the board's own hot tier.
    pub temperature: Option<Celsius>,
    /// How far the rail may be off its setting, in per cent.
    pub voltage_percent: f64,
    /// Hashrate that must be credited, in per cent of what the chips should give.
    pub hash_rate_percent: f64,
    /// How long pools may take no share.
    pub no_share: Duration,
    /// Shares that may be refused, in per cent.
    pub reject_percent: f64,
    /// Restarts within an hour that are worth an alert.
    pub restarts: u32,
    /// Health below which a chip counts as lost, in per cent.
    pub chip_health_percent: f64,
    /// Room that a file system must have, in per cent.
    pub disk_percent: f64,
}

impl Default for AlertLimits {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(60),
            repeat: Duration::from_secs(30 * 60),
            temperature: None,
            voltage_percent: 5.0,
            hash_rate_percent: 80.0,
            no_share: Duration::from_secs(30 * 60),
            reject_percent: 5.0,
            restarts: 1,
            chip_health_percent: 50.0,
            disk_percent: 5.0,
        }
    }
}

/// Something that is, or was, worth telling.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// Counts from 1; greater is later.
    pub number: u64,
    /// What is watched.
    pub rule: Rule,
    /// Where, as `chain 0` or the name of a fan.
    pub source: String,
    /// How much it matters.
    pub severity: Severity,
    /// In words.
    pub message: String,
    /// Wall clock when it began, in seconds since 1970; null while the clock was never set.
    pub raised_unix_time: Option<f64>,
    /// The same in seconds since this program started.
    pub raised_uptime_s: f64,
    /// Wall clock when it was over; null while it is not, or the clock was never set.
    pub resolved_unix_time: Option<f64>,
    /// The same in seconds since this program started; null while it is not over.
    pub resolved_uptime_s: Option<f64>,
}

/// Something to be told now.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Counts from 1; a gap means that older ones were dropped.
    pub number: u64,
    /// Whether it begins; otherwise it is over.
    pub raised: bool,
    /// What.
    pub alert: Alert,
}

/// When a judgement is made.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The clock that counts.
    pub now: Instant,
    /// Wall clock, when it was set.
    pub unix_time: Option<f64>,
    /// Seconds since this program started.
    pub uptime_s: f64,
}

/// Everything that is kept about alerts.
#[derive(Default)]
pub struct Alerts {
    limits: AlertLimits,
    trends: Trends,
    book: Book,
    looked: Option<Instant>,
}

impl Alerts {
    /// Other limits, from now on.
    pub fn limit(&mut self, limits: AlertLimits) {
        self.limits = limits;
    }

    /// Whether it is time to judge.
    pub fn is_due(&self, now: Instant) -> bool {
        self.looked.is_none_or(|looked| now - looked >= ALERT_STEP)
    }

    /// Judges the machine.
    pub fn look(&mut self, snapshot: &Snapshot, now: Instant) {
        self.looked = Some(now);
        self.trends.follow(snapshot, now);
        let moment = Moment {
            now,
            unix_time: snapshot.unix_time,
            uptime_s: snapshot.machine.uptime_s,
        };
        let findings = rules::judge(snapshot, &self.trends, &self.limits, now);
        self.book.update(findings, &self.limits, moment);
    }

    /// What is wrong now, oldest first.
    pub fn active(&self) -> Vec<Alert> {
        self.book.active()
    }

    /// What was wrong before, the latest first.
    pub fn past(&self) -> Vec<Alert> {
        self.book.past()
    }

    /// Alerts since the start.
    pub fn raised_total(&self) -> u64 {
        self.book.raised_total()
    }

    /// Notices with a greater number, oldest first.
    pub fn notices_after(&self, number: u64) -> Vec<Notice> {
        self.book.notices_after(number)
    }
}
