//! What to believe of one temperature reading.
//!
//! A reading that cannot be true is not used. What is not known is taken to heat up: the last believed value plus its age
//! times a rise, until that acts. So a lost sensor needs no rule of its own, and a late one costs nothing.

use crate::moment::Moment;
use cgminer_hal::units::Celsius;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Coldest reading that a machine can have where it can be started at all.
pub const COLDEST: Celsius = Celsius(-40.0);
/// Hottest reading that a sensor of these machines can give; they end at 125 to 150 C.
pub const HOTTEST: Celsius = Celsius(150.0);
/// A believed reading stands for itself this long; from then on its age counts as heating.
pub const FRESH: Duration = Duration::from_secs(3);
/// What an open diode's part is raised by to stand for the diode, as vendor firmware does it.
pub const DIODE_ABOVE_PART: f32 = 15.0;
/// How far a lost sensor may be from where its neighbour says that it is.
pub const NEIGHBOUR_ERROR: f32 = 10.0;

/// Metal moves no faster than this, in kelvin per second ...
const FASTEST: f32 = 5.0;
/// ... with this for noise and rounding on top.
const JUMP: f32 = 6.0;
/// Readings in a row that confirm a jump upwards, which is believed soon because that is the safe side.
const CONFIRM_RISE: u32 = 3;
/// Readings in a row that confirm a jump downwards, once the rail is off or a neighbour agrees.
const CONFIRM_FALL: u32 = 10;
/// What a sensor must have moved by since its chain began to heat, to count as alive.
const PROOF: f32 = 0.5;
/// For how long a reading may stay the same to the last bit while others move.
const STUCK_WHILE_OTHERS_MOVE: Duration = Duration::from_secs(20);
/// How far the others must move meanwhile.
const OTHERS_MOVED: f32 = 8.0;
/// For how long all readings of a machine may stay the same to the last bit before they have to prove themselves anew.
const ALL_STILL: Duration = Duration::from_secs(3_600);

/// Why the last reading of a sensor is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SensorFault {
    /// The part did not answer or answered garbage.
    Unreadable,
    /// No answer within the deadline; nothing is known of the part itself.
    Late,
    /// The reading is not a number.
    NotANumber,
    /// Exactly zero, which is what a part without power or a shorted bus reads as.
    Zero,
    /// Outside what silicon survives.
    OutOfRange,
    /// Moved faster than metal can.
    Jump,
    /// Unchanged to the last bit while it must have moved.
    Stuck,
    /// The remote diode is open or shorted; the part's own temperature stands in, raised.
    DiodeOpen,
}

/// What one attempt to read gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observation {
    /// A value.
    Value(Celsius),
    /// The part says that its diode is open or shorted.
    DiodeOpen {
        /// The part's own temperature.
        local: Option<Celsius>,
    },
    /// No value.
    Unreadable,
}

/// What is around the sensor, which tells whether its reading may stand still.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Surroundings {
    /// Since when its chain is heated: rail on and out of reset.
    pub heated_since: Option<Moment>,
    /// Whether the rail may be on at all.
    pub powered: bool,
    /// Hottest believed reading of the other sensors of its chain.
    pub neighbours: Option<Celsius>,
    /// Hottest believed reading of all other sensors on heated chains.
    pub others: Option<Celsius>,
    /// Since when no reading of the whole machine has changed.
    pub machine_unchanged_since: Option<Moment>,
}

/// What a sensor stands for at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Last believed reading.
    pub reading: Option<Celsius>,
    /// Its age.
    pub age: Option<Duration>,
    /// The temperature to act on.
    pub acted_on: Option<Celsius>,
    /// Why the latest reading is not believed.
    pub fault: Option<SensorFault>,
}

impl View {
    /// Whether a fresh, believed reading stands behind it.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.reading.is_some()
            && self.age.is_some_and(|age| age <= FRESH)
            && matches!(self.fault, None | Some(SensorFault::DiodeOpen))
    }
}

/// One temperature: a part's own, or that of one of its diodes.
#[derive(Clone, Debug)]
pub struct Sensor {
    rise: f32,
    believed: Option<Believed>,
    fault: Option<SensorFault>,
    suspect: Option<Suspect>,
    unchanged: Option<Unchanged>,
    heat: Option<Heat>,
}

#[derive(Clone, Copy, Debug)]
struct Believed {
    value: f32,
    at: Moment,
    /// What its neighbours read then.
    neighbours: Option<f32>,
}

