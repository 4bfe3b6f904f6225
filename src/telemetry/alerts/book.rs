//! Which findings become alerts: held, with hysteresis, told once when they begin and once when they end.
//!
//! ```text
//! quiet ── bad ──► pending ── bad for the hold time ──► raised ── good for the hold time ──► quiet
//!   ▲                 │                                    ▲ │
//!   └── not bad ──────┘                not good ───────────┘─┘
//! ```

use super::rules::{Finding, Level};
use super::{Alert, AlertLimits, Moment, Notice, Rule};
use crate::telemetry::Severity;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Things that are followed at one time: more than a machine has.
const ENTRIES: usize = 256;
/// Alerts that are over and still told of.
const PAST: usize = 64;
/// Notices that are kept for those who deliver them.
const NOTICES: usize = 128;
/// Notices that may be given at once, over all alerts.
const BURST: f64 = 20.0;
/// Time in which one more may.
const REFILL: Duration = Duration::from_secs(60);

/// All alerts.
#[derive(Default)]
pub struct Book {
    entries: Vec<Entry>,
    past: VecDeque<Alert>,
    notices: VecDeque<Notice>,
    last_notice: u64,
    raised_total: u64,
    allowance: Allowance,
}

struct Entry {
    rule: Rule,
    source: String,
    phase: Phase,
    /// How bad the owner was told that it is.
    told: Option<Severity>,
    /// When its beginning was last told.
    told_at: Option<Instant>,
}

enum Phase {
    Quiet,
    Pending {
        since: Instant,
    },
    Raised {
        alert: Alert,
        good_since: Option<Instant>,
    },
}

/// A bucket that notices are taken from.
#[derive(Default)]
struct Allowance {
    taken: f64,
    at: Option<Instant>,
}

impl Book {
    /// Takes in what was found. What is not among the findings is there no more.
    pub fn update(&mut self, findings: Vec<Finding>, limits: &AlertLimits, moment: Moment) {
        for entry in &mut self.entries {
            let gone = !findings.iter().any(|finding| entry.is_of(finding));
            if let (Phase::Raised { alert, .. }, true) = (&mut entry.phase, gone) {
                alert.message.push_str("; it is no longer there");
            }
            if gone {
                let ended = entry.end(moment);
                self.past.extend(ended.clone());
                self.notices.extend(
                    ended
                        .filter(|_| entry.told.take().is_some())
                        .map(|alert| notice(&mut self.last_notice, false, alert)),
                );
            }
        }
        for finding in findings {
            self.take(finding, limits, moment);
        }
        self.entries.retain(|entry| entry.matters(limits, moment));
        while self.past.len() > PAST {
            self.past.pop_front();
        }
        while self.notices.len() > NOTICES {
            self.notices.pop_front();
        }
    }

    /// What is wrong now, oldest first.
    pub fn active(&self) -> Vec<Alert> {
        let mut active: Vec<Alert> = self
            .entries
            .iter()
            .filter_map(|entry| match &entry.phase {
                Phase::Raised { alert, .. } => Some(alert.clone()),
                _ => None,
            })
            .collect();
        active.sort_by_key(|alert| alert.number);
        active
    }

    /// What is over, the latest first.
    pub fn past(&self) -> Vec<Alert> {
        self.past.iter().rev().cloned().collect()
    }

    /// Alerts since the start.
    pub fn raised_total(&self) -> u64 {
        self.raised_total
    }

    /// Notices with a greater number, oldest first.
    pub fn notices_after(&self, number: u64) -> Vec<Notice> {
        let later = |notice: &&Notice| notice.number > number;
        self.notices.iter().filter(later).cloned().collect()
    }

