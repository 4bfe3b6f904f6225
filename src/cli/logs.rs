//! Where log lines go: to standard error, by a thread of their own.
//!
//! A terminal that hangs or a full pipe must not stop a loop that mines or cools, so a line is handed over through a bounded
//! queue. When that is full the line is dropped, and the next one that fits says how many were.

use crate::config::{LogFormat, LogSection};
use crate::telemetry::{LOG_RING, RingLayer};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Lines on their way.
const QUEUE: usize = 1024;
/// Bytes of a line; what is longer is cut.
const LONGEST_LINE: usize = 8 * 1024;
/// How long the last lines may take at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Keeps the log's thread; drop it last, so that the last lines are written.
pub struct Logs {
    queue: Option<Queue>,
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// Sends all that rooms tell to standard error, from now on and for the whole process.
///
/// # Errors
/// When logs were started before.
pub fn start(settings: &LogSection) -> Result<Logs, TryInitError> {
    let (queue, logs) = Logs::to(io::stderr());
    let terminal = io::stderr().is_terminal();
    let targets = settings.level.targets();
    tracing_subscriber::registry()
        .with(RingLayer::new(&LOG_RING).with_filter(targets.clone()))
        .with(lines(settings.format, terminal, queue).with_filter(targets))
        .try_init()?;
    Ok(logs)
}

/// Lines of either form.
fn lines<S>(format: LogFormat, terminal: bool, queue: Queue) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    match format {
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_writer(queue)
            .boxed(),
        LogFormat::Text if terminal => fmt::layer()
            .compact()
            .with_timer(TimeOfDay)
            .with_writer(queue)
            .boxed(),
        LogFormat::Text => fmt::layer()
            .compact()
            .with_ansi(false)
            .with_writer(queue)
            .boxed(),
    }
}

/// Hours, minutes and seconds of UTC: what a watcher needs.
struct TimeOfDay;

impl FormatTime for TimeOfDay {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        write!(
            writer,
            "{:02}:{:02}:{:02}",
            now / 3600 % 24,
            now / 60 % 60,
            now % 60
        )
    }
}

/// The way to the log's thread.
#[derive(Clone)]
struct Queue {
    sender: SyncSender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
}

/// One line in the making; handed over whole when dropped.
struct Line {
    bytes: Vec<u8>,
    queue: Queue,
}

impl Logs {
    fn to(mut output: impl Write + Send + 'static) -> (Queue, Self) {
        let (sender, receiver) = sync_channel::<Vec<u8>>(QUEUE);
        let (done_sender, done) = sync_channel(1);
        let queue = Queue {
            sender,
            dropped: Arc::default(),
        };
        let dropped = queue.dropped.clone();
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || {
            for line in receiver {
                // An empty line is the sign to end.
                if line.is_empty() {
                    break;
                }
                // Nobody is left to tell when standard error is gone.
                let _ = output.write_all(&line);
                let lost = dropped.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let _ = writeln!(output, "{lost} log lines were dropped: they came faster than they could be written");
                }
            }
            let _ = output.flush();
            let _ = done_sender.send(());
        });
        (
            queue.clone(),
            Self {
                queue: Some(queue),
                done,
                thread: thread.ok(),
            },
        )
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            let _ = queue.sender.try_send(Vec::new());
        }
        // A hanging terminal must not keep the process alive.
        if self.done.recv_timeout(LAST_LINES).is_ok() {
            if let Some(thread) = self.thread.take() {
                let _ = thread.join();
            }
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            bytes: Vec::with_capacity(160),
            queue: self.clone(),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = LONGEST_LINE.saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.is_empty() {
            return;
        }
        if bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
        if let Err(TrySendError::Full(_)) = self.queue.sender.try_send(bytes) {
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, terminal: bool) -> String {
        let sink = Sink::default();
        let (queue, logs) = Logs::to(sink.clone());
        let subscriber = tracing_subscriber::registry().with(lines(format, terminal, queue));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(pool = 1, "the pool is silent");
        });
        drop(logs);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_lines_are_objects_with_the_fields_at_the_top() {
        let text = logged(LogFormat::Json, true);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "the pool is silent");
        assert_eq!(line["pool"], 1);
    }

    #[test]
    fn text_is_coloured_on_a_terminal_alone() {
        assert!(logged(LogFormat::Text, true).contains('\u{1b}'));
        let plain = logged(LogFormat::Text, false);
        assert!(
            !plain.contains('\u{1b}') && plain.contains("the pool is silent"),
            "{plain}"
        );
    }

    #[test]
    fn an_output_that_hangs_drops_lines_and_tells_how_many() {
        struct Hanging(Receiver<()>, Sink);
        impl Write for Hanging {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                self.1.write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, hang) = channel();
        let sink = Sink::default();
        let (queue, logs) = Logs::to(Hanging(hang, sink.clone()));
        let lines = QUEUE + 100;
        for _ in 0..lines {
            queue.make_writer().write_all(b"line").unwrap();
        }
        drop(release);
        drop((queue, logs));
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let written = text.lines().filter(|line| *line == "line").count();
        let dropped: usize = text
            .lines()
            .filter_map(|line| {
                line.split_once(" log lines were dropped")?
                    .0
                    .parse::<usize>()
                    .ok()
            })
            .sum();
        assert!(
            written >= QUEUE && dropped > 0,
            "{written} written, {dropped} dropped"
        );
        assert_eq!(written + dropped, lines);
    }
}
