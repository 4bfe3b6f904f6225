//! What the guard is told, and what it says.

use super::super::cooling::CoolingRoom;
use super::super::proofs::LoopRule;
use super::super::state::State;
use crate::link::Loop;
use crate::link::status::LastEnd;
use cgminer_board::file::Quantity;
use cgminer_board::moment::Moment;
use cgminer_board::power::{SupplyReading, VoltageLimits};
use cgminer_board::thermal::{self, FanMode, Observation};
use cgminer_hal::units::{DutyPercent, Millivolts, Rpm, Watts};

/// What the decision has to know of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Name of the board file.
    pub board: String,
    /// Whether the machine is an emulated one.
    pub emulated: bool,
    /// What was read of a board that nobody knows.
    pub unknown: Option<String>,
    /// What of the hardware could not be opened.
    pub broken: Option<String>,
    /// For each chain, whether nothing is plugged in as far as its EEPROM can tell. A sensor that answers contradicts it.
    pub absent: Vec<bool>,
    /// For each chain, what its hash board's EEPROM calls it.
    pub hash_boards: Vec<Option<String>>,
    /// Sensors, fans and their limits.
    pub thermal: thermal::Settings,
    /// What of the cooling can be chosen while the machine runs.
    pub cooling: CoolingRoom,
    /// Name of the supply's part.
    pub supply: String,
    /// Whether the supply has an enable line, so that it can be switched off without its answer.
    pub has_enable_line: bool,
    /// For each chain, whether its board has a voltage controller that must be on before chips may run.
    pub controllers: Vec<bool>,
    /// What the rail may be set to.
    pub voltage: VoltageLimits,
    /// What the rail is set to when nobody says.
    pub default_voltage: Millivolts,
    /// Most that the machine may draw.
    pub power_limit: Watts,
    /// Who sets the fans at first.
    pub fan_mode: FanMode,
    /// Analogue inputs, in the order of their indices.
    pub analog: Vec<Analog>,
    /// Whether the watchdog's driver says that the watchdog reset the machine before this start.
    pub watchdog_has_reset: bool,
    /// How the keeper before this one ended.
    pub last_end: LastKeeper,
    /// Loops of the keeper that must prove themselves.
    pub loops: Vec<LoopRule>,
}

/// What is known of the keepers before this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastKeeper {
    /// How the last one ended; none when nobody knows.
    pub end: Option<LastEnd>,
    /// How many in a row ended without a wanted stop, each soon after its start.
    pub unclean_ends: u32,
}

/// An analogue input.
#[derive(Clone, Debug, PartialEq)]
pub struct Analog {
    /// Its name in the board file.
    pub name: String,
    /// Chain that it belongs to.
    pub chain: Option<u8>,
    /// What it measures.
    pub measures: Quantity,
}

/// What happened since the last decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// What reading each temperature gave, by its index, and when.
    pub sensors: Vec<(usize, Observation, Moment)>,
    /// Speeds of fans, by index, and when.
    pub fans: Vec<(usize, Rpm, Moment)>,
    /// What reading the supply gave, and when.
    pub supply: Vec<(SupplyReading, Moment)>,
    /// For each chain, whether a board is plugged in; none when not read, or when the board cannot tell.
    pub present: Vec<Option<bool>>,
    /// What the drivers confirm to be doing.
    pub applied: Applied,
    /// Whether the voltage controller of a chain's board did as told, and when.
    pub controllers: Vec<(usize, bool, Moment)>,
    /// Which loops came round, by index, and when.
    pub beats: Vec<(usize, Moment)>,
    /// What the miner did.
    pub miner: Vec<MinerEvent>,
}

/// What the drivers of the actuators confirm. None: not confirmed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// Duty of the fans.
    pub duty: Option<DutyPercent>,
    /// Enable line.
    pub enable: Option<bool>,
    /// Setting of the supply.
    pub preset: Option<Millivolts>,
    /// For each chain, whether its reset line is held.
    pub resets: Vec<Option<bool>>,
    /// For each chain, whether its board's voltage controller is on.
    pub controllers: Vec<Option<bool>>,
}

/// What the miner did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MinerEvent {
    /// It was started.
    Started,
    /// One of its loops reported.
    Alive(Loop),
    /// It ended.
    Died(String),
    /// It sent what no honest miner sends, or cannot be talked to any more.
    LinkBroken(String),
}

/// What is to be driven.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// Where the keeper stands.
    pub state: State,
    /// Setting that the supply is told; none: leave it.
    pub preset: Option<Millivolts>,
    /// Whether the supply delivers. Its own watchdog, where it has one, is fed only while this holds.
    pub enable: bool,
    /// For each chain, whether its reset line is held.
    pub resets: Vec<bool>,
    /// Duty of all fans.
    pub duty: DutyPercent,
    /// Whether every loop met its deadline, so that the hardware watchdog is fed.
    pub feed_watchdog: bool,
    /// Whether the miner is to run, be ended, or be left as it is.
    pub miner: MinerOrder,
}

/// What becomes of the miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinerOrder {
    /// As it is.
    Leave,
    /// Start it.
    Start,
    /// End it without asking.
    Kill,
    /// Ask it to end.
    Stop,
}