    fn take(&mut self, finding: Finding, limits: &AlertLimits, moment: Moment) {
        let known = self.entries.iter().position(|entry| entry.is_of(&finding));
        if known.is_none() && finding.level == Level::Bad && self.entries.len() < ENTRIES {
            self.entries.push(Entry {
                rule: finding.rule,
                source: finding.source.clone(),
                phase: Phase::Quiet,
                told: None,
                told_at: None,
            });
        }
        let entry = match known {
            Some(index) => self.entries.get_mut(index),
            None => self
                .entries
                .last_mut()
                .filter(|entry| entry.is_of(&finding)),
        };
        let Some(entry) = entry else { return };
        let now = moment.now;
        match (&mut entry.phase, finding.level) {
            (Phase::Quiet, Level::Bad) => entry.phase = Phase::Pending { since: now },
            (Phase::Pending { .. }, Level::Good | Level::Between) => entry.phase = Phase::Quiet,
            (Phase::Raised { alert, good_since }, level) => {
                match level {
                    Level::Good => {
                        good_since.get_or_insert(now);
                    }
                    Level::Between => *good_since = None,
                    Level::Bad => {
                        *good_since = None;
                        alert.severity = alert.severity.max(finding.severity);
                        alert.message.clone_from(&finding.message);
                    }
                }
                if good_since.is_some_and(|since| now - since >= limits.hold) {
                    let told = entry.told.take().is_some();
                    if let Some(alert) = entry.end(moment) {
                        if told {
                            let over = notice(&mut self.last_notice, false, alert.clone());
                            self.notices.push_back(over);
                        }
                        self.past.push_back(alert);
                    }
                    return;
                }
            }
            (Phase::Quiet, _) | (Phase::Pending { .. }, Level::Bad) => {}
        }
        if let Phase::Pending { since } = entry.phase {
            if now - since >= limits.hold {
                self.raised_total += 1;
                entry.phase = Phase::Raised {
                    alert: Alert {
                        number: self.raised_total,
                        rule: finding.rule,
                        source: finding.source,
                        severity: finding.severity,
                        message: finding.message,
                        raised_unix_time: moment.unix_time,
                        raised_uptime_s: moment.uptime_s,
                        resolved_unix_time: None,
                        resolved_uptime_s: None,
                    },
                    good_since: None,
                };
            }
        }
        let Phase::Raised { alert, .. } = &entry.phase else {
            return;
        };
        // What got worse is told at once; what comes and goes is told again after a while.
        let worse = entry.told.is_some_and(|told| alert.severity > told);
        let rested = entry.told_at.is_none_or(|at| now - at >= limits.repeat);
        if (worse || (entry.told.is_none() && rested)) && self.allowance.take(now) {
            entry.told = Some(alert.severity);
            entry.told_at = Some(now);
            let begins = notice(&mut self.last_notice, true, alert.clone());
            self.notices.push_back(begins);
        }
    }
}

impl Entry {
    fn is_of(&self, finding: &Finding) -> bool {
        self.rule == finding.rule && self.source == finding.source
    }

    /// Makes it quiet; gives the alert that is over thereby.
    fn end(&mut self, moment: Moment) -> Option<Alert> {
        match std::mem::replace(&mut self.phase, Phase::Quiet) {
            Phase::Raised { mut alert, .. } => {
                alert.resolved_unix_time = moment.unix_time;
                alert.resolved_uptime_s = Some(moment.uptime_s);
                Some(alert)
            }
            _ => None,
        }
    }

    /// Whether it has to be kept: a quiet one is, while it may not be told again.
    fn matters(&self, limits: &AlertLimits, moment: Moment) -> bool {
        let resting = |at: Instant| moment.now - at < limits.repeat;
        !matches!(self.phase, Phase::Quiet) || self.told_at.is_some_and(resting)
    }
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        if let Some(at) = self.at.replace(now) {
            let refilled = (now - at).as_secs_f64() / REFILL.as_secs_f64();
            self.taken = (self.taken - refilled).max(0.0);
        }
        let may = self.taken + 1.0 <= BURST;
        if may {
            self.taken += 1.0;
        }
        may
    }
}

fn notice(last: &mut u64, raised: bool, alert: Alert) -> Notice {
    *last += 1;
    Notice {
        number: *last,
        raised,
        alert,
    }
}
