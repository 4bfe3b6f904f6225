//! The order in which power comes: air first, current last, each step confirmed by a readback before the next.
//!
//! ```text
//!   FansUp ─► Discharge ─► HoldResets ─► Preset ─► Enable ─► Verify ─► Controllers ─► done: reset lines are the miner's
//!      └──────────┴────────────┴───────────┴─────────┴─────────┴───────────┴─► not confirmed in time: all off
//! ```
//!
//! It has no way back: whoever wants power off drops the sequence and drives [`Drive::OFF`].

use super::supply::{OFF_WITHIN, SETTLES_WITHIN};
use crate::moment::Moment;
use cgminer_hal::units::Millivolts;
use core::fmt;
use core::time::Duration;

/// How long the rail must have been off before it may come again; supplies ask for 30 s.
pub const DISCHARGE: Duration = Duration::from_secs(30);
/// How long the rail must be seen at its setting.
const STEADY: Duration = Duration::from_secs(2);

/// A step of the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Fans at full speed, seen by their tachs.
    FansUp,
    /// Rail seen off, and off for long enough.
    Discharge,
    /// Reset lines held, confirmed by their driver.
    HoldResets,
    /// Supply set to the wanted volts, confirmed by it.
    Preset,
    /// Enable line driven, confirmed by its driver.
    Enable,
    /// Rail measured at the setting.
    Verify,
    /// Voltage controllers of the hash boards, where there are any, say that they are on.
    Controllers,
    /// Power is there.
    Done,
}

impl Step {
    /// How long the step may take.
    #[must_use]
    pub const fn deadline(self) -> Duration {
        match self {
            Self::FansUp | Self::Controllers => Duration::from_secs(20),
            Self::Discharge => DISCHARGE.saturating_add(OFF_WITHIN),
            Self::HoldResets | Self::Enable => Duration::from_secs(5),
            Self::Preset => Duration::from_secs(10),
            Self::Verify => SETTLES_WITHIN.saturating_add(Duration::from_secs(10)),
            Self::Done => Duration::MAX,
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::FansUp => Self::Discharge,
            Self::Discharge => Self::HoldResets,
            Self::HoldResets => Self::Preset,
            Self::Preset => Self::Enable,
            Self::Enable => Self::Verify,
            Self::Verify => Self::Controllers,
            Self::Controllers | Self::Done => Self::Done,
        }
    }
}

/// What the hardware is known to do. `false` also means "not known".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one independent fact about the hardware"
)]
pub struct Readback {
    /// Enough fans were seen at full speed.
    pub fans_up: bool,
    /// The rail is seen off.
    pub rail_off: bool,
    /// The driver of the reset lines holds them all.
    pub resets_held: bool,
    /// The supply took the setting.
    pub preset: bool,
    /// The enable line, or the supply's own switch, is on.
    pub enabled: bool,
    /// The rail is measured at the setting.
    pub at_setting: bool,
    /// Each hash board's voltage controller says that it is on; so where there are none.
    pub controllers_on: bool,
}

/// What the sequence drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drive {
    /// Setting that the supply is told.
    pub preset: Option<Millivolts>,
    /// Enable line.
    pub enable: bool,
    /// Whether all reset lines are held, whatever the miner asks.
    pub hold_resets: bool,
}

impl Drive {
    /// No power, and no chip that could use any.
    pub const OFF: Self = Self {
        preset: None,
        enable: false,
        hold_resets: true,
    };
}

/// Where the sequence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Waiting for a step's readback.
    Waiting(Step),
    /// Power is there.
    Done,
    /// The step was not confirmed in time.
    Failed(Step),
}

/// One power-up.
#[derive(Clone, Copy, Debug)]
pub struct Sequence {
    step: Step,
    entered: Moment,
    held_since: Option<Moment>,
    setting: Millivolts,
}

