//! What the keeper tells the rest of the daemon: every measurement with its age, null when unknown.

use super::cause::Cause;
use super::process::Process;
use super::state::State;
use cgminer_board::file::Quantity;
use cgminer_board::power::{SupplyFault, VoltageLimits};
use cgminer_board::thermal::{FanCondition, FanMode, SensorFault, Throttle, Tier, Tiers};
use cgminer_hal::units::{Amperes, Celsius, DutyPercent, Millivolts, Rpm, Watts};
use core::fmt;
use serde::{Deserialize, Serialize};

/// The keeper's whole truth at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeeperStatus {
    /// Counts the snapshots of this keeper; a greater one is newer.
    pub sequence: u64,
    /// Board file in use.
    pub board: String,
    /// Whether the machine is an emulated one.
    pub emulated: bool,
    /// Where the keeper stands.
    pub state: State,
    /// For how long, in seconds.
    pub state_seconds: f64,
    /// Why it stands there, in words.
    pub reason: String,
    /// What took the power away the last time since the keeper started; kept while the machine recovers.
    pub last_cause: Option<Cause>,
    /// Hottest tier over all chains.
    pub tier: Tier,
    /// Frequency that the miner may run at, in per cent of the configured one.
    pub throttle: Throttle,
    /// Who sets the fans.
    pub fan_mode: FanMode,
    /// Each temperature sensor of the board file.
    pub sensors: Vec<SensorStatus>,
    /// Each chain of the board file.
    pub chains: Vec<ChainSafety>,
    /// Each fan of the board file; none in a machine without.
    pub fans: Vec<FanStatus>,
    /// The supply.
    pub supply: SupplyStatus,
    /// Restarts after faults.
    pub restarts: RestartStatus,
    /// How the keeper before this one ended; none when nobody knows.
    pub last_end: Option<LastEnd>,
    /// How many keepers in a row ended without a wanted stop, each soon after its start.
    pub unclean_ends: u32,
    /// Why the machine stays off until an operator clears it.
    pub latched: Option<Latch>,
    /// The watchdog behind the keeper.
    pub watchdog: WatchdogStatus,
    /// What the keeper's process takes.
    pub process: Option<Process>,
    /// Whether the machine blinks to be found.
    pub locate: bool,
    /// Each analogue input of the board file. Nothing is decided on them.
    pub analog: Vec<AnalogStatus>,
    /// For how long the first token may be claimed from outside, since somebody pressed the button; null when it may not.
    pub claim_seconds: Option<f64>,
}

/// How a keeper ended, as far as the one after it can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastEnd {
    /// As it was asked to.
    WantedStop,
    /// It ended by itself or was killed; the kernel has not been started since.
    Crash,
    /// The watchdog reset the machine, by the word of the watchdog's own driver.
    Watchdog,
    /// The kernel was started anew meanwhile, and the watchdog's driver does not know whether the watchdog did it.
    Reset,
    /// Without a wanted stop; more is not known.
    Unclean,
}

impl LastEnd {
    /// Whether something went wrong.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        !matches!(self, Self::WantedStop)
    }
}

impl fmt::Display for LastEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::WantedStop => "it was stopped as wanted",
            Self::Crash => {
                "the keeper ended without a wanted stop, and the machine was not reset since"
            }
            Self::Watchdog => {
                "the watchdog reset the machine: the keeper had ended or hung, or the kernel had"
            }
            Self::Reset => {
                "the machine was reset while the keeper ran or had crashed: by its watchdog, a cut of the mains, or a reset \
                 from outside"
            }
            Self::Unclean => {
                "the keeper ended without a wanted stop: a crash, the watchdog or a cut of the mains"
            }
        })
    }
}

/// One temperature sensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensorStatus {
    /// Its name in the board file.
    pub name: String,
    /// Chain that it sits on; none for the air or the control board.
    pub chain: Option<u8>,
    /// Limits that it is held to.
    pub tiers: Tiers,
    /// Last believed reading.
    pub reading: Option<Celsius>,
    /// Age of that reading in seconds.
    pub age_seconds: Option<f64>,
    /// Chip temperature that the keeper acts on: the reading raised to the chip, or the model of a lost sensor.
    pub acted_on: Option<Celsius>,
    /// Why the latest reading is not believed.
    pub fault: Option<SensorFault>,
}

/// What the keeper knows of one chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChainSafety {
    /// Chain, from 0.
    pub chain: u8,
    /// Chip temperature that the keeper acts on.
    pub temperature: Option<Celsius>,
    /// Whether a measurement, not a model, stands behind it.
    pub measured: bool,
    /// Whether its reset line is held; null until the line was driven.
    pub reset_held: Option<bool>,
    /// Whether a hash board is plugged in; null when the board cannot tell.
    pub present: Option<bool>,
    /// Name and serial number in the hash board's EEPROM, read when the keeper started; null when it could not be.
    pub hash_board: Option<String>,
    /// Hashes that its chips together had to compute so far, by the word of the emulator that plays them; null for silicon,
    /// and for emulated chips at the end of real lines.
    pub hashes_due: Option<f64>,
}

/// One fan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FanStatus {
    /// Its name in the board file.
    pub name: String,
    /// Duty it was last told, once the driver took it.
    pub duty: Option<DutyPercent>,
    /// Speed measured.
    pub speed: Option<Rpm>,
    /// Age of that in seconds.
    pub age_seconds: Option<f64>,
    /// What the two together mean.
    pub condition: FanCondition,
}

/// One analogue input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnalogStatus {
    /// Its name in the board file.
    pub name: String,
    /// Chain that it belongs to.
    pub chain: Option<u8>,
    /// What it measures.
    pub measures: Quantity,
    /// Last reading, if it could be read the last time.
    pub reading: Option<AnalogReading>,
    /// Age of that in seconds.
    pub age_seconds: Option<f64>,
    /// Whether it could not be read the last time.
    pub failing: bool,
}

/// What an analogue input measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnalogReading {
    /// A voltage.
    Voltage(Millivolts),
    /// A current.
    Current(Amperes),
}

/// The supply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupplyStatus {
    /// Its part name in the board file.
    pub part: String,
    /// What its rail may be set to.
    pub limits: VoltageLimits,
    /// Whether the keeper wants the rail on.
    pub wanted_on: bool,
    /// Setting wanted.
    pub wanted: Millivolts,
    /// Volts measured.
    pub measured: Option<Millivolts>,
    /// Power measured at the input or output, where the part can.
    pub power: Option<Watts>,
    /// Temperature of the supply, where the part can.
    pub temperature: Option<Celsius>,
    /// Age of the measurements in seconds.
    pub age_seconds: Option<f64>,
    /// What is wrong with it.
    pub fault: Option<SupplyFault>,
}

/// How often power was given again after faults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RestartStatus {
    /// Restarts that count against the budget now.
    pub used: u32,
    /// How many may.
    pub budget: u32,
    /// Restarts since the keeper started.
    pub total: u32,
    /// Seconds until the next one may begin; null when none is due.
    pub next_in_seconds: Option<f64>,
}

/// The kept cause of a latched machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latch {
    /// What latched it.
    pub cause: Cause,
    /// Wall clock then, seconds since 1970; null when the clock was not set.
    pub unix_time: Option<u64>,
    /// Whether it was read from disk, so from before this keeper's start.
    pub kept: bool,
}

/// The hardware watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchdogStatus {
    /// Whether there is one and it runs.
    pub armed: bool,
    /// Its timeout in seconds.
    pub timeout_seconds: Option<f64>,
    /// Seconds since it was fed.
    pub fed_seconds_ago: Option<f64>,
}
