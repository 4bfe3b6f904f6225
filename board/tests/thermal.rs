//! The thermal decision as a whole: every tier in every fan mode, lost sensors, lost fans.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use cgminer_board::moment::Moment;
use cgminer_board::thermal::fan::FanRules;
use cgminer_board::thermal::{
    Decision, FanMode, Observation, Place, Plant, Point, Reason, SensorFault, Settings, Thermal,
    Throttle, Tier, Tiers,
};
use cgminer_hal::units::{Celsius, DutyPercent, Rpm};
use std::time::Duration;

const CHIP: Tiers = Tiers {
    target: Celsius(65.0),
    hot: Celsius(80.0),
    dangerous: Celsius(90.0),
};
const INLET: Tiers = Tiers {
    target: Celsius(35.0),
    hot: Celsius(45.0),
    dangerous: Celsius(60.0),
};
const MINIMUM: DutyPercent = DutyPercent(20.0);
const MODES: [FanMode; 4] = [
    FanMode::Auto,
    FanMode::Fixed {
        duty: DutyPercent(0.0),
    },
    FanMode::Fixed {
        duty: DutyPercent(60.0),
    },
    FanMode::Immersion,
];

/// Two chains with two sensors each, an inlet sensor, four fans of which three are needed.
struct Bench {
    thermal: Thermal,
    plant: Plant,
    second: u32,
    /// What each sensor says; none when it is not read at all.
    says: [Option<Observation>; 5],
    /// Speed of each fan as a share of what it should be; none when the tach is not read.
    turns: [Option<f32>; 4],
    last: (Decision, Reason),
}

impl Bench {
    fn new(mode: FanMode) -> Self {
        let point = |name: &str, place, tiers| Point {
            name: name.into(),
            place,
            tiers,
        };
        let fan = FanRules {
            full: Rpm(6_000),
            stall: Rpm(600),
        };
        let settings = Settings {
            points: vec![
                point("board 0 in", Place::Chain(0), CHIP),
                point("board 0 out", Place::Chain(0), CHIP),
                point("board 1 in", Place::Chain(1), CHIP),
                point("board 1 out", Place::Chain(1), CHIP),
                point("inlet", Place::Machine, INLET),
            ],
            fans: (0..4).map(|index| (format!("fan {index}"), fan)).collect(),
            chains: 2,
            unseen_rise: 1.0,
            resume_below: Celsius(50.0),
            fans_required: 3,
            duty_minimum: MINIMUM,
        };
        let decision = Decision {
            tier: Tier::Normal,
            duty: DutyPercent::FULL,
            throttle: Throttle::NONE,
        };
        let says = [30.0, 31.0, 30.5, 31.5, 25.0];
        let mut bench = Self {
            thermal: Thermal::new(settings, Moment::START),
            plant: Plant {
                powered: true,
                heated_since: vec![None; 2],
                present: vec![true; 2],
                mode,
                duty: DutyPercent::FULL,
            },
            second: 0,
            says: says.map(|value| Some(Observation::Value(Celsius(value)))),
            turns: [Some(1.0); 4],
            last: (decision, Reason::Unpowered),
        };
        bench.run(20);
        bench
    }

    /// Lets time pass; readings carry a little noise, as real ones do.
    fn run(&mut self, seconds: u32) -> &(Decision, Reason) {
        for _ in 0..seconds {
            self.second += 1;
            let now = Moment::after_start(Duration::from_secs(u64::from(self.second)));
            let noise = (self.second % 3) as f32 * 0.0625;
            for (index, says) in self.says.into_iter().enumerate() {
                let says = match says {
                    Some(Observation::Value(Celsius(value))) => {
                        Some(Observation::Value(Celsius(value + noise)))
                    }
                    other => other,
                };
                if let Some(says) = says {
                    self.thermal.observe_sensor(index, says, now, &self.plant);
                }
            }
            for (index, share) in self.turns.into_iter().enumerate() {
                if let Some(share) = share {
                    let speed = 60.0 * self.plant.duty.0 * share;
                    self.thermal.observe_fan(index, Rpm(speed as u32), now);
                }
            }
            self.last = self.thermal.decide(&self.plant, now);
            self.plant.duty = self.last.0.duty;
        }
        &self.last
    }

    /// Moves a sensor to a temperature no faster than it would be believed.
    fn warm(&mut self, index: usize, to: f32) -> &(Decision, Reason) {
        loop {
            let Some(Observation::Value(Celsius(now))) = self.says[index] else {
                panic!("sensor {index} gives no values")
            };
            let next = now + (to - now).clamp(-3.0, 3.0);
            self.says[index] = Some(Observation::Value(Celsius(next)));
            self.run(1);
            if (next - to).abs() < 0.01 {
                return self.run(1);
            }
        }
    }
}