impl Sequence {
    /// Begins with nothing but air.
    #[must_use]
    pub const fn begin(setting: Millivolts, now: Moment) -> Self {
        Self {
            step: Step::FansUp,
            entered: now,
            held_since: None,
            setting,
        }
    }

    /// The step that waits for its readback.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// Since when power is there, once it is.
    #[must_use]
    pub fn done_since(&self) -> Option<Moment> {
        (self.step == Step::Done).then_some(self.entered)
    }

    /// Goes on by at most one step, and says what to drive. A failed step drives nothing.
    pub fn advance(
        &mut self,
        readback: &Readback,
        rail_off_since: Option<Moment>,
        now: Moment,
    ) -> (Drive, Outcome) {
        let confirmed = match self.step {
            Step::FansUp => readback.fans_up,
            Step::Discharge => {
                readback.rail_off
                    && rail_off_since.is_some_and(|since| now.since(since) >= DISCHARGE)
            }
            Step::HoldResets => readback.resets_held,
            Step::Preset => readback.preset && readback.resets_held,
            Step::Enable => readback.enabled,
            Step::Verify => self.is_steady(readback.at_setting, now),
            Step::Controllers => readback.controllers_on && readback.at_setting,
            Step::Done => true,
        };
        if confirmed && self.step != Step::Done {
            self.step = self.step.next();
            self.entered = now;
            self.held_since = None;
        }
        if self.step == Step::Done {
            return (self.drive(), Outcome::Done);
        }
        if now.since(self.entered) >= self.step.deadline() {
            return (Drive::OFF, Outcome::Failed(self.step));
        }
        (self.drive(), Outcome::Waiting(self.step))
    }

    fn is_steady(&mut self, at_setting: bool, now: Moment) -> bool {
        if !at_setting {
            self.held_since = None;
            return false;
        }
        let since = *self.held_since.get_or_insert(now);
        now.since(since) >= STEADY
    }

