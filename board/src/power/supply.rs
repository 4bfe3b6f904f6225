//! What to believe of the supply.

use crate::moment::Moment;
use cgminer_hal::units::{Celsius, Millivolts, Watts};
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A measurement stands for itself this long. A supply's own answer takes half a second, and it may fail a few times.
pub const FRESH: Duration = Duration::from_secs(8);
/// Below this the rail is off: chips need more to run at all.
pub const OFF_BELOW: Millivolts = Millivolts(3_000);
/// By when the rail must be seen off after the switch; an unloaded supply takes its time to discharge.
pub const OFF_WITHIN: Duration = Duration::from_secs(35);

/// Share of the setting, in per cent, above which the rail is too high.
const OVER: u32 = 105;
/// How long that must last; a single reading may be noise.
const OVER_FOR: Duration = Duration::from_secs(1);
/// Share of the board's highest setting, in per cent, above which not a moment is waited.
const FAR_OVER: u32 = 110;
/// Share of the setting, in per cent, below which the rail is too low.
const UNDER: u32 = 85;
/// How long that must last.
const UNDER_FOR: Duration = Duration::from_secs(3);
/// Share of the setting, in per cent, from which on it counts as reached.
const REACHED: u32 = 95;
/// How long the rail may take to follow a new setting.
pub const SETTLES_WITHIN: Duration = Duration::from_secs(6);

/// What the supply's rail may be set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoltageLimits {
    /// Lowest setting.
    pub minimum: Millivolts,
    /// Highest setting.
    pub maximum: Millivolts,
}

impl VoltageLimits {
    /// Whether a setting is within.
    #[must_use]
    pub fn allow(&self, setting: Millivolts) -> bool {
        (self.minimum..=self.maximum).contains(&setting)
    }
}

/// Why the supply is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SupplyFault {
    /// Refuses commands.
    Refused,
    /// Answers garbage.
    BadChecksum,
    /// Does not answer.
    Silent,
    /// The rail is above what was set and allowed.
    OverVoltage,
    /// The rail is below what was set: tripped, or overloaded.
    UnderVoltage,
    /// Reports a trip of its own.
    Tripped,
    /// The rail is still up though it was switched off.
    StuckOn,
    /// Draws more than the machine may.
    OverPower,
}

/// What one attempt to read the supply gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SupplyReading {
    /// Measurements.
    Measured(Measured),
    /// None: [`SupplyFault::Refused`], [`SupplyFault::BadChecksum`] or [`SupplyFault::Silent`].
    Failed(SupplyFault),
}

/// What a supply says of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Rail.
    pub volts: Millivolts,
    /// Power, where the part can tell.
    pub power: Option<Watts>,
    /// Its own temperature, where the part can tell.
    pub temperature: Option<Celsius>,
    /// Whether it reports a trip.
    pub tripped: bool,
}

/// What the keeper wants of the rail, and since when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// On, at a setting.
    On {
        /// The setting.
        setting: Millivolts,
        /// Since when that setting is wanted.
        since: Moment,
    },
    /// Off.
    Off {
        /// Since when.
        since: Moment,
    },
}

/// What is known of the rail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rail {
    /// Measured off.
    Off,
    /// Measured on.
    On,
    /// Not measured lately.
    Unknown,
}

/// A supply and what has been learned of it.
#[derive(Clone, Debug)]
pub struct Supply {
    limits: VoltageLimits,
    power_limit: Watts,
    measured: Option<(Measured, Moment)>,
    failing: Option<SupplyFault>,
    wrong: Option<(SupplyFault, Moment)>,
    started: Moment,
}

impl Supply {
    /// A supply of which nothing is known.
    #[must_use]
    pub const fn new(limits: VoltageLimits, power_limit: Watts, now: Moment) -> Self {
        Self {
            limits,
            power_limit,
            measured: None,
            failing: None,
            wrong: None,
            started: now,
        }
    }

    /// What its rail may be set to.
    #[must_use]
    pub const fn limits(&self) -> VoltageLimits {
        self.limits
    }

    /// Takes what reading it gave at `at`.
    pub fn observe(&mut self, reading: SupplyReading, at: Moment) {
        match reading {
            SupplyReading::Measured(measured) => {
                self.measured = Some((measured, at));
                self.failing = None;
            }
            SupplyReading::Failed(fault) => self.failing = Some(fault),
        }
    }

    /// The latest measurement and its age.
    #[must_use]
    pub fn measured(&self, now: Moment) -> Option<(Measured, Duration)> {
        self.measured
            .map(|(measured, at)| (measured, now.since(at)))
    }

    /// The fault of the latest attempt to read, grave or not.
    #[must_use]
    pub const fn failing(&self) -> Option<SupplyFault> {
        self.failing
    }

