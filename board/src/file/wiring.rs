//! The parts of a machine and what they are wired to, as a board file spells them.

use cgminer_hal::gpio::SignalSpec;
use cgminer_hal::led::LedSpec;
use cgminer_hal::pwm::PwmSpec;
use cgminer_hal::spi::SpiSpec;
use cgminer_hal::tach::TachSpec;
use cgminer_hal::uart::UartSpec;
use cgminer_hal::units::{Rpm, Watts};
use serde::{Deserialize, Serialize};

/// One hash-board connector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainSpec {
    /// Serial line.
    pub uart: UartSpec,
    /// Reset line; active means held in reset.
    pub reset: SignalSpec,
    /// Line that tells whether a board is plugged in; active means it is. Without one, a board is taken to be there.
    #[serde(default)]
    pub presence: Option<SignalSpec>,
    /// EEPROM of the hash board.
    #[serde(default)]
    pub eeprom: Option<EepromSpec>,
    /// Controller of the hash board's DC-DC converter.
    #[serde(default)]
    pub voltage_controller: Option<VoltageControllerSpec>,
}

/// An AT24C02-class EEPROM. Its address must be on the deny list of its bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EepromSpec {
    /// Bus, as `i2c-0`.
    pub bus: String,
    /// 7-bit address.
    pub address: u8,
}

/// Controller of a hash board's DC-DC converter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoltageControllerSpec {
    /// Which.
    pub part: VoltageControllerPart,
    /// Bus, as `i2c-0`.
    pub bus: String,
    /// 7-bit address.
    pub address: u8,
}

/// Controllers that there are drivers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VoltageControllerPart {
    /// PIC16F1704 of an S9: plain frames.
    Pic16f1704,
    /// dsPIC33EP of S17 and later: frames with a sum of 8 bits.
    Dspic33ep,
}

/// A temperature sensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorSpec {
    /// Name for messages and the status, unique.
    pub name: String,
    /// Which.
    pub part: SensorPart,
    /// Bus, as `i2c-0`.
    pub bus: String,
    /// 7-bit address.
    pub address: u8,
    /// What the part's own temperature stands for.
    pub role: Role,
    /// What each of its remote diodes stands for, in the order of the data sheet.
    #[serde(default)]
    pub remotes: Vec<Role>,
    /// Chain that it sits on, counted from 0; none for the machine as a whole.
    #[serde(default)]
    pub chain: Option<u8>,
}

/// Sensors that there are drivers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SensorPart {
    /// LM75, LM75A, TMP75, TMP105: local only.
    Lm75,
    /// TMP451, ADT7461, NCT218, told apart by their ID: local and one diode.
    Tmp451,
    /// TMP421, TMP422, TMP423: local and up to three diodes.
    Tmp421,
    /// EMC1412 to EMC1414: local and up to three diodes.
    Emc1413,
}

impl SensorPart {
    /// Most remote diodes that the part can have.
    pub const fn remotes_max(self) -> usize {
        match self {
            Self::Lm75 => 0,
            Self::Tmp451 => 1,
            Self::Tmp421 | Self::Emc1413 => 3,
        }
    }
}

/// What a temperature is the temperature of; it decides which limits hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A chip's junction.
    Chip,
    /// The surface of a hash board.
    Pcb,
    /// Air or coolant drawn in.
    Inlet,
}

/// A fan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FanSpec {
    /// Name for messages and the status, unique.
    pub name: String,
    /// What sets its duty. Several fans may name the same output.
    pub control: FanControl,
    /// What tells its speed; left out for fan controllers, which count themselves.
    #[serde(default)]
    pub tach: Option<TachSpec>,
    /// Speed at full duty, from the fan's data sheet.
    pub full_rpm: Rpm,
    /// Speed below which it counts as standing.
    pub stall_rpm: Rpm,
}

/// What sets a fan's duty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum FanControl {
    /// A PWM output of the control board.
    Pwm {
        /// Which.
        pwm: PwmSpec,
    },
    /// A MAX31785 fan controller.
    Max31785 {
        /// Bus, as `i2c-0`.
        bus: String,
        /// 7-bit address.
        address: u8,
        /// Fan, 0 to 5.
        channel: u8,
    },
    /// An EMC2301, 2302, 2303 or 2305 fan controller.
    Emc2305 {
        /// Bus, as `i2c-0`.
        bus: String,
        /// 7-bit address.
        address: u8,
        /// Fan, 0 to 4.
        channel: u8,
        /// Pulses per turn of the fan, usually 2.
        pulses_per_turn: u8,
    },
}

/// Power supply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupplySpec {
    /// Which.
    pub part: SupplyPart,
    /// Bus, as `i2c-1`.
    pub bus: String,
    /// 7-bit address.
    pub address: u8,
    /// Line that lets it deliver; active means it may.
    #[serde(default)]
    pub enable: Option<SignalSpec>,
    /// Whether PMBus transfers carry the packet error code.
    #[serde(default)]
    pub pec: bool,
    /// Most that it can deliver.
    pub rated_w: Watts,
}

/// Supplies that there are drivers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SupplyPart {
    /// Bitmain APW9.
    Apw9,
    /// Bitmain APW12.
    Apw12,
    /// Any PMBus supply with linear formats.
    Pmbus,
}

/// An analogue-to-digital converter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdcSpec {
    /// Which.
    pub part: AdcPart,
    /// Where.
    pub spi: SpiSpec,
    /// Its reference voltage, which is what full scale means.
    pub reference_mv: u32,
    /// Inputs in use.
    pub channels: Vec<AdcChannel>,
}

/// Converters that there are drivers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdcPart {
    /// MCP3204: four inputs of 12 bits.
    Mcp3204,
    /// MCP3208: eight inputs of 12 bits.
    Mcp3208,
}

impl AdcPart {
    /// Inputs of the part.
    pub const fn channels(self) -> u8 {
        match self {
            Self::Mcp3204 => 4,
            Self::Mcp3208 => 8,
        }
    }
}

/// One analogue input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdcChannel {
    /// Input of the part.
    pub channel: u8,
    /// Name for messages and the status.
    pub name: String,
    /// What it measures.
    pub measures: Quantity,
    /// What one volt at the input stands for, in volts or amperes: the divider or the shunt with its amplifier.
    pub per_volt: f32,
    /// Chain that it belongs to, counted from 0; none for the machine as a whole.
    #[serde(default)]
    pub chain: Option<u8>,
}

/// What an analogue input measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantity {
    /// Volts.
    Voltage,
    /// Amperes.
    Current,
}

/// Lights by use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedSpecs {
    /// All is well.
    #[serde(default)]
    pub green: Option<LedSpec>,
    /// A fault, and "locate".
    #[serde(default)]
    pub red: Option<LedSpec>,
}

/// Buttons by use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ButtonSpecs {
    /// Back to the first settings, held long.
    #[serde(default)]
    pub reset: Option<SignalSpec>,
    /// "Here I am".
    #[serde(default)]
    pub locate: Option<SignalSpec>,
}
