//! The description of a machine: what parts it has and what they are wired to.

use crate::chain::ChipType;
use cgminer_hal::{
    gpio::{LineId, SignalSpec},
    pwm::PwmSpec,
    tach::TachSpec,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A whole machine. The TOML form is strict: an unknown key is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineSettings {
    /// What the device tree's `model` reads.
    pub model: String,
    /// Temperature of the room.
    pub ambient_c: f32,
    /// How much is really hashed.
    pub search: SearchSettings,
    /// Electrical and thermal nature of one hash board.
    pub board: BoardSettings,
    /// Hash boards.
    pub chains: Vec<ChainWiring>,
    /// Temperature sensors.
    #[serde(default)]
    pub sensors: Vec<SensorWiring>,
    /// Fans.
    #[serde(default)]
    pub fans: Vec<FanWiring>,
    /// Power supply; without one the rail is always at its nominal voltage.
    #[serde(default)]
    pub supply: Option<SupplyWiring>,
    /// Hash-board EEPROMs.
    #[serde(default)]
    pub eeproms: Vec<EepromWiring>,
    /// Voltage controllers of hash boards.
    #[serde(default)]
    pub controllers: Vec<ControllerWiring>,
    /// Fan controllers on I2C.
    #[serde(default)]
    pub fan_controllers: Vec<FanControllerWiring>,
    /// SPI converters that measure each chain's current, one input per chain.
    #[serde(default)]
    pub adcs: Vec<AdcWiring>,
    /// Lights of `/sys/class/leds`.
    #[serde(default)]
    pub leds: Vec<String>,
    /// Lines that hang on nothing but a light or a button, with the level that they rest at.
    #[serde(default)]
    pub lines: Vec<LineWiring>,
    /// Watchdog devices.
    #[serde(default)]
    pub watchdogs: Vec<String>,
}

/// How much of the search space is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchSettings {
    /// The declared knob: zero bits that hashes need before the ticket mask counts; 32 on silicon.
    pub hardwired_zero_bits: u32,
    /// Hashes per second of the whole machine under a virtual clock.
    pub hashes_per_second: f64,
    /// Share of one processor core that hashing may take under a real clock, 0 to 1.
    pub core_share: f64,
}

/// One hash board, with the point at which its power is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardSettings {
    /// Rail at the known point.
    pub nominal_mv: u32,
    /// Chip clock at the known point.
    pub nominal_mhz: f32,
    /// Power of a whole board while hashing at the known point.
    pub nominal_w: f32,
    /// Rail below which chips forget everything.
    pub brown_out_mv: u32,
}

/// One chain and its lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainWiring {
    /// Chip type.
    pub chip: ChipType,
    /// Chips.
    pub chips: usize,
    /// Serial device.
    pub uart: String,
    /// Reset line; active holds the chips.
    pub reset: SignalSpec,
    /// Presence line; active means that a board is plugged in.
    #[serde(default)]
    pub presence: Option<SignalSpec>,
}

/// A temperature sensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorWiring {
    /// Name that faults use, unique.
    pub name: String,
    /// Part.
    pub part: SensorPart,
    /// Bus, as `i2c-0`.
    pub bus: String,
    /// 7-bit address.
    pub address: u8,
    /// What it sits on.
    pub at: Place,
    /// What its remote diodes sit on.
    #[serde(default)]
    pub remotes: Vec<Place>,
}

/// Sensors that there are models of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SensorPart {
    /// NXP LM75A, 0.125 C.
    Lm75,
    /// TI TMP75, 0.0625 C.
    Tmp75,
    /// TI TMP451, one diode.
    Tmp451,
    /// onsemi ADT7461, one diode.
    Adt7461,
    /// onsemi NCT218, one diode.
    Nct218,
    /// TI TMP421, one diode.
    Tmp421,
    /// Microchip EMC1413, two diodes.
    Emc1413,
}

/// A place that has a temperature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "place", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Place {
    /// Air that is drawn in.
    Inlet,
    /// Air that is blown out.
    Outlet,
    /// The surface of a board where air comes in.
    BoardInlet {
        /// Chain, from 0.
        chain: usize,
    },
    /// The surface of a board where air goes out.
    BoardOutlet {
        /// Chain, from 0.
        chain: usize,
    },
    /// The chips' junctions.
    Chip {
        /// Chain, from 0.
        chain: usize,
    },
}

/// A fan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FanWiring {
    /// Name that faults use, unique.
    pub name: String,
    /// Output that drives it; left out when a fan controller does.
    #[serde(default)]
    pub pwm: Option<PwmSpec>,
    /// Input that its tachometer goes to; left out when a fan controller counts.
    #[serde(default)]
    pub tach: Option<TachSpec>,
    /// Speed at full duty.
    pub full_rpm: u32,
}

/// The supply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupplyWiring {
    /// Part.
    pub part: SupplyPart,
    /// Bus, as `i2c-1`.
    pub bus: String,
    /// 7-bit address.
    pub address: u8,
    /// Line that lets it deliver.
    #[serde(default)]
    pub enable: Option<SignalSpec>,
    /// Power beyond which it trips.
    pub rated_w: f32,
}

/// Supplies that there are models of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SupplyPart {
    /// Bitmain APW9.
    Apw9,
    /// Bitmain APW12.
    Apw12,
    /// A PMBus supply with linear formats.
    Pmbus,
}

