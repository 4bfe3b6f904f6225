//! What the chain tasks tell, in the Snapshot's shape.

use super::chip_health::ChipHealth;
use super::from_keeper;
use super::hash_rate::WindowRate;
use super::recorder::LastSeen;
use super::snapshot::{Chain, ChainShares, Chip};
use super::state::SWITCHED_OFF;
use crate::chain::status::{ChainPhase, ChainStatus};
use crate::link::KeeperStatus;
use cgminer_hal::units::HashRate;
use std::time::Duration;
use tokio::sync::watch;

/// What a chain's reason is while its presence line says so.
const NO_BOARD: &str = "no board is plugged in";

/// One chain as the Snapshot is told of it.
pub struct ChainInput {
    /// Voltage domains that its chips divide into evenly; 0 when unknown.
    pub domains: u16,
    /// What its task publishes.
    pub status: watch::Receiver<ChainStatus>,
}

/// A chain, with what the keeper knows of it.
pub fn chain(
    status: &ChainStatus,
    domains: u16,
    hash_rate: Vec<WindowRate>,
    health: impl Fn(usize) -> ChipHealth,
    (keeper, heard): (Option<&KeeperStatus>, Duration),
    (shares, seen): (ChainShares, LastSeen),
) -> Chain {
    let safety = keeper.and_then(|keeper| {
        keeper
            .chains
            .iter()
            .find(|safety| safety.chain == status.chain)
    });
    Chain {
        index: status.chain,
        phase: status.phase,
        reason: reason(status, safety.and_then(|safety| safety.present)),
        bring_up_percent: status.bring_up_percent,
        model: status.model.into(),
        chips_expected: status.chips_expected,
        chips_found: status.chips_found,
        frequency_target: status.frequency_target,
        frequency: status.frequency,
        baud: status.baud,
        hash_rate,
        nominal: status.nominal_hash_rate,
        temperature: from_keeper::of_chain(keeper, status.chain, heard),
        acted_on: safety.and_then(|safety| safety.temperature),
        enabled: !is_switched_off(status),
        present: safety.and_then(|safety| safety.present),
        counters: status.counters,
        shares,
        last_nonce_age_s: seen.nonce.map(|ago| ago.as_secs_f64()),
        last_well_age_s: seen.well.map(|ago| ago.as_secs_f64()),
        last_ill_age_s: seen.ill.map(|ago| ago.as_secs_f64()),
        chips: chips(status, domains, health),
    }
}

/// Why it does not hash. Its task is only told to stop when its board is pulled; the keeper knows why.
fn reason(status: &ChainStatus, present: Option<bool>) -> Option<String> {
    let pulled = present == Some(false) && status.phase != ChainPhase::Hashing;
    if pulled && !is_switched_off(status) {
        return Some(NO_BOARD.to_owned());
    }
    status.reason.clone()
}

/// Whether its owner does not let it run.
fn is_switched_off(status: &ChainStatus) -> bool {
    status.phase == ChainPhase::Stopped && status.reason.as_deref() == Some(SWITCHED_OFF)
}

/// What all chains together should do; `None` while every one is in reset.
pub fn nominal(chains: &[ChainStatus]) -> Option<HashRate> {
    chains
        .iter()
        .filter_map(|chain| chain.nominal_hash_rate)
        .reduce(|HashRate(sum), HashRate(next)| HashRate(sum + next))
}

fn chips(status: &ChainStatus, domains: u16, health: impl Fn(usize) -> ChipHealth) -> Vec<Chip> {
    let count = status.chips.len();
    let domain = |index: usize| {
        let domain = (index * usize::from(domains)).checked_div(count)?;
        u16::try_from(domain).ok().filter(|_| domains > 0)
    };
    let chip = |(index, counters): (usize, &_)| {
        Some(Chip {
            index: u16::try_from(index).ok()?,
            domain: domain(index),
            health: health(index),
            counters: *counters,
        })
    };
    status.chips.iter().enumerate().filter_map(chip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulled_board_is_the_reason_unless_the_owner_wants_the_chain_off() {
        let mut status = crate::telemetry::samples::chain();
        status.phase = ChainPhase::Stopped;
        status.reason = Some("stop asked for".into());
        let said = |status: &ChainStatus, present| reason(status, present).unwrap_or_default();
        assert_eq!(said(&status, Some(false)), NO_BOARD);
        assert_eq!(said(&status, Some(true)), "stop asked for");
        assert_eq!(said(&status, None), "stop asked for");
        status.reason = Some(SWITCHED_OFF.into());
        assert_eq!(said(&status, Some(false)), SWITCHED_OFF);
    }
}
