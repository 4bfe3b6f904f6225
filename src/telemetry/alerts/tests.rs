use super::*;
use crate::chain::status::ChainPhase;
use crate::telemetry::samples::Rooms;
use crate::telemetry::snapshot::{Latched, MachineState, Restarts};
use crate::telemetry::{ChipHealth, Measured, Storage, WindowRate};
use cgminer_hal::units::{HashRate, Millivolts};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A machine at work, and a clock that its tests move.
struct Bench {
    alerts: Alerts,
    machine: Snapshot,
    start: Instant,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::limited(AlertLimits::default())
    }

    fn limited(limits: AlertLimits) -> Self {
        let mut alerts = Alerts::default();
        alerts.limit(limits);
        let now = Instant::now();
        Self {
            alerts,
            machine: well(),
            start: now,
            now,
        }
    }

    /// Lets time pass, judging as often as the machine does.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += ALERT_STEP;
            let since = self.now - self.start;
            self.machine.machine.uptime_s = since.as_secs_f64();
            // A pool that works takes a share now and then.
            if self.machine.machine.state == MachineState::Mining {
                self.machine.shares.accepted += 1;
            }
            self.alerts.look(&self.machine, self.now);
        }
    }

    fn active(&self) -> Vec<(Rule, String)> {
        let active = self.alerts.active().into_iter();
        active.map(|alert| (alert.rule, alert.source)).collect()
    }

    /// All notices so far: whether they begin, and of what.
    fn told(&self) -> Vec<(bool, Rule)> {
        let notices = self.alerts.notices_after(0).into_iter();
        notices
            .map(|notice| (notice.raised, notice.alert.rule))
            .collect()
    }
}

fn well() -> Snapshot {
    let (source, _rooms) = Rooms::at_work();
    let mut machine = source.snapshot();
    machine.unix_time = Some(1_764_318_600.0);
    machine.machine.state = MachineState::Mining;
    machine.chains[0].nominal = Some(HashRate(1e12));
    machine.work.difficulty = Some(1024.0);
    machine.storage = vec![storage(50.0)];
    machine
}

fn storage(free_percent: f64) -> Storage {
    Storage {
        path: "/".into(),
        free_bytes: 50,
        total_bytes: 100,
        free_percent,
    }
}

fn window(rate: f64, upper: f64) -> WindowRate {
    WindowRate {
        window_s: 900,
        rate: HashRate(rate),
        lower: HashRate(0.0),
        upper: Some(HashRate(upper)),
        shares: 1000,
        settling: false,
    }
}

#[test]
fn a_machine_that_is_well_for_a_day_has_no_alert() {
    let mut bench = Bench::new();
    bench.machine.hash_rate.windows = vec![window(0.98e12, 1.1e12)];
    bench.pass(24 * 60 * MINUTE);
    assert_eq!(bench.active(), []);
    assert_eq!(bench.told(), []);
}

/// How a machine is made ill.
type Break = fn(&mut Snapshot);

/// Each rule with something that breaks it.
fn illnesses() -> Vec<(Rule, &'static str, Break)> {
    vec![
        (Rule::Temperature, "machine", |machine| {
            machine.keeper.tier = Some("hot".into());
        }),
        (Rule::Temperature, "chain 0 inlet", |machine| {
            machine.temperatures[0].fault = Some("the sensor does not answer".into());
        }),
        (Rule::Fan, "front", |machine| {
            machine.fans[0].condition = "stalled".into();
        }),
        (Rule::Supply, "apw12", |machine| {
            machine.supply.as_mut().unwrap().fault = Some("the supply is silent".into());
        }),
        (Rule::Supply, "apw12 rail", |machine| {
            machine.supply.as_mut().unwrap().voltage = Measured::known(Millivolts(12_400), SECOND);
        }),
        (
            Rule::PoolLost,
            "pool 0 stratum+tcp://pool.example:3333",
            |machine| {
                machine.pools.list[0].phase = "backing_off".into();
                machine.pools.list[0].last_error = Some("refused".into());
                let mut other = machine.pools.list[0].clone();
                other.index = 1;
                other.phase = "ready".into();
                machine.pools.list.push(other);
            },
        ),
        (Rule::DegradedBoard, "chain 0", |machine| {
            machine.chains[0].phase = ChainPhase::Failed;
        }),
        (Rule::DegradedBoard, "chain 0", |machine| {
            machine.chains[0].chips_found = Some(1);
        }),
        (Rule::DegradedBoard, "chain 0", |machine| {
            machine.chains[0].chips[1].health = ChipHealth::of(10, Some(100.0), 840, 0);
        }),
        (Rule::Halted, "keeper", |machine| {
            machine.keeper.state = Some("latched".into());
            machine.keeper.latched = Some(Latched {
                cause: "no temperature".into(),
                unix_time: None,
                kept: true,
            });
        }),
        (Rule::Halted, "keeper", |machine| {
            machine.keeper.heard_s = Some(60.0);
        }),
        (Rule::Disk, "/", |machine| {
            machine.storage = vec![storage(4.0)];
        }),
        (Rule::Clock, "clock", |machine| machine.unix_time = None),
    ]
}

