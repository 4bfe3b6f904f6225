//! The daily report: how the past day was, in a line, and the figures behind it.

use super::message::Message;
use crate::config::ReportTime;
use crate::telemetry::{Severity, Snapshot};
use serde_json::json;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

const MINUTES_A_DAY: u64 = 24 * 60;
/// 2024-01-01 in minutes: a clock before it was never set.
const EARLIEST: u64 = 28_401_120;

/// Knows when a report is due.
pub struct Daily {
    minute: Option<u64>,
    /// Day, since 1970, of the last report; none while the clock was never set.
    last: Option<u64>,
}

impl Daily {
    /// From the next such time on.
    pub fn new(at: ReportTime) -> Self {
        Self {
            minute: super::minute(at),
            last: None,
        }
    }

    /// Whether one is due now.
    pub fn is_due(&mut self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.is_ok_and(|now| self.is_due_at(now.as_secs() / 60))
    }

    /// The same for a minute since 1970.
    fn is_due_at(&mut self, now: u64) -> bool {
        let Some(minute) = self.minute else {
            return false;
        };
        if now < EARLIEST {
            return false;
        }
        // A day of reports begins at the minute of the report.
        let day = (now - minute.min(now)) / MINUTES_A_DAY;
        let last = self.last.replace(day);
        last.is_some_and(|last| day > last)
    }
}

/// What is reported of a machine.
pub fn message(snapshot: &Snapshot) -> Message {
    let mut text = String::from("daily report: ");
    let day = snapshot.hash_rate.windows.last();
    // Writing to a text cannot fail.
    let _ = match day {
        Some(day) => {
            let over = if day.settling {
                "since the start"
            } else {
                "over 24 h"
            };
            write!(text, "{:.2} TH/s {over}", day.rate.0 / 1e12)
        }
        None => write!(text, "no work yet"),
    };
    let shares = &snapshot.shares;
    let _ = write!(
        text,
        ", {} shares accepted and {} rejected since the start",
        shares.accepted, shares.rejected.total
    );
    let hottest = snapshot
        .chains
        .iter()
        .filter_map(|chain| chain.temperature.value())
        .max_by(|one, other| one.0.total_cmp(&other.0));
    if let Some(hottest) = hottest {
        let _ = write!(text, ", hottest chain {hottest}");
    }
    let power = snapshot
        .supply
        .as_ref()
        .and_then(|supply| supply.power.value());
    if let Some(power) = power {
        let _ = write!(text, ", {power}");
    }
    if let Some(efficiency) = snapshot.efficiency.value() {
        let _ = write!(text, ", {:.1} J/TH", efficiency.0);
    }
    let _ = write!(
        text,
        ", {} alerts now, {} since the start",
        snapshot.alerts.len(),
        snapshot.alerts_raised
    );
    let figures = json!({"report": {
        "state": snapshot.machine.state,
        "hash_rate": snapshot.hash_rate,
        "shares": shares,
        "efficiency": snapshot.efficiency,
        "supply": snapshot.supply,
        "temperatures": snapshot.temperatures,
        "alerts": snapshot.alerts,
        "alerts_raised": snapshot.alerts_raised,
        "restarts": snapshot.keeper.restarts,
    }});
    Message::new("report", Severity::Info, &text, &figures, snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_due_once_a_day_and_not_at_the_start() {
        let at = |day: u64, hour: u64| 20_000 * MINUTES_A_DAY + day * MINUTES_A_DAY + hour * 60;
        let mut daily = Daily::new(ReportTime::At { minute: 7 * 60 });
        let due: Vec<(u64, u64)> = (0..3)
            .flat_map(|day| (0..24).map(move |hour| (day, hour)))
            .filter(|&(day, hour)| daily.is_due_at(at(day, hour)))
            .collect();
        assert_eq!(due, [(0, 7), (1, 7), (2, 7)]);
        let mut late = Daily::new(ReportTime::At { minute: 7 * 60 });
        assert!(!late.is_due_at(at(0, 8)) && !late.is_due_at(at(1, 6)));
        assert!(late.is_due_at(at(1, 9)), "a missed minute is made up for");
        let mut off = Daily::new(ReportTime::Off);
        assert!(!off.is_due_at(at(0, 6)) && !off.is_due_at(at(1, 9)));
    }

    #[test]
    fn a_clock_that_was_never_set_makes_no_report_and_neither_does_its_first_setting() {
        let mut daily = Daily::new(ReportTime::At { minute: 0 });
        assert!(!daily.is_due_at(3) && !daily.is_due_at(2 * MINUTES_A_DAY));
        assert!(!daily.is_due_at(EARLIEST + 5));
        assert!(daily.is_due_at(EARLIEST + 5 + MINUTES_A_DAY));
    }
}
