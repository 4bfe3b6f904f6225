//! The one who reads and writes the configuration's files for a miner that may not.
//!
//! The miner has no right to files outside its run directory, and a miner that was taken over must not be able to name
//! another board file to the keeper. So the files stay the owner's, and a thread of the keeper's process answers on a
//! socket: it reads, and it writes what is a whole, valid configuration that leaves the machine's limits alone.

use super::atomic::write_atomically;
use super::layers::SourceFile;
use super::recipe::Recipe;
use super::schema::{Config, CoolingMode};
use super::token::hash;
use crate::link::AnswerSocket;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The socket, in the run directory.
pub const SOCKET: &str = "config.sock";
/// Bytes that a configuration file may have when it is written by the program.
pub const FILE_LIMIT: usize = 64 * 1024;
/// Version of questions. Both processes are one binary, so another one is a mistake to refuse.
const VERSION: u32 = 1;
/// Bytes that a question may have: a file, of which JSON doubles quotes and line ends, and what stands around it.
pub const QUESTION_LIMIT: usize = 2 * FILE_LIMIT + 1024;
/// Bytes that an answer may have: all files.
const ANSWER_LIMIT: usize = 1024 * 1024;
/// Log lines in one answer: far below that limit.
const LINES: usize = 128;
/// For a whole question, and for taking the whole answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Writes that may follow each other at once, and how long until one more may: what a flash has to bear.
const WRITES: (u32, Duration) = (300, Duration::from_secs(30));

/// A question.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Has anything changed?
    Stamp,
    /// All files, the main one first.
    Read,
    /// The keeper's log lines with a greater number.
    Lines {
        /// The number.
        after: u64,
    },
    /// Let the main file be this.
    Write {
        /// Its whole text.
        text: String,
        /// Hash of the text that the change was made to.
        was: String,
    },
}

/// What is sent.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question<A> {
    version: u32,
    ask: A,
}

/// Reads a question as the miner could send it: the whole way that a hostile byte goes before anything is done.
///
/// # Errors
/// When it is none, in words.
pub fn read_question(bytes: &[u8]) -> Result<Ask, String> {
    if bytes.len() > QUESTION_LIMIT {
        return Err(format!(
            "the question is longer than {QUESTION_LIMIT} bytes; shorten the file"
        ));
    }
    let question: Question<Ask> = serde_json::from_slice(bytes)
        .map_err(|error| format!("the question cannot be read: {error}"))?;
    if question.version != VERSION {
        return Err(format!(
            "a question of version {}, this is {VERSION}: both processes must be the same binary",
            question.version
        ));
    }
    Ok(question.ask)
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Told {
    /// Differs from another one when a file, or the wish to have them read again, has changed.
    Stamp(String),
    /// The files.
    Files(Vec<SourceFile>),
    /// The lines, oldest first; more may be there.
    Lines(Vec<KeeperLine>),
    /// It is on disk.
    Written,
    /// It is not, and why.
    Refused(String),
}

/// A log line of the keeper's process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeeperLine {
    /// Counts from 1.
    pub number: u64,
    /// Seconds since 1970.
    pub unix_time: f64,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: String,
    /// Room that told it.
    pub target: String,
    /// What it told.
    pub text: String,
}

/// Gives lines with a greater number.
pub type KeeperLines = fn(u64) -> Vec<KeeperLine>;

/// Answers until dropped.
pub struct Scribe {
    _answers: AnswerSocket,
    wishes: Arc<AtomicU64>,
    minimum_fans: watch::Receiver<Option<u8>>,
}

/// Asks that the files be read again, whether they have changed or not.
#[derive(Clone)]
pub struct Reread(Arc<AtomicU64>);

