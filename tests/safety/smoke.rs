use crate::rig::{Plan, Rig};
use cgminer_rs::keeper::State;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn smoke() {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_test_writer()
        .init();
    let mut rig = Rig::start(Plan::l7());
    let began = std::time::Instant::now();
    let took = rig
        .wait(Duration::from_secs(300), |seen| seen.is(State::Running))
        .await;
    println!("running after {took:?} in {:?}", began.elapsed());
    for _ in 0..20 {
        rig.run(Duration::from_secs(15)).await;
        let truth = rig.control.truth();
        let snapshot = rig.snapshot().unwrap();
        println!(
            "{:?} {:.0} {} | chip {:?} pcb {:?} W {:.0} rail {:.0} fans {:?} | {} | {:?} {:?}",
            began.elapsed(),
            truth.seconds,
            snapshot.state,
            truth
                .boards
                .iter()
                .map(|board| board.chip_c as i32)
                .collect::<Vec<_>>(),
            truth
                .boards
                .iter()
                .map(|board| board.pcb_c as i32)
                .collect::<Vec<_>>(),
            truth.power_w,
            truth.rail.output_mv,
            truth
                .fans
                .iter()
                .map(|(_, rpm)| *rpm as i32)
                .collect::<Vec<_>>(),
            snapshot.reason,
            rig.chains()
                .iter()
                .map(|chain| (chain.phase, chain.frequency))
                .collect::<Vec<_>>(),
            snapshot.fans.first().map(|fan| fan.duty),
        );
    }
}
