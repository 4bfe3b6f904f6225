//! What changed since the log was last told: the reason within a state, sensors, fans.

use super::super::reason::Reason;
use super::super::state::State;
use cgminer_board::moment::Moment;
use cgminer_board::thermal::{FanCondition, FanRules, Point, SensorFault, Thermal};
use std::time::Duration;

/// Between two lines about one thing: a contact that comes and goes must not fill the log.
pub(super) const QUIET: Duration = Duration::from_secs(10);

/// What the log knows.
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    reason: Told<Option<(State, Reason)>>,
    sensors: Vec<Told<Option<SensorFault>>>,
    fans: Vec<Told<Option<FanCondition>>>,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Whether something is wrong.
    pub bad: bool,
    /// What it speaks of; none: the keeper itself.
    pub source: Option<String>,
    /// In words.
    pub text: String,
}

/// Something as it was last told, and since when it may be told again.
#[derive(Clone, Debug, Default)]
struct Told<T> {
    last: T,
    next: Option<Moment>,
}

impl<T: Clone> Told<T> {
    /// What was told before, if there is news that may be told now.
    fn news(&mut self, now: Moment, latest: &T, same: impl Fn(&T, &T) -> bool) -> Option<T> {
        if same(&self.last, latest) || self.next.is_some_and(|next| now < next) {
            return None;
        }
        self.next = Some(now.plus(QUIET));
        Some(std::mem::replace(&mut self.last, latest.clone()))
    }
}

impl News {
    /// Notes a reason that was told with a change of state.
    pub fn moved(&mut self, state: State, reason: &Reason) {
        self.reason = Told {
            last: Some((state, reason.clone())),
            next: None,
        };
    }

    /// The reason, when it is another one than was last told.
    pub fn of_reason(&mut self, state: State, reason: &Reason, now: Moment) -> Option<Line> {
        let latest = Some((state, reason.clone()));
        self.reason.news(now, &latest, |one, two| {
            matches!((one, two), (Some(one), Some(two)) if one.0 == two.0 && one.1.is_like(&two.1))
        })?;
        Some(Line {
            bad: reason.is_bad(),
            source: None,
            text: format!("{state}: {reason}"),
        })
    }

    /// Sensors that are believed no more, or again.
    pub fn of_sensors(&mut self, points: &[Point], thermal: &Thermal, now: Moment) -> Vec<Line> {
        let views = thermal.views();
        self.sensors.resize_with(views.len(), Told::default);
        let lines = self.sensors.iter_mut().zip(points).zip(views);
        lines
            .filter_map(|((told, point), view)| {
                told.news(now, &view.fault, |one, two| one == two)?;
                let text = match view.fault {
                    Some(fault) => format!("the sensor {fault}"),
                    None => "the sensor is believed again".into(),
                };
                Some(Line {
                    bad: view.fault.is_some(),
                    source: Some(point.name.clone()),
                    text,
                })
            })
            .collect()
    }

    /// Fans that cannot be counted on, or can be again. Spinning up is a step between two conditions, not news.
    pub fn of_fans(
        &mut self,
        rules: &[(String, FanRules)],
        thermal: &Thermal,
        now: Moment,
    ) -> Vec<Line> {
        self.fans.resize_with(rules.len(), Told::default);
        let lines = self.fans.iter_mut().zip(rules).zip(thermal.fans());
        lines
            .filter_map(|((told, (name, _)), fan)| {
                let condition = fan.condition();
                if condition == FanCondition::SpinningUp {
                    return None;
                }
                let fault = Some(condition).filter(|condition| condition.is_fault());
                told.news(now, &fault, |one, two| one == two)?;
                Some(Line {
                    bad: fault.is_some(),
                    source: Some(name.clone()),
                    text: format!("the fan is {condition}"),
                })
            })
            .collect()
    }
}

impl Line {
    /// Tells it to the log.
    pub fn log(&self) {
        let Self { bad, source, text } = self;
        match (bad, source) {
            (true, Some(source)) => tracing::warn!(source, "{text}"),
            (false, Some(source)) => tracing::info!(source, "{text}"),
            (true, None) => tracing::warn!("{text}"),
            (false, None) => tracing::info!("{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cgminer_board::thermal::{self, FanMode};

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_reason_is_told_once_and_numbers_are_no_news() {
        let mut news = News::default();
        let rest = |seconds| Reason::Pausing {
            rest: Duration::from_secs(seconds),
        };
        news.moved(State::CoolDown, &Reason::RailNotSeenOff);
        let told = |news: &mut News, reason: &Reason, seconds| {
            news.of_reason(State::CoolDown, reason, at(seconds))
                .map(|line| line.text)
        };
        assert_eq!(told(&mut news, &Reason::RailNotSeenOff, 1), None);
        let text = told(&mut news, &rest(60), 2).unwrap();
        assert!(text.starts_with("cool-down: cool again"), "{text}");
        assert_eq!(told(&mut news, &rest(59), 3), None);
        assert_eq!(told(&mut news, &Reason::RailNotSeenOff, 4), None, "quiet");
        assert_eq!(told(&mut news, &rest(40), 20), None, "it passed");
        assert!(told(&mut news, &Reason::RailNotSeenOff, 21).is_some());
    }

    #[test]
    fn a_lost_fan_is_bad_news_and_its_return_is_good() {
        let mut news = News::default();
        let lost = Reason::Heat(thermal::Reason::FanLost {
            fan: "left".into(),
            condition: FanCondition::Stalled,
        });
        let well = Reason::Heat(thermal::Reason::Mode(FanMode::Auto));
        news.moved(State::Running, &well);
        let line = news.of_reason(State::Running, &lost, at(1)).unwrap();
        assert!(line.bad && line.text.contains("left is"), "{line:?}");
        let line = news.of_reason(State::Running, &well, at(20)).unwrap();
        assert!(!line.bad, "{line:?}");
    }
}
