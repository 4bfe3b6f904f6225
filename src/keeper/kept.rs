//! What outlives a reboot: the latched cause, and how often the machine went down without a wanted stop.
//!
//! One small file, replaced whole: written beside, synced, renamed, directory synced. It is written when the keeper
//! starts and ends, when it latches and is cleared, and once more when an unclean start has proven harmless: never on a
//! timer.

use super::cause::Cause;
use super::status::{LastEnd, Latch};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Unclean ends in a row after which the machine stays off. Each needs the one before to have come within
/// [`HARMLESS_AFTER`] of its start.
pub const UNCLEAN_ENDS_MAX: u32 = 8;
/// A keeper that lives this long has not ended its predecessor.
pub const HARMLESS_AFTER: Duration = Duration::from_secs(900);

/// Format of the file.
const FORMAT: u32 = 1;
/// No such file is longer.
const LONGEST: u64 = 16 * 1024;

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: u32,
    /// Whether a keeper runs, or ended without saying so.
    running: bool,
    unclean_ends: u32,
    latch: Option<Latch>,
    /// Which start of the kernel the last keeper ran in, where that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<String>,
}

/// The present start of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// Which one it is; none where nobody knows.
    pub id: Option<String>,
    /// Whether the watchdog's driver says that the watchdog reset the machine before it.
    pub watchdog_has_reset: bool,
}

/// The file.
#[derive(Clone, Debug)]
pub struct Kept {
    path: PathBuf,
    content: Content,
    last_end: Option<LastEnd>,
}

impl Kept {
    /// Reads the file and notes that a keeper runs. A file that cannot be understood latches: nobody knows why it was
    /// written. The error of writing is given beside, for the log: a full flash is no reason not to keep watch.
    pub fn begin(path: &Path, boot: Boot) -> (Self, io::Result<()>) {
        let (mut content, last_end) = match read(path) {
            Ok(content) => {
                let last_end = last_end(&content, &boot);
                (content, last_end)
            }
            Err(what) => {
                let content = Content {
                    latch: Some(latch(Cause::KeptCauseUnreadable { what })),
                    ..Content::default()
                };
                (content, None)
            }
        };
        if content.running {
            content.unclean_ends = content.unclean_ends.saturating_add(1);
        }
        if content.unclean_ends >= UNCLEAN_ENDS_MAX && content.latch.is_none() {
            content.latch = Some(latch(Cause::UncleanBoots {
                count: content.unclean_ends,
            }));
        }
        content.format = FORMAT;
        content.running = true;
        content.boot = boot.id;
        let kept = Self {
            path: path.to_owned(),
            content,
            last_end,
        };
        let written = kept.write();
        (kept, written)
    }

    /// How the keeper before this one ended; none when nobody knows, as at the very first start.
    #[must_use]
    pub fn last_end(&self) -> Option<LastEnd> {
        self.last_end
    }

    /// The latched cause that was kept.
    #[must_use]
    pub fn latch(&self) -> Option<Latch> {
        self.content.latch.clone().map(|latch| Latch {
            kept: true,
            ..latch
        })
    }

    /// How many keepers in a row before this one ended without a wanted stop, each soon after the one before it.
    #[must_use]
    pub fn unclean_ends(&self) -> u32 {
        self.content.unclean_ends
    }

    /// Keeps a latched cause, or forgets it. Writes only what is new.
    ///
    /// # Errors
    /// When it could not be written; it is tried again with the next call.
    pub fn keep(&mut self, latch: Option<&Latch>) -> io::Result<()> {
        if same(self.content.latch.as_ref(), latch) {
            return Ok(());
        }
        let before = self.content.clone();
        self.content.latch = latch.cloned();
        if latch.is_none() {
            self.content.unclean_ends = 0;
        }
        self.write_or_restore(before)
    }

    /// The keeper has lived long enough to count as a good start.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn harmless(&mut self) -> io::Result<()> {
        if self.content.unclean_ends == 0 {
            return Ok(());
        }
        let before = self.content.clone();
        self.content.unclean_ends = 0;
        self.write_or_restore(before)
    }

    /// The keeper ends on purpose.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn end(&mut self) -> io::Result<()> {
        let before = self.content.clone();
        self.content.running = false;
        self.content.unclean_ends = 0;
        self.write_or_restore(before)
    }

    fn write_or_restore(&mut self, before: Content) -> io::Result<()> {
        self.write().inspect_err(|_| self.content = before)
    }

    fn write(&self) -> io::Result<()> {
        let directory = self.path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        fs::create_dir_all(directory)?;
        let beside = self.path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&beside)?;
        file.write_all(&serde_json::to_vec(&self.content)?)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        File::open(directory)?.sync_all()
    }
}

