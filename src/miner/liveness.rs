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
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How often each loop is asked for its proof.
const LOOK: Duration = Duration::from_secs(2);
/// How long a bring-up may take from one milestone to the next.
const BRING_UP_SILENCE: Duration = Duration::from_secs(60);
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

/// Every chain task publishes its status at least once a second while it hashes or idles.
async fn prove_chains(keeper: MinerEnd, chains: Vec<watch::Receiver<ChainStatus>>) {
    let mut chains: Vec<_> = chains
        .into_iter()
        .map(|status| (status, Instant::now()))
        .collect();
    let mut tick = look();
    loop {
        let now = tick.tick().await;
        let lively = chains.iter_mut().fold(true, |all, (status, published)| {
            if status.has_changed().unwrap_or(false) {
                *published = now;
            }
            let phase = status.borrow_and_update().phase;
            all & longest_silence(phase).is_none_or(|longest| now - *published <= longest)
        });
        if lively {
            keeper.alive(Loop::Chain);
        }
    }
}

/// How long a chain may publish nothing. `None`: it has no task, or one that only waits.
fn longest_silence(phase: ChainPhase) -> Option<Duration> {
    match phase {
        ChainPhase::Hashing | ChainPhase::Idle => Some(LOOK),
        // It speaks at milestones; in between lie hundreds of paced writes, each with a deadline of its own.
        ChainPhase::BringUp => Some(BRING_UP_SILENCE),
        ChainPhase::Waiting | ChainPhase::BackOff | ChainPhase::Failed | ChainPhase::Stopped => {
            None
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::models::L7;
    use crate::link::{Down, KeeperEnd, in_process};
    use crate::miner::chains::{ChipTraits, chain_settings};
    use cgminer_board::file::Catalog;

    fn chain(phase: ChainPhase) -> watch::Sender<ChainStatus> {
        let catalog = Catalog::load(None).expect("compiled-in boards");
        let board = catalog.get("l7").expect("the L7");
        let settings = chain_settings(
            board,
            &crate::config::ChainsSection::default(),
            ChipTraits::SILICON,
        )
        .expect("sound settings");
        let mut status = ChainStatus::new(&settings[0]);
        assert_eq!(status.model, L7.name);
        status.phase = phase;
        watch::Sender::new(status)
    }

    /// Tokens that come within so many seconds while the chain says nothing.
    async fn tokens(phase: ChainPhase, seconds: u64) -> usize {
        let (miner, mut keeper): (_, KeeperEnd) = in_process();
        let sender = chain(phase);
        tokio::spawn(prove_chains(miner, vec![sender.subscribe()]));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let mut count = 0;
        while let Ok(Some(Down::Alive(Loop::Chain))) = keeper.try_receive() {
            count += 1;
        }
        count
    }

    #[tokio::test(start_paused = true)]
    async fn a_hashing_chain_that_says_nothing_gives_no_more_tokens() {
        assert!(tokens(ChainPhase::Hashing, 60).await <= 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bring_up_may_be_silent_for_a_while_but_not_for_ever() {
        assert!(tokens(ChainPhase::BringUp, 30).await >= 14);
        assert!(tokens(ChainPhase::BringUp, 600).await <= 32);
    }

    #[tokio::test(start_paused = true)]
    async fn a_chain_without_power_has_nothing_to_prove() {
        assert!(tokens(ChainPhase::Waiting, 30).await >= 14);
    }
}