/// A jump that is not confirmed yet.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    value: f32,
    at: Moment,
    count: u32,
}

/// Since when the raw reading has been the same to the last bit.
#[derive(Clone, Copy, Debug)]
struct Unchanged {
    value: f32,
    since: Moment,
    others: Option<f32>,
}

/// What the reading was when its chain began to heat, and whether it has moved since.
#[derive(Clone, Copy, Debug)]
struct Heat {
    since: Moment,
    value: f32,
    moved: bool,
}

impl Sensor {
    /// A sensor of which nothing is known yet. `rise` is what it is taken to heat up by while it is not seen, in kelvin
    /// per second.
    #[must_use]
    pub fn new(rise: f32) -> Self {
        Self {
            rise,
            believed: None,
            fault: None,
            suspect: None,
            unchanged: None,
            heat: None,
        }
    }

    /// Takes what reading it gave at `at`.
    pub fn observe(&mut self, observation: Observation, at: Moment, around: &Surroundings) {
        match observation {
            Observation::Unreadable => self.fault = Some(SensorFault::Unreadable),
            Observation::DiodeOpen { local: None } => self.fault = Some(SensorFault::DiodeOpen),
            Observation::DiodeOpen { local: Some(local) } => match implausible(local.0) {
                None => {
                    let value = local.0 + DIODE_ABOVE_PART;
                    self.believe(value, at, around, Some(SensorFault::DiodeOpen));
                }
                fault => self.fault = fault,
            },
            Observation::Value(value) => match implausible(value.0) {
                None => self.take(value.0, at, around),
                fault => self.fault = fault,
            },
        }
    }

    /// Judges what only time can tell. To be called at every decision, after the readings.
    pub fn judge(&mut self, now: Moment, around: &Surroundings) {
        self.follow_heat(now, around);
        if !self.is_stuck(now, around) {
            return;
        }
        match self.fault {
            None | Some(SensorFault::Stuck) => self.fault = Some(SensorFault::Stuck),
            // The part's own temperature, which stands in, does not move.
            Some(SensorFault::DiodeOpen) => {}
            // No value came that could have moved; the age of the last one tells already.
            Some(_) => return,
        }
        // Nothing was seen since the value last changed; that is the age of what is known.
        if let (Some(believed), Some(unchanged)) = (self.believed.as_mut(), self.unchanged) {
            believed.at = believed.at.min(unchanged.since);
        }
    }

    /// What the sensor stands for now.
    #[must_use]
    pub fn view(&self, now: Moment, around: &Surroundings) -> View {
        let Some(believed) = self.believed else {
            return View {
                reading: None,
                age: None,
                acted_on: None,
                fault: self.fault,
            };
        };
        let age = now.since(believed.at);
        let late = age > FRESH && self.fault.is_none();
        View {
            reading: Some(Celsius(believed.value)),
            age: Some(age),
            acted_on: Some(Celsius(Self::modelled(believed, self.rise, age, around))),
            fault: if late {
                Some(SensorFault::Late)
            } else {
                self.fault
            },
        }
    }

    /// Whether the sensor has moved since its chain began to heat; `true` when it is not heated.
    #[must_use]
    pub fn has_proven_itself(&self) -> bool {
        self.heat.is_none_or(|heat| heat.moved)
    }

    /// Since when the raw reading has not changed.
    #[must_use]
    pub fn unchanged_since(&self) -> Option<Moment> {
        self.unchanged.map(|unchanged| unchanged.since)
    }

    /// The last value, heated by its age; a neighbour that is seen bounds how far that can be from the truth.
    fn modelled(believed: Believed, rise: f32, age: Duration, around: &Surroundings) -> f32 {
        let value = believed.value;
        if !around.powered {
            return value;
        }
        let unseen = age.saturating_sub(FRESH).as_secs_f32();
        let heated = value + unseen * rise;
        let Some((neighbour, then)) = around.neighbours.zip(believed.neighbours) else {
            return heated;
        };
        let moved = neighbour.0 - then;
        // The place that a neighbour sits at may feel only half of what this one does.
        let followed = value + if moved > 0.0 { 2.0 * moved } else { moved };
        heated.min(followed.max(neighbour.0) + NEIGHBOUR_ERROR)
    }