/// The cause that a keeper would begin with; for a tool while none runs.
///
/// # Errors
/// When this user may not look.
pub fn latched(path: &Path) -> io::Result<Option<Latch>> {
    may_look(path)?;
    Ok(match read(path) {
        Ok(content) => content.latch,
        Err(what) => Some(latch(Cause::KeptCauseUnreadable { what })),
    })
}

/// Forgets the latched cause and the unclean ends, for a tool while no keeper runs. A file that cannot be understood is
/// replaced.
///
/// # Errors
/// When it cannot be written.
pub fn clear(path: &Path) -> io::Result<()> {
    may_look(path)?;
    let content = Content {
        format: FORMAT,
        unclean_ends: 0,
        latch: None,
        ..read(path).unwrap_or_default()
    };
    let kept = Kept {
        path: path.to_owned(),
        content,
        last_end: None,
    };
    kept.write()
}

/// How the keeper that wrote a file ended, seen from the present start of the kernel. A watchdog's flag stays up until the
/// next reset, so it says nothing of what happened since the kernel started.
fn last_end(content: &Content, boot: &Boot) -> Option<LastEnd> {
    // No keeper has written it.
    if content.format != FORMAT {
        return None;
    }
    let same = match (&content.boot, &boot.id) {
        (Some(then), Some(now)) => Some(then == now),
        _ => None,
    };
    Some(match (content.running, same, boot.watchdog_has_reset) {
        (true, Some(true), _) => LastEnd::Crash,
        (true, _, true) | (false, Some(false), true) => LastEnd::Watchdog,
        (true, Some(false), false) => LastEnd::Reset,
        (true, None, false) => LastEnd::Unclean,
        (false, ..) => LastEnd::WantedStop,
    })
}

