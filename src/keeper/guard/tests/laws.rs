//! What the guard never does, whatever it is told.

use super::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_laws_hold(
        from_running in any::<bool>(),
        steps in prop::collection::vec((any_step(), 1usize..40), 1..60),
    ) {
        let mut bench = if from_running { Bench::running() } else { Bench::new(None) };
        for (step, times) in steps {
            for _ in 0..times {
                bench.step(&step);
                holds(&bench)?;
            }
        }
        let watchdog = WatchdogStatus { armed: false, timeout_seconds: None, fed_seconds_ago: None };
        let now = Moment::after_start(Duration::from_secs_f32(bench.seconds));
        let snapshot = bench.guard.snapshot(watchdog, now);
        let bytes = crate::link::codec::encode(&snapshot, crate::link::codec::MAXIMUM_UP);
        prop_assert!(bytes.is_ok(), "a snapshot fits a message");
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let request = prop_oneof![
        any::<bool>().prop_map(|on| Request::SetPower { on }),
        (0u32..30_000).prop_map(|volts| Request::SetVoltage {
            voltage: Millivolts(volts)
        }),
        any::<f32>().prop_map(|duty| Request::SetFanMode {
            mode: FanMode::Fixed {
                duty: DutyPercent(duty)
            }
        }),
        Just(Request::SetFanMode {
            mode: FanMode::Immersion
        }),
        Just(Request::SetFanMode {
            mode: FanMode::Auto
        }),
        (0u8..4).prop_map(|chain| Request::ReleaseReset { chain }),
        (0u8..4).prop_map(|chain| Request::HoldReset { chain }),
        Just(Request::ClearLatch),
        Just(Request::Stop),
    ];
    let asker = prop_oneof![9 => Just(Asker::Miner), 1 => Just(Asker::Operator)];
    let volts = prop_oneof![0u32..20_000, Just(0)].prop_map(|volts| {
        SupplyReading::Measured(Measured {
            volts: Millivolts(volts),
            power: None,
            temperature: None,
            tripped: volts % 7 == 0,
        })
    });
    prop_oneof![
        30 => Just(Step::Nothing),
        2 => any::<f32>().prop_map(|value| Step::Sensor(Observation::Value(Celsius(value)))),
        2 => (20f32..100.0).prop_map(|value| Step::Sensor(Observation::Value(Celsius(value)))),
        2 => Just(Step::Sensor(Observation::Unreadable)),
        2 => Just(Step::FanStands),
        2 => volts.prop_map(Step::Supply),
        1 => Just(Step::Supply(SupplyReading::Failed(SupplyFault::Silent))),
        2 => Just(Step::Unconfirmed),
        2 => Just(Step::LoopHangs),
        1 => Just(Step::Miner(MinerEvent::Started)),
        1 => Just(Step::Miner(MinerEvent::Died("test".into()))),
        8 => (asker, request).prop_map(|(asker, request)| Step::Ask(asker, request)),
        2 => (20f32..120.0).prop_map(Step::Heat),
    ]
}

/// What holds after every decision.
fn holds(bench: &Bench) -> Result<(), TestCaseError> {
    let Outputs {
        state,
        preset,
        enable,
        ref resets,
        duty,
        ..
    } = bench.outputs;
    let now = Moment::after_start(Duration::from_secs_f32(bench.seconds));
    prop_assert!(!enable || state.may_power(), "power in {state}");
    prop_assert!(
        state.may_hash() || resets.iter().all(|held| *held),
        "released in {state}"
    );
    prop_assert!(
        preset.is_none_or(|preset| VOLTAGE.allow(preset)),
        "{preset:?}"
    );
    prop_assert!((0.0..=100.0).contains(&duty.0), "{duty}");
    let unsafe_states = matches!(
        state,
        State::Boot | State::Dangerous | State::CoolDown | State::FanOnly
    );
    prop_assert!(
        !unsafe_states || duty == DutyPercent::FULL,
        "{duty} in {state}"
    );
    let hottest = bench
        .guard
        .thermal
        .views()
        .iter()
        .filter_map(|view| view.acted_on);
    let is_dangerous = hottest.map(|at| at.0).any(|at| at >= DANGEROUS);
    prop_assert!(
        !(enable && is_dangerous),
        "power at {:?}",
        bench.guard.thermal.views()
    );
    prop_assert!(
        !enable || bench.guard.proofs.late(false, now).is_none(),
        "power with a loop late"
    );
    prop_assert_eq!(
        state == State::Latched,
        bench.guard.latch().is_some() && state != State::Stopping && state != State::Stopped,
        "{}",
        state
    );
    Ok(())
}