    /// Takes a value that silicon can have.
    fn take(&mut self, value: f32, at: Moment, around: &Surroundings) {
        self.follow_change(value, at, around);
        if self.fault == Some(SensorFault::Stuck) && self.is_stuck(at, around) {
            return;
        }
        let Some(believed) = self.believed else {
            return self.believe(value, at, around, None);
        };
        let allowed = JUMP + FASTEST * at.since(believed.at).as_secs_f32().min(FRESH.as_secs_f32());
        if (value - believed.value).abs() <= allowed {
            return self.believe(value, at, around, None);
        }
        self.fault = Some(SensorFault::Jump);
        self.suspect(value, at);
        let rise = value > believed.value;
        let count = self.suspect.map_or(0, |suspect| suspect.count);
        let agrees = around
            .neighbours
            .zip(believed.neighbours)
            .is_some_and(|(neighbour, then)| {
                (believed.value + neighbour.0 - then - value).abs() <= NEIGHBOUR_ERROR
            });
        // A fall while the chips are powered is what a broken sensor looks like; only a neighbour can vouch for it.
        let confirmed = if rise {
            count >= CONFIRM_RISE
        } else {
            count >= CONFIRM_FALL && (!around.powered || agrees)
        };
        if confirmed {
            self.believe(value, at, around, None);
        }
    }

    fn believe(
        &mut self,
        value: f32,
        at: Moment,
        around: &Surroundings,
        fault: Option<SensorFault>,
    ) {
        let neighbours = around.neighbours.map(|neighbour| neighbour.0);
        self.believed = Some(Believed {
            value,
            at,
            neighbours,
        });
        self.fault = fault;
        self.suspect = None;
    }

    fn suspect(&mut self, value: f32, at: Moment) {
        let count = match self.suspect {
            Some(earlier) => {
                let allowed = JUMP + FASTEST * at.since(earlier.at).as_secs_f32();
                if (value - earlier.value).abs() <= allowed {
                    earlier.count + 1
                } else {
                    1
                }
            }
            None => 1,
        };
        self.suspect = Some(Suspect { value, at, count });
    }

    #[allow(
        clippy::float_cmp,
        reason = "the same to the last bit is what is asked"
    )]
    fn follow_change(&mut self, value: f32, at: Moment, around: &Surroundings) {
        let others = around.others.map(|others| others.0);
        match self.unchanged.as_mut() {
            Some(unchanged) if unchanged.value == value => {
                unchanged.others = unchanged.others.or(others);
            }
            _ => {
                self.unchanged = Some(Unchanged {
                    value,
                    since: at,
                    others,
                });
            }
        }
    }

    fn follow_heat(&mut self, now: Moment, around: &Surroundings) {
        let Some((since, believed)) = around.heated_since.zip(self.believed) else {
            self.heat = None;
            return;
        };
        let heat = self
            .heat
            .filter(|heat| heat.since == since)
            .unwrap_or(Heat {
                since,
                value: believed.value,
                moved: false,
            });
        let all_still = around
            .machine_unchanged_since
            .is_some_and(|unchanged| now.since(unchanged.max(since)) >= ALL_STILL);
        self.heat = Some(if heat.moved && all_still {
            // A calm machine or a frozen bus: the fans' change of pace will tell.
            Heat {
                value: believed.value,
                moved: false,
                ..heat
            }
        } else {
            let moved = heat.moved || (believed.value - heat.value).abs() >= PROOF;
            Heat { moved, ..heat }
        });
    }

    fn is_stuck(&self, now: Moment, around: &Surroundings) -> bool {
        let Some(unchanged) = self.unchanged.filter(|_| around.heated_since.is_some()) else {
            return false;
        };
        let others_moved = unchanged
            .others
            .zip(around.others)
            .is_some_and(|(then, others)| (others.0 - then).abs() >= OTHERS_MOVED);
        now.since(unchanged.since) >= STUCK_WHILE_OTHERS_MOVE && others_moved
    }
}

/// Why no silicon of a running machine reads so.
fn implausible(value: f32) -> Option<SensorFault> {
    if value.is_nan() {
        Some(SensorFault::NotANumber)
    } else if value == 0.0 {
        Some(SensorFault::Zero)
    } else if !(COLDEST.0..=HOTTEST.0).contains(&value) {
        Some(SensorFault::OutOfRange)
    } else {
        None
    }
}

impl fmt::Display for SensorFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unreadable => "does not answer",
            Self::Late => "answers too late",
            Self::NotANumber => "reads as no number",
            Self::Zero => "reads exactly zero",
            Self::OutOfRange => "reads out of range",
            Self::Jump => "jumped faster than metal can",
            Self::Stuck => "is stuck",
            Self::DiodeOpen => "has an open diode",
        })
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the numbers are exact in binary")]
mod tests;
