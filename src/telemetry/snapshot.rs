//! The shape of the truth. Field names are those of the JSON that `docs/api.md` describes.
//!
//! Plain numbers are settings, counters and ages, which this program knows by itself. What was measured is
//! [`Measured`]; what nobody knows is null.

use super::alerts::Alert;
use super::chip_health::ChipHealth;
use super::hash_rate::WindowRate;
use super::measured::Measured;
use super::storage::Storage;
use super::tuner::Tuner;
use crate::chain::status::{ChainCounters, ChainPhase, ChipCounters};
use crate::link::process::Process;
use crate::pool::status::RejectCounters;
use cgminer_hal::units::{
    Amperes, Baud, Celsius, DutyPercent, HashRate, Megahertz, Millivolts, Quantity, Rpm, Watts,
};
use serde::Serialize;

/// Version of this shape. Grows when a member changes its meaning or goes away; new members leave it.
pub const SCHEMA: u32 = 2;

/// The machine at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Wall clock in seconds since 1970; null while the clock was never set.
    pub unix_time: Option<f64>,
    /// Which machine, and what it does.
    pub machine: Machine,
    /// Which software.
    pub versions: Versions,
    /// What the miner's process takes.
    pub process: Process,
    /// The safety process's word.
    pub keeper: Keeper,
    /// Hashrate that pools credited.
    pub hash_rate: HashRateReport,
    /// Energy for the work credited.
    pub efficiency: Measured<JoulesPerTerahash>,
    /// Shares of all pools together.
    pub shares: Shares,
    /// What is worked on.
    pub work: Work,
    /// Hash-board chains.
    pub chains: Vec<Chain>,
    /// Fans.
    pub fans: Vec<Fan>,
    /// Temperature sensors.
    pub temperatures: Vec<Temperature>,
    /// Analogue inputs.
    pub analog: Vec<Analog>,
    /// The supply; null while the keeper has not reported.
    pub supply: Option<Supply>,
    /// Pools.
    pub pools: Pools,
    /// Who chooses frequency and voltage.
    pub tuner: Tuner,
    /// File systems that this program writes to.
    pub storage: Vec<Storage>,
    /// What is wrong and worth telling, oldest first.
    pub alerts: Vec<Alert>,
    /// Alerts since the start.
    pub alerts_raised: u64,
    /// Number of the latest event; 0 before the first.
    pub last_event: u64,
}

/// Energy per work.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct JoulesPerTerahash(pub f64);

impl Quantity for JoulesPerTerahash {
    const UNIT: &'static str = "J/TH";
}

/// Which machine, and what it does.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Board file in use.
    pub board: String,
    /// Name on the network.
    pub host: Option<String>,
    /// Chips, sensors and supply are an emulation, not hardware.
    pub emulated: bool,
    /// Seconds since this program started.
    pub uptime_s: f64,
    /// What it does as a whole.
    pub state: MachineState,
    /// Why, in words.
    pub reason: String,
}

/// What the machine does as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineState {
    /// On its way to mining.
    Starting,
    /// At least one chain works for a pool.
    Mining,
    /// Everything is well, but there is no work.
    WaitingForWork,
    /// There is work and power, but no chain that hashes.
    NoChains,
    /// The keeper holds the power back.
    Held,
    /// It stays off until an operator clears it.
    Latched,
    /// It was stopped by its owner.
    Stopped,
}

/// Which software.
#[derive(Clone, Debug, Serialize)]
pub struct Versions {
    /// This program.
    pub daemon: &'static str,
    /// HTTP interface.
    pub api: &'static str,
    /// Linux kernel.
    pub kernel: Option<String>,
}

/// The safety process's word.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Keeper {
    /// Where it stands; null while it has not reported.
    pub state: Option<String>,
    /// For how long.
    pub state_s: Option<f64>,
    /// Seconds since it last reported.
    pub heard_s: Option<f64>,
    /// Why, in words.
    pub reason: String,
    /// Hottest tier over all chains.
    pub tier: Option<String>,
    /// Frequency that the chains may run at, in per cent of the configured one.
    pub throttle_percent: Option<f64>,
    /// Who sets the fans.
    pub fan_mode: Option<String>,
    /// Restarts after faults.
    pub restarts: Option<Restarts>,
    /// What took the power away the last time.
    pub last_cause: Option<String>,
    /// How the run before this one ended; null when nobody knows, as at the very first start.
    pub last_end: Option<LastRun>,
    /// Why the machine stays off.
    pub latched: Option<Latched>,
    /// Whether the hardware watchdog runs.
    pub watchdog_armed: Option<bool>,
    /// Whether the machine blinks to be found.
    pub locate: Option<bool>,
    /// What its process takes, at most half a minute ago; the miner's own where both are one. Null while it has not reported.
    pub process: Option<Process>,
    /// Seconds for which the first token may still be claimed over the network, since the locate button was pressed.
    pub claim_s: Option<f64>,
}

