//! What the guard decides of single events; `laws` are what it never does, whatever it is told.

mod laws;

use super::*;
use crate::keeper::proofs::LoopRule;
use crate::keeper::requests::Asker;
use crate::keeper::status::WatchdogStatus;
use crate::link::Request;
use cgminer_board::power::{Measured, SupplyReading, VoltageLimits};
use cgminer_board::thermal::{FanRules, Observation, Place, Point, Tiers};
use cgminer_hal::units::{Celsius, Millivolts, Rpm, Watts};
use std::time::Duration;

const VOLTAGE: VoltageLimits = VoltageLimits {
    minimum: Millivolts(12_000),
    maximum: Millivolts(15_000),
};
const DANGEROUS: f32 = 90.0;

fn settings() -> Settings {
    let tiers = Tiers {
        target: Celsius(60.0),
        hot: Celsius(75.0),
        dangerous: Celsius(DANGEROUS),
    };
    let point = |name: &str, chain| Point {
        name: name.into(),
        place: Place::Chain(chain),
        tiers,
    };
    let fan = FanRules {
        full: Rpm(6_000),
        stall: Rpm(600),
    };
    Settings {
        board: "bench".into(),
        emulated: false,
        unknown: None,
        broken: None,
        absent: Vec::new(),
        hash_boards: Vec::new(),
        thermal: thermal::Settings {
            points: vec![point("board 0", 0), point("board 1", 1)],
            fans: vec![("left".into(), fan), ("right".into(), fan)],
            chains: 2,
            unseen_rise: 1.0,
            resume_below: Celsius(45.0),
            fans_required: 2,
            duty_minimum: DutyPercent(15.0),
        },
        cooling: crate::keeper::cooling::CoolingRoom::default(),
        supply: "bench".into(),
        has_enable_line: true,
        controllers: vec![false, true],
        voltage: VOLTAGE,
        default_voltage: Millivolts(13_000),
        power_limit: Watts(3_500.0),
        fan_mode: FanMode::Auto,
        analog: Vec::new(),
        watchdog_has_reset: false,
        last_end: LastKeeper::default(),
        loops: vec![LoopRule {
            name: "bench".into(),
            deadline: Duration::from_secs(5),
            always: true,
        }],
    }
}

/// A machine that does as it is told, but for what a step spoils.
struct Bench {
    guard: Guard,
    seconds: f32,
    outputs: Outputs,
    celsius: f32,
    controller_works: bool,
}

/// What one second brings.
#[derive(Clone, Debug)]
enum Step {
    Nothing,
    Sensor(Observation),
    FanStands,
    Supply(SupplyReading),
    Unconfirmed,
    LoopHangs,
    Miner(MinerEvent),
    Ask(Asker, Request),
    Heat(f32),
}

impl Bench {
    fn new(kept: Option<Latch>) -> Self {
        let mut guard = Guard::new(settings(), kept, Moment::START);
        let (outputs, _) = guard.decide(Inputs::default(), Moment::START);
        Self {
            guard,
            seconds: 0.0,
            outputs,
            celsius: 25.0,
            controller_works: true,
        }
    }

    /// A bench whose rail is on.
    fn running() -> Self {
        let mut bench = Self::new(None);
        bench.step(&Step::Miner(MinerEvent::Started));
        let on = Step::Ask(Asker::Miner, Request::SetPower { on: true });
        bench.step(&on);
        for _ in 0..100 {
            bench.step(&Step::Nothing);
        }
        assert_eq!(
            bench.guard.state(),
            State::Running,
            "{}",
            bench.guard.reason
        );
        bench
    }

