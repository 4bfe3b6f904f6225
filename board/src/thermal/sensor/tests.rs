//! Readings as a sensor gives them, true and false, and what is made of them.

use super::*;
use proptest::prelude::*;

const POWERED: Surroundings = Surroundings {
    heated_since: None,
    powered: true,
    neighbours: None,
    others: None,
    machine_unchanged_since: None,
};

fn at(seconds: f32) -> Moment {
    Moment::after_start(Duration::from_secs_f32(seconds))
}

fn seen(values: &[f32]) -> Sensor {
    let mut sensor = Sensor::new(1.0);
    for (second, value) in values.iter().enumerate() {
        sensor.observe(
            Observation::Value(Celsius(*value)),
            at(second as f32),
            &POWERED,
        );
    }
    sensor
}

fn acted_on(sensor: &Sensor, seconds: f32) -> f32 {
    sensor.view(at(seconds), &POWERED).acted_on.unwrap().0
}

#[test]
fn readings_that_no_silicon_has_are_never_believed() {
    for (value, fault) in [
        (f32::NAN, SensorFault::NotANumber),
        (0.0, SensorFault::Zero),
        (-0.0, SensorFault::Zero),
        (-64.0, SensorFault::OutOfRange),
        (191.0, SensorFault::OutOfRange),
        (f32::INFINITY, SensorFault::OutOfRange),
    ] {
        let sensor = seen(&[60.0, value]);
        let view = sensor.view(at(1.0), &POWERED);
        assert_eq!(view.fault, Some(fault), "{value}");
        assert_eq!(view.reading, Some(Celsius(60.0)), "{value}");
        assert_eq!(
            seen(&[value]).view(at(0.0), &POWERED).acted_on,
            None,
            "{value}"
        );
    }
}

#[test]
fn a_sensor_that_is_not_seen_heats_up_by_its_age() {
    let mut sensor = seen(&[60.0]);
    assert_eq!(acted_on(&sensor, 3.0), 60.0);
    sensor.observe(Observation::Unreadable, at(4.0), &POWERED);
    assert_eq!(acted_on(&sensor, 33.0), 90.0);
    assert_eq!(
        sensor.view(at(33.0), &POWERED).fault,
        Some(SensorFault::Unreadable)
    );
    assert!(!sensor.view(at(33.0), &POWERED).is_measured());
    let unpowered = Surroundings::default();
    assert_eq!(
        sensor.view(at(33.0), &unpowered).acted_on,
        Some(Celsius(60.0))
    );
}

#[test]
fn a_late_sensor_is_late_and_heats_up() {
    let sensor = seen(&[60.0]);
    assert_eq!(sensor.view(at(2.0), &POWERED).fault, None);
    assert_eq!(
        sensor.view(at(3.5), &POWERED).fault,
        Some(SensorFault::Late)
    );
    assert_eq!(acted_on(&sensor, 3.5), 60.5);
}

fn beside(neighbour: f32) -> Surroundings {
    Surroundings {
        neighbours: Some(Celsius(neighbour)),
        ..POWERED
    }
}

#[test]
fn a_seen_neighbour_bounds_the_model_of_a_lost_sensor() {
    let mut sensor = Sensor::new(1.0);
    sensor.observe(Observation::Value(Celsius(60.0)), at(0.0), &beside(42.0));
    let acted_on = |neighbour| {
        sensor
            .view(at(1_000.0), &beside(neighbour))
            .acted_on
            .unwrap()
            .0
    };
    assert_eq!(acted_on(42.0), 70.0);
    assert_eq!(acted_on(47.0), 80.0, "a neighbour may feel half of it");
    assert_eq!(acted_on(37.0), 65.0, "cooler is believed as it is");
    assert_eq!(acted_on(20.0), 48.0);
    let view = sensor.view(at(1_000.0), &beside(42.0));
    assert_eq!(view.fault, Some(SensorFault::Late));
}

