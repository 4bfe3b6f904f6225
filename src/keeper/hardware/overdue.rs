//! A supply that goes on though it was told not to, and what is left to be tried then.
//!
//! The enable line is driven anew all the time, and a supply with a command for it is told again and again. One with a watchdog of
//! its own is left alone now and then: our silence, which ends what the line cannot.

use crate::keeper::workers::SupplyOrder;
use cgminer_board::power::SupplyReading;
use cgminer_board::power::supply::{OFF_BELOW, OFF_WITHIN};
use std::time::Duration;

/// How long it is looked at before it is left alone: by then the keeper knows that the rail is stuck.
const SEEN_FOR: Duration = Duration::from_secs(OFF_WITHIN.as_secs() + 15);
/// How long it is left alone. How long a supply's watchdog waits is not published; ten seconds are told of some.
const SILENT_FOR: Duration = Duration::from_secs(30);

/// Since when a supply has been seen on that was told to be off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Overdue {
    since: Option<Duration>,
}

impl Overdue {
    /// Takes what it measured under an order.
    pub(super) fn note(&mut self, order: SupplyOrder, reading: SupplyReading, now: Duration) {
        match reading {
            SupplyReading::Measured(measured) if !order.enable && measured.volts >= OFF_BELOW => {
                self.since.get_or_insert(now);
            }
            SupplyReading::Measured(_) => self.since = None,
            SupplyReading::Failed(_) => {}
        }
    }

    /// Whether it was last seen on against its order.
    pub(super) const fn is_noted(&self) -> bool {
        self.since.is_some()
    }

    /// Whether it is time to leave it alone.
    pub(super) fn wants_silence(&mut self, now: Duration) -> bool {
        let on_for = self
            .since
            .map_or(Duration::ZERO, |since| now.saturating_sub(since));
        if on_for >= SEEN_FOR + SILENT_FOR {
            self.since = None;
        }
        (SEEN_FOR..SEEN_FOR + SILENT_FOR).contains(&on_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cgminer_board::power::Measured;
    use cgminer_hal::units::Millivolts;

    const OFF: SupplyOrder = SupplyOrder {
        preset: None,
        enable: false,
    };

    fn volts(volts: u32) -> SupplyReading {
        SupplyReading::Measured(Measured {
            volts: Millivolts(volts),
            power: None,
            temperature: None,
            tripped: false,
        })
    }

    /// Which seconds of so many pass in silence, when each question finds these volts.
    fn silent(seconds: u64, order: SupplyOrder, found: u32) -> Vec<u64> {
        let mut overdue = Overdue::default();
        let mut silent = Vec::new();
        for second in 0..seconds {
            let now = Duration::from_secs(second);
            if overdue.wants_silence(now) {
                silent.push(second);
            } else {
                overdue.note(order, volts(found), now);
            }
        }
        silent
    }

    #[test]
    fn a_supply_that_stays_on_is_left_alone_for_a_while_again_and_again() {
        let expected: Vec<u64> = (50..80).chain(130..160).collect();
        assert_eq!(silent(165, OFF, 13_000), expected);
    }

    #[test]
    fn one_that_does_as_told_never_is() {
        assert!(silent(1_000, OFF, 200).is_empty());
        let on = SupplyOrder {
            enable: true,
            ..OFF
        };
        assert!(silent(1_000, on, 13_000).is_empty());
    }
}
