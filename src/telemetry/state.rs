//! What the machine does as a whole, in one word and one sentence.

use super::from_keeper::NOT_YET;
use super::snapshot::MachineState;
use crate::chain::status::{ChainPhase, ChainStatus};
use crate::link::{KeeperStatus, State};
use crate::pool::status::PoolsStatus;
use std::time::Duration;

/// The keeper reports each second; one that is silent for longer has stopped or lost its link.
const KEEPER_SILENT: Duration = Duration::from_secs(10);

/// Reason of a chain that its owner does not let run.
pub const SWITCHED_OFF: &str = "switched off by the owner";

/// The keeper's word stands above the chains', theirs above the pools'.
pub fn of(
    keeper: Option<&KeeperStatus>,
    heard: Duration,
    chains: &[ChainStatus],
    pools: &PoolsStatus,
) -> (MachineState, String) {
    let Some(keeper) = keeper else {
        return (MachineState::Starting, NOT_YET.into());
    };
    if heard > KEEPER_SILENT {
        let reason = format!("the keeper has been silent for {} s", heard.as_secs());
        return (MachineState::Held, reason);
    }
    if let Some(latch) = &keeper.latched {
        return (MachineState::Latched, latch.cause.to_string());
    }
    let state = match keeper.state {
        State::Running | State::Hot => return of_miner(chains, pools),
        State::Boot | State::PowerUp => MachineState::Starting,
        State::Stopping | State::Stopped => MachineState::Stopped,
        State::Latched => MachineState::Latched,
        State::Standby | State::Dangerous | State::CoolDown | State::FanOnly => MachineState::Held,
    };
    (state, keeper.reason.clone())
}

fn of_miner(chains: &[ChainStatus], pools: &PoolsStatus) -> (MachineState, String) {
    let count = |phases: &[ChainPhase]| {
        chains
            .iter()
            .filter(|chain| phases.contains(&chain.phase))
            .count()
    };
    let all = chains.len();
    let hashing = count(&[ChainPhase::Hashing]);
    let coming = count(&[ChainPhase::Waiting, ChainPhase::BringUp]);
    let idle = count(&[ChainPhase::Idle]);
    if let (Some(pool), true) = (pools.active, hashing > 0) {
        return (
            MachineState::Mining,
            format!("{hashing} of {all} chains work for pool {pool}"),
        );
    }
    if coming > 0 {
        return (
            MachineState::Starting,
            format!("{coming} of {all} chains are being brought up"),
        );
    }
    if pools.active.is_none() && hashing + idle > 0 {
        return (MachineState::WaitingForWork, pools.reason.into());
    }
    if idle > 0 {
        return (
            MachineState::Starting,
            format!("{idle} of {all} chains are given work"),
        );
    }
    let first = chains.iter().find_map(|chain| {
        chain
            .reason
            .as_ref()
            .map(|reason| format!("chain {}: {reason}", chain.chain))
    });
    (
        MachineState::NoChains,
        first.unwrap_or_else(|| format!("none of {all} chains hashes")),
    )
}
