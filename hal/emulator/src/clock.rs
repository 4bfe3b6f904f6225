//! The machine's time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Time since the machine was switched on.
#[derive(Clone, Debug)]
pub enum Clock {
    /// tokio's: real, or virtual under a paused runtime.
    Tokio(Instant),
    /// Moved by hand; every clone is the same clock.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that starts now and goes as tokio's does.
    pub fn tokio() -> Self {
        Self::Tokio(Instant::now())
    }

    /// A clock that stands at zero until it is moved.
    pub fn manual() -> Self {
        Self::Manual(Arc::default())
    }

    /// Time since the machine was switched on.
    pub fn now(&self) -> Duration {
        match self {
            Self::Tokio(start) => start.elapsed(),
            Self::Manual(nanos) => Duration::from_nanos(nanos.load(Ordering::Acquire)),
        }
    }

    /// Moves a manual clock on; a tokio clock goes by itself and is left alone.
    pub fn advance(&self, time: Duration) {
        if let Self::Manual(nanos) = self {
            nanos.fetch_add(
                u64::try_from(time.as_nanos()).unwrap_or(0),
                Ordering::AcqRel,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_until_moved() {
        let clock = Clock::manual();
        let other = clock.clone();
        clock.advance(Duration::from_millis(7));
        assert_eq!(other.now(), Duration::from_millis(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_tokio_clock_follows_virtual_time() {
        let clock = Clock::tokio();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.now().as_secs(), 3600);
    }
}
