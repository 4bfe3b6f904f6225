//! What somebody at the machine wants, and what its analogue inputs say. Neither decides about power.

use super::super::workers::Press;
use super::Guard;
use crate::link::status::{AnalogReading, AnalogStatus};
use cgminer_board::moment::Moment;
use std::time::Duration;

/// How long the first token may be claimed from outside after the button was pressed.
pub const CLAIM_WINDOW: Duration = Duration::from_secs(120);

/// The last word of an analogue input.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::keeper) struct AnalogSeen {
    last: Option<(AnalogReading, Moment)>,
    failing: bool,
}

impl Guard {
    /// Somebody pressed a button. The first settings are not the guard's to bring back.
    pub fn press(&mut self, press: Press, now: Moment) {
        match press {
            Press::Locate => {
                self.wishes.locate = !self.wishes.locate;
                tracing::info!(on = self.wishes.locate, "the locate button was pressed");
            }
            Press::Short => {
                self.claim_until = Some(now.plus(CLAIM_WINDOW));
                tracing::warn!(
                    "the first token may be claimed from outside for {CLAIM_WINDOW:?}: the button was pressed shortly"
                );
            }
            Press::FactoryReset => {}
        }
    }

    /// How long the first token may still be claimed from outside; none when it may not.
    pub(in crate::keeper) fn claim_rest(&self, now: Moment) -> Option<Duration> {
        let rest = self.claim_until?.since(now);
        (!rest.is_zero()).then_some(rest)
    }

    /// Takes what an analogue input said; none when it could not be read.
    pub fn observe_analog(&mut self, index: usize, reading: Option<AnalogReading>, at: Moment) {
        if let Some(seen) = self.analog.get_mut(index) {
            seen.failing = reading.is_none();
            seen.last = reading.map(|reading| (reading, at)).or(seen.last);
        }
    }

    /// Each analogue input. A value that could not be read again is none.
    pub(in crate::keeper) fn analog_status(&self, now: Moment) -> Vec<AnalogStatus> {
        let inputs = self.settings.analog.iter().zip(&self.analog);
        inputs
            .map(|(input, seen)| {
                let current = seen.last.filter(|_| !seen.failing);
                AnalogStatus {
                    name: input.name.clone(),
                    chain: input.chain,
                    measures: input.measures,
                    reading: current.map(|(reading, _)| reading),
                    age_seconds: current.map(|(_, at)| now.since(at).as_secs_f64()),
                    failing: seen.failing,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::terms::Analog;
    use super::*;
    use cgminer_board::file::{Catalog, Quantity};
    use cgminer_hal::units::{Amperes, Millivolts};

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn guard(analog: Vec<Analog>) -> Guard {
        let catalog = Catalog::load(None).unwrap();
        let board = catalog.get("l7").unwrap();
        let settings = crate::keeper::hardware::settings_for_tests(board);
        Guard::new(Settings { analog, ..settings }, None, at(0))
    }

    #[test]
    fn the_locate_button_toggles_and_a_short_press_opens_a_window_of_two_minutes() {
        let mut guard = guard(Vec::new());
        guard.press(Press::Locate, at(10));
        assert!(guard.is_locating());
        assert_eq!(guard.claim_rest(at(10)), None);
        guard.press(Press::Short, at(11));
        assert_eq!(guard.claim_rest(at(11)), Some(CLAIM_WINDOW));
        assert_eq!(guard.claim_rest(at(130)), Some(Duration::from_secs(1)));
        assert_eq!(guard.claim_rest(at(131)), None);
        guard.press(Press::Locate, at(140));
        assert!(!guard.is_locating());
    }

    #[test]
    fn an_input_that_cannot_be_read_has_no_value_and_says_so() {
        let input = |name: &str, measures| Analog {
            name: name.into(),
            chain: None,
            measures,
        };
        let mut guard = guard(vec![
            input("current", Quantity::Current),
            input("rail", Quantity::Voltage),
        ]);
        let current = AnalogReading::Current(Amperes(75.0));
        guard.observe_analog(0, Some(current), at(5));
        guard.observe_analog(1, Some(AnalogReading::Voltage(Millivolts(13_000))), at(5));
        guard.observe_analog(1, None, at(6));
        guard.observe_analog(2, Some(current), at(6));
        let status = guard.analog_status(at(8));
        assert_eq!(
            (status[0].reading, status[0].age_seconds),
            (Some(current), Some(3.0))
        );
        assert_eq!((status[1].reading, status[1].age_seconds), (None, None));
        assert!(status[1].failing && !status[0].failing);
    }
}
