//! The thermal decision.

use super::fan::{Fan, FanCondition, FanMode};
use super::pid::Pid;
use super::reason::{Reached, Reason};
use super::sensor::{Observation, Sensor, SensorFault, Surroundings, View};
use super::settings::{Place, Point, Settings};
use super::throttle::Throttling;
use super::{Throttle, Tier};
use crate::moment::Moment;
use cgminer_hal::units::{Celsius, DutyPercent, Rpm};
use core::time::Duration;

/// The hot tier is left only this far below its limit.
const HYSTERESIS: f32 = 3.0;

/// What the rest of the machine does.
#[derive(Clone, Debug, PartialEq)]
pub struct Plant {
    /// Whether the rail may be on.
    pub powered: bool,
    /// For each chain, since when it is heated: rail on and out of reset.
    pub heated_since: Vec<Option<Moment>>,
    /// For each chain, whether a board may be plugged in.
    pub present: Vec<bool>,
    /// Who sets the fans.
    pub mode: FanMode,
    /// Duty that the fans' driver last took.
    pub duty: DutyPercent,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Where the machine stands.
    pub tier: Tier,
    /// Duty of all fans, for a machine whose rail is on.
    pub duty: DutyPercent,
    /// Frequency that the miner may run at.
    pub throttle: Throttle,
}

/// Sensors and fans of a machine, and what has been learned of them.
#[derive(Clone, Debug)]
pub struct Thermal {
    settings: Settings,
    sensors: Vec<Sensor>,
    fans: Vec<Fan>,
    views: Vec<View>,
    pid: Option<Pid>,
    throttling: Throttling,
    tier: Tier,
    decided: Moment,
}

impl Thermal {
    /// A machine of which nothing is known yet.
    #[must_use]
    pub fn new(settings: Settings, now: Moment) -> Self {
        let sensors: Vec<_> = settings
            .points
            .iter()
            .map(|_| Sensor::new(settings.unseen_rise))
            .collect();
        let unknown = View {
            reading: None,
            age: None,
            acted_on: None,
            fault: None,
        };
        Self {
            views: vec![unknown; sensors.len()],
            sensors,
            fans: settings
                .fans
                .iter()
                .map(|(_, rules)| Fan::new(*rules, now))
                .collect(),
            pid: None,
            throttling: Throttling::none(now),
            tier: Tier::Normal,
            decided: now,
            settings,
        }
    }

    /// What the machine is.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes other targets, and another number of fans that must be counted on, of a machine that is otherwise the same.
    pub fn choose(&mut self, settings: &Settings) {
        for (own, other) in self.settings.points.iter_mut().zip(&settings.points) {
            own.tiers.target = other.tiers.target;
        }
        self.settings.fans_required = settings.fans_required;
    }

    /// What each temperature stood for at the last decision, in the order of the settings.
    #[must_use]
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// The fans, in the order of the settings.
    #[must_use]
    pub fn fans(&self) -> &[Fan] {
        &self.fans
    }

    /// Takes what reading a temperature gave at `at`. An index that the settings do not have is not heard.
    pub fn observe_sensor(
        &mut self,
        index: usize,
        observation: Observation,
        at: Moment,
        plant: &Plant,
    ) {
        let around = self.surroundings(index, plant);
        if let Some(sensor) = self.sensors.get_mut(index) {
            sensor.observe(observation, at, &around);
        }
    }

    /// Takes a fan's measured speed.
    pub fn observe_fan(&mut self, index: usize, speed: Rpm, at: Moment) {
        if let Some(fan) = self.fans.get_mut(index) {
            fan.observe(speed, at);
        }
    }

    /// Decides on all that has been observed.
    pub fn decide(&mut self, plant: &Plant, now: Moment) -> (Decision, Reason) {
        self.judge(plant, now);
        let step = now.since(self.decided);
        self.decided = now;
        let danger = plant.powered.then(|| self.danger(plant)).flatten();
        let hot = self.hottest_at(|point| {
            let margin = if self.tier >= Tier::Hot {
                HYSTERESIS
            } else {
                0.0
            };
            Celsius(point.tiers.hot.0 - margin)
        });
        self.tier = match (&danger, &hot) {
            (Some(_), _) => Tier::Dangerous,
            (None, Some(_)) => Tier::Hot,
            (None, None) => Tier::Normal,
        };
        let by_mode = self.duty_by_mode(plant, step);
        let (duty, reason) = if let Some(reason) = danger {
            (DutyPercent::FULL, reason)
        } else if let Some(reached) = hot {
            (DutyPercent::FULL, Reason::Hot(reached))
        } else if let Some(reason) = self.caution(plant) {
            (DutyPercent::FULL, reason)
        } else if plant.powered {
            (by_mode, Reason::Mode(plant.mode))
        } else {
            (by_mode, Reason::Unpowered)
        };
        let throttle = if plant.powered {
            self.throttling.step(self.tier >= Tier::Hot, now)
        } else {
            self.throttling = Throttling::none(now);
            Throttle::NONE
        };
        let decision = Decision {
            tier: self.tier,
            duty,
            throttle,
        };
        (decision, reason)
    }