#[test]
fn each_illness_is_told_once_after_the_hold_time_and_once_when_it_is_over() {
    for (rule, source, break_it) in illnesses() {
        let mut bench = Bench::new();
        bench.pass(MINUTE);
        break_it(&mut bench.machine);
        bench.pass(55 * SECOND);
        assert_eq!(bench.active(), [], "{rule:?} is not told before its time");
        bench.pass(10 * MINUTE);
        assert_eq!(bench.active(), [(rule, source.to_owned())]);
        assert_eq!(bench.told(), [(true, rule)], "{rule:?} is told once");
        let alert = bench.alerts.active().remove(0);
        assert!(!alert.message.is_empty() && alert.resolved_uptime_s.is_none());
        let accepted = bench.machine.shares.accepted;
        bench.machine = well();
        bench.machine.shares.accepted = accepted;
        bench.pass(55 * SECOND);
        assert_eq!(
            bench.active().len(),
            1,
            "{rule:?} is not over before its time"
        );
        bench.pass(10 * MINUTE);
        assert_eq!(bench.active(), [], "{rule:?}");
        let told = bench.told();
        assert_eq!(told, [(true, rule), (false, rule)]);
        assert!(bench.alerts.past()[0].resolved_uptime_s.is_some());
    }
}

#[test]
fn between_the_limits_nothing_changes() {
    let mut bench = Bench::limited(AlertLimits {
        temperature: Some(Celsius(80.0)),
        ..AlertLimits::default()
    });
    let heat = |bench: &mut Bench, celsius: f32| {
        bench.machine.chains[0].temperature = Measured::known(Celsius(celsius), SECOND);
        bench.pass(5 * MINUTE);
    };
    heat(&mut bench, 79.0);
    assert_eq!(bench.active(), []);
    heat(&mut bench, 81.0);
    assert_eq!(bench.active().len(), 1);
    heat(&mut bench, 77.0);
    assert_eq!(bench.active().len(), 1, "not yet 5 C below");
    bench.machine.chains[0].temperature = Measured::unknown("the sensor is lost");
    bench.pass(5 * MINUTE);
    assert_eq!(bench.active().len(), 1, "what nobody knows ends nothing");
    heat(&mut bench, 74.0);
    assert_eq!(bench.active(), []);
    assert_eq!(bench.told().len(), 2);
}

#[test]
fn what_comes_and_goes_is_told_to_begin_once_in_a_while() {
    let mut bench = Bench::new();
    for _ in 0..10 {
        bench.machine.fans[0].condition = "stalled".into();
        bench.pass(2 * MINUTE);
        bench.machine.fans[0].condition = "turning".into();
        bench.pass(2 * MINUTE);
    }
    // 40 minutes of it: at its first beginning and 30 minutes later.
    let begins = bench.told().iter().filter(|(raised, _)| *raised).count();
    assert_eq!(begins, 2, "{:?}", bench.told());
    assert_eq!(bench.alerts.raised_total(), 10, "the list knows of all");
}

#[test]
fn a_fan_that_twitches_shorter_than_the_hold_time_is_no_alert() {
    let mut bench = Bench::new();
    for _ in 0..50 {
        bench.machine.fans[0].condition = "slow".into();
        bench.pass(30 * SECOND);
        bench.machine.fans[0].condition = "spinning_up".into();
        bench.pass(5 * SECOND);
    }
    assert_eq!(bench.told(), []);
}

