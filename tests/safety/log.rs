//! What was logged, as an operator would read it.

use std::io;
use std::sync::{Arc, Mutex, Once};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// What is worth a line is asked once for each place in the code, of the thread that comes by first. A test beside this one that keeps no
/// log would answer "nothing" for all; so each thread has a log, and nobody reads those.
static FOR_NOBODY: Once = Once::new();

/// Keeps all lines of information and above that this thread logs, while it lives.
pub struct Log {
    lines: Lines,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn keep() -> Self {
        let everybody = || tracing_subscriber::fmt().with_max_level(tracing::Level::INFO);
        FOR_NOBODY.call_once(|| {
            let nobody = everybody().with_writer(io::sink).finish();
            tracing::subscriber::set_global_default(nobody).unwrap();
        });
        let lines = Lines::default();
        let subscriber = everybody()
            .with_ansi(false)
            .without_time()
            .with_writer(lines.clone())
            .finish();
        Self {
            lines,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    #[allow(dead_code, reason = "two test programs share this")]
    /// Whether one line has all these words.
    pub fn has_line(&self, words: &[String]) -> bool {
        self.text()
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word.as_str())))
    }

    /// All that was logged.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lines.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
