//! Where log lines go: to standard error and to a file, by a thread of their own, and to a syslog server by another.
//!
//! The keeper writes the file, the miner's lines too, which come from its standard error; so there is one writer with one
//! budget, and a miner that was taken over reaches no file.
//!
//! A terminal that hangs or a full pipe must not stop a loop that mines or cools, so a line is handed over through a bounded
//! queue. When that is full the line is dropped, and the next one that fits says how many were.

mod file;
mod remote;

use crate::config::{LogFormat, LogSection, SyslogServer};
use crate::pool::url::Host;
use crate::telemetry::logs::LineLayer;
use crate::telemetry::{BySwitch, LOG_LEVEL, LOG_RING};
use cgminer_hal::task::thread;
use file::{FileLog, FileSettings};
use remote::Remote;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
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

/// The way to the log's thread of this process, for lines that another one told.
static FEED: OnceLock<Queue> = OnceLock::new();

/// Which process logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that writes the file, and does all else, too.
    Writer,
    /// The keeper beside a miner: it writes the file, and asks no name server.
    Keeper,
    /// Any other; two writers would have two budgets.
    Other,
}

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
pub fn start(settings: &LogSection, role: Role) -> Result<Logs, TryInitError> {
    let file = (role != Role::Other).then(|| file_of(settings)).flatten();
    let (queue, logs) = Logs::to(io::stderr(), file);
    let terminal = io::stderr().is_terminal();
    LOG_LEVEL.set(settings.level.targets());
    let named = |server: &SyslogServer| matches!(server.host, Host::Name(_));
    let server = settings.syslog.clone();
    let server = server.filter(|server| role != Role::Keeper || !named(server));
    let remote = server.map(|server| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host.map(|name| name.trim().to_owned());
        let through = named(&server);
        let remote = Remote::to(server, host);
        if through {
            LOG_RING.pass_adopted_to(remote.clone());
        }
        LineLayer::new(remote).with_filter(BySwitch(&LOG_LEVEL))
    });
    tracing_subscriber::registry()
        .with(LineLayer::new(&*LOG_RING).with_filter(BySwitch(&LOG_LEVEL)))
        .with(remote)
        .with(lines(settings.format, terminal, queue.clone()).with_filter(BySwitch(&LOG_LEVEL)))
        .try_init()?;
    // It fails when logs were started before, which the line above would have told.
    let _ = FEED.set(queue);
    Ok(logs)
}

/// Takes a line that another process told to its standard error. Never waits.
pub fn feed(line: &[u8]) {
    if let Some(queue) = FEED.get() {
        // Taking a line cannot fail.
        let _ = queue.make_writer().write_all(line);
    }
}

fn file_of(settings: &LogSection) -> Option<FileLog> {
    const KIB: u64 = 1024;
    let settings = FileSettings {
        path: settings.file.clone()?,
        size: KIB * u64::from(settings.file_size),
        files: settings.files.into(),
        budget: KIB * u64::from(settings.file_budget),
    };
    Some(FileLog::new(settings, SystemTime::now()))
}

/// A line without what colours it on a terminal.
fn plain(line: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(line.len());
    let mut inside = false;
    for &byte in line {
        match byte {
            0x1B => inside = true,
            b'm' if inside => inside = false,
            _ if inside => {}
            _ => plain.push(byte),
        }
    }
    plain
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
        LogFormat::Text => {
            let layer = fmt::layer()
                .compact()
                .with_timer(Clock { terminal })
                .with_writer(queue);
            // On a terminal the watcher's environment decides on colours.
            if terminal {
                layer.boxed()
            } else {
                layer.with_ansi(false).boxed()
            }
        }
    }
}

/// The time that a line begins with: hours, minutes and seconds of UTC are what a watcher needs.
// One for both, since all of a layer is compiled for each kind of clock.
struct Clock {
    terminal: bool,
}

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        if !self.terminal {
            return fmt::time::SystemTime.format_time(writer);
        }
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
    fn to(mut output: impl Write + Send + 'static, mut file: Option<FileLog>) -> (Queue, Self) {
        let (sender, receiver) = sync_channel::<Vec<u8>>(QUEUE);
        let (done_sender, done) = sync_channel(1);
        let queue = Queue {
            sender,
            dropped: Arc::default(),
        };
        let dropped = queue.dropped.clone();
        let thread = thread("log", move || {
            for line in receiver {
                // An empty line is the sign to end.
                if line.is_empty() {
                    break;
                }
                // Nobody is left to tell when standard error is gone.
                let _ = output.write_all(&line);
                if let Some(file) = &mut file {
                    file.write(&plain(&line), SystemTime::now());
                }
                let lost = dropped.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let _ = writeln!(
                        output,
                        "{lost} log lines were dropped: they came faster than they could be written"
                    );
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
        let (queue, logs) = Logs::to(sink.clone(), None);
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
        let (queue, logs) = Logs::to(Hanging(hang, sink.clone()), None);
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

    #[test]
    fn a_file_gets_the_same_lines_without_colours() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let settings = LogSection {
            file: Some(path.clone()),
            ..LogSection::default()
        };
        let (queue, logs) = Logs::to(Sink::default(), file_of(&settings));
        let lines = lines(LogFormat::Text, true, queue);
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(pool = 1, "the pool is silent");
        });
        drop(logs);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.ends_with("the pool is silent pool=1\n"), "{text:?}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
