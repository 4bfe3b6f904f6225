//! Temperature sensors and fans.

use super::bench::{Bench, near};
use cgminer_board::assembly;
use cgminer_board::file::SensorPart;
use cgminer_board::parts::{Problem, Readings};
use cgminer_emulator::fault::Fault;
use cgminer_hal::units::DutyPercent;

#[test]
fn every_sensor_reads_what_its_places_have_and_says_when_it_cannot() {
    let mut bench = Bench::new();
    let specs = bench.board.sensors.clone();
    for (index, spec) in specs.iter().enumerate() {
        let mut part = bench.sensor(index);
        let name = || spec.name.clone();
        let read = |readings: &Readings| {
            let mut all = vec![readings.local.clone()];
            all.extend(readings.remotes.iter().cloned());
            all
        };
        bench.wait(1000);
        let cool = read(&part.read());
        assert!(cool.len() > spec.remotes.len(), "{}", spec.name);
        for celsius in cool.iter().take(1 + spec.remotes.len()) {
            let celsius = celsius.as_ref().unwrap_or_else(|error| panic!("{error}"));
            assert!(near(celsius.0, 22.0, 1.1), "{}: {celsius}", spec.name);
        }
        // Diode sensors on their plain scale end at zero.
        let cold = if spec.part == SensorPart::Lm75 {
            -30.5
        } else {
            -10.5
        };
        for celsius in [40.5, cold] {
            let id = bench.inject(Fault::SensorJump {
                sensor: name(),
                celsius,
            });
            bench.wait(1000);
            for reading in read(&part.read()).iter().take(1 + spec.remotes.len()) {
                let reading = reading.as_ref().unwrap_or_else(|error| panic!("{error}"));
                assert!(
                    near(reading.0, 22.0 + celsius, 1.1),
                    "{}: {reading}",
                    spec.name
                );
            }
            bench.control.clear(id);
        }
        if !spec.remotes.is_empty() {
            let id = bench.inject(Fault::SensorOpenDiode { sensor: name() });
            bench.wait(1000);
            let readings = part.read();
            assert!(readings.local.is_ok(), "{}", spec.name);
            for remote in readings.remotes.iter().take(spec.remotes.len()) {
                let problem = &remote.as_ref().unwrap_err().problem;
                assert_eq!(*problem, Problem::OpenDiode, "{}", spec.name);
            }
            bench.control.clear(id);
        }
        let id = bench.inject(Fault::SensorNak { sensor: name() });
        let error = part.read().local.unwrap_err();
        assert!(matches!(error.problem, Problem::Bus { .. }), "{error}");
        bench.control.clear(id);
        bench.wait(1000);
        assert!(part.read().local.is_ok(), "{}: it comes back", spec.name);
    }
}

#[test]
fn every_fan_obeys_its_duty_and_its_speed_is_the_true_one() {
    let mut bench = Bench::new();
    let specs = bench.board.fans.clone();
    let mut fans: Vec<_> = specs
        .iter()
        .map(|spec| assembly::fan(&bench.board, spec, &mut bench.devices).unwrap())
        .collect();
    for duty in [100.0, 45.0] {
        for (fan, spec) in fans.iter_mut().zip(&specs) {
            if duty > 99.0 {
                fan.start().unwrap();
            } else {
                fan.set_duty(DutyPercent(duty)).unwrap();
            }
            let got = fan.duty().unwrap();
            assert!(near(got.0, duty, 0.5), "{}: {got}", spec.name);
        }
        // Once a second, as the keeper does: a controller with a watchdog of its own wants to hear from us.
        for _ in 0..15 {
            bench.wait(1_000);
            let at = bench.instant();
            for fan in &mut fans {
                fan.set_duty(DutyPercent(duty)).unwrap();
                let _ = fan.rpm(at);
            }
        }
        bench.wait(1_000);
        let (at, truth) = (bench.instant(), bench.control.truth().fans);
        for ((fan, spec), (name, rpm)) in fans.iter_mut().zip(&specs).zip(&truth) {
            assert_eq!(spec.name, *name);
            assert!(near(*rpm, 70.0 * duty, 150.0), "{name}: {rpm}");
            let read = fan
                .rpm(at)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(
                near(read.0 as f32, *rpm, rpm * 0.02 + 20.0),
                "{name}: {read}, truly {rpm}"
            );
        }
    }
    for spec in &specs {
        bench.inject(Fault::FanStop {
            fan: spec.name.clone(),
        });
    }
    for _ in 0..20 {
        bench.wait(1_000);
        let at = bench.instant();
        for fan in &mut fans {
            fan.set_duty(DutyPercent(45.0)).unwrap();
            let _ = fan.rpm(at);
        }
    }
    bench.wait(1_000);
    let at = bench.instant();
    for (fan, spec) in fans.iter_mut().zip(&specs) {
        let read = fan
            .rpm(at)
            .unwrap_or_else(|error| panic!("{}: {error}", spec.name));
        assert!(read.0 < spec.stall_rpm.0, "{} stands: {read}", spec.name);
    }
}
