//! What can be made to go wrong, while the machine runs.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One fault. The TOML form is what scenario files and the control socket take:
/// `{ fault = "fan-stop", fan = "fan0" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The sensor does not acknowledge its address.
    SensorNak {
        /// Sensor by name.
        sensor: String,
    },
    /// The sensor goes on giving the value that it gave when the fault came.
    SensorStuck {
        /// Sensor by name.
        sensor: String,
    },
    /// The sensor reads zero.
    SensorZero {
        /// Sensor by name.
        sensor: String,
    },
    /// The sensor gives the least value that its register can hold, which is no temperature.
    SensorImplausible {
        /// Sensor by name.
        sensor: String,
    },
    /// The sensor reads this much more than is so.
    SensorJump {
        /// Sensor by name.
        sensor: String,
        /// Degrees, may be negative.
        celsius: f32,
    },
    /// The sensor gives what was so a while ago.
    SensorLate {
        /// Sensor by name.
        sensor: String,
        /// Age of what it gives, at most 120.
        seconds: u32,
    },
    /// The remote diodes of the sensor are open.
    SensorOpenDiode {
        /// Sensor by name.
        sensor: String,
    },
    /// The fan stands still, and its tachometer says so.
    FanStop {
        /// Fan by name.
        fan: String,
    },
    /// The fan turns at this share of what its duty asks for.
    FanSlow {
        /// Fan by name.
        fan: String,
        /// Share, 0 to 1.
        share: f32,
    },
    /// The tachometer gives this speed, whatever the fan does.
    TachLies {
        /// Fan by name.
        fan: String,
        /// Speed that is pretended.
        rpm: u32,
    },
    /// The fan stands still while its tachometer tells of the speed it should have.
    FanStopTachLies {
        /// Fan by name.
        fan: String,
    },
    /// The supply does not acknowledge its address.
    SupplyNak,
    /// The supply answers with wrong checksums.
    SupplyBadChecksum,
    /// The supply takes frames and never answers.
    SupplySilent,
    /// The supply delivers this much more than it was told, and measures it rightly.
    SupplyOverVoltage {
        /// Excess.
        millivolts: u32,
    },
    /// The supply's protection cuts its output until it is disabled and enabled again.
    SupplyTrip,
    /// The rail sags to this, whatever the supply was told.
    BrownOut {
        /// Rail.
        millivolts: u32,
    },
    /// The supply's enable line switches it off no more, once it is on. Its own watchdog still does.
    EnableStuck,
    /// The supply goes on giving its volts once it is on, whatever its enable line, its commands and its own watchdog say.
    SupplyStuckOn,
    /// The voltage controller of a chain stops hearing heartbeats.
    HeartbeatLoss {
        /// Chain, from 0.
        chain: usize,
    },
    /// The voltage controller of a chain does not acknowledge its address; it switches off when its heartbeats stay away.
    ControllerNak {
        /// Chain, from 0.
        chain: usize,
    },
    /// The voltage controller of a chain refuses every command.
    ControllerRefuses {
        /// Chain, from 0.
        chain: usize,
    },
    /// A chip neither answers nor passes anything on: the chain ends before it.
    ChipCutsChain {
        /// Chain, from 0.
        chain: usize,
        /// Chip, from 0, nearest to the host first.
        chip: usize,
    },
    /// A chip passes everything on and says nothing itself.
    ChipSilent {
        /// Chain, from 0.
        chain: usize,
        /// Chip, from 0.
        chip: usize,
    },
    /// Nothing comes back from the chain.
    ChainMute {
        /// Chain, from 0.
        chain: usize,
    },
    /// Bytes are damaged on the line, in both directions, each by chance.
    LineNoise {
        /// Chain, from 0.
        chain: usize,
        /// Chance per byte that one bit is inverted.
        #[serde(default)]
        flip: f64,
        /// Chance per byte that it is lost.
        #[serde(default)]
        drop: f64,
        /// Chance per byte that one is put in front of it.
        #[serde(default)]
        insert: f64,
        /// Chance per byte that it comes twice.
        #[serde(default)]
        duplicate: f64,
    },
    /// The chips' crystal runs off, so that they listen and talk at this many times their speed.
    BaudMismatch {
        /// Chain, from 0.
        chain: usize,
        /// Factor.
        factor: f64,
    },
    /// A core reports the same nonce again and again, and nothing else.
    StuckCore {
        /// Chain, from 0.
        chain: usize,
        /// Chip, from 0.
        chip: usize,
        /// Core, from 0.
        core: u32,
    },
    /// Chips report nonces that are none.
    BadNonces {
        /// Chain, from 0.
        chain: usize,
        /// Share of the chain's nonces that are spoiled, 0 to 1.
        share: f64,
    },
    /// Each change of a chip's PLL brings frames with a good checksum and no meaning.
    PllGarbage {
        /// Chain, from 0.
        chain: usize,
    },
    /// Chips send register 40 without being asked, once a second.
    Chatter {
        /// Chain, from 0.
        chain: usize,
    },
    /// The board takes this much heat from elsewhere, as from a loose heat sink.
    OverTemperature {
        /// Chain, from 0.
        chain: usize,
        /// Heat.
        watts: f32,
    },
    /// The board is pulled from its connector.
    BoardGone {
        /// Chain, from 0.
        chain: usize,
    },
    /// The room is this much warmer.
    HotRoom {
        /// Degrees.
        celsius: f32,
    },
}