#[test]
fn every_tier_acts_the_same_in_every_fan_mode() {
    for mode in MODES {
        for (temperature, tier) in [
            (60.0, Tier::Normal),
            (79.0, Tier::Normal),
            (80.0, Tier::Hot),
            (89.0, Tier::Hot),
            (90.0, Tier::Dangerous),
            (120.0, Tier::Dangerous),
        ] {
            for sensor in 0..4 {
                let mut bench = Bench::new(mode);
                let (decision, reason) = bench.warm(sensor, temperature).clone();
                assert_eq!(
                    decision.tier, tier,
                    "{mode} {temperature} {sensor}: {reason}"
                );
                if tier > Tier::Normal {
                    assert_eq!(decision.duty, DutyPercent::FULL, "{mode} {temperature}");
                    assert!(decision.throttle < Throttle::NONE, "{mode} {temperature}");
                }
            }
        }
    }
}

#[test]
fn each_mode_sets_the_duty_below_the_hot_limit_and_never_less_than_the_minimum() {
    for (mode, expected) in MODES.into_iter().zip([20.0, 20.0, 60.0, 0.0]) {
        let mut bench = Bench::new(mode);
        let (decision, reason) = bench.run(120);
        assert_eq!(decision.duty, DutyPercent(expected), "{reason}");
        assert_eq!(*reason, Reason::Mode(mode));
    }
    let mut bench = Bench::new(FanMode::Auto);
    bench.warm(1, 72.0);
    assert!(bench.run(60).0.duty.0 > 50.0);
}

#[test]
fn the_miner_is_asked_to_slow_down_before_the_power_is_cut() {
    let mut bench = Bench::new(FanMode::Auto);
    bench.warm(0, 79.0);
    let mut throttled = None;
    for step in 0..200u16 {
        bench.says[0] = Some(Observation::Value(Celsius(79.0 + f32::from(step) * 0.25)));
        let (decision, _) = bench.run(1);
        if decision.throttle < Throttle::NONE {
            throttled.get_or_insert(step);
        }
        if decision.tier == Tier::Dangerous {
            assert!(
                throttled.is_some_and(|first| first + 20 < step),
                "{throttled:?} {step}"
            );
            return;
        }
    }
    panic!("never dangerous");
}

#[test]
fn the_hot_tier_is_left_only_well_below_its_limit() {
    let mut bench = Bench::new(FanMode::Auto);
    assert_eq!(bench.warm(0, 80.5).0.tier, Tier::Hot);
    assert_eq!(bench.warm(0, 78.0).0.tier, Tier::Hot);
    assert_eq!(bench.warm(0, 76.0).0.tier, Tier::Normal);
}

#[test]
fn a_chain_whose_sensors_are_all_lost_takes_the_power_by_the_model() {
    for lost in [
        None,
        Some(Observation::Unreadable),
        Some(Observation::Value(Celsius(f32::NAN))),
    ] {
        let mut bench = Bench::new(FanMode::Auto);
        bench.warm(0, 60.0);
        bench.warm(1, 62.0);
        bench.says[0] = lost;
        bench.says[1] = lost;
        let from = bench.second;
        while bench.run(1).0.tier != Tier::Dangerous {
            assert!(bench.second - from < 60, "{lost:?}");
        }
        // 28 K at 1 K/s, and the time that a reading stands for itself.
        assert!(
            (27..=33).contains(&(bench.second - from)),
            "{}",
            bench.second - from
        );
        let Reason::TooHot(reached) = &bench.last.1 else {
            panic!("{}", bench.last.1)
        };
        assert!(reached.lost.is_some(), "{reached}");
    }
}

#[test]
fn a_lost_sensor_with_a_neighbour_costs_air_but_not_the_power() {
    let mut bench = Bench::new(FanMode::Auto);
    bench.warm(0, 60.0);
    bench.warm(1, 62.0);
    let before = bench.run(300).0.duty;
    bench.says[0] = Some(Observation::Unreadable);
    let (decision, reason) = bench.run(600).clone();
    assert_eq!(decision.tier, Tier::Normal, "{reason}");
    assert!(
        decision.duty.0 > before.0 + 20.0,
        "{} {}",
        decision.duty,
        before
    );
    assert_eq!(
        bench.thermal.views()[0].fault,
        Some(SensorFault::Unreadable)
    );
    let (chain, measured) = bench.thermal.chain(0).unwrap();
    assert!(!measured && chain.0 > 68.0, "{chain}");
}

#[test]
fn a_lost_inlet_sensor_costs_air_but_not_the_power() {
    let mut bench = Bench::new(FanMode::Auto);
    bench.says[4] = None;
    let (decision, reason) = bench.run(3_600);
    assert_eq!(decision.tier, Tier::Normal, "{reason}");
    assert_eq!(decision.duty, DutyPercent::FULL);
}