impl Reread {
    /// Asks.
    pub fn ask(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Scribe {
    /// Opens the socket in the run directory and answers there.
    ///
    /// # Errors
    /// When the socket or the thread cannot be had.
    pub fn start(recipe: Recipe, run_directory: &Path, lines: KeeperLines) -> io::Result<Self> {
        let wishes = Arc::new(AtomicU64::new(0));
        let minimum_fans = watch::Sender::new(None);
        let own_fans = minimum_fans.subscribe();
        let mut desk = Desk {
            recipe,
            lines,
            wishes: wishes.clone(),
            writes: WRITES.0,
            earned: Instant::now(),
            minimum_fans,
        };
        // Before anybody can ask: what the machine starts with.
        desk.read().map_err(io::Error::other)?;
        let answers = AnswerSocket::open(run_directory, SOCKET, move |stream| desk.serve(stream))?;
        Ok(Self {
            _answers: answers,
            wishes,
            minimum_fans: own_fans,
        })
    }

    /// What the files say of `cooling.minimum_fans`, as they were read last.
    pub fn minimum_fans(&self) -> watch::Receiver<Option<u8>> {
        self.minimum_fans.clone()
    }

    /// By which a reading is asked for.
    pub fn reread(&self) -> Reread {
        Reread(self.wishes.clone())
    }
}

/// Asks the scribe of a run directory.
///
/// # Errors
/// When none answers.
pub fn ask(run_directory: &Path, question: &Ask) -> io::Result<Told> {
    let mut stream = UnixStream::connect(run_directory.join(SOCKET))?;
    let version = VERSION;
    let question = serde_json::to_vec(&Question {
        version,
        ask: question,
    })?;
    write_whole(&mut stream, &question)?;
    stream.shutdown(Shutdown::Write)?;
    let bytes = read_whole(&mut stream, ANSWER_LIMIT)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Reads to the end, and one byte further than the limit at most. The deadline is for all of it: whoever drips would
/// otherwise keep the thread for ever.
fn read_whole(stream: &mut UnixStream, limit: usize) -> io::Result<Vec<u8>> {
    let until = Instant::now() + PATIENCE;
    let mut bytes = Vec::new();
    let mut piece = [0; 8 * 1024];
    while bytes.len() <= limit {
        stream.set_read_timeout(Some(rest(until)?))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => bytes.extend(piece.iter().take(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// Writes all of it within the deadline.
fn write_whole(stream: &mut UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(rest(until)?))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn rest(until: Instant) -> io::Result<Duration> {
    let rest = until.saturating_duration_since(Instant::now());
    if rest.is_zero() {
        Err(io::ErrorKind::TimedOut.into())
    } else {
        Ok(rest)
    }
}

struct Desk {
    recipe: Recipe,
    lines: KeeperLines,
    wishes: Arc<AtomicU64>,
    writes: u32,
    earned: Instant,
    minimum_fans: watch::Sender<Option<u8>>,
}

impl Desk {
    fn serve(&mut self, mut stream: UnixStream) -> io::Result<()> {
        let bytes = read_whole(&mut stream, QUESTION_LIMIT)?;
        let told = match read_question(&bytes) {
            Ok(question) => self.answer(question),
            Err(why) => Told::Refused(why),
        };
        write_whole(&mut stream, &serde_json::to_vec(&told)?)
    }

    fn answer(&mut self, question: Ask) -> Told {
        match question {
            Ask::Stamp => Told::Stamp(self.stamp()),
            Ask::Read => match self.read() {
                Ok(files) => Told::Files(files),
                Err(why) => Told::Refused(why),
            },
            Ask::Lines { after } => {
                let mut lines = (self.lines)(after);
                lines.truncate(LINES);
                Told::Lines(lines)
            }
            Ask::Write { text, was } => match self.write(&text, &was) {
                Ok(()) => Told::Written,
                Err(why) => Told::Refused(why),
            },
        }
    }

    /// Reads the files for the miner, and out of them what the keeper does not let the miner tell.
    fn read(&self) -> Result<Vec<SourceFile>, String> {
        let sources = self.recipe.read().map_err(|error| error.to_string())?;
        // Files that are wrong at the moment change nothing.
        if let Ok(loaded) = sources.load() {
            self.minimum_fans
                .send_replace(loaded.config.cooling.minimum_fans);
        }
        Ok(sources.files)
    }

    /// What a changed file cannot leave as it was.
    fn stamp(&self) -> String {
        let file = &self.recipe.file;
        let beside = file.parent().unwrap_or(Path::new(".")).join("conf.d");
        let listed = fs::read_dir(&beside).into_iter().flatten().flatten();
        let mut paths: Vec<_> = listed.map(|entry| entry.path()).collect();
        paths.sort();
        paths.insert(0, file.clone());
        let mut stamp = self.wishes.load(Ordering::Relaxed).to_string();
        for path in paths {
            let seen = fs::metadata(&path).map(|seen| {
                (
                    seen.ino(),
                    seen.len(),
                    seen.mtime(),
                    seen.mtime_nsec(),
                    seen.ctime_nsec(),
                )
            });
            let _ = write!(stamp, " {} {:?}", path.display(), seen.ok());
        }
        hash(&stamp)
    }

    fn write(&mut self, text: &str, was: &str) -> Result<(), String> {
        if text.len() > FILE_LIMIT {
            return Err(format!(
                "the file would have more than {FILE_LIMIT} bytes; shorten it"
            ));
        }
        let present = self.recipe.read().map_err(|error| error.to_string())?;
        let main = |file: &&SourceFile| file.path == self.recipe.file;
        let before = present
            .files
            .iter()
            .find(main)
            .map_or("", |file| file.text.as_str());
        if hash(before) != was {
            return Err("the file was changed by somebody else meanwhile; try again".into());
        }
        let mut files = present.files.clone();
        match files.iter_mut().find(|file| file.path == self.recipe.file) {
            Some(file) => file.text = text.into(),
            None => files.insert(
                0,
                SourceFile {
                    path: self.recipe.file.clone(),
                    text: text.into(),
                },
            ),
        }
        let after = self.recipe.with_files(files).load();
        let after = after.map_err(|error| error.to_string())?;
        let before = present.load().map_err(|error| error.to_string())?;
        if let Some(field) = out_of_reach(&before.config, &after.config) {
            return Err(format!(
                "{field} cannot be changed from outside; change it in {} on the machine itself",
                self.recipe.file.display()
            ));
        }
        self.pay()?;
        write_atomically(&self.recipe.file, text)
            .map_err(|error| format!("{}: {error}", self.recipe.file.display()))
    }

    /// A flash wears out: past a budget writes wait.
    fn pay(&mut self) -> Result<(), String> {
        while self.writes < WRITES.0 && self.earned.elapsed() >= WRITES.1 {
            self.earned += WRITES.1;
            self.writes += 1;
        }
        if self.writes == WRITES.0 {
            self.earned = Instant::now();
        }
        let spent = self.writes.checked_sub(1);
        self.writes = spent.ok_or("the configuration was written too often; wait half a minute")?;
        Ok(())
    }
}

/// The first field that only an owner on the machine itself may change: those that move the keeper's limits or places.
fn out_of_reach(before: &Config, after: &Config) -> Option<&'static str> {
    let immersed = |config: &Config| config.cooling.mode == CoolingMode::Immersion;
    [
        ("board", before.board != after.board),
        (
            "keeper.state_directory",
            before.keeper.state_directory != after.keeper.state_directory,
        ),
        (
            "api.run_directory",
            before.api.run_directory != after.api.run_directory,
        ),
        // The keeper writes it, with all its rights.
        ("log.file", before.log.file != after.log.file),
        (
            "cooling.minimum_fans",
            before.cooling.minimum_fans != after.cooling.minimum_fans,
        ),
        (
            "cooling.mode = \"immersion\"",
            !immersed(before) && immersed(after),
        ),
    ]
    .into_iter()
    .find_map(|(field, changed)| changed.then_some(field))
}

#[cfg(test)]
mod tests;