    fn step(&mut self, step: &Step) -> &Outputs {
        self.seconds += 1.0;
        let now = Moment::after_start(Duration::from_secs_f32(self.seconds));
        let last = self.outputs.clone();
        let noise = (self.seconds as u32 % 2) as f32 * 0.125;
        let healthy = Observation::Value(Celsius(self.celsius + noise));
        let volts = if last.enable {
            last.preset.unwrap_or(Millivolts(0))
        } else {
            Millivolts(0)
        };
        let healthy_supply = SupplyReading::Measured(Measured {
            volts,
            power: None,
            temperature: None,
            tripped: false,
        });
        let speed = Rpm((last.duty.0 * 60.0) as u32);
        let mut inputs = Inputs {
            sensors: vec![(0, healthy, now), (1, healthy, now)],
            fans: vec![(0, speed, now), (1, speed, now)],
            supply: vec![(healthy_supply, now)],
            present: vec![None; 2],
            applied: Applied {
                duty: Some(last.duty),
                enable: Some(last.enable),
                preset: last.preset,
                resets: last.resets.iter().copied().map(Some).collect(),
                controllers: vec![None, Some(last.enable && self.controller_works)],
            },
            controllers: Vec::new(),
            beats: vec![(0, now)],
            miner: Loop::ALL.map(MinerEvent::Alive).into(),
        };
        match step {
            Step::Nothing => {}
            Step::Sensor(observation) => inputs.sensors = vec![(0, *observation, now)],
            Step::FanStands => inputs.fans = vec![(0, Rpm(0), now), (1, speed, now)],
            Step::Supply(reading) => inputs.supply = vec![(*reading, now)],
            Step::Unconfirmed => {
                inputs.applied = Applied {
                    resets: vec![None; 2],
                    ..Applied::default()
                }
            }
            Step::LoopHangs => inputs.beats.clear(),
            Step::Miner(event) => inputs.miner = vec![event.clone()],
            Step::Ask(asker, request) => drop(self.guard.request(*asker, *request, now)),
            Step::Heat(celsius) => self.celsius = *celsius,
        }
        self.outputs = self.guard.decide(inputs, now).0;
        &self.outputs
    }
}

#[test]
fn no_chain_is_released_before_its_voltage_controller_says_that_it_is_on() {
    let mut bench = Bench::new(None);
    bench.controller_works = false;
    bench.step(&Step::Miner(MinerEvent::Started));
    bench.step(&Step::Ask(Asker::Miner, Request::SetPower { on: true }));
    let mut was_on = false;
    for _ in 0..120 {
        let outputs = bench.step(&Step::Nothing);
        was_on |= outputs.enable;
        assert!(outputs.resets.iter().all(|held| *held));
        assert!(!outputs.state.may_hash());
    }
    assert!(was_on, "the rail comes first");
    let cause = bench
        .guard
        .last_cause
        .clone()
        .map(|cause| cause.to_string());
    assert_eq!(
        cause.as_deref(),
        Some("power-up was not confirmed at: voltage controllers on")
    );
}

#[test]
fn fans_fixed_by_hand_turn_so_without_power_too_and_never_below_the_minimum() {
    let mut bench = Bench::new(None);
    for _ in 0..20 {
        bench.step(&Step::Nothing);
    }
    let minimum = settings().thermal.duty_minimum;
    assert_eq!(bench.guard.state(), State::Standby);
    assert_eq!(bench.outputs.duty, minimum);
    for duty in [55.0, minimum.0 - 1.0] {
        let mode = FanMode::Fixed {
            duty: DutyPercent(duty),
        };
        bench.step(&Step::Ask(Asker::Operator, Request::SetFanMode { mode }));
        bench.step(&Step::Nothing);
        assert_eq!(bench.outputs.duty, DutyPercent(55.0));
    }
}

#[test]
fn a_kept_cause_holds_the_power_off_from_the_first_decision() {
    let latch = Latch {
        cause: Cause::NoTemperature { chain: 1 },
        unix_time: None,
        kept: true,
    };
    let mut bench = Bench::new(Some(latch));
    bench.step(&Step::Miner(MinerEvent::Started));
    for _ in 0..300 {
        bench.step(&Step::Ask(Asker::Miner, Request::SetPower { on: true }));
        assert_eq!(bench.guard.state(), State::Latched);
    }
    bench.step(&Step::Ask(Asker::Operator, Request::ClearLatch));
    bench.step(&Step::Nothing);
    assert_ne!(bench.guard.state(), State::Latched);
}