/// Restarts after faults.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Restarts {
    /// Those that count against the budget now.
    pub used: u32,
    /// How many may.
    pub budget: u32,
    /// All since the keeper started.
    pub total: u32,
    /// Seconds until the next one.
    pub next_in_s: Option<f64>,
}

/// How the run before this one ended.
#[derive(Clone, Debug, Serialize)]
pub struct LastRun {
    /// One of `wanted_stop`, `crash`, `watchdog`, `reset`, `unclean`.
    pub how: String,
    /// In words.
    pub text: String,
    /// Runs in a row that ended without a wanted stop, each soon after its start.
    pub unclean_ends: u32,
}

/// Why the machine stays off.
#[derive(Clone, Debug, Serialize)]
pub struct Latched {
    /// In words.
    pub cause: String,
    /// Wall clock then; null when the clock was not set.
    pub unix_time: Option<u64>,
    /// From before the last start.
    pub kept: bool,
}

/// Hashrate, measured and expected.
#[derive(Clone, Debug, Serialize)]
pub struct HashRateReport {
    /// Over each window, shortest first; empty before the first work.
    pub windows: Vec<WindowRate>,
    /// What the chips should do at their frequency, in H/s, of emulated ones what they are made to do; null while all are in
    /// reset, and when nobody knows.
    pub nominal: Option<HashRate>,
}

/// Shares since the start.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Shares {
    /// Sent to pools.
    pub submitted: u64,
    /// Taken by pools.
    pub accepted: u64,
    /// Refused by pools.
    pub rejected: RejectCounters,
    /// Without a reply in time.
    pub unanswered: u64,
    /// Not sent: their job was already worthless.
    pub stale: u64,
    /// Not sent: their session was over.
    pub session_gone: u64,
    /// Sum of the difficulties of the accepted ones.
    pub accepted_difficulty: f64,
    /// Sum of the difficulties of the refused ones.
    pub rejected_difficulty: f64,
    /// Sum of the difficulties of those not sent because their job was worthless.
    pub stale_difficulty: f64,
    /// Sum of the difficulties of all that no pool gave a verdict on, those not sent included.
    pub lost_difficulty: f64,
    /// Difficulty of the last accepted one.
    pub last_difficulty: Option<f64>,
    /// Difficulty of the best hash found.
    pub best_difficulty: Option<f64>,
    /// Rejected of all answered, in per cent; null before the first answer.
    pub rejected_percent: Option<f64>,
    /// Submitted ones that met the network target.
    pub blocks_found: u64,
    /// Those that were taken.
    pub blocks_accepted: u64,
}

/// What is worked on.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Work {
    /// Index of the pool.
    pub pool: Option<usize>,
    /// The pool's name for the job.
    pub job_id: Option<String>,
    /// Age of the job in seconds.
    pub job_age_s: Option<f64>,
    /// Difficulty of its shares.
    pub difficulty: Option<f64>,
    /// Bits of the version that may be rolled.
    pub version_mask: Option<u32>,
    /// Jobs of all pools since the start.
    pub jobs: u64,
    /// Block that is worked on top of.
    pub block: Option<Block>,
    /// Blocks that were worked on top of since the start, for the pool that told of most.
    pub blocks: u64,
}

/// The block that a pool's job builds on, and what it says of the one to come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Block {
    /// Its hash as it is displayed.
    pub previous_hash: String,
    /// Seconds since the first job on it.
    pub age_s: f64,
    /// Height of the block to come; null when the coinbase does not tell.
    pub height: Option<u32>,
    /// Version of the block to come.
    pub version: u32,
    /// Difficulty of the network.
    pub network_difficulty: f64,
}

