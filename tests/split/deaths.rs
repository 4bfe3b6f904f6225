//! What becomes of the power when the miner's process dies or hangs.

use crate::daemon::Daemon;
use cgminer_rs::keeper::KeeperStatus;
use cgminer_rs::link::MinerEnd;
use nix::sys::signal::{Signal, kill};
use std::sync::Arc;

/// Does something to a miner that has power and gives the keeper's snapshot when the power is gone.
async fn power_goes_when(
    signal: Signal,
    within: u64,
) -> Option<(Daemon, MinerEnd, Arc<KeeperStatus>)> {
    let daemon = Daemon::start()?;
    let tool = daemon.tool().await;
    daemon.running(&tool).await;
    kill(daemon.miner().unwrap(), signal).unwrap();
    let (status, _) = daemon
        .wait(&tool, within, |status| !status.state.may_power())
        .await;
    let off = |status: &KeeperStatus| status.supply.measured.is_some_and(|volts| volts.0 < 3_000);
    daemon.wait(&tool, 20, off).await;
    Some((daemon, tool, status))
}

#[tokio::test]
async fn a_miner_that_is_killed_loses_its_power_and_comes_back() {
    let Some((daemon, tool, status)) = power_goes_when(Signal::SIGKILL, 10).await else {
        return;
    };
    let cause = status.last_cause.as_ref().unwrap().to_string();
    assert!(cause.contains("killed by signal 9"), "{cause}");
    daemon.running(&tool).await;
}

#[tokio::test]
async fn a_miner_that_aborts_loses_its_power() {
    // What a panic of the release build and a failed allocation end in.
    let Some((_, _, status)) = power_goes_when(Signal::SIGABRT, 10).await else {
        return;
    };
    let cause = status.last_cause.as_ref().unwrap().to_string();
    assert!(cause.contains("killed by signal 6"), "{cause}");
}

#[tokio::test]
async fn a_miner_that_is_stopped_loses_its_power_and_is_killed() {
    let Some((daemon, tool, status)) = power_goes_when(Signal::SIGSTOP, 30).await else {
        return;
    };
    let cause = status.last_cause.as_ref().unwrap().to_string();
    assert!(cause.contains("did not report in time"), "{cause}");
    daemon.running(&tool).await;
}