    /// Whether the rail is off, as far as is known.
    #[must_use]
    pub fn rail(&self, now: Moment) -> Rail {
        match self.fresh(now) {
            Some(measured) if measured.volts < OFF_BELOW => Rail::Off,
            Some(_) => Rail::On,
            None => Rail::Unknown,
        }
    }

    /// Whether the rail is measured within what a setting allows.
    #[must_use]
    pub fn is_at(&self, setting: Millivolts, now: Moment) -> bool {
        self.fresh(now).is_some_and(|measured| {
            !measured.tripped
                && (share(setting, REACHED)..=share(setting, OVER)).contains(&measured.volts)
        })
    }

    /// Why the supply cannot be trusted any more. To be called at every decision.
    pub fn judge(&mut self, expected: Expected, now: Moment) -> Option<SupplyFault> {
        let Some((fault, patience)) = self.suspicion(expected, now) else {
            self.wrong = None;
            return None;
        };
        let since = match self.wrong {
            Some((earlier, since)) if earlier == fault => since,
            _ => now,
        };
        self.wrong = Some((fault, since));
        (now.since(since) >= patience).then_some(fault)
    }

    /// What looks wrong now, and how long it must do so.
    fn suspicion(&self, expected: Expected, now: Moment) -> Option<(SupplyFault, Duration)> {
        let fresh = self.fresh(now);
        match expected {
            Expected::On { setting, since } => {
                let Some(measured) = fresh else {
                    let heard = self.measured.map_or(self.started, |(_, at)| at);
                    let lost = now.since(heard.max(since)) > FRESH;
                    return lost
                        .then(|| (self.failing.unwrap_or(SupplyFault::Silent), Duration::ZERO));
                };
                let settled = now.since(since) >= SETTLES_WITHIN;
                if measured.tripped {
                    Some((SupplyFault::Tripped, Duration::ZERO))
                } else if measured.volts > share(self.limits.maximum, FAR_OVER) {
                    Some((SupplyFault::OverVoltage, Duration::ZERO))
                } else if settled && measured.volts > share(setting, OVER) {
                    Some((SupplyFault::OverVoltage, OVER_FOR))
                } else if settled && measured.volts < share(setting, UNDER) {
                    Some((SupplyFault::UnderVoltage, UNDER_FOR))
                } else if measured
                    .power
                    .is_some_and(|power| power.0 > self.power_limit.0)
                {
                    Some((SupplyFault::OverPower, UNDER_FOR))
                } else {
                    None
                }
            }
            Expected::Off { since } => {
                let overdue = now.since(since) >= OFF_WITHIN;
                // What was seen on that late stays so until it is seen off: a supply that falls silent is not off for that.
                let on = self.measured.is_some_and(|(measured, at)| {
                    measured.volts >= OFF_BELOW
                        && (now.since(at) <= FRESH || at.since(since) >= OFF_WITHIN)
                });
                (overdue && on).then_some((SupplyFault::StuckOn, Duration::ZERO))
            }
        }
    }

    fn fresh(&self, now: Moment) -> Option<Measured> {
        self.measured
            .filter(|(_, at)| now.since(*at) <= FRESH)
            .map(|(measured, _)| measured)
    }
}

fn share(of: Millivolts, per_cent: u32) -> Millivolts {
    Millivolts((u64::from(of.0) * u64::from(per_cent) / 100) as u32)
}

