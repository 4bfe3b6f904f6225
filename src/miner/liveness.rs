//! Proof, loop by loop, that the miner lives: what the keeper feeds the hardware watchdog on.
//!
//! A token is sent only for what a loop itself did since the last one. A loop that hangs sends nothing, whatever the rest
//! of the process does.

use crate::api;
use crate::chain::{ChainPhase, ChainStatus};
use crate::link::{Loop, MinerEnd};
use crate::pool::status::PoolsStatus;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often each loop is asked for its proof.
const LOOK: Duration = Duration::from_secs(2);
/// How long the status endpoint may take to answer itself.
const API_DEADLINE: Duration = Duration::from_secs(2);

/// Sends the tokens of all loops until dropped.
pub async fn prove(
    keeper: MinerEnd,
    chains: Vec<watch::Receiver<ChainStatus>>,
    pools: watch::Receiver<PoolsStatus>,
    run_directory: PathBuf,
) {
    tokio::join!(
        prove_chains(keeper.clone(), chains),
        prove_pools(keeper.clone(), pools),
        prove_api(keeper, run_directory),
    );
}

/// Every chain task publishes its status at least once a second while it has something to do.
async fn prove_chains(keeper: MinerEnd, mut chains: Vec<watch::Receiver<ChainStatus>>) {
    let mut tick = look();
    loop {
        tick.tick().await;
        let lively = chains.iter_mut().fold(true, |all, chain| {
            let published = chain.has_changed().unwrap_or(false);
            all & (published | is_at_rest(chain.borrow_and_update().phase))
        });
        if lively {
            keeper.alive(Loop::Chain);
        }
    }
}

/// Phases in which a chain has no task, or one that only waits for a command.
fn is_at_rest(phase: ChainPhase) -> bool {
    matches!(
        phase,
        ChainPhase::Waiting | ChainPhase::BackOff | ChainPhase::Failed | ChainPhase::Stopped
    )
}

/// The manager of pools publishes at each of its rounds, one a second or more.
async fn prove_pools(keeper: MinerEnd, mut pools: watch::Receiver<PoolsStatus>) {
    let mut tick = look();
    loop {
        tick.tick().await;
        if pools.has_changed().unwrap_or(false) {
            pools.mark_unchanged();
            keeper.alive(Loop::Pool);
        }
    }
}

/// The endpoint answers a request of our own, through the door that local tools use.
async fn prove_api(keeper: MinerEnd, run_directory: PathBuf) {
    let mut tick = look();
    loop {
        tick.tick().await;
        let answer = timeout(API_DEADLINE, api::probe(&run_directory)).await;
        if matches!(answer, Ok(Ok(()))) {
            keeper.alive(Loop::Api);
        }
    }
}

fn look() -> tokio::time::Interval {
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}
