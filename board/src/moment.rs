//! Time as the pure decisions see it: how long the keeper has been running.

use core::fmt;
use core::time::Duration;

/// A point on the keeper's own monotonic clock, counted from its start.
///
/// Decisions take it as an argument, so that a test can run days in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The keeper's start.
    pub const START: Self = Self(Duration::ZERO);

    /// The moment this long after the start.
    #[must_use]
    pub const fn after_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Time since the start.
    #[must_use]
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// Time since an earlier moment; zero if that one is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment this much later.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.1} s", self.0.as_secs_f64())
    }
}
