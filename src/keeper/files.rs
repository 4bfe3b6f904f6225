//! The kept file at work: written on a thread that may wait for a flash, so that no decision does.

use super::cause::Cause;
use super::guard::LastKeeper;
use super::kept::{Boot, HARMLESS_AFTER, Kept};
use super::setup::Setup;
use super::status::Latch;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

/// Pause before a failed write is tried again: a flash that is full or broken is not helped by more.
const RETRY: Duration = Duration::from_secs(60);
/// How long an end waits for a flash. One that hangs holds nobody else: the rail is off by then.
pub(super) const FLASH_ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// A clock before this (2024) was never set.
const CLOCK_SET: u64 = 1_704_067_200;

/// The kept file, or what is left without it.
pub(super) struct Files {
    latch: Option<Latch>,
    last_end: LastKeeper,
    kept: Option<Kept>,
    writing: Option<oneshot::Receiver<(Kept, io::Result<()>)>>,
    retry_at: Option<Instant>,
    proven: bool,
}

impl Files {
    /// Reads the file and notes that a keeper runs.
    pub(super) async fn begin(setup: &Setup, watchdog_has_reset: bool) -> Self {
        let path = setup.kept.clone();
        let boot = Boot {
            id: setup.boot.clone(),
            watchdog_has_reset,
        };
        let begun = spawn_blocking(move || Kept::begin(&path, boot)).await;
        let (kept, written) = match begun {
            Ok((kept, written)) => (Some(kept), written),
            Err(error) => (None, Err(io::Error::other(error))),
        };
        let last_end = LastKeeper {
            end: kept.as_ref().and_then(Kept::last_end),
            unclean_ends: kept.as_ref().map_or(0, Kept::unclean_ends),
        };
        if let Some(end) = last_end.end.filter(|end| end.is_bad()) {
            let times = last_end.unclean_ends;
            tracing::warn!(times, "how the last run ended: {end}");
        }
        let mut files = Self {
            latch: kept.as_ref().and_then(Kept::latch),
            last_end,
            kept,
            writing: None,
            retry_at: None,
            proven: false,
        };
        files.note(written);
        files
    }

    /// The latched cause on disk.
    pub(super) fn latch(&self) -> Option<Latch> {
        self.latch.clone()
    }

    /// When this cause was noted, by the wall clock. The guard has none.
    pub(super) fn noted_at(&self, cause: &Cause) -> Option<u64> {
        let latch = self.latch.as_ref();
        latch.filter(|latch| latch.cause == *cause)?.unix_time
    }

    /// How the keeper before this one ended.
    pub(super) fn last_end(&self) -> LastKeeper {
        self.last_end
    }

    /// Keeps what the guard has latched, or forgets it; to be called at every decision.
    pub(super) fn follow(&mut self, latch: Option<&Latch>, lived: Duration) {
        self.take_back();
        let proven = lived >= HARMLESS_AFTER;
        let same = self.latch.as_ref().map(|latch| &latch.cause) == latch.map(|latch| &latch.cause);
        let rests = self.retry_at.is_some_and(|at| Instant::now() < at);
        if rests || same && proven == self.proven {
            return;
        }
        let Some(mut kept) = self.kept.take() else {
            return;
        };
        let latch = latch.cloned().map(|latch| Latch {
            unix_time: latch.unix_time.or_else(wall_clock),
            ..latch
        });
        self.proven = proven;
        let (done, writing) = oneshot::channel();
        self.writing = Some(writing);
        spawn_blocking(move || {
            let mut written = kept.keep(latch.as_ref());
            if proven {
                written = written.and_then(|()| kept.harmless());
            }
            // Nobody waits for it once the keeper has ended.
            let _ = done.send((kept, written));
        });
    }

    /// Notes a clean end, after what is being written.
    pub(super) async fn end(&mut self) {
        if timeout(FLASH_ANSWERS_WITHIN, self.note_end())
            .await
            .is_err()
        {
            tracing::error!(
                "what outlives a reboot cannot be written within {FLASH_ANSWERS_WITHIN:?}, so the next start will tell of an unclean end; \
                 look at the file system of the state directory"
            );
        }
    }

    async fn note_end(&mut self) {
        if let Some(writing) = self.writing.take() {
            self.kept = writing.await.ok().map(|(kept, _)| kept);
        }
        if let Some(mut kept) = self.kept.take() {
            let ended = spawn_blocking(move || kept.end()).await;
            self.note(ended.unwrap_or_else(|error| Err(io::Error::other(error))));
        }
    }

    /// Takes the file back from the thread that wrote it, if that is done.
    fn take_back(&mut self) {
        let Some(Ok((kept, written))) = self.writing.as_mut().map(oneshot::Receiver::try_recv)
        else {
            return;
        };
        self.writing = None;
        self.latch = kept.latch();
        self.kept = Some(kept);
        self.note(written);
    }

    fn note(&mut self, written: io::Result<()>) {
        self.retry_at = None;
        if let Err(error) = written {
            tracing::error!(%error, "what outlives a reboot cannot be written; trying again in {RETRY:?}");
            self.retry_at = Some(Instant::now() + RETRY);
            self.proven = false;
        }
    }
}

/// Seconds since 1970, if the clock was ever set.
fn wall_clock() -> Option<u64> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs())
        .filter(|seconds| *seconds >= CLOCK_SET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flash_that_hangs_holds_no_end() {
        // Kept, as by a thread that writes and writes.
        let (_done, writing) = oneshot::channel();
        let mut files = Files {
            latch: None,
            last_end: LastKeeper {
                end: None,
                unclean_ends: 0,
            },
            kept: None,
            writing: Some(writing),
            retry_at: None,
            proven: false,
        };
        let began = Instant::now();
        files.end().await;
        assert_eq!(began.elapsed().as_secs(), FLASH_ANSWERS_WITHIN.as_secs());
    }
}