/// What a fault befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The machine as a whole, or its one supply.
    Machine,
    /// A sensor by name.
    Sensor(&'a str),
    /// A fan by name.
    Fan(&'a str),
    /// A chain.
    Chain(usize),
    /// A chip of a chain.
    Chip(usize, usize),
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => formatter.write_str("machine"),
            Self::Sensor(name) => write!(formatter, "sensor {name:?}"),
            Self::Fan(name) => write!(formatter, "fan {name:?}"),
            Self::Chain(chain) => write!(formatter, "chain {chain}"),
            Self::Chip(chain, chip) => write!(formatter, "chip {chip} on chain {chain}"),
        }
    }
}

impl Fault {
    /// What it befalls.
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Self::SensorNak { sensor }
            | Self::SensorStuck { sensor }
            | Self::SensorZero { sensor }
            | Self::SensorImplausible { sensor }
            | Self::SensorJump { sensor, .. }
            | Self::SensorLate { sensor, .. }
            | Self::SensorOpenDiode { sensor } => Subject::Sensor(sensor),
            Self::FanStop { fan }
            | Self::FanSlow { fan, .. }
            | Self::TachLies { fan, .. }
            | Self::FanStopTachLies { fan } => Subject::Fan(fan),
            Self::SupplyNak
            | Self::SupplyBadChecksum
            | Self::SupplySilent
            | Self::SupplyOverVoltage { .. }
            | Self::SupplyTrip
            | Self::BrownOut { .. }
            | Self::EnableStuck
            | Self::SupplyStuckOn
            | Self::HotRoom { .. } => Subject::Machine,
            Self::HeartbeatLoss { chain }
            | Self::ControllerNak { chain }
            | Self::ControllerRefuses { chain }
            | Self::ChainMute { chain }
            | Self::LineNoise { chain, .. }
            | Self::BaudMismatch { chain, .. }
            | Self::BadNonces { chain, .. }
            | Self::PllGarbage { chain }
            | Self::Chatter { chain }
            | Self::OverTemperature { chain, .. }
            | Self::BoardGone { chain } => Subject::Chain(*chain),
            Self::ChipCutsChain { chain, chip }
            | Self::ChipSilent { chain, chip }
            | Self::StuckCore { chain, chip, .. } => Subject::Chip(*chain, *chip),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct One {
        inject: Fault,
    }

    #[test]
    fn a_fault_reads_from_one_line() {
        let one: One = toml::from_str(r#"inject = { fault = "fan-stop", fan = "fan0" }"#).unwrap();
        assert_eq!(one.inject, Fault::FanStop { fan: "fan0".into() });
        let one: One = toml::from_str(r#"inject = { fault = "supply-trip" }"#).unwrap();
        assert_eq!(one.inject, Fault::SupplyTrip);
    }

    #[test]
    fn an_unknown_field_or_fault_is_refused() {
        for text in [
            r#"inject = { fault = "fan-stop", fan = "fan0", speed = 3 }"#,
            r#"inject = { fault = "fan-flies" }"#,
            r#"inject = { fault = "chain-mute" }"#,
        ] {
            assert!(toml::from_str::<One>(text).is_err(), "{text}");
        }
    }
}
