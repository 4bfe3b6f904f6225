//! A hardware watchdog in memory.

use super::locked;
use crate::watchdog::{Watchdog, WatchdogError};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// The watchdog's state as the machine sees it; every clone is the same watchdog.
#[derive(Clone, Debug, Default)]
pub struct WatchdogCell {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    feeds: u64,
    timeout: Option<Duration>,
    stopped_by_host: bool,
}

impl WatchdogCell {
    /// The host starts the watchdog, or changes its timeout.
    pub fn arm(&self, timeout: Duration) {
        let mut state = locked(&self.state);
        state.timeout = Some(timeout);
        state.stopped_by_host = false;
        state.feeds += 1;
    }

    /// The host feeds the watchdog.
    pub fn feed(&self) {
        locked(&self.state).feeds += 1;
    }

    /// The host stops the watchdog on purpose.
    pub fn disarm(&self) {
        let mut state = locked(&self.state);
        state.timeout = None;
        state.stopped_by_host = true;
    }

    /// Times that it was fed, arming included.
    pub fn feeds(&self) -> u64 {
        locked(&self.state).feeds
    }

    /// The timeout in force; none when it is not armed.
    pub fn timeout(&self) -> Option<Duration> {
        locked(&self.state).timeout
    }

    /// Whether the host stopped it on purpose.
    pub fn stopped_by_host(&self) -> bool {
        locked(&self.state).stopped_by_host
    }
}

/// The host's handle on a running watchdog.
#[derive(Debug)]
pub struct RunningWatchdog {
    cell: WatchdogCell,
    timeout: Duration,
}

impl RunningWatchdog {
    /// Starts the watchdog, as opening its device does.
    pub fn start(cell: WatchdogCell, timeout: Duration) -> Self {
        cell.arm(timeout);
        Self { cell, timeout }
    }
}

impl Watchdog for RunningWatchdog {
    fn feed(&mut self) -> Result<(), WatchdogError> {
        self.cell.feed();
        Ok(())
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn set_timeout(&mut self, timeout: Duration) -> Result<Duration, WatchdogError> {
        self.timeout = timeout;
        self.cell.arm(timeout);
        Ok(timeout)
    }

    fn disarm(self: Box<Self>) -> Result<(), WatchdogError> {
        self.cell.disarm();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feeds_are_counted_and_a_wanted_stop_is_told_apart() {
        let host = WatchdogCell::default();
        let machine = host.clone();
        assert_eq!(machine.timeout(), None);
        host.arm(Duration::from_secs(10));
        host.feed();
        assert_eq!(
            (machine.feeds(), machine.timeout()),
            (2, Some(Duration::from_secs(10)))
        );
        host.disarm();
        assert!(machine.stopped_by_host());
        assert_eq!(machine.timeout(), None);
    }
}
