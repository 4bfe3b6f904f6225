//! The latest log lines, kept in memory for those who ask over the network.

use serde::Serialize;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
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
    /// Who else wants the lines of other processes.
    adopted: OnceLock<Box<dyn AdoptedSink>>,
}

/// Takes lines of another process; never makes who brings them wait.
pub trait AdoptedSink: Send + Sync + 'static {
    /// Takes one line, with the time that it was told there.
    fn take(&self, unix_time: f64, level: Level, target: &str, text: &str);
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
    pub target: Cow<'static, str>,
    /// What it told, fields behind it as `name=value`.
    pub text: String,
}

/// Takes lines; never makes who tells them wait.
pub trait LineSink: Send + Sync + 'static {
    /// Takes one line.
    fn take(&self, level: Level, target: &'static str, text: String);
}

impl LineSink for &'static LogRing {
    fn take(&self, level: Level, target: &'static str, text: String) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.keep(
            now.unwrap_or_default().as_secs_f64(),
            level,
            target.into(),
            text,
        );
    }
}

/// Puts what is told into a sink, as one text with its fields behind.
pub struct LineLayer<T>(T);

impl<T: LineSink> LineLayer<T> {
    /// A layer that fills a sink.
    pub fn new(sink: T) -> Self {
        Self(sink)
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

    /// Keeps a line of another process, with the time that it was told there.
    pub fn adopt(&self, unix_time: f64, level: &str, target: String, mut text: String) {
        if let Ok(level) = level.parse() {
            cut(&mut text);
            if let Some(sink) = self.adopted.get() {
                sink.take(unix_time, level, &target, &text);
            }
            self.keep(unix_time, level, target.into(), text);
        }
    }

    /// Lets somebody else have the lines of other processes, too; the first who asks stays the one.
    pub fn pass_adopted_to(&self, sink: impl AdoptedSink) {
        let _ = self.adopted.set(Box::new(sink));
    }

    fn keep(&self, unix_time: f64, level: Level, target: Cow<'static, str>, text: String) {
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

impl<S: Subscriber, T: LineSink> Layer<S> for LineLayer<T> {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        self.0
            .take(*metadata.level(), metadata.target(), text.finish());
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
        cut(&mut self.message);
        self.message
    }
}

fn cut(text: &mut String) {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or(0));
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
        let subscriber = tracing_subscriber::registry().with(LineLayer::new(&*RING));
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
            ring.keep(1.0, Level::INFO, "a".into(), String::new());
        }
        let lines = ring.after(0, Level::TRACE);
        assert_eq!((lines.len(), lines[0].number), (KEPT, 6));
    }

    #[test]
    fn lines_of_another_process_keep_their_time_and_are_bounded() {
        let ring = LogRing::default();
        ring.adopt(7.5, "WARN", "cgminer_rs::keeper".into(), "x".repeat(1000));
        ring.adopt(8.0, "LOUD", String::new(), String::new());
        let lines = ring.after(0, Level::TRACE);
        assert_eq!(lines.len(), 1, "a level that is none");
        assert_eq!((lines[0].unix_time, lines[0].level), (7.5, "WARN"));
        assert_eq!(lines[0].text.len(), LONGEST);
    }
}
