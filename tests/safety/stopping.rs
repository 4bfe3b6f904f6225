//! A wanted stop, and what an operator may ask for.

use crate::rig::{Plan, Rig};
use cgminer_emulator::fault::Fault;
use cgminer_rs::keeper::State;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

async fn running() -> Rig {
    let mut rig = Rig::start(Plan::l7());
    assert!(
        rig.wait(2 * MINUTE, |seen| seen.is(State::Running))
            .await
            .is_some()
    );
    rig.run(4 * MINUTE).await;
    rig
}

#[tokio::test(start_paused = true)]
async fn a_wanted_stop_ends_quietly_with_the_fans_off_once_it_is_cool() {
    let mut rig = running().await;
    rig.stop();
    let off = rig
        .wait(Duration::from_secs(5), |seen| seen.is_rail_off())
        .await;
    assert!(off.is_some(), "the rail goes at once");
    let snapshot = rig.snapshot().unwrap();
    assert_eq!(
        (snapshot.state, &snapshot.last_cause),
        (State::Stopping, &None)
    );
    let turning = rig
        .control
        .truth()
        .fans
        .iter()
        .all(|(_, speed)| *speed > 500.0);
    assert!(turning, "the fans cool what is hot");

    let stopped = rig.wait(10 * MINUTE, |seen| seen.stopped).await;
    assert!(stopped.is_some(), "{:?}", rig.snapshot());
    rig.run(MINUTE).await;
    let truth = rig.control.truth();
    assert!(
        truth.fans.iter().all(|(_, speed)| *speed < 1.0),
        "{truth:?}"
    );
    assert!(
        truth.boards.iter().all(|board| board.pcb_c < 45.5),
        "{truth:?}"
    );
    assert_eq!(
        truth.watchdog_resets, 0,
        "the watchdog was stopped on purpose"
    );

    rig.start_keeper();
    let running = rig.wait(2 * MINUTE, |seen| seen.is(State::Running)).await;
    assert!(
        running.is_some(),
        "a clean stop is no fault: {:?}",
        rig.snapshot()
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_quiet_in_a_hot_room_too_and_does_not_wait_for_ever() {
    let mut rig = running().await;
    rig.inject(Fault::HotRoom { celsius: 30.0 });
    rig.stop();
    let stopped = rig.wait(11 * MINUTE, |seen| seen.stopped).await;
    assert!(stopped.is_some(), "{:?}", rig.snapshot());
    assert!(rig.control.truth().rail.output_mv < 3_000.0);
}

#[tokio::test(start_paused = true)]
async fn a_hot_machine_is_cooled_before_it_gets_power_again() {
    let mut rig = running().await;
    rig.kill_keeper().await;
    rig.run(MINUTE / 4).await;
    rig.start_keeper();
    let on = rig
        .wait(5 * MINUTE, |seen| {
            seen.snapshot.is_some() && !seen.is_rail_off()
        })
        .await;
    let truth = rig.control.truth();
    assert!(on.is_some(), "{truth:?}");
    assert!(
        truth.boards.iter().all(|board| board.pcb_c < 45.5),
        "{truth:?}"
    );
}
