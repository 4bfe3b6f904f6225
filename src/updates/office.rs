//! The side that may write slots: takes bundles, and lets a child of this process install them, one at a time.

use super::{Ask, Bundle, Job, JobState, QUESTION_LIMIT, SOCKET, Status, Told, read_question};
use crate::link::AnswerSocket;
use cgminer_hal::task;
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For a question.
const QUESTION_TIME: Duration = Duration::from_secs(5);
/// For each piece of a bundle: longer than the gateway waits for its client, so that it is the gateway that says why.
const PIECE_TIME: Duration = Duration::from_secs(60);
/// Bytes that are taken at a time.
const PIECE: usize = 64 * 1024;
/// Bytes after which what is in memory is written down: all at once at the end would take longer than anybody waits.
const WRITTEN_DOWN: u64 = 2 * 1024 * 1024;
/// How long what the image told of itself is believed; a page asks every second or so.
const FRESH: Duration = Duration::from_secs(5);
/// Bytes that are taken of what a child says.
const WORDS: u64 = 64 * 1024;
/// Letters of a line that is shown.
const LINE: usize = 300;

/// Where things lie.
#[derive(Clone, Debug)]
pub struct Places {
    /// This program.
    pub program: PathBuf,
    /// What is there on systems that have an updater.
    pub updater: PathBuf,
    /// Where a bundle waits for being installed: room for one, on the data partition.
    pub bundles: PathBuf,
}

impl Default for Places {
    /// Of a firmware image.
    fn default() -> Self {
        Self {
            program: "/proc/self/exe".into(),
            updater: "/etc/rauc/system.conf".into(),
            bundles: "/data/firmware".into(),
        }
    }
}

/// Answers until dropped. An update that has begun goes on.
pub struct Office {
    _answers: AnswerSocket,
}

impl Office {
    /// Opens the socket in the run directory, for its owner alone, and answers there.
    ///
    /// # Errors
    /// When the socket or the thread cannot be had.
    pub fn start(run_directory: &Path, places: Places) -> io::Result<Self> {
        let desk = Arc::new(Desk {
            places,
            job: Mutex::default(),
            image: Mutex::default(),
        });
        let answers = AnswerSocket::open(run_directory, SOCKET, move |stream| desk.serve(stream))?;
        Ok(Self { _answers: answers })
    }
}

struct Desk {
    places: Places,
    job: Mutex<Option<Job>>,
    image: Mutex<Option<(Instant, Result<Value, String>)>>,
}

impl Desk {
    fn serve(self: &Arc<Self>, mut stream: UnixStream) -> io::Result<()> {
        stream.set_write_timeout(Some(QUESTION_TIME))?;
        let line = read_line(&mut stream)?;
        match read_question(&line) {
            Ok(Ask::Status) => tell(&mut stream, &Told::Status(Box::new(self.status()))),
            Ok(Ask::Install(bundle)) => match self.begin() {
                Ok(()) => {
                    let desk = Arc::clone(self);
                    let begun = task::thread("update", move || desk.install(stream, bundle));
                    if let Err(error) = &begun {
                        self.fail(&format!("no thread for the update: {error}"));
                    }
                    begun.map(drop)
                }
                Err(why) => tell(&mut stream, &Told::Refused(why)),
            },
            Err(why) => tell(&mut stream, &Told::Refused(why)),
        }
    }

    fn unavailable(&self) -> Option<String> {
        let updater = &self.places.updater;
        (!updater.exists()).then(|| {
            format!(
                "{} is not there: this is no firmware image with two slots, and is updated by its own system",
                updater.display()
            )
        })
    }

    fn status(&self) -> Status {
        let job = self.job().clone();
        if let Some(reason) = self.unavailable() {
            return Status {
                reason: Some(reason),
                job,
                ..Status::default()
            };
        }
        let (image, reason) = match self.image() {
            Ok(image) => (image, None),
            Err(why) => (Value::Null, Some(why)),
        };
        Status {
            available: true,
            reason,
            image,
            job,
        }
    }

