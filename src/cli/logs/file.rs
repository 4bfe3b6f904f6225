//! The log in a file: files of one size that take turns, and no more bytes a day than a flash may bear.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// After a failure the file is tried again at most so often.
const AGAIN: Duration = Duration::from_secs(60);
const DAY: u64 = 24 * 60 * 60;

/// Where the log is written, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// The file that is written to; older ones have `.1`, `.2` and so on behind their name.
    pub path: PathBuf,
    /// Bytes of one file.
    pub size: u64,
    /// Files that are kept, the one that is written to included.
    pub files: u32,
    /// Bytes that may be written in a day of UTC.
    pub budget: u64,
}

/// The log in a file. Lines that cannot be written are lost: a full or dead flash must stop nobody.
pub struct FileLog {
    settings: FileSettings,
    file: Option<File>,
    /// Bytes in the present file.
    length: u64,
    day: u64,
    /// Bytes written on this day.
    spent: u64,
    exhausted: bool,
    failed_at: Option<SystemTime>,
}

impl FileLog {
    /// Goes on where an earlier run ended. What today's files hold counts as written today: a program that is started
    /// again and again has one budget.
    pub fn new(settings: FileSettings, now: SystemTime) -> Self {
        let day = day(now);
        let spent = (0..settings.files)
            .filter_map(|number| fs::metadata(name(&settings.path, number)).ok())
            .filter(|file| file.modified().is_ok_and(|at| self::day(at) == day))
            .map(|file| file.len())
            .sum();
        let budget = settings.budget;
        Self {
            settings,
            file: None,
            length: 0,
            day,
            spent,
            exhausted: spent >= budget,
            failed_at: None,
        }
    }

    /// Writes one line, as far as the day's budget goes.
    pub fn write(&mut self, line: &[u8], now: SystemTime) {
        // A clock that was set back does not begin a day anew.
        if day(now) > self.day {
            self.day = day(now);
            self.spent = 0;
            self.exhausted = false;
        }
        if self.exhausted {
            return;
        }
        if self.spent + line.len() as u64 > self.settings.budget {
            self.exhausted = true;
            let words = format!(
                "the log's budget of {} KiB a day is spent: this file goes on tomorrow\n",
                self.settings.budget / 1024
            );
            self.append(words.as_bytes(), now);
            return;
        }
        self.append(line, now);
    }

    fn append(&mut self, line: &[u8], now: SystemTime) {
        if self.file.is_some() && self.length + line.len() as u64 > self.settings.size {
            self.file = None;
            self.take_turns();
        }
        if self.file.is_none() {
            let waits = self
                .failed_at
                .and_then(|at| now.duration_since(at).ok())
                .is_some_and(|since| since < AGAIN);
            if waits {
                return;
            }
            self.open();
        }
        let written = self
            .file
            .as_mut()
            .is_some_and(|file| file.write_all(line).is_ok());
        if written {
            self.failed_at = None;
            self.length += line.len() as u64;
            self.spent += line.len() as u64;
        } else {
            self.file = None;
            self.failed_at = Some(now);
        }
    }

    fn open(&mut self) {
        let path = &self.settings.path;
        let full =
            |path: &Path| fs::metadata(path).is_ok_and(|file| file.len() >= self.settings.size);
        if full(path) {
            self.take_turns();
        }
        let opened = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o640)
            .open(path);
        self.length = opened
            .as_ref()
            .ok()
            .and_then(|file| file.metadata().ok())
            .map_or(0, |file| file.len());
        self.file = opened.ok();
    }

    /// Every file gets the next number; the last one goes.
    fn take_turns(&self) {
        let path = &self.settings.path;
        for number in (0..self.settings.files).rev() {
            let from = name(path, number);
            // What is not there, or cannot be moved, is written over in the end.
            let _ = if number + 1 == self.settings.files {
                fs::remove_file(from)
            } else {
                fs::rename(from, name(path, number + 1))
            };
        }
    }
}

fn day(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / DAY
}

fn name(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.into();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noon of a day. The present would be another day now and then, between two lines of a test.
    fn noon() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(20_000 * DAY + DAY / 2)
    }

    fn log(directory: &Path, size: u64, files: u32, budget: u64) -> FileLog {
        let settings = FileSettings {
            path: directory.join("log"),
            size,
            files,
            budget,
        };
        FileLog::new(settings, noon())
    }

    /// Lets files be written last at that time, which the kernel's clock would decide.
    fn stamp(directory: &Path, at: SystemTime) {
        for entry in fs::read_dir(directory).unwrap() {
            let file = File::options().append(true).open(entry.unwrap().path());
            file.unwrap().set_modified(at).unwrap();
        }
    }

    fn texts(directory: &Path) -> Vec<String> {
        ["log", "log.1", "log.2", "log.3"]
            .iter()
            .map_while(|name| fs::read_to_string(directory.join(name)).ok())
            .collect()
    }

    #[test]
    fn files_take_turns_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = log(directory.path(), 20, 3, 1 << 20);
        for line in 0..9 {
            log.write(format!("line {line:04}\n").as_bytes(), noon());
        }
        assert_eq!(
            texts(directory.path()),
            [
                "line 0008\n",
                "line 0006\nline 0007\n",
                "line 0004\nline 0005\n"
            ]
        );
    }

    #[test]
    fn a_spent_budget_is_told_in_one_line_and_the_next_day_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = log(directory.path(), 1 << 20, 2, 2048);
        let now = noon();
        for _ in 0..1000 {
            log.write(b"0123456789abcde\n", now);
        }
        let text = fs::read_to_string(directory.path().join("log")).unwrap();
        assert_eq!(text.matches("0123456789abcde\n").count(), 128);
        assert_eq!(text.matches("budget of 2 KiB a day is spent").count(), 1);
        log.write(b"yesterday\n", now - Duration::from_secs(DAY));
        log.write(b"tomorrow\n", now + Duration::from_secs(DAY));
        let text = fs::read_to_string(directory.path().join("log")).unwrap();
        assert!(text.ends_with("tomorrow\ntomorrow\n"), "{text}");
    }

    #[test]
    fn a_program_that_is_started_again_and_again_has_one_budget() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..20 {
            let mut log = log(directory.path(), 512, 4, 1024);
            log.write(&[b'x'; 200], noon());
            stamp(directory.path(), noon());
        }
        let bytes: usize = texts(directory.path()).iter().map(String::len).sum();
        assert!(bytes < 1024 + 20 * 100, "{bytes}");
        let written = texts(directory.path()).concat().matches('x').count();
        assert_eq!(written, 1000);

        stamp(directory.path(), noon() - Duration::from_secs(DAY));
        log(directory.path(), 512, 4, 1024).write(b"another day\n", noon());
        let first = &texts(directory.path())[0];
        assert!(first.ends_with("another day\n"), "{first}");
    }

    #[test]
    fn what_cannot_be_written_is_lost_and_tried_again_later() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("later");
        let mut log = log(&missing, 1 << 20, 2, 1 << 20);
        let now = noon();
        log.write(b"lost\n", now);
        fs::create_dir(&missing).unwrap();
        log.write(b"lost, too\n", now + Duration::from_secs(59));
        log.write(b"there\n", now + Duration::from_secs(61));
        assert_eq!(texts(&missing), ["there\n"]);
    }
}