#[test]
fn a_latch_is_cleared_from_afar_only_on_a_machine_that_reads_well_and_once_an_hour() {
    let latch = || Latch {
        cause: Cause::NoTemperature { chain: 1 },
        unix_time: None,
        kept: true,
    };
    let clear = |bench: &mut Bench, step: &Step| {
        for _ in 0..20 {
            bench.step(step);
        }
        let now = Moment::after_start(Duration::from_secs_f32(bench.seconds));
        bench.guard.request(Asker::Miner, Request::ClearLatch, now)
    };
    for (spoiled, why) in [
        (Step::Heat(60.0), "not ready for power"),
        (Step::FanStands, "not ready for power"),
        (Step::Sensor(Observation::Unreadable), "not ready for power"),
        (
            Step::Supply(SupplyReading::Failed(SupplyFault::Silent)),
            "the supply",
        ),
    ] {
        let mut bench = Bench::new(Some(latch()));
        let told = clear(&mut bench, &spoiled).unwrap_err().to_string();
        assert!(told.contains(why), "{spoiled:?}: {told}");
        bench.step(&Step::Nothing);
        assert_eq!(bench.guard.state(), State::Latched);
    }
    let mut bench = Bench::new(Some(latch()));
    clear(&mut bench, &Step::Nothing).unwrap();
    bench.step(&Step::Nothing);
    assert_ne!(bench.guard.state(), State::Latched);
    // It goes wrong again.
    bench.guard.latch = Some(latch());
    bench.guard.state = State::Latched;
    let told = clear(&mut bench, &Step::Nothing).unwrap_err().to_string();
    assert!(told.contains("within the hour"), "{told}");
    bench.seconds += 3_600.0;
    clear(&mut bench, &Step::Nothing).unwrap();
}

#[test]
fn hardware_that_is_not_all_there_gets_air_no_power_and_a_fed_watchdog() {
    let mut lacking = settings();
    lacking.broken = Some("bus i2c-9 cannot be opened".into());
    let mut bench = Bench::new(None);
    bench.guard = Guard::new(lacking, None, Moment::START);
    bench.step(&Step::Miner(MinerEvent::Started));
    for _ in 0..600 {
        let outputs = bench.step(&Step::Ask(Asker::Miner, Request::SetPower { on: true }));
        assert!(!outputs.enable && outputs.feed_watchdog);
        assert_eq!(outputs.duty, DutyPercent::FULL);
    }
    assert_eq!(bench.guard.state(), State::FanOnly);
    assert!(bench.guard.reason.to_string().contains("i2c-9"));
}

#[test]
fn a_chain_whose_eeprom_is_silent_is_not_waited_for_unless_its_sensor_answers() {
    let without = |silent: bool| {
        let mut settings = settings();
        settings.absent = vec![true, false];
        let mut guard = Guard::new(settings, None, Moment::START);
        for second in 0..60 {
            let now = Moment::after_start(Duration::from_secs(second));
            let warm = Observation::Value(Celsius(25.0 + second as f32 / 100.0));
            let first = if silent {
                Observation::Unreadable
            } else {
                warm
            };
            let speed = Rpm(6_000);
            let inputs = Inputs {
                sensors: vec![(0, first, now), (1, warm, now)],
                fans: vec![(0, speed, now), (1, speed, now)],
                supply: vec![(
                    SupplyReading::Measured(Measured {
                        volts: Millivolts(0),
                        power: None,
                        temperature: None,
                        tripped: false,
                    }),
                    now,
                )],
                present: vec![None; 2],
                applied: Applied {
                    duty: Some(DutyPercent::FULL),
                    enable: Some(false),
                    resets: vec![Some(true); 2],
                    ..Applied::default()
                },
                beats: vec![(0, now)],
                ..Inputs::default()
            };
            guard.decide(inputs, now);
        }
        assert_eq!(guard.state(), State::Standby, "{}", guard.reason);
        guard.present[0]
    };
    assert_eq!(without(true), Some(false));
    assert_eq!(without(false), None, "it is there all the same");
}