#[test]
fn one_spike_is_not_believed_but_a_confirmed_rise_is() {
    let mut sensor = seen(&[60.0, 60.2, 120.0]);
    assert_eq!(
        sensor.view(at(2.0), &POWERED).fault,
        Some(SensorFault::Jump)
    );
    assert_eq!(acted_on(&sensor, 2.0), 60.2);
    sensor.observe(Observation::Value(Celsius(60.4)), at(3.0), &POWERED);
    assert_eq!(sensor.view(at(3.0), &POWERED).fault, None);
    let sensor = seen(&[60.0, 90.0, 91.0, 91.5]);
    assert_eq!(acted_on(&sensor, 3.0), 91.5);
    assert_eq!(sensor.view(at(3.0), &POWERED).fault, None);
}

#[test]
fn a_fall_while_powered_is_never_believed_without_a_neighbour() {
    let mut values = vec![80.0];
    values.extend([25.0; 60]);
    let sensor = seen(&values);
    assert_eq!(
        sensor.view(at(60.0), &POWERED).fault,
        Some(SensorFault::Jump)
    );
    assert!(acted_on(&sensor, 60.0) > 130.0);
}

#[test]
fn a_fall_is_believed_when_a_neighbour_agrees_or_the_rail_is_off() {
    for (before, after, believed) in [
        (beside(70.0), beside(20.0), true),
        (beside(70.0), beside(68.0), false),
        (POWERED, Surroundings::default(), true),
    ] {
        let mut sensor = Sensor::new(1.0);
        sensor.observe(Observation::Value(Celsius(80.0)), at(0.0), &before);
        for second in 1..=CONFIRM_FALL {
            sensor.observe(Observation::Value(Celsius(25.0)), at(second as f32), &after);
        }
        let view = sensor.view(at(CONFIRM_FALL as f32), &after);
        let expected = if believed {
            (None, 25.0)
        } else {
            (Some(SensorFault::Jump), 80.0)
        };
        assert_eq!((view.fault, view.reading.unwrap().0), expected);
    }
}

#[test]
fn an_open_diode_is_stood_in_for_by_its_part() {
    let mut sensor = seen(&[70.0]);
    let open = |local| Observation::DiodeOpen { local };
    sensor.observe(open(Some(Celsius(50.0))), at(1.0), &POWERED);
    let view = sensor.view(at(1.0), &POWERED);
    assert_eq!(view.acted_on, Some(Celsius(65.0)));
    assert_eq!(view.fault, Some(SensorFault::DiodeOpen));
    assert!(view.is_measured());
    sensor.observe(open(None), at(2.0), &POWERED);
    assert_eq!(acted_on(&sensor, 10.0), 65.0 + 6.0);
    sensor.observe(open(Some(Celsius(0.0))), at(3.0), &POWERED);
    assert_eq!(
        sensor.view(at(3.0), &POWERED).fault,
        Some(SensorFault::Zero)
    );
}

/// Feeds the same value every second under what `around` says of each second.
fn constant(seconds: u32, around: impl Fn(u32) -> Surroundings) -> Sensor {
    let mut sensor = Sensor::new(1.0);
    for second in 0..=seconds {
        let around = around(second);
        sensor.observe(
            Observation::Value(Celsius(55.0)),
            at(second as f32),
            &around,
        );
        sensor.judge(at(second as f32), &around);
    }
    sensor
}

#[test]
fn a_reading_that_stands_still_while_others_move_is_stuck() {
    let around = |second: u32| Surroundings {
        heated_since: Some(Moment::START),
        others: Some(Celsius(50.0 + second as f32 * 0.5)),
        ..POWERED
    };
    let sensor = constant(25, around);
    let view = sensor.view(at(25.0), &around(25));
    assert_eq!(view.fault, Some(SensorFault::Stuck));
    assert!(view.acted_on.unwrap().0 > 55.0 + 20.0, "{view:?}");
    assert_eq!(constant(15, around).view(at(15.0), &around(15)).fault, None);
}

#[test]
fn a_sensor_that_gives_no_value_is_never_called_stuck() {
    let around = |second: u32| Surroundings {
        heated_since: Some(Moment::START),
        others: Some(Celsius(50.0 + second as f32 * 0.5)),
        ..POWERED
    };
    for (observation, fault) in [
        (Observation::Unreadable, SensorFault::Unreadable),
        (Observation::Value(Celsius(0.0)), SensorFault::Zero),
    ] {
        let mut sensor = constant(10, around);
        for second in 11..=60 {
            let now = at(second as f32);
            sensor.observe(observation, now, &around(second));
            sensor.judge(now, &around(second));
        }
        let view = sensor.view(at(60.0), &around(60));
        assert_eq!(view.fault, Some(fault));
        assert!(view.acted_on.unwrap().0 > 55.0 + 40.0, "{view:?}");
    }
}

