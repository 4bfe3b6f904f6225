//! What to believe of one fan, and how fans are to be driven.
//!
//! A fan follows its duty slowly, so it is judged against the lowest and the highest duty that it can still be at: an
//! envelope that follows each command at once on one side and at the fan's own pace on the other.

use crate::moment::Moment;
use cgminer_hal::units::{DutyPercent, Rpm};
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// How long a fan may take from standstill to its speed.
pub const SPIN_UP: Duration = Duration::from_secs(10);
/// A speed stands for itself this long; then nothing is known of the fan.
pub const FRESH: Duration = Duration::from_secs(6);

/// A fan's speed moves by no less than this, in per cent of full speed a second.
const PACE: f32 = 10.0;
/// Below this share of the speed for its duty, a fan is slow.
const SLOW: f32 = 0.55;
/// Above this share of the speed for its duty ...
const FAST: f32 = 1.35;
/// ... and this share of full speed on top, no such fan turns.
const WINDMILL: f32 = 0.15;
/// How long a wrong speed must last.
const STALLED_FOR: Duration = Duration::from_secs(3);
/// How long a slow or impossible speed must last.
const WRONG_FOR: Duration = Duration::from_secs(6);

/// Who sets the fans' duty below the hot limit. No mode lowers a limit or switches a check off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub enum FanMode {
    /// A controller keeps the target temperature.
    Auto,
    /// The same duty always, until a limit is passed.
    Fixed {
        /// Duty asked for; the board's minimum stands above it.
        duty: DutyPercent,
    },
    /// The machine lies in a liquid: there are no fans to check, every temperature limit holds.
    Immersion,
}

/// What the tach says of a fan, held against what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FanCondition {
    /// Turns as told.
    Turning,
    /// Was just told to turn; not judged yet.
    SpinningUp,
    /// Told not to turn.
    Off,
    /// Told to turn, does not.
    Stalled,
    /// Turns far slower than told.
    Slow,
    /// The tach says what no such fan can do, so nothing is known of it.
    TachLies,
    /// The tach cannot be read, so nothing is known of it.
    Unread,
}

impl FanCondition {
    /// Whether the fan may be counted on to move air.
    #[must_use]
    pub const fn counts(self) -> bool {
        matches!(self, Self::Turning | Self::SpinningUp)
    }

    /// Whether something is wrong with it.
    #[must_use]
    pub const fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Stalled | Self::Slow | Self::TachLies | Self::Unread
        )
    }
}

/// What a fan can do, from its data sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FanRules {
    /// Speed at full duty.
    pub full: Rpm,
    /// Speed below which it counts as standing.
    pub stall: Rpm,
}

/// One fan.
#[derive(Clone, Debug)]
pub struct Fan {
    rules: FanRules,
    /// Lowest and highest duty that it can still be at.
    envelope: Envelope,
    started: Option<Moment>,
    speed: Option<(Rpm, Moment)>,
    wrong: Option<(FanCondition, Moment)>,
    condition: FanCondition,
}

#[derive(Clone, Copy, Debug)]
struct Envelope {
    low: f32,
    high: f32,
    told: f32,
    at: Moment,
}

impl Fan {
    /// A fan of which nothing is known: it may stand, it may turn fully.
    #[must_use]
    pub fn new(rules: FanRules, now: Moment) -> Self {
        Self {
            rules,
            envelope: Envelope {
                low: 0.0,
                high: 100.0,
                told: 0.0,
                at: now,
            },
            started: None,
            speed: None,
            wrong: None,
            condition: FanCondition::Off,
        }
    }

    /// The fan's driver took a duty. To be called at every decision, changed or not.
    pub fn told(&mut self, duty: DutyPercent, now: Moment) {
        let duty = duty.bounded().0;
        let step = PACE * now.since(self.envelope.at).as_secs_f32();
        let Envelope {
            low, high, told, ..
        } = self.envelope;
        // Between two decisions the fan went towards what it had been told, and may go on from there.
        let low = if told > low {
            (low + step).min(told)
        } else {
            told
        };
        let high = if told < high {
            (high - step).max(told)
        } else {
            told
        };
        if duty > 0.0 && told <= 0.0 {
            self.started = Some(now);
        }
        if duty <= 0.0 {
            self.started = None;
        }
        self.envelope = Envelope {
            low: low.min(duty),
            high: high.max(duty),
            told: duty,
            at: now,
        };
    }

