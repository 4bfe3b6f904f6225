//! What is said of chips that are well, of one that is dead and of one that is weak, on a machine whose chips look at a small
//! part of what silicon looks at.

use crate::rig::{Kind, Plan, Rig};
use cgminer_emulator::fault::Fault;
use cgminer_rs::pool::status::PoolsStatus;
use cgminer_rs::telemetry::{ChainPhase, Rule, Snapshot, Verdict};
use std::time::Duration;
use tokio::sync::watch;

const MINUTE: Duration = Duration::from_secs(60);
/// Of 65.
const STUCK_CORES: u32 = 45;

/// Chain and place of each chip of which that is said.
fn said(snapshot: &Snapshot, verdict: Verdict) -> Vec<(u8, u16)> {
    let chips = |chain: &cgminer_rs::telemetry::Chain| {
        let of_chain = chain.index;
        let such = chain.chips.iter();
        such.filter(|chip| chip.health.verdict == verdict)
            .map(|chip| (of_chain, chip.index))
            .collect::<Vec<_>>()
    };
    snapshot.chains.iter().flat_map(chips).collect()
}

#[tokio::test(start_paused = true)]
async fn a_dead_and_a_weak_chip_are_poor_and_all_others_are_good() {
    let mut plan = Plan::of(Kind::Hashing);
    let pace = 10_000.0;
    plan.machine.search.hashes_per_second = pace;
    let mut rig = Rig::start(plan);
    let works = |snapshot: &Snapshot| {
        let mut chains = snapshot.chains.iter();
        !snapshot.chains.is_empty() && chains.all(|chain| chain.phase == ChainPhase::Hashing)
    };
    for _ in 0..30 {
        rig.run(MINUTE / 6).await;
        if works(&rig.telemetry()) {
            break;
        }
    }
    assert!(works(&rig.telemetry()), "{:?}", rig.snapshot());

    let (_pools, pools) = watch::channel(PoolsStatus::default());
    let source = rig.telemetry_source().source(pools);
    tokio::spawn(source.clone().record());
    rig.run(MINUTE / 2).await;
    let early = source.snapshot();
    assert_eq!(said(&early, Verdict::Unknown).len(), 36);
    let health = early.chains[0].chips[0].health;
    assert!(health.percent.is_none() && health.reason.is_some());

    rig.run(6 * MINUTE).await;
    let well = source.snapshot();
    assert_eq!(said(&well, Verdict::Good).len(), 36, "{:?}", well.chains);
    let nominal = well.hash_rate.nominal.unwrap().0;
    assert!((nominal / pace - 1.0).abs() < 0.02, "{nominal} of {pace}");
    assert_eq!(
        well.alerts
            .iter()
            .find(|alert| alert.rule == Rule::DegradedBoard),
        None
    );

    rig.inject(Fault::ChipSilent { chain: 1, chip: 5 });
    for core in 0..STUCK_CORES {
        rig.inject(Fault::StuckCore {
            chain: 0,
            chip: 3,
            core,
        });
    }
    rig.run(17 * MINUTE).await;
    let ill = source.snapshot();
    assert_eq!(said(&ill, Verdict::Poor), [(0, 3), (1, 5)]);
    assert_eq!(said(&ill, Verdict::Good).len(), 34);
    let alerts = ill.alerts.iter();
    let mut boards: Vec<_> = alerts
        .filter(|alert| alert.rule == Rule::DegradedBoard)
        .map(|alert| alert.source.as_str())
        .collect();
    boards.sort_unstable();
    assert_eq!(boards, ["chain 0", "chain 1"]);
}