#[test]
fn an_inlet_that_is_truly_hot_takes_the_power() {
    let mut bench = Bench::new(FanMode::Auto);
    assert_eq!(bench.warm(4, 60.5).0.tier, Tier::Dangerous);
}

#[test]
fn a_chain_that_was_never_seen_has_no_power() {
    let mut bench = Bench::new(FanMode::Auto);
    let settings = bench.thermal.settings().clone();
    bench.thermal = Thermal::new(settings, Moment::START);
    bench.says[2] = None;
    bench.says[3] = None;
    let (decision, reason) = bench.run(5);
    assert_eq!(decision.tier, Tier::Dangerous);
    assert_eq!(*reason, Reason::NoTemperature { chain: 1 });
    bench.plant.present[1] = false;
    let (decision, reason) = bench.run(20);
    assert_eq!(
        decision.tier,
        Tier::Normal,
        "an absent board is no fault: {reason}"
    );
}

#[test]
fn fixed_fans_with_three_of_four_dead_take_the_power() {
    for duty in [20.0, 60.0, 100.0] {
        let mut bench = Bench::new(FanMode::Fixed {
            duty: DutyPercent(duty),
        });
        bench.run(60);
        bench.turns = [Some(0.0), Some(0.0), Some(1.0), Some(0.0)];
        let from = bench.second;
        while bench.run(1).0.tier != Tier::Dangerous {
            assert!(bench.second - from < 20, "{duty}: {}", bench.last.1);
        }
        assert!(matches!(
            bench.last.1,
            Reason::TooFewFans {
                counted: 1,
                needed: 3,
                ..
            }
        ));
    }
}

#[test]
fn one_dead_fan_of_four_makes_the_others_turn_fully() {
    for (what, mode) in [
        (Some(0.0), MODES[0]),
        (Some(0.3), MODES[2]),
        (Some(9.0), MODES[1]),
        (None, MODES[0]),
    ] {
        let mut bench = Bench::new(mode);
        bench.run(60);
        bench.turns[2] = what;
        let (decision, reason) = bench.run(30);
        assert_eq!(decision.tier, Tier::Normal, "{reason}");
        assert_eq!(decision.duty, DutyPercent::FULL, "{what:?}: {reason}");
        assert!(
            matches!(reason, Reason::FanLost { .. }),
            "{what:?}: {reason}"
        );
    }
}

#[test]
fn immersion_has_no_fans_to_lose() {
    let mut bench = Bench::new(FanMode::Immersion);
    bench.turns = [None; 4];
    let (decision, reason) = bench.run(600);
    assert_eq!(
        (decision.tier, decision.duty),
        (Tier::Normal, DutyPercent::OFF),
        "{reason}"
    );
}

#[test]
fn fans_are_full_until_each_heated_sensor_has_moved() {
    let mut bench = Bench::new(FanMode::Auto);
    bench.run(120);
    let now = Moment::after_start(Duration::from_secs(u64::from(bench.second)));
    bench.plant.heated_since = vec![Some(now); 2];
    assert!(matches!(bench.run(3).1, Reason::Unproven { .. }));
    assert_eq!(bench.last.0.duty, DutyPercent::FULL);
    for sensor in 0..4 {
        bench.warm(sensor, 45.0);
    }
    assert_eq!(bench.run(1).1, Reason::Mode(FanMode::Auto));
}

#[test]
fn power_is_given_only_to_a_machine_that_is_seen_cool_and_has_air() {
    let mut bench = Bench::new(FanMode::Auto);
    bench.plant.powered = false;
    bench.run(5);
    assert_eq!(bench.thermal.ready(&bench.plant), Ok(()));
    assert!(bench.thermal.is_cool(&bench.plant));

    bench.warm(1, 55.0);
    assert!(matches!(
        bench.thermal.ready(&bench.plant),
        Err(Reason::Hot(_))
    ));
    assert!(!bench.thermal.is_cool(&bench.plant));
    bench.warm(1, 40.0);
    assert_eq!(bench.thermal.ready(&bench.plant), Ok(()));

    bench.turns = [Some(0.0), Some(0.0), Some(1.0), Some(1.0)];
    for _ in 0..30 {
        bench.plant.duty = DutyPercent::FULL;
        bench.run(1);
    }
    assert!(matches!(
        bench.thermal.ready(&bench.plant),
        Err(Reason::TooFewFans { .. })
    ));
    bench.turns = [Some(1.0); 4];
    bench.run(10);

    bench.says[0] = None;
    bench.says[1] = None;
    bench.run(10);
    assert_eq!(
        bench.thermal.ready(&bench.plant),
        Err(Reason::NoTemperature { chain: 0 })
    );
    assert!(!bench.thermal.is_cool(&bench.plant));
}