    fn drive(&self) -> Drive {
        let preset = Some(self.setting);
        match self.step {
            Step::FansUp | Step::Discharge | Step::HoldResets => Drive::OFF,
            Step::Preset => Drive {
                preset,
                ..Drive::OFF
            },
            Step::Enable | Step::Verify | Step::Controllers => Drive {
                preset,
                enable: true,
                hold_resets: true,
            },
            Step::Done => Drive {
                preset,
                enable: true,
                hold_resets: false,
            },
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::FansUp => "fans at full speed",
            Self::Discharge => "rail off and discharged",
            Self::HoldResets => "reset lines held",
            Self::Preset => "supply set",
            Self::Enable => "supply enabled",
            Self::Verify => "rail at its setting",
            Self::Controllers => "voltage controllers on",
            Self::Done => "power is there",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTING: Millivolts = Millivolts(13_000);
    const ALL_GOOD: Readback = Readback {
        fans_up: true,
        rail_off: true,
        resets_held: true,
        preset: true,
        enabled: true,
        at_setting: true,
        controllers_on: true,
    };

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    /// Runs with a readback that depends on the step, and notes each step with what was driven in it.
    fn run(
        readback: impl Fn(Step) -> Readback,
        seconds: u64,
    ) -> (Vec<(Step, Drive)>, Outcome, u64) {
        let mut sequence = Sequence::begin(SETTING, at(0));
        let mut seen: Vec<(Step, Drive)> = Vec::new();
        let mut last = Outcome::Waiting(Step::FansUp);
        for second in 0..seconds {
            let step = sequence.step();
            let (drive, outcome) = sequence.advance(&readback(step), Some(at(0)), at(second));
            if seen.last().is_none_or(|(step, _)| *step != sequence.step()) {
                seen.push((sequence.step(), drive));
            }
            last = outcome;
            if !matches!(outcome, Outcome::Waiting(_)) {
                return (seen, last, second);
            }
        }
        (seen, last, seconds)
    }

    #[test]
    fn power_comes_in_order_and_only_after_the_discharge() {
        let (seen, outcome, second) = run(|_| ALL_GOOD, 100);
        let steps: Vec<_> = seen.iter().map(|(step, _)| *step).collect();
        assert_eq!(
            steps,
            [
                Step::Discharge,
                Step::HoldResets,
                Step::Preset,
                Step::Enable,
                Step::Verify,
                Step::Controllers,
                Step::Done
            ]
        );
        assert_eq!(outcome, Outcome::Done);
        assert!(
            (DISCHARGE.as_secs()..DISCHARGE.as_secs() + 10).contains(&second),
            "{second}"
        );
        for (step, drive) in seen {
            let powered = step >= Step::Enable;
            assert_eq!(drive.enable, powered, "{step}");
            assert_eq!(drive.hold_resets, step != Step::Done, "{step}");
        }
    }

    #[test]
    fn each_step_that_is_not_confirmed_ends_with_all_off_in_its_deadline() {
        for step in [
            Step::FansUp,
            Step::Discharge,
            Step::HoldResets,
            Step::Preset,
            Step::Enable,
            Step::Verify,
            Step::Controllers,
        ] {
            let broken = |now: Step| Readback {
                fans_up: step != Step::FansUp,
                rail_off: step != Step::Discharge,
                resets_held: step != Step::HoldResets || now < step,
                preset: step != Step::Preset,
                enabled: step != Step::Enable,
                at_setting: step != Step::Verify,
                controllers_on: step != Step::Controllers,
            };
            let mut sequence = Sequence::begin(SETTING, at(0));
            let mut entered = 0;
            let mut failed = None;
            for second in 0..300 {
                let before = sequence.step();
                let (drive, outcome) = sequence.advance(&broken(before), Some(at(0)), at(second));
                if sequence.step() != before {
                    entered = second;
                }
                if let Outcome::Failed(at_step) = outcome {
                    assert_eq!(drive, Drive::OFF);
                    failed = Some((at_step, second - entered));
                    break;
                }
            }
            assert_eq!(failed, Some((step, step.deadline().as_secs())));
        }
    }

    #[test]
    fn a_rail_that_is_not_known_to_be_off_for_long_enough_is_not_switched_on() {
        let mut sequence = Sequence::begin(SETTING, at(0));
        for second in 0..20 {
            // Seen off only just now, again and again.
            let (drive, _) = sequence.advance(&ALL_GOOD, Some(at(second)), at(second));
            assert_eq!(drive, Drive::OFF);
        }
        assert_eq!(sequence.step(), Step::Discharge);
        sequence.advance(&ALL_GOOD, None, at(21));
        assert_eq!(sequence.step(), Step::Discharge);
    }

    proptest! {
        #[test]
        fn whatever_the_readbacks_say_no_reset_is_released_before_rail_and_controllers_were_verified(
            readbacks in prop::collection::vec(any::<[bool; 7]>(), 1..200),
        ) {
            let mut sequence = Sequence::begin(SETTING, at(0));
            let (mut verified, mut asked) = (0, false);
            for (second, [fans_up, rail_off, resets_held, preset, enabled, at_setting, controllers_on]) in readbacks.into_iter().enumerate() {
                let readback = Readback { fans_up, rail_off, resets_held, preset, enabled, at_setting, controllers_on };
                let verifying = sequence.step() == Step::Verify;
                asked |= sequence.step() == Step::Controllers && controllers_on;
                let (drive, outcome) = sequence.advance(&readback, Some(at(0)), at(second as u64));
                verified = if verifying && at_setting { verified + 1 } else if sequence.step() >= Step::Controllers { verified } else { 0 };
                prop_assert!(drive.hold_resets || (outcome == Outcome::Done && verified >= 3 && asked));
                if matches!(outcome, Outcome::Failed(_)) {
                    prop_assert_eq!(drive, Drive::OFF);
                    break;
                }
            }
        }
    }
}