/// A hash-board EEPROM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EepromWiring {
    /// Bus.
    pub bus: String,
    /// 7-bit address.
    pub address: u8,
    /// Content as hex digits, filled up with FF; the image of a published board if left out.
    #[serde(default)]
    pub image: Option<String>,
}

/// A voltage controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControllerWiring {
    /// Part.
    pub part: ControllerPart,
    /// Bus.
    pub bus: String,
    /// 7-bit address.
    pub address: u8,
    /// Chain that it feeds.
    pub chain: usize,
}

/// Voltage controllers that there are models of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControllerPart {
    /// PIC16F1704 of an S9.
    Pic16f1704,
    /// dsPIC33EP of S17 and later.
    Dspic33ep,
}

/// A fan controller and the fans on its channels, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FanControllerWiring {
    /// Part.
    pub part: FanControllerPart,
    /// Bus.
    pub bus: String,
    /// 7-bit address.
    pub address: u8,
    /// Fans by name.
    pub fans: Vec<String>,
}

/// Fan controllers that there are models of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FanControllerPart {
    /// Maxim MAX31785.
    Max31785,
    /// Microchip EMC2305.
    Emc2305,
}

/// An SPI converter; input n measures the current of chain n.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdcWiring {
    /// Device, as `spidev0.0`.
    pub device: String,
    /// Reference voltage.
    pub reference_mv: u32,
    /// Amperes that one volt at an input stands for.
    pub amperes_per_volt: f32,
}

/// A line that rests at a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineWiring {
    /// Which.
    pub line: LineId,
    /// Whether it rests high.
    pub high: bool,
}

/// A description that describes no machine.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// It is not TOML of this form.
    #[error("machine description: {0}")]
    Syntax(#[from] toml::de::Error),
    /// It contradicts itself or names what it does not have.
    #[error("machine description: {what}; correct it")]
    Nonsense {
        /// What is wrong.
        what: String,
    },
}

impl MachineSettings {
    /// The L7 profile: 3 chains of 126 BM1362, four fans, LM75 sensors, an APW12.
    ///
    /// # Errors
    /// None, as a test holds; the type is that of any description.
    pub fn l7() -> Result<Self, SettingsError> {
        Self::from_toml(include_str!("../../machines/l7.toml"))
    }

    /// A machine with every part that there is a model of.
    ///
    /// # Errors
    /// None, as a test holds; the type is that of any description.
    pub fn every_part() -> Result<Self, SettingsError> {
        Self::from_toml(include_str!("../../machines/every-part.toml"))
    }

    /// Reads a description and checks it.
    ///
    /// # Errors
    /// With the line, or with what contradicts itself.
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text)?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), SettingsError> {
        let chains = self.chains.len();
        let places = self
            .sensors
            .iter()
            .flat_map(|sensor| std::iter::once(&sensor.at).chain(&sensor.remotes));
        for place in places {
            if let Place::BoardInlet { chain }
            | Place::BoardOutlet { chain }
            | Place::Chip { chain } = place
            {
                ensure(*chain < chains, || {
                    format!("a sensor sits on chain {chain} of {chains}")
                })?;
            }
        }
        for controller in &self.controllers {
            ensure(controller.chain < chains, || {
                format!("a controller feeds chain {} of {chains}", controller.chain)
            })?;
        }
        for chain in &self.chains {
            ensure((1..=256).contains(&chain.chips), || {
                format!("a chain of {} chips; 1 to 256 work", chain.chips)
            })?;
        }
        for name in self
            .fan_controllers
            .iter()
            .flat_map(|controller| &controller.fans)
        {
            ensure(self.fans.iter().any(|fan| fan.name == *name), || {
                format!("no fan is named {name:?}")
            })?;
        }
        ensure(self.search.hardwired_zero_bits <= 32, || {
            "more than 32 hard-wired zero bits".into()
        })?;
        ensure((1.0..=1e9).contains(&self.search.hashes_per_second), || {
            "hashes_per_second outside 1 to 1e9".into()
        })?;
        ensure((0.01..=1.0).contains(&self.search.core_share), || {
            "core_share outside 0.01 to 1".into()
        })?;
        ensure(
            self.board.nominal_mv > 0 && self.board.nominal_mhz > 0.0,
            || "a board without a nominal point".into(),
        )
    }
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), SettingsError> {
    if holds {
        Ok(())
    } else {
        Err(SettingsError::Nonsense { what: what() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_machines_are_sound() {
        let l7 = MachineSettings::l7().unwrap();
        assert_eq!(l7.chains.len(), 3);
        assert!(
            l7.chains
                .iter()
                .all(|chain| chain.chips == 126 && chain.chip == ChipType::Bm1362)
        );
        MachineSettings::every_part().unwrap();
    }

    #[test]
    fn a_description_that_contradicts_itself_says_where() {
        let text = include_str!("../../machines/l7.toml");
        for (old, new, part) in [
            ("chips = 126", "chips = 300", "300 chips"),
            ("chain = 2", "chain = 3", "chain 3 of 3"),
            ("ambient_c", "ambient_k", "ambient_k"),
            (
                "hardwired_zero_bits = 12",
                "hardwired_zero_bits = 40",
                "32 hard-wired",
            ),
        ] {
            let error = MachineSettings::from_toml(&text.replace(old, new)).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "\\PC{0,200}") {
            let _ = MachineSettings::from_toml(&text);
        }
    }
}
