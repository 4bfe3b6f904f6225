//! What the chain tasks tell, in the Snapshot's shape.

use super::hash_rate::WindowRate;
use super::snapshot::{Chain, Chip, ChipHealth};
use crate::chain::status::ChainStatus;
use crate::keeper::KeeperStatus;
use cgminer_hal::units::HashRate;
use tokio::sync::watch;

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
    keeper: Option<&KeeperStatus>,
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
        reason: status.reason.clone(),
        model: status.model.into(),
        chips_expected: status.chips_expected,
        chips_found: status.chips_found,
        frequency_target: status.frequency_target,
        frequency: status.frequency,
        baud: status.baud,
        hash_rate,
        nominal: status.nominal_hash_rate,
        temperature: safety.and_then(|safety| safety.temperature),
        temperature_measured: safety.map(|safety| safety.measured),
        present: safety.and_then(|safety| safety.present),
        counters: status.counters,
        chips: chips(status, domains, health),
    }
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
