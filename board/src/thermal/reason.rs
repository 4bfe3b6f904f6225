//! Why the thermal decision is what it is.

use super::fan::{FanCondition, FanMode};
use super::sensor::SensorFault;
use cgminer_hal::units::Celsius;
use core::fmt;

/// The one reason that ruled, the gravest where several hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// All is well: the fan mode rules.
    Mode(FanMode),
    /// All is well, the rail is off.
    Unpowered,
    /// A sensor has not yet shown that it feels its chain's heat.
    Unproven {
        /// Its name.
        sensor: String,
    },
    /// A fan cannot be counted on; the others are enough.
    FanLost {
        /// Its name.
        fan: String,
        /// What is wrong with it.
        condition: FanCondition,
    },
    /// A temperature reached its hot limit.
    Hot(Reached),
    /// A temperature reached its dangerous limit.
    TooHot(Reached),
    /// A chain has no temperature.
    NoTemperature {
        /// Chain, from 0.
        chain: u8,
    },
    /// Fewer fans can be counted on than the board needs.
    TooFewFans {
        /// Fans that can be counted on.
        counted: u8,
        /// Fans needed.
        needed: u8,
        /// Name of the first of the others.
        fan: String,
        /// What is wrong with it.
        condition: FanCondition,
    },
}

/// A temperature at a limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached {
    /// Name of the sensor.
    pub sensor: String,
    /// Measured, or modelled when `lost` is given.
    pub temperature: Celsius,
    /// Limit that it reached.
    pub limit: Celsius,
    /// Why no measurement stands behind it, when none does.
    pub lost: Option<SensorFault>,
}

impl Reason {
    /// Whether it is the same reason as another, numbers aside: no news for a log.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Hot(one), Self::Hot(two)) | (Self::TooHot(one), Self::TooHot(two)) => {
                one.sensor == two.sensor && one.lost == two.lost
            }
            (one, two) => one == two,
        }
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sensor,
            temperature,
            limit,
            lost,
        } = self;
        match lost {
            None => write!(
                formatter,
                "{sensor} at {:.1} C, the limit is {:.1} C",
                temperature.0, limit.0
            ),
            Some(fault) => write!(
                formatter,
                "{sensor} {fault} and may be at {:.1} C, the limit is {:.1} C",
                temperature.0, limit.0
            ),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mode(mode) => write!(formatter, "all is well, fans: {mode}"),
            Self::Unpowered => formatter.write_str("all is well, the rail is off"),
            Self::Unproven { sensor } => {
                write!(
                    formatter,
                    "fans full until {sensor} has felt its chain's heat"
                )
            }
            Self::FanLost { fan, condition } => {
                write!(formatter, "fans full because {fan} is {condition}")
            }
            Self::Hot(reached) => write!(formatter, "hot: {reached}"),
            Self::TooHot(reached) => write!(formatter, "dangerous: {reached}"),
            Self::NoTemperature { chain } => {
                write!(
                    formatter,
                    "chain {chain} has no temperature that can be believed"
                )
            }
            Self::TooFewFans {
                counted,
                needed,
                fan,
                condition,
            } => write!(
                formatter,
                "{counted} fans can be counted on, {needed} are needed: {fan} is {condition}"
            ),
        }
    }
}