#[test]
fn what_gets_worse_is_told_again_at_once() {
    let mut bench = Bench::new();
    bench.machine.keeper.tier = Some("hot".into());
    bench.pass(2 * MINUTE);
    bench.machine.keeper.tier = Some("dangerous".into());
    bench.pass(10 * SECOND);
    let notices = bench.alerts.notices_after(0);
    let told: Vec<_> = notices.iter().map(|each| each.alert.severity).collect();
    assert_eq!(told, [Severity::Warning, Severity::Error]);
}

#[test]
fn too_little_hashrate_is_told_when_it_is_sure_and_the_time_was_worked_through() {
    let mut bench = Bench::new();
    bench.machine.hash_rate.windows = vec![window(0.6e12, 0.85e12)];
    bench.pass(60 * MINUTE);
    assert_eq!(bench.active(), [], "chance may be behind it");
    bench.machine.hash_rate.windows = vec![window(0.6e12, 0.7e12)];
    bench.machine.machine.state = MachineState::WaitingForWork;
    bench.pass(MINUTE);
    bench.machine.machine.state = MachineState::Mining;
    bench.pass(10 * MINUTE);
    assert_eq!(
        bench.active(),
        [],
        "there was no work for a part of that time"
    );
    bench.pass(10 * MINUTE);
    assert_eq!(bench.active(), [(Rule::HashRate, "machine".into())]);
    bench.machine.machine.state = MachineState::Stopped;
    bench.pass(2 * MINUTE);
    assert_eq!(bench.active(), [], "a stopped machine owes nothing");
}

/// Lets time pass in which no share is taken.
fn no_share(bench: &mut Bench, minutes: u32) {
    for _ in 0..minutes * 12 {
        bench.now += ALERT_STEP;
        bench.alerts.look(&bench.machine, bench.now);
    }
}

#[test]
fn silence_of_the_pools_is_told_unless_shares_are_that_rare() {
    let mut bench = Bench::new();
    bench.pass(MINUTE);
    no_share(&mut bench, 29);
    assert_eq!(bench.active(), []);
    no_share(&mut bench, 3);
    assert_eq!(bench.active(), [(Rule::NoShare, "machine".into())]);
    bench.pass(2 * MINUTE);
    assert_eq!(bench.active(), []);

    let mut solo = Bench::new();
    // A share each five hours on average.
    solo.machine.work.difficulty = Some(5.0 * 3600.0 * 1e12 / 4_295_032_833.0);
    solo.machine.hash_rate.nominal = Some(HashRate(1e12));
    no_share(&mut solo, 49 * 60);
    assert_eq!(solo.active(), []);
    no_share(&mut solo, 2 * 60);
    assert_eq!(solo.active(), [(Rule::NoShare, "machine".into())]);
}

#[test]
fn refused_shares_are_told_by_their_part_of_the_past_half_hour() {
    let mut bench = Bench::new();
    for minute in 0..40 {
        bench.machine.shares.rejected.total += u64::from(minute >= 10);
        bench.pass(MINUTE);
    }
    // One in thirteen.
    assert_eq!(bench.active(), [(Rule::Rejects, "pools".into())]);
    bench.pass(40 * MINUTE);
    assert_eq!(bench.active(), []);
}

#[test]
fn restarts_are_counted_for_an_hour() {
    let restarts = |total| {
        Some(Restarts {
            used: 1,
            budget: 3,
            total,
            next_in_s: None,
        })
    };
    let mut bench = Bench::new();
    bench.machine.keeper.restarts = restarts(0);
    bench.pass(5 * MINUTE);
    bench.machine.keeper.restarts = restarts(1);
    bench.machine.chains[0].counters.failures = 2;
    bench.pass(5 * MINUTE);
    let both = [
        (Rule::Restart, "keeper".to_owned()),
        (Rule::Restart, "chain 0".to_owned()),
    ];
    assert_eq!(bench.active(), both);
    bench.pass(58 * MINUTE);
    assert_eq!(bench.active(), []);

    // A miner that was started anew by the keeper sees a count that is not 0.
    let mut reborn = Bench::new();
    reborn.machine.keeper.restarts = restarts(4);
    reborn.pass(2 * MINUTE);
    assert_eq!(reborn.active(), [(Rule::Restart, "keeper".into())]);
}