/// What is not allowed must not look like a damaged file.
fn may_look(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

fn latch(cause: Cause) -> Latch {
    Latch {
        cause,
        unix_time: None,
        kept: true,
    }
}

/// The same cause; where it was read from does not matter.
fn same(one: Option<&Latch>, two: Option<&Latch>) -> bool {
    one.map(|latch| &latch.cause) == two.map(|latch| &latch.cause)
}

fn read(path: &Path) -> Result<Content, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
        Err(error) => return Err(named(&error)),
        Ok(metadata) if metadata.len() > LONGEST => return Err(named(&"is too long")),
        Ok(_) => {}
    }
    let bytes = fs::read(path).map_err(|error| named(&error))?;
    let content: Content = serde_json::from_slice(&bytes).map_err(|error| named(&error))?;
    if content.format == FORMAT {
        Ok(content)
    } else {
        Err(named(&format!(
            "is of format {}, this program knows {FORMAT}",
            content.format
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn no_temperature() -> Latch {
        Latch {
            cause: Cause::NoTemperature { chain: 1 },
            unix_time: Some(1_700_000_000),
            kept: false,
        }
    }

    #[test]
    fn a_latched_cause_outlives_the_keeper_until_it_is_cleared() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/keeper.json");
        let (mut kept, written) = Kept::begin(&path, Boot::default());
        written.unwrap();
        assert_eq!(kept.latch(), None);
        kept.keep(Some(&no_temperature())).unwrap();

        let (mut kept, written) = Kept::begin(&path, Boot::default());
        written.unwrap();
        let read = kept.latch().unwrap();
        assert_eq!((read.cause, read.kept), (no_temperature().cause, true));
        kept.keep(None).unwrap();
        assert_eq!(Kept::begin(&path, Boot::default()).0.latch(), None);
    }

    #[test]
    fn unclean_ends_in_a_row_latch_and_clean_or_late_ones_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keeper.json");
        let starts = |count, end: &dyn Fn(&mut Kept)| {
            for _ in 0..count {
                let (mut kept, written) = Kept::begin(&path, Boot::default());
                written.unwrap();
                end(&mut kept);
            }
        };
        starts(20, &|kept| kept.end().unwrap());
        starts(20, &|kept| kept.harmless().unwrap());
        assert_eq!(Kept::begin(&path, Boot::default()).0.latch(), None);
        starts(UNCLEAN_ENDS_MAX - 3, &|_| {});
        // With the two that only looked.
        assert_eq!(
            Kept::begin(&path, Boot::default()).0.unclean_ends(),
            UNCLEAN_ENDS_MAX - 1
        );
        let latch = Kept::begin(&path, Boot::default()).0.latch().unwrap();
        assert!(
            matches!(latch.cause, Cause::UncleanBoots { .. }),
            "{latch:?}"
        );
    }

    #[test]
    fn how_the_keeper_before_ended_is_told_by_file_kernel_and_watchdog() {
        let boot = |id: Option<&str>, watchdog_has_reset| Boot {
            id: id.map(Into::into),
            watchdog_has_reset,
        };
        // Whether the one before was stopped, where it ran, and what is known when the next one starts.
        for (stopped, ran, starts, expected) in [
            (false, Some("a"), boot(Some("a"), false), LastEnd::Crash),
            (false, Some("a"), boot(Some("a"), true), LastEnd::Crash),
            (false, Some("a"), boot(Some("b"), true), LastEnd::Watchdog),
            (false, Some("a"), boot(Some("b"), false), LastEnd::Reset),
            (false, None, boot(Some("b"), true), LastEnd::Watchdog),
            (false, None, boot(Some("b"), false), LastEnd::Unclean),
            (false, Some("a"), boot(None, false), LastEnd::Unclean),
            (true, Some("a"), boot(Some("a"), true), LastEnd::WantedStop),
            (true, Some("a"), boot(Some("b"), false), LastEnd::WantedStop),
            (true, Some("a"), boot(Some("b"), true), LastEnd::Watchdog),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("keeper.json");
            let (mut kept, _) = Kept::begin(&path, boot(ran, false));
            assert_eq!(kept.last_end(), None, "nobody was before the first");
            if stopped {
                kept.end().unwrap();
            }
            let (next, _) = Kept::begin(&path, starts.clone());
            assert_eq!(
                next.last_end(),
                Some(expected),
                "{stopped} {ran:?} {starts:?}"
            );
        }
    }

    #[test]
    fn a_file_without_a_boot_is_still_understood() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keeper.json");
        let text = r#"{"format":1,"running":true,"unclean_ends":2,"latch":null}"#;
        fs::write(&path, text).unwrap();
        let kept = Kept::begin(&path, Boot::default()).0;
        assert_eq!(
            (kept.last_end(), kept.unclean_ends()),
            (Some(LastEnd::Unclean), 3)
        );
    }

    #[test]
    fn what_cannot_be_understood_latches() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keeper.json");
        for text in [
            "",
            "{",
            "null",
            r#"{"format":9,"running":false,"unclean_ends":0,"latch":null}"#,
        ] {
            fs::write(&path, text).unwrap();
            let latch = Kept::begin(&path, Boot::default()).0.latch().unwrap();
            assert!(
                matches!(latch.cause, Cause::KeptCauseUnreadable { .. }),
                "{text}"
            );
        }
        fs::write(&path, vec![b' '; LONGEST as usize + 1]).unwrap();
        assert!(Kept::begin(&path, Boot::default()).0.latch().is_some());
    }

    #[test]
    fn a_tool_reads_and_clears_the_cause_while_no_keeper_runs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keeper.json");
        assert_eq!(latched(&path).unwrap(), None);
        let (mut kept, _) = Kept::begin(&path, Boot::default());
        kept.keep(Some(&no_temperature())).unwrap();
        assert_eq!(
            latched(&path).unwrap().unwrap().cause,
            no_temperature().cause
        );
        clear(&path).unwrap();
        assert_eq!(latched(&path).unwrap(), None);
        fs::write(&path, "{").unwrap();
        assert!(latched(&path).unwrap().is_some());
        clear(&path).unwrap();
        assert_eq!(Kept::begin(&path, Boot::default()).0.latch(), None);
    }

    #[test]
    fn nothing_is_written_when_nothing_is_new() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keeper.json");
        let (mut kept, _) = Kept::begin(&path, Boot::default());
        kept.keep(Some(&no_temperature())).unwrap();
        fs::remove_file(&path).unwrap();
        kept.keep(Some(&no_temperature())).unwrap();
        assert!(!path.exists());
        kept.keep(None).unwrap();
        fs::remove_file(&path).unwrap();
        kept.harmless().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_an_error_and_no_end() {
        let (mut kept, written) =
            Kept::begin(Path::new("/proc/no/such/keeper.json"), Boot::default());
        assert!(written.is_err());
        assert!(kept.keep(Some(&no_temperature())).is_err());
        assert!(
            kept.keep(Some(&no_temperature())).is_err(),
            "it is tried again"
        );
    }

    proptest! {
        #[test]
        fn no_content_makes_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("keeper.json");
            fs::write(&path, bytes).unwrap();
            prop_assert!(Kept::begin(&path, Boot::default()).0.latch().is_some());
        }
    }
}
