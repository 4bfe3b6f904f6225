//! The board file: one machine's wiring and limits, as TOML.
//!
//! [`BoardFile::parse`] takes text and gives a file that has passed every check, or an error that names each field
//! at fault. `docs/boards.md` describes the format with an example that a test runs.

mod catalog;
mod check;
mod unknown;
mod wiring;

pub use catalog::{Catalog, built_in};
pub use check::Finding;
pub use wiring::{
    AdcChannel, AdcPart, AdcSpec, ButtonSpecs, ChainSpec, EepromSpec, FanControl, FanSpec,
    LedSpecs, Quantity, Role, SensorPart, SensorSpec, SupplyPart, SupplySpec,
    VoltageControllerPart, VoltageControllerSpec,
};

use crate::document::{self, Segment};
use cgminer_hal::i2c::I2cBusSpec;
use cgminer_hal::units::{Baud, Celsius, DutyPercent, Megahertz, Millivolts, Watts};
use cgminer_hal::watchdog::WatchdogSpec;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use thiserror::Error;

/// The format that this program reads.
pub const SCHEMA: u32 = 1;

/// Everything that differs between two kinds of machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardFile {
    /// Format of the file: [`SCHEMA`].
    pub schema: u32,
    /// Name that config and messages use, as `l7`: lower-case letters, digits and dashes.
    pub name: String,
    /// What it is, in words.
    pub title: String,
    /// What of it has run on real hardware, each with unit and date. Empty: nothing has.
    pub ran_on_hardware: Vec<String>,
    /// Public sources of the numbers.
    pub sources: Vec<String>,
    /// How the machine is recognised.
    #[serde(default)]
    pub detect: Detect,
    /// What sits on each chain.
    pub layout: ChainLayout,
    /// I2C buses, each with the addresses never written to.
    #[serde(default)]
    pub i2c: Vec<I2cBusSpec>,
    /// Hash-board chains, in the order of their connectors.
    pub chains: Vec<ChainSpec>,
    /// Temperature sensors.
    #[serde(default)]
    pub sensors: Vec<SensorSpec>,
    /// Fans.
    #[serde(default)]
    pub fans: Vec<FanSpec>,
    /// Power supply.
    #[serde(default)]
    pub supply: Option<SupplySpec>,
    /// Analogue inputs.
    #[serde(default)]
    pub adc: Vec<AdcSpec>,
    /// Lights.
    #[serde(default)]
    pub leds: LedSpecs,
    /// Buttons.
    #[serde(default)]
    pub buttons: ButtonSpecs,
    /// Hardware watchdog.
    #[serde(default)]
    pub watchdog: Option<WatchdogSpec>,
    /// Temperatures to act at.
    pub thermal: Thermal,
    /// Electric limits of the machine.
    pub power: Power,
}

/// How a machine is told from others. All that are given must match; a file with none is never detected, only named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detect {
    /// Texts of which one must be the device tree's `model`, whole, letter case aside.
    #[serde(default)]
    pub device_tree: Vec<String>,
    /// Beginnings of the board name in the hash boards' EEPROMs, of which every board that has one must match one.
    #[serde(default)]
    pub eeprom_board: Vec<String>,
}

/// What sits on each chain, and how fast and at what voltage it may run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainLayout {
    /// Model of the chip, as the chain driver names it: `BM1362`, `L7`.
    pub chip: String,
    /// Chips of a whole chain.
    pub chips: u16,
    /// Voltage domains of a chain; the chips are spread evenly over them.
    pub domains: u16,
    /// Clock of the chips.
    pub frequency: FrequencyRange,
    /// Rail to the hash boards.
    pub voltage: VoltageRange,
    /// Speed of the serial line once the chips run.
    pub baud: Baud,
}

/// A range of clocks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrequencyRange {
    /// Lowest.
    pub min_mhz: Megahertz,
    /// Used when the owner says nothing.
    pub default_mhz: Megahertz,
    /// Highest.
    pub max_mhz: Megahertz,
}