    /// Takes a measured speed. What could not be read is simply not given.
    pub fn observe(&mut self, speed: Rpm, at: Moment) {
        self.speed = Some((speed, at));
    }

    /// Judges the fan. To be called at every decision.
    pub fn judge(&mut self, now: Moment) -> FanCondition {
        self.condition = self.condition_at(now);
        self.condition
    }

    /// The latest judgement.
    #[must_use]
    pub fn condition(&self) -> FanCondition {
        self.condition
    }

    /// The latest speed and its age.
    #[must_use]
    pub fn speed(&self, now: Moment) -> Option<(Rpm, Duration)> {
        self.speed.map(|(speed, at)| (speed, now.since(at)))
    }

    /// Whether it was seen turning at no less than what full duty gives, nearly.
    #[must_use]
    pub fn is_at_full_speed(&self, now: Moment) -> bool {
        self.condition == FanCondition::Turning
            && self.speed.is_some_and(|(speed, at)| {
                now.since(at) <= FRESH && speed.0 as f32 >= self.rules.full.0 as f32 * SLOW
            })
    }

    fn condition_at(&mut self, now: Moment) -> FanCondition {
        let Some(started) = self.started else {
            self.wrong = None;
            return FanCondition::Off;
        };
        let in_grace = now.since(started) < SPIN_UP;
        let Some((speed, _)) = self.speed.filter(|(_, at)| now.since(*at) <= FRESH) else {
            return if in_grace {
                FanCondition::SpinningUp
            } else {
                FanCondition::Unread
            };
        };
        let Some(wrong) = self.compare(speed) else {
            self.wrong = None;
            let standing = in_grace && speed < self.rules.stall;
            return if standing {
                FanCondition::SpinningUp
            } else {
                FanCondition::Turning
            };
        };
        if in_grace && wrong != FanCondition::TachLies {
            self.wrong = None;
            return FanCondition::SpinningUp;
        }
        // A fan that goes from slow to standing does not get new patience for it.
        let since = self.wrong.map_or(now, |(_, since)| since);
        self.wrong = Some((wrong, since));
        let patience = if wrong == FanCondition::Stalled {
            STALLED_FOR
        } else {
            WRONG_FOR
        };
        if now.since(since) >= patience {
            wrong
        } else if self.condition.is_fault() {
            self.condition
        } else {
            FanCondition::Turning
        }
    }

    /// What is wrong with a speed for the duties that the fan can be at.
    fn compare(&self, speed: Rpm) -> Option<FanCondition> {
        let speed = speed.0 as f32;
        let full = self.rules.full.0 as f32;
        let share = |duty: f32| full * duty / 100.0;
        let stall = self.rules.stall.0 as f32;
        if speed > share(self.envelope.high) * FAST + full * WINDMILL {
            Some(FanCondition::TachLies)
        } else if speed < stall.min(share(self.envelope.low)) {
            Some(FanCondition::Stalled)
        } else if speed < share(self.envelope.low) * SLOW {
            Some(FanCondition::Slow)
        } else {
            None
        }
    }
}

impl fmt::Display for FanMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Fixed { duty } => write!(formatter, "fixed {duty}"),
            Self::Immersion => formatter.write_str("immersion"),
        }
    }
}