#[test]
fn an_unknown_board_gets_air_and_no_power() {
    let mut unknown = settings();
    unknown.unknown = Some("a board of another world".into());
    let mut bench = Bench::new(None);
    bench.guard = Guard::new(unknown, None, Moment::START);
    bench.step(&Step::Miner(MinerEvent::Started));
    for _ in 0..600 {
        let outputs = bench.step(&Step::Ask(Asker::Miner, Request::SetPower { on: true }));
        assert!(!outputs.enable);
        assert_eq!(outputs.duty, DutyPercent::FULL);
    }
    assert_eq!(bench.guard.state(), State::FanOnly);
    assert!(bench.guard.reason.to_string().contains("another world"));
}

#[test]
fn a_wanted_stop_of_an_unknown_board_waits_for_nothing() {
    let mut unknown = settings();
    unknown.unknown = Some("a board of another world".into());
    unknown.has_enable_line = false;
    let mut guard = Guard::new(unknown, None, Moment::START);
    let step = |guard: &mut Guard, second| {
        guard.decide(
            Inputs::default(),
            Moment::after_start(Duration::from_secs(second)),
        );
        guard.state()
    };
    assert_eq!(step(&mut guard, 1), State::FanOnly);
    let second = Moment::after_start(Duration::from_secs(2));
    guard
        .request(Asker::Operator, Request::Stop, second)
        .unwrap();
    assert_eq!(step(&mut guard, 2), State::Stopping);
    assert_eq!(step(&mut guard, 3), State::Stopped, "{}", guard.reason);
    assert!(guard.latch().is_none());
}

#[test]
fn the_watchdog_starves_while_a_loop_hangs() {
    let mut bench = Bench::running();
    assert!(bench.outputs.feed_watchdog);
    for _ in 0..7 {
        bench.step(&Step::LoopHangs);
    }
    assert!(!bench.outputs.feed_watchdog);
    assert!(!bench.outputs.enable);
    bench.step(&Step::Nothing);
    assert!(bench.outputs.feed_watchdog);
}

#[test]
fn a_request_takes_effect_only_within_the_limits() {
    let mut bench = Bench::running();
    let ask = |bench: &mut Bench, asker, request| {
        let now = Moment::after_start(Duration::from_secs_f32(bench.seconds));
        bench.guard.request(asker, request, now)
    };
    let volts = |volts| Request::SetVoltage {
        voltage: Millivolts(volts),
    };
    for (asker, request, granted) in [
        (Asker::Miner, volts(11_999), false),
        (Asker::Miner, volts(12_000), true),
        (Asker::Operator, volts(15_001), false),
        (Asker::Operator, volts(15_000), true),
        (
            Asker::Miner,
            Request::SetFanMode {
                mode: FanMode::Immersion,
            },
            false,
        ),
        (
            Asker::Miner,
            Request::SetFanMode {
                mode: FanMode::Fixed {
                    duty: DutyPercent(14.9),
                },
            },
            false,
        ),
        (
            Asker::Miner,
            Request::SetFanMode {
                mode: FanMode::Fixed {
                    duty: DutyPercent(f32::NAN),
                },
            },
            false,
        ),
        (
            Asker::Miner,
            Request::SetFanMode {
                mode: FanMode::Fixed {
                    duty: DutyPercent(15.0),
                },
            },
            true,
        ),
        (Asker::Miner, Request::ReleaseReset { chain: 1 }, true),
        (Asker::Miner, Request::ReleaseReset { chain: 2 }, false),
        (Asker::Miner, Request::ClearLatch, false),
        (Asker::Operator, Request::ClearLatch, false),
        (Asker::Miner, Request::Stop, false),
        (
            Asker::Operator,
            Request::SetFanMode {
                mode: FanMode::Immersion,
            },
            true,
        ),
    ] {
        assert_eq!(
            ask(&mut bench, asker, request).is_ok(),
            granted,
            "{asker:?} {request:?}"
        );
    }
    ask(&mut bench, Asker::Operator, Request::SetPower { on: false }).unwrap();
    assert!(
        !bench.step(&Step::Nothing).enable,
        "an operator holds the power off"
    );
    ask(&mut bench, Asker::Miner, Request::SetPower { on: true }).unwrap();
    assert!(
        !bench.step(&Step::Nothing).enable,
        "and the miner cannot have it back"
    );
    let released = ask(&mut bench, Asker::Miner, Request::ReleaseReset { chain: 0 });
    assert!(released.is_err(), "nothing is released without power");
}
