//! The hardware watchdog, which resets the machine when nobody feeds it.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use thiserror::Error;

/// A running watchdog. Dropping it without [`Watchdog::disarm`] leaves it running: a crash must end in a reset.
pub trait Watchdog: Send {
    /// Starts the time-out anew.
    fn feed(&mut self) -> Result<(), WatchdogError>;

    /// The time-out in force.
    fn timeout(&self) -> Duration;

    /// Asks for a time-out and returns the one that the device took.
    fn set_timeout(&mut self, timeout: Duration) -> Result<Duration, WatchdogError>;

    /// Whether its driver says that it was this watchdog that reset the machine before the present start. `false` proves
    /// nothing: most drivers do not know.
    fn has_reset_machine(&self) -> bool {
        false
    }

    /// Stops the watchdog, for a wanted stop only.
    ///
    /// # Errors
    /// [`WatchdogError::CannotDisarm`] when the kernel was built so that it never stops; the machine will reset.
    fn disarm(self: Box<Self>) -> Result<(), WatchdogError>;
}

/// Names a watchdog and its time-out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchdogSpec {
    /// Device file, as `/dev/watchdog0`.
    pub device: String,
    /// Time-out in seconds.
    pub timeout_s: u32,
}

impl WatchdogSpec {
    /// The first watchdog by Linux's own name for it, which is the same on every board.
    #[must_use]
    pub fn of_kernel(timeout_s: u32) -> Self {
        Self {
            device: "/dev/watchdog".into(),
            timeout_s,
        }
    }
}

/// What can go wrong with a watchdog.
#[derive(Debug, Error)]
pub enum WatchdogError {
    /// It could not be opened, and so was not started.
    #[error(
        "watchdog {device}: cannot open: {source}; check that the driver is loaded and no other program feeds it"
    )]
    Open {
        /// Device file.
        device: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It will not stop.
    #[error(
        "watchdog {device}: runs on after a wanted stop ({why}); the machine resets within {timeout_s} s"
    )]
    CannotDisarm {
        /// Device file.
        device: String,
        /// What forbids it.
        why: &'static str,
        /// Time-out in force.
        timeout_s: u64,
    },
    /// Any other failure.
    #[error("watchdog {device}: {doing} failed: {source}")]
    Io {
        /// Device file.
        device: String,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}