/// Verdicts on the shares of one chain.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChainShares {
    /// Taken by pools.
    pub accepted: u64,
    /// Refused by pools.
    pub rejected: u64,
    /// Sum of the difficulties of the accepted ones.
    pub accepted_difficulty: f64,
    /// Sum of the difficulties of the refused ones.
    pub rejected_difficulty: f64,
    /// Pool that took the last one.
    pub last_pool: Option<usize>,
    /// Its difficulty.
    pub last_difficulty: Option<f64>,
    /// Seconds since then.
    pub last_accepted_age_s: Option<f64>,
}

/// The easiest and the hardest job of a pool since the start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difficulties {
    /// Difficulty of the easiest.
    pub least: f64,
    /// Jobs that were as easy.
    pub least_jobs: u64,
    /// Difficulty of the hardest.
    pub most: f64,
    /// Jobs that were as hard.
    pub most_jobs: u64,
}

/// What went over the connections to a pool since the start, TLS and TCP not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Lines read.
    pub lines: u64,
    /// Bytes read.
    pub read_bytes: u64,
}

/// A hash-board chain.
#[derive(Clone, Debug, Serialize)]
pub struct Chain {
    /// From 0.
    pub index: u8,
    /// How far it has come.
    pub phase: ChainPhase,
    /// Why it stands there, when it does not hash.
    pub reason: Option<String>,
    /// How far the bring-up is, in per cent of its steps; null when there is none at the moment.
    pub bring_up_percent: Option<u8>,
    /// Chip model.
    pub model: String,
    /// Chips that the board file names.
    pub chips_expected: u16,
    /// Chips that answered; null before they were asked.
    pub chips_found: Option<u16>,
    /// Frequency asked for, in MHz.
    pub frequency_target: Megahertz,
    /// Frequency last written to the chips, in MHz; null while they are in reset.
    pub frequency: Option<Megahertz>,
    /// Speed of the serial line in bits per second.
    pub baud: Baud,
    /// Hashrate that its nonces prove, over each window; empty before the first work.
    pub hash_rate: Vec<WindowRate>,
    /// What the chips should do at their frequency, in H/s, of emulated ones what they are made to do; null while they are in
    /// reset, and when nobody knows.
    pub nominal: Option<HashRate>,
    /// Temperature of its chips: what the hottest of its sensors reads, raised to the chip.
    pub temperature: Measured<Celsius>,
    /// Chip temperature that the keeper acts on, in degrees Celsius: the same, or the model of a lost sensor.
    pub acted_on: Option<Celsius>,
    /// Whether its owner lets it run.
    pub enabled: bool,
    /// Whether a hash board is plugged in; null when nobody can tell.
    pub present: Option<bool>,
    /// Counts since the start.
    pub counters: ChainCounters,
    /// Verdicts on its shares.
    pub shares: ChainShares,
    /// Seconds since its last good nonce.
    pub last_nonce_age_s: Option<f64>,
    /// Seconds since it last hashed; 0 while it does.
    pub last_well_age_s: Option<f64>,
    /// Seconds since it was last seen failed; 0 while it is.
    pub last_ill_age_s: Option<f64>,
    /// Each chip. Left out of the JSON, where chips have a path of their own.
    #[serde(skip)]
    pub chips: Vec<Chip>,
}

/// One chip.
#[derive(Clone, Debug, Serialize)]
pub struct Chip {
    /// Place in the chain, from 0.
    pub index: u16,
    /// Voltage domain, from 0; null when the board file names none.
    pub domain: Option<u16>,
    /// What it found of what it should have found.
    pub health: ChipHealth,
    /// Counts since the start.
    pub counters: ChipCounters,
}

/// One fan.
#[derive(Clone, Debug, Serialize)]
pub struct Fan {
    /// Name in the board file.
    pub name: String,
    /// What it was told, in per cent.
    pub duty: Option<DutyPercent>,
    /// What it does.
    pub speed: Measured<Rpm>,
    /// What the two together mean.
    pub condition: String,
}

/// One temperature sensor.
#[derive(Clone, Debug, Serialize)]
pub struct Temperature {
    /// Name in the board file.
    pub name: String,
    /// Chain it sits on.
    pub chain: Option<u8>,
    /// What it says.
    pub reading: Measured<Celsius>,
    /// Chip temperature that the keeper acts on because of it, in degrees Celsius.
    pub acted_on: Option<Celsius>,
    /// Why its latest reading is not believed.
    pub fault: Option<String>,
}