    /// What the image tells of itself, asked anew when the last answer is old.
    fn image(&self) -> Result<Value, String> {
        let mut kept = self.image.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, image)) = kept.as_ref() {
            if at.elapsed() < FRESH {
                return image.clone();
            }
        }
        let output = Command::new(&self.places.program)
            .args(["firmware", "status", "--json"])
            .stdin(Stdio::null())
            .output();
        let image = match output {
            Ok(output) if output.status.success() => serde_json::from_slice(&output.stdout)
                .map_err(|error| format!("the image's status cannot be read: {error}")),
            Ok(output) => Err(shown(&String::from_utf8_lossy(&output.stderr))),
            Err(error) => Err(format!("the image's status cannot be asked for: {error}")),
        };
        *kept = Some((Instant::now(), image.clone()));
        image
    }

    /// Takes the place of the one update that may run.
    fn begin(&self) -> Result<(), String> {
        if let Some(reason) = self.unavailable() {
            return Err(reason);
        }
        let mut job = self.job();
        let runs = |job: &Job| matches!(job.state, JobState::Receiving | JobState::Installing);
        if job.as_ref().is_some_and(runs) {
            return Err("an update is under way; wait for its end".into());
        }
        *job = Some(Job {
            state: JobState::Receiving,
            per_cent: Some(0),
            line: "receiving the bundle".into(),
        });
        Ok(())
    }

    fn install(&self, mut stream: UnixStream, bundle: Bundle) {
        let file = match self.receive(&mut stream, bundle.bytes) {
            Ok(file) => file,
            Err(error) => {
                let why = format!("the bundle did not arrive: {error}");
                self.fail(&why);
                // Who sent it may have gone, which may be the reason.
                let _ = tell(&mut stream, &Told::Refused(why));
                return;
            }
        };
        self.progress(JobState::Installing, None, "verifying the bundle");
        let _ = tell(&mut stream, &Told::Taken);
        drop(stream);
        let ended = self.run(&file, bundle);
        // Room for the next one; it is overwritten then at the latest.
        let _ = fs::remove_file(&file);
        // The slots are not what they were.
        *self.image.lock().unwrap_or_else(PoisonError::into_inner) = None;
        match ended {
            Ok(()) => self.progress(JobState::Installed, Some(100), "installed"),
            Err(why) => self.fail(&why),
        }
    }

    /// Writes what arrives to the data partition. Nobody else may write to it, so what is verified is what is installed.
    fn receive(&self, stream: &mut UnixStream, bytes: u64) -> io::Result<PathBuf> {
        stream.set_read_timeout(Some(PIECE_TIME))?;
        let directory = &self.places.bundles;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let path = directory.join("update.raucb");
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|file| self.copy(stream, file, bytes));
        if written.is_err() {
            // Half a bundle only takes room.
            let _ = fs::remove_file(&path);
        }
        written.map(|()| path)
    }

    fn copy(&self, stream: &mut UnixStream, mut file: File, bytes: u64) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        let (mut arrived, mut written) = (0, 0);
        while arrived < bytes {
            let room = usize::try_from(bytes - arrived).unwrap_or(PIECE).min(PIECE);
            let Some(place) = piece.get_mut(..room) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            match stream.read(place) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    file.write_all(place.get(..count).unwrap_or_default())?;
                    arrived += count as u64;
                    if arrived - written >= WRITTEN_DOWN {
                        file.sync_data()?;
                        written = arrived;
                    }
                    let per_cent = arrived.saturating_mul(100).checked_div(bytes);
                    self.progress(
                        JobState::Receiving,
                        per_cent.and_then(|per_cent| u8::try_from(per_cent).ok()),
                        "receiving the bundle",
                    );
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        file.sync_all()
    }

    /// Lets a child install it; each of its own steps has a deadline there.
    fn run(&self, file: &Path, bundle: Bundle) -> Result<(), String> {
        tracing::info!("an update was sent and is being installed");
        let mut command = Command::new(&self.places.program);
        command.args(["firmware", "install"]).arg(file);
        for (wish, flag) in [
            (bundle.again, "--again"),
            (bundle.downgrade, "--allow-downgrade"),
            (bundle.reboot, "--reboot"),
        ] {
            if wish {
                command.arg(flag);
            }
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the installer cannot be started: {error}"))?;
        // Both are read at once and to their ends: a child that nobody reads waits for ever, or ends half-way.
        let words = child.stderr.take();
        let reader = std::thread::Builder::new().name("update words".into());
        let reader = match reader.spawn(move || words.map(first_words).unwrap_or_default()) {
            Ok(reader) => reader,
            Err(error) => {
                // It fails only for a child that has ended already.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no thread for the update: {error}"));
            }
        };
        if let Some(lines) = child.stdout.take() {
            let mut lines = BufReader::new(lines);
            let mut line = Vec::new();
            while matches!(
                (&mut lines).take(WORDS).read_until(b'\n', &mut line),
                Ok(1..)
            ) {
                let told = shown(&String::from_utf8_lossy(&line));
                tracing::info!("update: {told}");
                self.progress(JobState::Installing, per_cent(&told), &told);
                line.clear();
            }
        }
        let why = reader.join().unwrap_or_default();
        match child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(_) if !why.is_empty() => Err(shown(&String::from_utf8_lossy(&why))),
            Ok(status) => Err(format!("the installer ended with {status}")),
            Err(error) => Err(format!("the installer's end is not known: {error}")),
        }
    }

    fn progress(&self, state: JobState, per_cent: Option<u8>, line: &str) {
        *self.job() = Some(Job {
            state,
            per_cent,
            line: line.to_owned(),
        });
    }

    fn fail(&self, why: &str) {
        tracing::warn!("update: {why}");
        self.progress(JobState::Failed, None, why);
    }

    fn job(&self) -> MutexGuard<'_, Option<Job>> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first that a child says, for the case that it fails; what cannot be read is not told.
fn first_words(mut words: impl Read) -> Vec<u8> {
    let mut first = Vec::new();
    let _ = (&mut words).take(WORDS).read_to_end(&mut first);
    let _ = io::copy(&mut words, &mut io::sink());
    first
}

/// The question's line, without its end. Read byte by byte, since a bundle may follow at once.
fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let until = Instant::now() + QUESTION_TIME;
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < QUESTION_LIMIT {
        let rest = until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(rest))?;
        match stream.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if byte == *b"\n" => break,
            Ok(_) => line.extend(byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(line)
}

fn tell(stream: &mut UnixStream, told: &Told) -> io::Result<()> {
    stream.write_all(&serde_json::to_vec(told)?)
}

/// A line that a page can show.
fn shown(text: &str) -> String {
    let line = text.trim().replace('\n', "; ");
    let line = line.chars().filter(|letter| !letter.is_control());
    line.take(LINE).collect()
}

/// What a line of progress begins with, as in ` 82% Copying image to rootfs.1`.
fn per_cent(line: &str) -> Option<u8> {
    let (number, _) = line.split_once('%')?;
    number.trim().parse().ok().filter(|number| *number <= 100)
}

#[cfg(test)]
mod tests;