    /// Why power may not be given now: every chain that is there is to be seen, cool, and with air.
    pub fn ready(&self, plant: &Plant) -> Result<(), Reason> {
        let below = self.settings.resume_below;
        for (point, view) in self.present_points(plant) {
            if let Some(temperature) = view.acted_on.filter(|at| at.0 >= below.0) {
                if matches!(point.place, Place::Chain(_)) {
                    return Err(Reason::Hot(reached(point, view, temperature, below)));
                }
            }
        }
        if let Some(reached) = self.hottest_at(|point| point.tiers.hot) {
            return Err(Reason::Hot(reached));
        }
        self.no_temperature(plant, View::is_measured)
            .or_else(|| self.too_few_fans(plant))
            .map_or(Ok(()), Err)
    }

    /// Whether every temperature of every chain that is there is seen and cool.
    #[must_use]
    pub fn is_cool(&self, plant: &Plant) -> bool {
        self.no_temperature(plant, View::is_measured).is_none()
            && self.present_points(plant).all(|(point, view)| {
                let limit = self.settings.resume_below.0.min(point.tiers.hot.0);
                !view.is_measured() || view.acted_on.is_none_or(|at| at.0 < limit)
            })
    }

    /// Fans that can be counted on.
    #[must_use]
    pub fn fans_counted(&self) -> u8 {
        self.fans
            .iter()
            .filter(|fan| fan.condition().counts())
            .count() as u8
    }

    /// Fans that were seen at full speed.
    #[must_use]
    pub fn fans_at_full_speed(&self, now: Moment) -> u8 {
        self.fans
            .iter()
            .filter(|fan| fan.is_at_full_speed(now))
            .count() as u8
    }

    /// The hottest temperature of a chain, and whether a measurement stands behind it.
    #[must_use]
    pub fn chain(&self, chain: u8) -> Option<(Celsius, bool)> {
        self.points()
            .filter(|(point, _)| point.place == Place::Chain(chain))
            .filter_map(|(_, view)| Some((view.acted_on?, view.is_measured())))
            .max_by(|(one, _), (two, _)| one.0.total_cmp(&two.0))
    }

    fn judge(&mut self, plant: &Plant, now: Moment) {
        for fan in &mut self.fans {
            fan.told(plant.duty, now);
            fan.judge(now);
        }
        // Views of this decision are built on the neighbours of the last one, a second ago.
        let around: Vec<_> = (0..self.sensors.len())
            .map(|index| self.surroundings(index, plant))
            .collect();
        let judged = self
            .sensors
            .iter_mut()
            .zip(&around)
            .map(|(sensor, around)| {
                sensor.judge(now, around);
                sensor.view(now, around)
            });
        self.views = judged.collect();
    }

    fn surroundings(&self, index: usize, plant: &Plant) -> Surroundings {
        let place = self.settings.points.get(index).map(|point| point.place);
        let heated = |place: Place| match place {
            Place::Chain(chain) => plant
                .heated_since
                .get(usize::from(chain))
                .copied()
                .flatten(),
            Place::Machine => None,
        };
        let others = || {
            self.points()
                .enumerate()
                .filter(move |(other, (_, view))| *other != index && view.is_measured())
                .map(|(_, point_and_view)| point_and_view)
        };
        let hottest = |readings: &mut dyn Iterator<Item = Celsius>| {
            readings.max_by(|one, two| one.0.total_cmp(&two.0))
        };
        let on_chain = matches!(place, Some(Place::Chain(_)));
        Surroundings {
            heated_since: place.and_then(heated),
            powered: plant.powered,
            neighbours: hottest(
                &mut others()
                    .filter(|(point, _)| on_chain && Some(point.place) == place)
                    .filter_map(|(_, view)| view.reading),
            ),
            others: hottest(
                &mut others()
                    .filter(|(point, _)| heated(point.place).is_some())
                    .filter_map(|(_, view)| view.reading),
            ),
            machine_unchanged_since: self.unchanged_since(),
        }
    }

    /// Since when no temperature has changed; none until each was read.
    fn unchanged_since(&self) -> Option<Moment> {
        self.sensors
            .iter()
            .map(Sensor::unchanged_since)
            .try_fold(Moment::START, |latest, since| Some(latest.max(since?)))
    }

    fn points(&self) -> impl Iterator<Item = (&Point, &View)> {
        self.settings.points.iter().zip(&self.views)
    }