#[test]
fn what_is_there_no_more_is_over() {
    let mut bench = Bench::new();
    bench.machine.pools.list[0].phase = "backing_off".into();
    bench.pass(2 * MINUTE);
    assert_eq!(bench.active().len(), 2, "the pool, and all of them");
    bench.machine.pools.list.clear();
    bench.pass(5 * SECOND);
    assert_eq!(bench.active(), []);
    let message = &bench.alerts.past()[0].message;
    assert!(message.contains("no longer there"), "{message}");
}

#[test]
fn a_clock_that_jumps_is_told_of_once_and_one_that_is_set_or_slewed_is_not() {
    let jumped = |steps: &[f64]| {
        let mut bench = Bench::new();
        let mut unix_time = 1_764_318_600.0;
        for step in steps {
            unix_time += step;
            for _ in 0..36 {
                bench.machine.unix_time = Some(unix_time);
                bench.pass(ALERT_STEP);
                unix_time += ALERT_STEP.as_secs_f64();
            }
        }
        let told = bench.told();
        (
            told.iter()
                .filter(|(raised, rule)| *raised && *rule == Rule::Clock)
                .count(),
            bench.active(),
        )
    };
    let source = (Rule::Clock, "clock jump".to_owned());
    for (step, way) in [(3600.0, "forward by 3600"), (-45.0, "back by 45")] {
        let (told, active) = jumped(&[0.0, step]);
        assert_eq!(told, 1, "{way}");
        assert!(active.contains(&source));
        let quiet = [0.0; 5];
        let (told, active) = jumped(&[&[0.0, step][..], &quiet].concat());
        assert_eq!((told, active.contains(&source)), (1, false), "{way}");
    }
    assert_eq!(jumped(&[0.0, 2.0, -2.0, 0.5]).0, 0);
    // From never set to set.
    let mut bench = Bench::new();
    bench.machine.unix_time = None;
    bench.pass(ALERT_STEP);
    bench.machine.unix_time = Some(1_764_318_600.0);
    bench.pass(MINUTE * 3);
    assert!(!bench.told().contains(&(true, Rule::Clock)));
}

#[test]
fn a_machine_in_ruins_is_told_of_in_a_bounded_number_of_notices() {
    let mut bench = Bench::limited(AlertLimits {
        repeat: MINUTE,
        hold: Duration::ZERO,
        ..AlertLimits::default()
    });
    let fan = bench.machine.fans[0].clone();
    bench.machine.fans = (0..100)
        .map(|number| {
            let mut fan = fan.clone();
            fan.name = format!("fan {number}");
            fan
        })
        .collect();
    for round in 0..60 {
        for fan in &mut bench.machine.fans {
            fan.condition = if round % 2 == 0 { "stalled" } else { "turning" }.into();
        }
        bench.pass(MINUTE);
    }
    let begins = bench.alerts.notices_after(0);
    let last = begins.last().unwrap().number;
    // 20 at once and one each minute, and as many ends.
    assert!(last <= 2 * (20 + 60), "{last}");
    assert!(begins.len() <= 128 && bench.alerts.past().len() <= 64);
}

proptest! {
    /// Whatever happens, every beginning that was told has one end or is still there.
    #[test]
    fn beginnings_and_ends_go_in_turn(looks in prop::collection::vec((0_usize..14, 1_u64..20), 1..60)) {
        let illnesses = illnesses();
        let mut bench = Bench::new();
        for (which, steps) in looks {
            let accepted = bench.machine.shares.accepted;
            bench.machine = well();
            bench.machine.shares.accepted = accepted;
            if let Some((.., break_it)) = illnesses.get(which) {
                break_it(&mut bench.machine);
            }
            bench.pass(ALERT_STEP * steps as u32);
        }
        let mut open = Vec::new();
        for notice in bench.alerts.notices_after(0) {
            let key = (notice.alert.rule, notice.alert.source.clone());
            if notice.raised {
                open.push(key);
            } else {
                let before = open.len();
                open.retain(|each| *each != key);
                prop_assert!(open.len() < before, "an end without a beginning: {key:?}");
            }
        }
        let active = bench.active();
        for key in open {
            prop_assert!(active.contains(&key), "{key:?} ended untold");
        }
    }
}
