//! What a chain says of itself.

use crate::chain::settings::ChainSettings;
use cgminer_hal::units::{Baud, HashRate, Megahertz};
use serde::Serialize;

/// Where a chain is.
///
/// ```text
///            +---------------- back off <----------------+
///            v                    |                      |
/// waiting -> bring-up -> idle <-> | hashing -- failure --+
///            |                    |                      |
///            +-- failure -------->+-- budget spent --> failed -- restart command --> bring-up
///
/// stopped: from anywhere, by the stop command
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainPhase {
    /// Not begun.
    Waiting,
    /// Reset, count, address, set up, ramp.
    BringUp,
    /// Ready, and no job to work on: the chips are halted, or run out of work by themselves.
    Idle,
    /// At work.
    Hashing,
    /// Failed, held in reset, to be brought up again.
    BackOff,
    /// Failed more often than the budget allows; held in reset until a restart is asked for.
    Failed,
    /// Held in reset because it was asked for.
    Stopped,
}

/// A chain at one moment. What is not known is null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChainStatus {
    /// Index of the chain, from 0.
    pub chain: u8,
    /// Model of its chips.
    pub model: &'static str,
    /// Where it is.
    pub phase: ChainPhase,
    /// Why it is there, when it is not hashing.
    pub reason: Option<String>,
    /// How far the bring-up is, in per cent of its steps; null when there is none at the moment.
    pub bring_up_percent: Option<u8>,
    /// Chips that the board has.
    pub chips_expected: u16,
    /// Chips that answered at the last bring-up; null before the first.
    pub chips_found: Option<u16>,
    /// Frequency asked for.
    pub frequency_target: Megahertz,
    /// Frequency last written to the chips; null while they are in reset.
    pub frequency: Option<Megahertz>,
    /// Speed of the host's end of the line.
    pub baud: Baud,
    /// What the chips compute at `frequency` when nothing is wrong: computed, not measured; null while in reset.
    pub nominal_hash_rate: Option<HashRate>,
    /// Milliseconds after which work is replaced; null while there is none.
    pub work_interval_ms: Option<f64>,
    /// Counts since the start of the program.
    pub counters: ChainCounters,
    /// Counts of each chip since the start of the program, from the host's end.
    pub chips: Box<[ChipCounters]>,
}

/// Counts of a chain since the start of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ChainCounters {
    /// Hashes that good nonces stand for.
    pub hashes: f64,
    /// Good nonces: shares, tickets and stale ones.
    pub nonces: u64,
    /// Shares handed on to the pool.
    pub shares: u64,
    /// Shares lost because the queue to the pool was full.
    pub shares_lost: u64,
    /// Good nonces for a job that a clean one has replaced.
    pub stale: u64,
    /// Nonces reported before.
    pub duplicates: u64,
    /// Nonces that a chip with the ticket mask set would not have reported.
    pub below_ticket: u64,
    /// Nonces whose hash is not what the chip took it for.
    pub mismatches: u64,
    /// Nonces for a job number that was never sent, or a midstate or version that it does not have.
    pub unknown_work: u64,
    /// Good nonces that name no chip of the chain.
    pub unplaced: u64,
    /// Jobs begun.
    pub jobs: u64,
    /// Units of work sent.
    pub work: u64,
    /// Times that work was due and the job had none left.
    pub work_missing: u64,
    /// Register values received.
    pub register_replies: u64,
    /// Replies with a wrong checksum.
    pub crc_errors: u64,
    /// Replies of a type that no chip sends.
    pub unknown_types: u64,
    /// Bytes received that belonged to no reply.
    pub lost_bytes: u64,
    /// Times that the chain was brought up.
    pub bring_ups: u64,
    /// Failures.
    pub failures: u64,
}

/// Counts of one chip since the start of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChipCounters {
    /// Good nonces.
    pub nonces: u32,
    /// Nonces reported before.
    pub duplicates: u32,
    /// Nonces that the ticket mask should have held back.
    pub below_ticket: u32,
    /// Nonces whose hash is not what the chip took it for.
    pub mismatches: u32,
    /// The chip's own error counter as last read; null until then.
    pub error_counter: Option<u32>,
}

impl ChainStatus {
    /// A chain that nothing is known of yet.
    pub fn new(settings: &ChainSettings) -> Self {
        Self {
            chain: settings.chain.0,
            model: settings.model.name,
            phase: ChainPhase::Waiting,
            reason: None,
            bring_up_percent: None,
            chips_expected: settings.chips,
            chips_found: None,
            frequency_target: settings.frequency,
            frequency: None,
            baud: Baud::RESET,
            nominal_hash_rate: None,
            work_interval_ms: None,
            counters: ChainCounters::default(),
            chips: vec![ChipCounters::default(); usize::from(settings.chips)].into_boxed_slice(),
        }
    }
}