    /// Temperatures of the machine and of the chains that are there.
    fn present_points(&self, plant: &Plant) -> impl Iterator<Item = (&Point, &View)> {
        let present = plant.present.clone();
        self.points().filter(move |(point, _)| match point.place {
            Place::Chain(chain) => present.get(usize::from(chain)).copied().unwrap_or(true),
            Place::Machine => true,
        })
    }

    /// Why power has to go.
    fn danger(&self, plant: &Plant) -> Option<Reason> {
        self.hottest_at(|point| point.tiers.dangerous)
            .map(Reason::TooHot)
            .or_else(|| self.no_temperature(plant, |view| view.acted_on.is_some()))
            .or_else(|| self.too_few_fans(plant))
    }

    /// Why the fans have to be full although nothing is hot.
    fn caution(&self, plant: &Plant) -> Option<Reason> {
        let unproven = self
            .settings
            .points
            .iter()
            .zip(&self.sensors)
            .find(|(_, sensor)| plant.powered && !sensor.has_proven_itself())
            .map(|(point, _)| Reason::Unproven {
                sensor: point.name.clone(),
            });
        let fan_lost = || {
            let (fan, condition) = self.first_fan(FanCondition::is_fault)?;
            Some(Reason::FanLost { fan, condition })
        };
        unproven.or_else(|| {
            if plant.mode == FanMode::Immersion {
                None
            } else {
                fan_lost()
            }
        })
    }

    /// The temperature that is furthest above a limit of its own, if one has reached it.
    fn hottest_at(&self, limit: impl Fn(&Point) -> Celsius) -> Option<Reached> {
        self.points()
            .filter_map(|(point, view)| {
                let temperature = acted_on(point, view)?;
                let limit = limit(point);
                (temperature.0 >= limit.0).then(|| reached(point, view, temperature, limit))
            })
            .max_by(|one, two| {
                (one.temperature.0 - one.limit.0).total_cmp(&(two.temperature.0 - two.limit.0))
            })
    }

    fn no_temperature(&self, plant: &Plant, is_known: impl Fn(&View) -> bool) -> Option<Reason> {
        (0..self.settings.chains)
            .filter(|chain| {
                plant
                    .present
                    .get(usize::from(*chain))
                    .copied()
                    .unwrap_or(true)
            })
            .find(|chain| {
                !self
                    .points()
                    .any(|(point, view)| point.place == Place::Chain(*chain) && is_known(view))
            })
            .map(|chain| Reason::NoTemperature { chain })
    }

    fn too_few_fans(&self, plant: &Plant) -> Option<Reason> {
        let (counted, needed) = (self.fans_counted(), self.settings.fans_required);
        if plant.mode == FanMode::Immersion || counted >= needed {
            return None;
        }
        let (fan, condition) = self
            .first_fan(|condition| !condition.counts())
            .unwrap_or_else(|| ("a fan".to_owned(), FanCondition::Unread));
        Some(Reason::TooFewFans {
            counted,
            needed,
            fan,
            condition,
        })
    }

    fn first_fan(
        &self,
        is_wanted: impl Fn(FanCondition) -> bool,
    ) -> Option<(String, FanCondition)> {
        self.settings
            .fans
            .iter()
            .zip(&self.fans)
            .find(|(_, fan)| is_wanted(fan.condition()))
            .map(|((name, _), fan)| (name.clone(), fan.condition()))
    }

    fn duty_by_mode(&mut self, plant: &Plant, step: Duration) -> DutyPercent {
        let minimum = self.settings.duty_minimum;
        match plant.mode {
            FanMode::Auto => {
                let error = self
                    .present_points(plant)
                    .filter_map(|(point, view)| {
                        Some(acted_on(point, view)?.0 - point.tiers.target.0)
                    })
                    .max_by(f32::total_cmp)
                    .unwrap_or(f32::NAN);
                self.pid
                    .get_or_insert_with(|| Pid::from_duty(plant.duty))
                    .step(error, step.as_secs_f32(), minimum)
            }
            FanMode::Fixed { duty } => {
                self.pid = None;
                DutyPercent(duty.bounded().0.max(minimum.0))
            }
            FanMode::Immersion => {
                self.pid = None;
                DutyPercent::OFF
            }
        }
    }
}

/// The temperature to act on. One that no chain hangs on may ask for all the air once it is lost, but for no more.
fn acted_on(point: &Point, view: &View) -> Option<Celsius> {
    let temperature = view.acted_on?;
    let lost = point.place == Place::Machine && !view.is_measured();
    let bound = view.reading?.0.max(point.tiers.hot.0 - HYSTERESIS - 0.1);
    Some(if lost {
        Celsius(temperature.0.min(bound))
    } else {
        temperature
    })
}

fn reached(point: &Point, view: &View, temperature: Celsius, limit: Celsius) -> Reached {
    Reached {
        sensor: point.name.clone(),
        temperature,
        limit,
        lost: if view.is_measured() {
            None
        } else {
            Some(view.fault.unwrap_or(SensorFault::Late))
        },
    }
}
