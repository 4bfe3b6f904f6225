//! The latest log lines, kept in memory for those who ask over the network.

use serde::Serialize;
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Lines that are kept.
const KEPT: usize = 512;
/// Bytes of a line's message and fields that are kept; both bounds together hold the ring below 300 KiB.
const LONGEST: usize = 480;

/// The ring of this process: logs are told to the process as a whole, so there is one.
pub static LOG_RING: LazyLock<LogRing> = LazyLock::new(LogRing::default);

/// The latest log lines.
#[derive(Default)]
pub struct LogRing {
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<LogLine>,
    last_number: u64,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogLine {
    /// Counts from 1; greater is later. A gap means that older ones were dropped.
    pub number: u64,
    /// The clock then, in seconds since 1970; near 0 when it was not set.
    pub unix_time: f64,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: &'static str,
    /// Room that told it, as `cgminer_rs::pool`.
    pub target: &'static str,
    /// What it told, fields behind it as `name=value`.
    pub text: String,
}

/// Puts what is told into a ring.
pub struct RingLayer(&'static LogRing);

impl RingLayer {
    /// A layer that fills a ring.
    pub fn new(ring: &'static LogRing) -> Self {
        Self(ring)
    }
}

impl LogRing {
    /// Lines with a greater number that matter at least as much as `level`, oldest first.
    pub fn after(&self, number: u64, level: Level) -> Vec<LogLine> {
        let wanted = |line: &&LogLine| {
            // More verbose levels are greater.
            line.number > number && line.level.parse::<Level>().is_ok_and(|own| own <= level)
        };
        self.lines().kept.iter().filter(wanted).cloned().collect()
    }

    fn keep(&self, level: Level, target: &'static str, text: String) {
        let unix_time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64();
        let mut lines = self.lines();
        lines.last_number += 1;
        let number = lines.last_number;
        if lines.kept.len() >= KEPT {
            lines.kept.pop_front();
        }
        lines.kept.push_back(LogLine {
            number,
            unix_time,
            level: level.as_str(),
            target,
            text,
        });
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for RingLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        self.0
            .keep(*metadata.level(), metadata.target(), text.finish());
    }
}

/// A message and its fields, as far as there is room.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(mut self) -> String {
        self.message.push_str(&self.fields);
        if self.message.len() > LONGEST {
            let end = (0..=LONGEST)
                .rev()
                .find(|&end| self.message.is_char_boundary(end));
            self.message.truncate(end.unwrap_or(0));
        }
        self.message
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a text cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            name => {
                let _ = write!(self.fields, " {name}={value:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn lines_are_kept_with_their_fields_and_found_by_number_and_level() {
        static RING: LazyLock<LogRing> = LazyLock::new(LogRing::default);
        let subscriber = tracing_subscriber::registry().with(RingLayer::new(&RING));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(chain = 1, name = "x", "brought up");
            tracing::warn!("{} is late", "it");
            tracing::debug!("{}", "é".repeat(1000));
        });
        let lines = RING.after(0, Level::TRACE);
        assert_eq!(lines[0].text, "brought up chain=1 name=\"x\"");
        assert_eq!(
            (lines[1].level, lines[1].text.as_str()),
            ("WARN", "it is late")
        );
        assert_eq!(lines[2].text.len(), LONGEST);
        assert_eq!(RING.after(1, Level::WARN).len(), 1);
        assert_eq!(RING.after(3, Level::TRACE), []);
    }

    #[test]
    fn the_ring_is_bounded() {
        let ring = LogRing::default();
        for _ in 0..KEPT + 5 {
            ring.keep(Level::INFO, "a", String::new());
        }
        let lines = ring.after(0, Level::TRACE);
        assert_eq!((lines.len(), lines[0].number), (KEPT, 6));
    }
}