#[test]
fn a_reading_that_stands_still_on_a_chain_without_heat_is_not_stuck() {
    let around = |second: u32| Surroundings {
        others: Some(Celsius(50.0 + second as f32)),
        ..POWERED
    };
    assert_eq!(
        constant(600, around).view(at(600.0), &around(600)).fault,
        None
    );
}

#[test]
fn a_reading_that_does_not_notice_the_heat_never_proves_itself() {
    let around = |second: u32| Surroundings {
        heated_since: (second >= 10).then_some(at(10.0)),
        ..POWERED
    };
    assert!(constant(9, around).has_proven_itself());
    assert!(!constant(600, around).has_proven_itself());
}

#[test]
fn in_a_machine_in_which_nothing_moves_everything_has_to_prove_itself_anew() {
    let around = |since: f32| Surroundings {
        heated_since: Some(Moment::START),
        machine_unchanged_since: Some(at(since)),
        ..POWERED
    };
    let mut sensor = Sensor::new(1.0);
    sensor.observe(Observation::Value(Celsius(50.0)), at(0.0), &around(0.0));
    sensor.judge(at(0.0), &around(0.0));
    sensor.observe(Observation::Value(Celsius(55.0)), at(1.0), &around(1.0));
    sensor.judge(at(3_590.0), &around(1.0));
    assert!(sensor.has_proven_itself());
    sensor.judge(at(3_602.0), &around(1.0));
    assert!(!sensor.has_proven_itself());
    sensor.judge(at(3_603.0), &around(1.0));
    assert!(!sensor.has_proven_itself());
    sensor.observe(
        Observation::Value(Celsius(54.0)),
        at(3_604.0),
        &around(3_604.0),
    );
    sensor.judge(at(3_604.0), &around(3_604.0));
    assert!(sensor.has_proven_itself());
}

#[test]
fn a_stuck_sensor_that_moves_again_is_believed_again() {
    let around = |second: u32| Surroundings {
        heated_since: Some(Moment::START),
        others: Some(Celsius(50.0 + second as f32 * 0.5)),
        ..POWERED
    };
    let mut sensor = constant(25, around);
    sensor.observe(Observation::Value(Celsius(55.5)), at(26.0), &around(26));
    sensor.judge(at(26.0), &around(26));
    assert_eq!(sensor.view(at(26.0), &around(26)).fault, None);
}

#[test]
fn a_sensor_proves_itself_by_moving_with_the_heat() {
    let around = Surroundings {
        heated_since: Some(at(1.0)),
        ..POWERED
    };
    let mut sensor = seen(&[30.0]);
    sensor.judge(at(1.0), &around);
    assert!(!sensor.has_proven_itself());
    sensor.observe(Observation::Value(Celsius(31.0)), at(2.0), &around);
    sensor.judge(at(2.0), &around);
    assert!(sensor.has_proven_itself());
}

proptest! {
    #[test]
    fn what_is_acted_on_is_a_number_and_never_below_what_was_last_believed_or_is_near_by(
        readings in prop::collection::vec((any::<f32>(), 0.1f32..5.0), 1..60),
        neighbours in prop::option::of(-40f32..150.0),
    ) {
        let around = Surroundings { neighbours: neighbours.map(Celsius), ..POWERED };
        let mut sensor = Sensor::new(1.0);
        let mut now = 0.0;
        for (value, step) in readings {
            now += step;
            sensor.observe(Observation::Value(Celsius(value)), at(now), &around);
            sensor.judge(at(now), &around);
            let view = sensor.view(at(now), &around);
            if let (Some(reading), Some(acted)) = (view.reading, view.acted_on) {
                let near_by = neighbours.unwrap_or(f32::MAX);
                prop_assert!(acted.0.is_finite() && acted.0 >= reading.0.min(near_by));
                prop_assert!((COLDEST.0..=HOTTEST.0).contains(&reading.0));
            }
        }
    }
}