impl fmt::Display for SupplyFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Refused => "refuses commands",
            Self::BadChecksum => "answers with bad checksums",
            Self::Silent => "does not answer",
            Self::OverVoltage => "gives more volts than set",
            Self::UnderVoltage => "gives fewer volts than set",
            Self::Tripped => "reports a trip of its own",
            Self::StuckOn => "is still on though switched off",
            Self::OverPower => "draws more than the machine may",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: VoltageLimits = VoltageLimits {
        minimum: Millivolts(12_000),
        maximum: Millivolts(15_000),
    };
    const ON: Expected = Expected::On {
        setting: Millivolts(13_000),
        since: Moment::START,
    };

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn volts(volts: u32) -> SupplyReading {
        SupplyReading::Measured(Measured {
            volts: Millivolts(volts),
            power: None,
            temperature: None,
            tripped: false,
        })
    }

    /// Feeds a reading every second from 0 and gives the second of the first fault.
    fn first_fault(
        expected: Expected,
        seconds: u64,
        reading: impl Fn(u64) -> Option<SupplyReading>,
    ) -> Option<(u64, SupplyFault)> {
        let mut supply = Supply::new(LIMITS, Watts(3_500.0), Moment::START);
        (0..seconds).find_map(|second| {
            if let Some(reading) = reading(second) {
                supply.observe(reading, at(second));
            }
            supply
                .judge(expected, at(second))
                .map(|fault| (second, fault))
        })
    }

    #[test]
    fn a_supply_that_does_as_told_has_no_fault() {
        assert_eq!(first_fault(ON, 600, |_| Some(volts(12_950))), None);
        assert_eq!(
            first_fault(
                Expected::Off {
                    since: Moment::START
                },
                600,
                |_| Some(volts(100))
            ),
            None
        );
    }

    #[test]
    fn too_many_volts_are_a_fault_soon_and_far_too_many_at_once() {
        let jump = |to| move |second| Some(volts(if second < 20 { 13_000 } else { to }));
        assert_eq!(
            first_fault(ON, 60, jump(13_900)),
            Some((21, SupplyFault::OverVoltage))
        );
        assert_eq!(
            first_fault(ON, 60, jump(17_000)),
            Some((20, SupplyFault::OverVoltage))
        );
    }

    #[test]
    fn one_reading_of_noise_is_no_fault() {
        let spike = |to| move |second| Some(volts(if second == 20 { to } else { 13_000 }));
        assert_eq!(first_fault(ON, 60, spike(14_000)), None);
        assert_eq!(first_fault(ON, 60, spike(4_000)), None);
    }

    #[test]
    fn too_few_volts_are_a_fault_after_a_moment() {
        let sag = |second| Some(volts(if second < 20 { 13_000 } else { 9_000 }));
        assert_eq!(
            first_fault(ON, 60, sag),
            Some((23, SupplyFault::UnderVoltage))
        );
    }

    #[test]
    fn a_trip_is_a_fault_at_once() {
        let tripped = SupplyReading::Measured(Measured {
            volts: Millivolts(13_000),
            power: None,
            temperature: None,
            tripped: true,
        });
        let trip = |second| Some(if second < 20 { volts(13_000) } else { tripped });
        assert_eq!(first_fault(ON, 60, trip), Some((20, SupplyFault::Tripped)));
    }

    #[test]
    fn more_power_than_allowed_is_a_fault_after_a_moment() {
        let greedy = |second| {
            Some(SupplyReading::Measured(Measured {
                volts: Millivolts(13_000),
                power: Some(Watts(if second < 20 { 3_000.0 } else { 3_600.0 })),
                temperature: None,
                tripped: false,
            }))
        };
        assert_eq!(
            first_fault(ON, 60, greedy),
            Some((23, SupplyFault::OverPower))
        );
    }

    #[test]
    fn a_supply_that_cannot_be_read_is_a_fault_of_its_kind_once_the_last_reading_is_old() {
        for fault in [
            SupplyFault::Refused,
            SupplyFault::BadChecksum,
            SupplyFault::Silent,
        ] {
            let lost = |second| {
                Some(if second < 20 {
                    volts(13_000)
                } else {
                    SupplyReading::Failed(fault)
                })
            };
            assert_eq!(first_fault(ON, 60, lost), Some((28, fault)));
        }
        let mute = |second| (second < 20).then(|| volts(13_000));
        assert_eq!(first_fault(ON, 60, mute), Some((28, SupplyFault::Silent)));
        let flaky = |second| {
            Some(if second % 4 == 0 {
                volts(13_000)
            } else {
                SupplyReading::Failed(SupplyFault::BadChecksum)
            })
        };
        assert_eq!(first_fault(ON, 600, flaky), None);
    }

    #[test]
    fn a_rail_that_stays_up_is_stuck_on() {
        let off = Expected::Off { since: at(10) };
        assert_eq!(
            first_fault(off, 100, |_| Some(volts(13_000))),
            Some((45, SupplyFault::StuckOn))
        );
        let falls_silent = |second| (second < 50).then(|| volts(13_000));
        let mut supply = Supply::new(LIMITS, Watts(3_500.0), Moment::START);
        let judged: Vec<_> = (0..1_000)
            .map(|second| {
                if let Some(reading) = falls_silent(second) {
                    supply.observe(reading, at(second));
                }
                supply.judge(off, at(second))
            })
            .collect();
        assert_eq!(judged.last(), Some(&Some(SupplyFault::StuckOn)));
        supply.observe(volts(200), at(1_000));
        assert_eq!(supply.judge(off, at(1_000)), None, "seen off");
        let falling = |second: u64| Some(volts(13_000u64.saturating_sub(second * 400) as u32));
        assert_eq!(first_fault(off, 100, falling), None);
    }

    #[test]
    fn nothing_is_known_of_a_rail_that_is_not_measured() {
        let mut supply = Supply::new(LIMITS, Watts(3_500.0), Moment::START);
        assert_eq!(supply.rail(at(0)), Rail::Unknown);
        supply.observe(volts(200), at(1));
        assert_eq!(supply.rail(at(2)), Rail::Off);
        supply.observe(volts(13_000), at(3));
        assert_eq!(supply.rail(at(4)), Rail::On);
        assert!(supply.is_at(Millivolts(13_000), at(4)));
        assert!(!supply.is_at(Millivolts(15_000), at(4)));
        assert_eq!(supply.rail(at(20)), Rail::Unknown);
        assert!(!supply.is_at(Millivolts(13_000), at(20)));
    }
}
