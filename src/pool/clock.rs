//! What the time of day is good for on a board without a battery.
//!
//! Such a board wakes up in 1970, or at the date of its image, and knows the time only when an NTP server has told it.
//! Until then the dates of a certificate cannot be judged.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 2026-11-01, since 1970: a time before this program was made, so no clock that is right says less.
pub const CLOCK_FLOOR: Duration = Duration::from_secs(1_793_491_200);

/// Whether a clock that says this, since 1970, can be right.
pub fn clock_is_set(now: Duration) -> bool {
    now >= CLOCK_FLOOR
}

/// Tells the time of day, since 1970.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl WallClock {
    /// The system's. Before 1970 counts as 1970.
    pub fn system() -> Self {
        Self::new(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
        })
    }

    /// Any other.
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("WallClock")
            .field(&self.now())
            .finish()
    }
}
