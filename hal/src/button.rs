//! Push buttons: turns the level of a line into presses, with the bounce of the contact taken out.

use crate::gpio::{GpioError, Input, Signal};
use std::time::{Duration, Instant};

/// How long a level must hold to count.
const SETTLE: Duration = Duration::from_millis(30);

/// What a button did since it was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ButtonEvent {
    /// Went down.
    Pressed,
    /// Came up after being held so long.
    Released {
        /// From settled press to settled release.
        held: Duration,
    },
}

/// A button on a GPIO line, asked from a loop that runs at least ten times a second.
pub struct Button {
    signal: Signal<Input>,
    contact: Contact,
}

impl Button {
    /// A button on a line, which has to be seen up before it can be pressed: one that is down from the start is stuck,
    /// shorted, or of the other polarity.
    pub fn new(signal: Signal<Input>) -> Self {
        Self {
            signal,
            contact: Contact::default(),
        }
    }

    /// Looks at the line; at most one event a call.
    pub fn poll(&mut self, now: Instant) -> Result<Option<ButtonEvent>, GpioError> {
        let down = self.signal.is_active()?;
        Ok(self.contact.see(down, now))
    }
}

/// The debounced contact.
#[derive(Default)]
struct Contact {
    seen_up: bool,
    down_since: Option<Instant>,
    differs_since: Option<Instant>,
}

impl Contact {
    fn see(&mut self, down: bool, now: Instant) -> Option<ButtonEvent> {
        self.seen_up |= !down;
        if !self.seen_up || down == self.down_since.is_some() {
            self.differs_since = None;
            return None;
        }
        let since = *self.differs_since.get_or_insert(now);
        if now.saturating_duration_since(since) < SETTLE {
            return None;
        }
        self.differs_since = None;
        if let Some(pressed) = self.down_since.take() {
            let held = since.saturating_duration_since(pressed);
            return Some(ButtonEvent::Released { held });
        }
        self.down_since = Some(since);
        Some(ButtonEvent::Pressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounce_shorter_than_the_settling_time_is_no_press() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut contact = Contact::default();
        assert_eq!(contact.see(false, at(0)), None);
        assert_eq!(contact.see(true, at(0)), None);
        assert_eq!(contact.see(false, at(10)), None);
        assert_eq!(contact.see(true, at(20)), None);
        assert_eq!(
            contact.see(true, at(45)),
            None,
            "25 ms since the last bounce"
        );
        assert_eq!(contact.see(true, at(50)), Some(ButtonEvent::Pressed));
        assert_eq!(contact.see(true, at(900)), None, "one event a press");
        assert_eq!(contact.see(false, at(1020)), None);
        let held = Duration::from_secs(1);
        assert_eq!(
            contact.see(false, at(1060)),
            Some(ButtonEvent::Released { held })
        );
    }

    #[test]
    fn a_line_that_is_down_from_the_start_is_no_press() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut contact = Contact::default();
        for ms in (0..60_000).step_by(100) {
            assert_eq!(contact.see(true, at(ms)), None);
        }
        assert_eq!(contact.see(false, at(60_000)), None);
        assert_eq!(contact.see(true, at(60_100)), None);
        assert_eq!(contact.see(true, at(60_200)), Some(ButtonEvent::Pressed));
    }
}