/// One analogue input. Nothing is decided on it.
#[derive(Clone, Debug, Serialize)]
pub struct Analog {
    /// Name in the board file.
    pub name: String,
    /// Chain it belongs to.
    pub chain: Option<u8>,
    /// What it says.
    pub reading: AnalogValue,
}

/// A voltage or a current, by its unit.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum AnalogValue {
    /// In mV.
    Voltage(Measured<Millivolts>),
    /// In A.
    Current(Measured<Amperes>),
}

/// The supply.
#[derive(Clone, Debug, Serialize)]
pub struct Supply {
    /// Part name in the board file.
    pub part: String,
    /// Whether the keeper wants the rail on.
    pub wanted_on: bool,
    /// Setting wanted, in mV.
    pub wanted: Millivolts,
    /// Voltage of the rail.
    pub voltage: Measured<Millivolts>,
    /// Power, where the part can measure it.
    pub power: Measured<Watts>,
    /// Its temperature, where the part can measure it.
    pub temperature: Measured<Celsius>,
    /// What is wrong with it.
    pub fault: Option<String>,
}

/// All pools.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Pools {
    /// How one is chosen.
    pub strategy: String,
    /// Index of the one worked for; null: idle.
    pub active: Option<usize>,
    /// Why that one.
    pub reason: String,
    /// Changes of the active one since the start.
    pub switches: u64,
    /// Sessions that failed or could not begin since the start, those of pools that are no more among them.
    pub failures: u64,
    /// Each, in order of priority.
    pub list: Vec<Pool>,
}

/// One pool.
#[derive(Clone, Debug, Serialize)]
pub struct Pool {
    /// Place in the configuration, from 0.
    pub index: usize,
    /// What its owner calls it; its address when it was given no name.
    pub name: String,
    /// Whether its owner lets it be used.
    pub enabled: bool,
    /// Its part of the work, or of its group's; 0: only when no other works.
    pub quota: u32,
    /// Group that it belongs to.
    pub group: u8,
    /// Address, without credentials.
    pub url: String,
    /// User.
    pub user: String,
    /// `stratum_v1`, `stratum_v2` or `solo`.
    pub kind: String,
    /// How far it has come.
    pub phase: String,
    /// Whether the chains work for it.
    pub active: bool,
    /// Address of the open connection.
    pub peer: Option<String>,
    /// Seconds since it became ready.
    pub ready_for_s: Option<f64>,
    /// Difficulty of its current job.
    pub difficulty: Option<f64>,
    /// Name of its current job.
    pub job_id: Option<String>,
    /// Bits of the version it lets roll.
    pub version_mask: Option<u32>,
    /// Seconds since its last job.
    pub last_job_age_s: Option<f64>,
    /// Seconds since it last took a share.
    pub last_accepted_age_s: Option<f64>,
    /// Last time from submit to reply.
    pub reply_ms: Option<f64>,
    /// Why the last session ended or could not begin.
    pub last_error: Option<String>,
    /// Seconds since then.
    pub last_error_age_s: Option<f64>,
    /// What the pool last told its owner. Text of a stranger: never to be shown as markup.
    pub message: Option<String>,
    /// Text of the last reject. Text of a stranger, too.
    pub last_reject: Option<String>,
    /// Jobs since the start.
    pub jobs: u64,
    /// Those of them whose block holds hardly anything beside its coinbase; null where a pool does not show it.
    pub nearly_empty_jobs: Option<u64>,
    /// Units of work that were sent to chips for its jobs since the start.
    pub units: u64,
    /// Connection attempts since the start.
    pub connection_attempts: u64,
    /// Sessions that failed or could not begin since the start.
    pub failures: u64,
    /// Lines that could not be understood.
    pub bad_lines: u64,
    /// Hashes that the chains have done for it since the start, by their verified tickets.
    pub hashes_given: f64,
    /// Its part of the hashes given to all pools, in percent; unknown before the first.
    pub part_percent: Option<f64>,
    /// Shares.
    pub shares: Shares,
    /// Block that its job builds on; null before the first.
    pub block: Option<Block>,
    /// Its easiest and its hardest job; null before the first.
    pub difficulties: Option<Difficulties>,
    /// What went over its connections; null where it is not counted.
    pub traffic: Option<Traffic>,
}
