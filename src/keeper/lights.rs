//! What the lights say.

use super::state::State;
use cgminer_board::moment::Moment;

/// Green and red light. Green for power, red for trouble, blinking for what passes, in turn to be found.
#[must_use]
pub fn lights(state: State, locating: bool, now: Moment) -> (bool, bool) {
    let blink = now.elapsed().subsec_millis() < 500;
    if locating {
        return (blink, !blink);
    }
    match state {
        State::Running => (true, false),
        State::Boot | State::PowerUp => (blink, false),
        State::Standby | State::Stopping => (now.elapsed().as_secs() % 4 == 0 && blink, false),
        State::Hot => (true, blink),
        State::CoolDown => (false, blink),
        State::Dangerous | State::FanOnly | State::Latched => (false, true),
        State::Stopped => (false, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;

    fn over_time(state: State, locating: bool) -> Vec<(bool, bool)> {
        (0..16)
            .map(|half| {
                let now = Moment::after_start(Duration::from_millis(half * 500));
                lights(state, locating, now)
            })
            .collect()
    }

    #[test]
    fn red_shines_only_in_trouble() {
        for state in State::ALL {
            let red = over_time(state, false).iter().any(|(_, red)| *red);
            let trouble = matches!(
                state,
                State::Hot | State::CoolDown | State::Dangerous | State::FanOnly | State::Latched
            );
            assert_eq!(red, trouble, "{state}");
        }
    }

    #[test]
    fn a_machine_that_is_looked_for_looks_like_no_other() {
        let others: HashSet<_> = State::ALL
            .into_iter()
            .map(|state| over_time(state, false))
            .collect();
        for state in State::ALL {
            assert!(!others.contains(&over_time(state, true)), "{state}");
        }
    }
}
