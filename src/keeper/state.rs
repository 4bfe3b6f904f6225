//! The keeper's state machine.
//!
//! ```text
//!                        ┌──────────── power unwanted ────────────┬──────────┐
//!                        ▼                                        │          │
//!   Boot ─self-check─► Standby ─power due─► PowerUp ─confirmed─► Running ─hot─► Hot
//!    │ │                 ▲ │                   │                  │ ▲──cooler──┘ │
//!    │ │board            │ └──────────┬────────┴── trip ──────────┴──────────────┘
//!    │ │unknown          │            ▼
//!    │ └──► FanOnly   recovered    Dangerous ──rail stays up──────────────┐
//!    │                   │            │ rail off                          ▼
//!    └── trip ─► Dangerous └──── CoolDown ───────given up────────────► Latched ─cleared─► Boot
//!
//!   any but Stopped ──stop wanted──► Stopping ──rail off and cool──► Stopped
//! ```
//!
//! A rail that is on where it must be off latches from every state without power, but for Stopped, which is the end.

pub use crate::link::State;

/// What may happen to a keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Every chain is seen, and the rail is seen off.
    SelfCheckPassed,
    /// Nobody can say what board this is, or not all of it is there.
    BoardUnknown,
    /// Power is wanted and everything is ready for it.
    PowerDue,
    /// Nobody wants power any more.
    PowerUnwanted,
    /// The power sequence came through.
    PowerConfirmed,
    /// The hot tier was reached.
    Hot,
    /// The hot tier was left.
    NoLongerHot,
    /// Something takes the power away.
    Trip,
    /// The rail is known to be off.
    RailOff,
    /// The rail is on although it must be off.
    RailStuck,
    /// Cool, ready, and the pause is over.
    Recovered,
    /// The restarts are spent, the machine's or the miner's; or it did not recover; or a cause was kept from before.
    GivenUp,
    /// An operator cleared the latched cause.
    Cleared,
    /// An operator, or the system, wants the machine stopped.
    StopWanted,
    /// The rail is off and every chain is cool, or was given time enough to be.
    CooledAfterStop,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 15] = [
        Self::SelfCheckPassed,
        Self::BoardUnknown,
        Self::PowerDue,
        Self::PowerUnwanted,
        Self::PowerConfirmed,
        Self::Hot,
        Self::NoLongerHot,
        Self::Trip,
        Self::RailOff,
        Self::RailStuck,
        Self::Recovered,
        Self::GivenUp,
        Self::Cleared,
        Self::StopWanted,
        Self::CooledAfterStop,
    ];
}

impl State {
    /// Where an event leads. What means nothing in a state leaves it.
    #[must_use]
    pub const fn after(self, event: Event) -> Self {
        use State::{
            Boot, CoolDown, Dangerous, FanOnly, Hot, Latched, PowerUp, Running, Standby, Stopped,
            Stopping,
        };
        match (self, event) {
            (Boot | Standby | Dangerous | CoolDown | FanOnly | Stopping, Event::RailStuck)
            | (Boot | Standby | CoolDown, Event::GivenUp) => Latched,
            (
                Boot | Standby | PowerUp | Running | Hot | Dangerous | CoolDown | FanOnly | Latched,
                Event::StopWanted,
            ) => Stopping,
            (Boot | Standby | PowerUp | Running | Hot, Event::Trip) => Dangerous,
            (Boot, Event::SelfCheckPassed)
            | (PowerUp | Running | Hot, Event::PowerUnwanted)
            | (CoolDown, Event::Recovered) => Standby,
            (Boot, Event::BoardUnknown) => FanOnly,
            (Standby, Event::PowerDue) => PowerUp,
            (PowerUp, Event::PowerConfirmed) | (Hot, Event::NoLongerHot) => Running,
            (Running, Event::Hot) => Hot,
            (Dangerous, Event::RailOff) => CoolDown,
            (Latched, Event::Cleared) => Boot,
            (Stopping, Event::CooledAfterStop) => Stopped,
            (state, _) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair that leads elsewhere. All others must stay.
    fn moves() -> Vec<(State, Event, State)> {
        use State::*;
        let mut moves = vec![
            (Boot, Event::SelfCheckPassed, Standby),
            (Boot, Event::BoardUnknown, FanOnly),
            (Boot, Event::GivenUp, Latched),
            (Standby, Event::PowerDue, PowerUp),
            (PowerUp, Event::PowerConfirmed, Running),
            (Running, Event::Hot, Hot),
            (Hot, Event::NoLongerHot, Running),
            (Dangerous, Event::RailOff, CoolDown),
            (CoolDown, Event::Recovered, Standby),
            (Standby, Event::GivenUp, Latched),
            (CoolDown, Event::GivenUp, Latched),
            (Latched, Event::Cleared, Boot),
            (Stopping, Event::CooledAfterStop, Stopped),
        ];
        moves.extend([PowerUp, Running, Hot].map(|state| (state, Event::PowerUnwanted, Standby)));
        moves.extend(
            [Boot, Standby, PowerUp, Running, Hot].map(|state| (state, Event::Trip, Dangerous)),
        );
        moves.extend(
            [Boot, Standby, Dangerous, CoolDown, FanOnly, Stopping]
                .map(|state| (state, Event::RailStuck, Latched)),
        );
        let stoppable = [
            Boot, Standby, PowerUp, Running, Hot, Dangerous, CoolDown, FanOnly, Latched,
        ];
        moves.extend(stoppable.map(|state| (state, Event::StopWanted, Stopping)));
        moves
    }

    #[test]
    fn every_state_answers_every_event_as_the_table_says() {
        let moves = moves();
        let mut moved = 0;
        for state in State::ALL {
            for event in Event::ALL {
                let listed = moves
                    .iter()
                    .find(|(from, on, _)| (*from, *on) == (state, event));
                let expected = listed.map_or(state, |(_, _, to)| *to);
                assert_eq!(state.after(event), expected, "{state} on {event:?}");
                moved += usize::from(listed.is_some());
            }
        }
        assert_eq!(
            moved,
            moves.len(),
            "the table names no pair twice and none that is not there"
        );
    }

    #[test]
    fn a_trip_takes_power_from_every_state_that_may_have_it() {
        for state in State::ALL.into_iter().filter(|state| state.may_power()) {
            assert!(!state.after(Event::Trip).may_power(), "{state}");
            assert!(!state.after(Event::StopWanted).may_power(), "{state}");
        }
    }

    #[test]
    fn power_is_reached_only_through_the_sequence() {
        for state in State::ALL {
            for event in Event::ALL {
                let next = state.after(event);
                if next.may_power() && !state.may_power() {
                    assert_eq!(
                        (state, event, next),
                        (State::Standby, Event::PowerDue, State::PowerUp)
                    );
                }
                if next.may_hash() && !state.may_hash() {
                    assert_eq!((state, event), (State::PowerUp, Event::PowerConfirmed));
                }
            }
        }
    }

    #[test]
    fn a_latched_keeper_stays_so_until_an_operator_clears_it() {
        for event in Event::ALL {
            let next = State::Latched.after(event);
            let left = matches!(event, Event::Cleared | Event::StopWanted);
            assert_eq!(next != State::Latched, left, "{event:?}");
        }
    }
}