/// A range of voltages.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoltageRange {
    /// Lowest.
    pub min_mv: Millivolts,
    /// Used when the owner says nothing.
    pub default_mv: Millivolts,
    /// Highest.
    pub max_mv: Millivolts,
}

/// Temperatures to act at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thermal {
    /// Limits of readings with role `chip`.
    #[serde(default)]
    pub chip: Option<Tiers>,
    /// Limits of readings with role `pcb`.
    #[serde(default)]
    pub pcb: Option<Tiers>,
    /// Limits of readings with role `inlet`.
    #[serde(default)]
    pub inlet: Option<Tiers>,
    /// How fast a sensor that gives no reading is taken to heat up, in kelvin per second since its last one.
    pub unseen_rise_c_per_s: f32,
    /// After a cut-off, power comes back only below this, on every reading.
    pub resume_below_c: Celsius,
    /// Fans that must turn for the machine to have power, in every mode but immersion.
    pub fans_required: u8,
    /// Least duty while the hash boards have power.
    pub fan_duty_min: DutyPercent,
}

/// Three temperatures, each above the one before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tiers {
    /// What the fans aim at.
    pub target_c: Celsius,
    /// Fans full and clock down from here on.
    pub hot_c: Celsius,
    /// Power off from here on.
    pub dangerous_c: Celsius,
}

/// Electric limits of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// Most that the machine may draw.
    pub limit_w: Watts,
}

/// Why a text is no board file.
#[derive(Debug, Error)]
pub enum BoardFileError {
    /// It is not TOML, or a field is missing, unknown or of the wrong type.
    #[error("board file {origin}: {path}: {message}")]
    Parse {
        /// File name, or the name of a compiled-in file.
        origin: String,
        /// Field, as `chains[1].reset.line`.
        path: String,
        /// What is wrong, with its line.
        message: String,
    },
    /// Its values break rules.
    #[error("board file {origin}: {} to correct:{}", count(.findings), listed(.findings))]
    Invalid {
        /// File name, or the name of a compiled-in file.
        origin: String,
        /// Every rule that is broken.
        findings: Vec<Finding>,
    },
    /// It could not be read.
    #[error("board file {origin}: cannot be read: {source}")]
    Io {
        /// File name.
        origin: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// No such board.
    #[error("no board named {name:?}; there are: {known}")]
    Unknown {
        /// Name asked for.
        name: String,
        /// Names that there are.
        known: String,
    },
}

impl BoardFile {
    /// Reads and checks a board file. `origin` is what errors call it.
    pub fn parse(text: &str, origin: &str) -> Result<Self, BoardFileError> {
        let parse_error = |path: String, message: String| BoardFileError::Parse {
            origin: origin.to_owned(),
            path,
            message,
        };
        let tree: toml::Value = toml::from_str(text)
            .map_err(|error| parse_error("whole file".to_owned(), error.to_string()))?;
        let file: Self = document::take(&tree).map_err(|refusal| {
            let line = document::line_of(text, &refusal.path);
            let path = Segment::display_path(&refusal.path);
            parse_error(path, format!("line {line}: {}", refusal.message))
        })?;
        let findings = file.check();
        if findings.is_empty() {
            Ok(file)
        } else {
            Err(BoardFileError::Invalid {
                origin: origin.to_owned(),
                findings,
            })
        }
    }

    /// The limits that hold for readings of a role; a checked file has them for every role that its sensors name.
    pub fn tiers(&self, role: Role) -> Option<Tiers> {
        match role {
            Role::Chip => self.thermal.chip,
            Role::Pcb => self.thermal.pcb,
            Role::Inlet => self.thermal.inlet,
        }
    }

    /// The bus of that name.
    pub fn bus(&self, name: &str) -> Option<&I2cBusSpec> {
        self.i2c.iter().find(|bus| bus.bus == name)
    }
}

fn count(findings: &[Finding]) -> String {
    match findings.len() {
        1 => "1 value".to_owned(),
        several => format!("{several} values"),
    }
}

fn listed(findings: &[Finding]) -> String {
    findings.iter().fold(String::new(), |mut text, finding| {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {finding}");
        text
    })
}
