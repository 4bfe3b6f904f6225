//! Sends alerts to where their owner wants them: the log, webhooks, syslog, MQTT brokers.
//!
//! ```text
//! Snapshot's alerts ─► notices ─┬─► log
//! time of the report ─► report ─┴─► queue of each target ─► deliver, again and again for a while
//! ```
//!
//! Each target is a task with a bounded queue, so a dead one holds nobody up. All of it lives in the miner's process
//! and speaks with what that has been left: sockets of the internet.

mod deliver;
mod message;
pub mod mqtt;
mod report;
mod target;
#[cfg(test)]
mod tests;

use crate::config::{AlertLevel, AlertTargetSection, AlertsSection, Config, ReportTime};
use crate::pool::connection::{Connector, DirectConnector};
use crate::telemetry::{AlertLimits, Severity, SnapshotSource};
use cgminer_hal::task::boxed;
use message::Message;
use report::Daily;
use std::sync::Arc;
use std::time::Duration;
use target::Target;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// How often is looked for news.
const LOOK: Duration = Duration::from_secs(1);

/// What the owner has set about alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    alerts: AlertsSection,
    targets: Vec<AlertTargetSection>,
}

impl Settings {
    /// As the configuration says.
    pub fn of(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            alerts: config.alerts.clone(),
            targets: config.alert_target.clone(),
        })
    }

    fn limits(&self) -> AlertLimits {
        let AlertsSection {
            hold,
            repeat,
            temperature,
            voltage,
            hash_rate,
            no_share,
            rejects,
            restarts,
            chip_health,
            disk,
            report: _,
        } = self.alerts;
        let minutes = |count: u16| Duration::from_secs(60 * u64::from(count));
        AlertLimits {
            hold: Duration::from_secs(hold.into()),
            repeat: minutes(repeat),
            temperature,
            voltage_percent: voltage.into(),
            hash_rate_percent: hash_rate.into(),
            no_share: minutes(no_share),
            reject_percent: rejects.into(),
            restarts: restarts.into(),
            chip_health_percent: chip_health.into(),
            disk_percent: disk.into(),
        }
    }
}

/// Delivers until dropped.
pub async fn run(source: SnapshotSource, settings: watch::Receiver<Arc<Settings>>) {
    deliver_by(Arc::new(DirectConnector::system()), source, settings).await;
}

async fn deliver_by(
    connector: Arc<dyn Connector>,
    source: SnapshotSource,
    mut settings: watch::Receiver<Arc<Settings>>,
) {
    let mut present = settings.borrow_and_update().clone();
    source.limit_alerts(present.limits());
    // Tasks of targets end when their queue is dropped, after what is in it was sent or given up.
    let mut tasks = JoinSet::new();
    let mut targets = open(&present, &connector, &mut tasks);
    let mut daily = Daily::new(present.alerts.report);
    let mut last = 0;
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        while tasks.try_join_next().is_some() {}
        if settings.has_changed().unwrap_or(false) {
            let new = settings.borrow_and_update().clone();
            source.limit_alerts(new.limits());
            if new.targets != present.targets {
                targets = open(&new, &connector, &mut tasks);
            }
            if new.alerts.report != present.alerts.report {
                daily = Daily::new(new.alerts.report);
            }
            present = new;
        }
        let notices = source.notices_after(last);
        let is_report = daily.is_due();
        if notices.is_empty() && !is_report {
            continue;
        }
        let snapshot = source.snapshot();
        let mut messages: Vec<Message> = notices
            .iter()
            .map(|notice| Message::of_notice(notice, &snapshot))
            .collect();
        last = notices.last().map_or(last, |notice| notice.number);
        if is_report {
            messages.push(report::message(&snapshot));
        }
        for message in messages {
            message.tell_log();
            let message = Arc::new(message);
            for target in &mut targets {
                target.give(&message);
            }
        }
    }
}

fn open(
    settings: &Settings,
    connector: &Arc<dyn Connector>,
    tasks: &mut JoinSet<()>,
) -> Vec<Target> {
    let targets = settings.targets.iter();
    targets
        .map(|section| {
            let (target, task) = Target::new(section.clone(), connector);
            tasks.spawn(boxed(task));
            target
        })
        .collect()
}

fn severity(level: AlertLevel) -> Severity {
    match level {
        AlertLevel::Info => Severity::Info,
        AlertLevel::Warning => Severity::Warning,
        AlertLevel::Error => Severity::Error,
    }
}

/// Minute of the day that a report is due at.
fn minute(time: ReportTime) -> Option<u64> {
    match time {
        ReportTime::Off => None,
        ReportTime::At { minute } => Some(minute.into()),
    }
}