impl fmt::Display for FanCondition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Turning => "turning",
            Self::SpinningUp => "spinning up",
            Self::Off => "off",
            Self::Stalled => "stalled",
            Self::Slow => "slow",
            Self::TachLies => "contradicted by its tach",
            Self::Unread => "without a tach reading",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: FanRules = FanRules {
        full: Rpm(6_000),
        stall: Rpm(600),
    };

    /// A fan with inertia, told `duty(second)`, whose tach says `tach(second, true speed)`.
    fn run(
        seconds: u32,
        duty: impl Fn(u32) -> f32,
        tach: impl Fn(u32, f32) -> Option<f32>,
    ) -> Vec<FanCondition> {
        let mut fan = Fan::new(RULES, Moment::START);
        let mut speed = 0.0f32;
        (0..seconds)
            .map(|second| {
                let now = Moment::after_start(Duration::from_secs(u64::from(second)));
                speed += (60.0 * duty(second) - speed) * 0.3;
                fan.told(DutyPercent(duty(second)), now);
                if let Some(seen) = tach(second, speed) {
                    fan.observe(Rpm(seen as u32), now);
                }
                fan.judge(now)
            })
            .collect()
    }

    /// The first second at which it is in that condition.
    fn first(conditions: &[FanCondition], wanted: FanCondition) -> Option<usize> {
        conditions.iter().position(|condition| *condition == wanted)
    }

    #[test]
    fn a_sound_fan_is_never_at_fault_whatever_it_is_told() {
        let steps = [100.0, 20.0, 100.0, 0.0, 35.0, 80.0, 15.0, 100.0];
        let conditions = run(
            400,
            |second| steps[second as usize / 50],
            |_, speed| Some(speed),
        );
        assert!(
            conditions.iter().all(|condition| !condition.is_fault()),
            "{conditions:?}"
        );
        assert_eq!(conditions[49], FanCondition::Turning);
        assert_eq!(conditions[160], FanCondition::Off);
        assert_eq!(conditions[249], FanCondition::Turning);
    }

    #[test]
    fn a_fan_that_never_turns_is_stalled_after_the_grace() {
        let conditions = run(40, |_| 100.0, |_, _| Some(0.0));
        assert_eq!(first(&conditions, FanCondition::Stalled), Some(13));
        assert!(
            conditions[..10]
                .iter()
                .all(|condition| *condition == FanCondition::SpinningUp)
        );
    }

    #[test]
    fn a_fan_that_stops_is_stalled_within_seconds() {
        let conditions = run(
            80,
            |_| 60.0,
            |second, speed| Some(if second < 40 { speed } else { 0.0 }),
        );
        assert_eq!(first(&conditions, FanCondition::Stalled), Some(43));
    }

    #[test]
    fn a_slow_fan_is_found() {
        let conditions = run(60, |_| 80.0, |_, speed| Some(speed * 0.4));
        assert!(first(&conditions, FanCondition::Slow).is_some_and(|second| second <= 18));
    }

    #[test]
    fn a_tach_that_says_the_impossible_is_not_believed() {
        let conditions = run(60, |_| 30.0, |_, _| Some(9_000.0));
        assert!(first(&conditions, FanCondition::TachLies).is_some_and(|second| second <= 20));
    }

    #[test]
    fn a_tach_that_does_not_follow_the_duty_is_found_at_the_next_change() {
        let down = run(
            120,
            |second| if second < 50 { 100.0 } else { 30.0 },
            |_, _| Some(5_900.0),
        );
        let found = first(&down, FanCondition::TachLies).unwrap();
        assert!((51..70).contains(&found), "{found}");
        let up = run(
            120,
            |second| if second < 50 { 30.0 } else { 100.0 },
            |_, _| Some(1_800.0),
        );
        let found = first(&up, FanCondition::Slow).unwrap();
        assert!((51..70).contains(&found), "{found}");
    }

    #[test]
    fn a_tach_that_is_not_read_says_nothing() {
        let conditions = run(40, |_| 60.0, |second, speed| (second < 20).then_some(speed));
        assert_eq!(first(&conditions, FanCondition::Unread), Some(26));
        let never = run(40, |_| 60.0, |_, _| None);
        assert_eq!(first(&never, FanCondition::Unread), Some(10));
    }

    #[test]
    fn a_fan_that_flickers_between_standing_and_slow_gets_no_new_patience() {
        let conditions = run(
            80,
            |_| 90.0,
            |second, speed| {
                Some(if second < 30 {
                    speed
                } else if second % 2 == 0 {
                    0.0
                } else {
                    1_000.0
                })
            },
        );
        assert!(
            conditions[40..]
                .iter()
                .all(|condition| condition.is_fault()),
            "{conditions:?}"
        );
    }

    #[test]
    fn a_fan_that_turns_again_counts_again() {
        let conditions = run(
            120,
            |_| 90.0,
            |second, speed| {
                Some(if (40..60).contains(&second) {
                    0.0
                } else {
                    speed
                })
            },
        );
        assert_eq!(conditions[55], FanCondition::Stalled);
        assert_eq!(conditions[61], FanCondition::Turning);
    }

    proptest! {
        #[test]
        fn a_fan_with_inertia_is_never_accused(
            duties in prop::collection::vec(prop_oneof![Just(0.0f32), 12f32..100.0], 1..40),
            hold in 1u32..40,
        ) {
            let count = duties.len() as u32;
            let conditions = run(count * hold, |second| duties[(second / hold) as usize], |_, speed| Some(speed));
            prop_assert!(conditions.iter().all(|condition| !condition.is_fault()));
        }
    }
}
