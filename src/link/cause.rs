//! Why power was taken away, or not given.

use super::message::Loop;
use cgminer_board::power::SupplyFault;
use cgminer_board::thermal::{self, FanCondition, SensorFault};
use cgminer_hal::units::{Celsius, Millivolts};
use core::fmt;
use serde::{Deserialize, Serialize};

/// What took the power away. Kept on disk when the keeper latches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// A believable temperature reached its dangerous limit.
    TooHot {
        /// Name of the sensor.
        sensor: String,
        /// Measured, or modelled when `lost` is given.
        temperature: Celsius,
        /// Limit that was reached.
        limit: Celsius,
        /// Why no measurement stands behind the temperature, when none does.
        lost: Option<SensorFault>,
    },
    /// A chain has no temperature at all.
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
    /// The supply cannot be trusted.
    Supply {
        /// What is wrong with it.
        fault: SupplyFault,
        /// Volts measured, when they were.
        measured: Option<Millivolts>,
    },
    /// The voltage controller of a hash board does not do as told.
    BoardPower {
        /// Chain, from 0.
        chain: u8,
    },
    /// The power sequence did not come through its step in time.
    PowerSequence {
        /// Step that was not confirmed.
        step: String,
    },
    /// The miner process ended.
    MinerDied {
        /// How it ended, in words.
        how: String,
    },
    /// The miner's loop did not report in time.
    MinerSilent {
        /// Which loop.
        which: Loop,
    },
    /// The miner sent what no honest miner sends.
    LinkBroken {
        /// What was wrong.
        what: String,
    },
    /// A loop of the keeper itself missed its deadline.
    KeeperLate {
        /// Which loop.
        which: String,
    },
    /// The keeper or the whole board went down without a wanted stop, too often.
    UncleanBoots {
        /// How often in a row.
        count: u32,
    },
    /// Nobody can say what board this is.
    UnknownBoard {
        /// What was read.
        read: String,
    },
    /// Restarts were tried as often as allowed; the last cause is inside.
    RestartsSpent {
        /// Restarts tried.
        tried: u32,
        /// What took the power away the last time.
        last: Box<Cause>,
    },
    /// The kept cause could not be read back, so nobody knows why the machine was latched.
    KeptCauseUnreadable {
        /// What was wrong.
        what: String,
    },
}

impl Cause {
    /// The cause that a thermal decision gives, when it is one to take power away.
    #[must_use]
    pub fn of_heat(reason: &thermal::Reason) -> Option<Self> {
        match reason.clone() {
            thermal::Reason::TooHot(reached) | thermal::Reason::Hot(reached) => {
                Some(Self::TooHot {
                    sensor: reached.sensor,
                    temperature: reached.temperature,
                    limit: reached.limit,
                    lost: reached.lost,
                })
            }
            thermal::Reason::NoTemperature { chain } => Some(Self::NoTemperature { chain }),
            thermal::Reason::TooFewFans {
                counted,
                needed,
                fan,
                condition,
            } => Some(Self::TooFewFans {
                counted,
                needed,
                fan,
                condition,
            }),
            thermal::Reason::Mode(_)
            | thermal::Reason::Unpowered
            | thermal::Reason::Unproven { .. }
            | thermal::Reason::FanLost { .. } => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooHot {
                sensor,
                temperature,
                limit,
                lost: None,
            } => write!(
                formatter,
                "{sensor} at {:.1} C, the limit is {:.1} C",
                temperature.0, limit.0
            ),
            Self::TooHot {
                sensor,
                temperature,
                limit,
                lost: Some(fault),
            } => write!(
                formatter,
                "{sensor} {fault} and may be at {:.1} C, the limit is {:.1} C",
                temperature.0, limit.0
            ),
            Self::NoTemperature { chain } => write!(
                formatter,
                "chain {chain} has no sensor that can be believed"
            ),
            Self::TooFewFans {
                counted,
                needed,
                fan,
                condition,
            } => write!(
                formatter,
                "{counted} fans can be counted on, {needed} are needed: {fan} is {condition}"
            ),
            Self::Supply {
                fault,
                measured: Some(measured),
            } => write!(formatter, "the supply {fault} ({measured})"),
            Self::Supply {
                fault,
                measured: None,
            } => write!(formatter, "the supply {fault}"),
            Self::PowerSequence { step } => {
                write!(formatter, "power-up was not confirmed at: {step}")
            }
            Self::BoardPower { chain } => write!(
                formatter,
                "the voltage controller of chain {chain} does not do as told"
            ),
            Self::MinerDied { how } => write!(formatter, "the miner process ended: {how}"),
            Self::MinerSilent { which } => {
                write!(formatter, "the miner's {which} loop did not report in time")
            }
            Self::LinkBroken { what } => {
                write!(formatter, "the miner's messages cannot be trusted: {what}")
            }
            Self::KeeperLate { which } => {
                write!(formatter, "the keeper's {which} loop missed its deadline")
            }
            Self::UncleanBoots { count } => write!(
                formatter,
                "the machine went down {count} times without a wanted stop"
            ),
            Self::UnknownBoard { read } => write!(formatter, "the board is unknown: {read}"),
            Self::RestartsSpent { tried, last } => {
                write!(formatter, "gave up after {tried} restarts: {last}")
            }
            Self::KeptCauseUnreadable { what } => {
                write!(formatter, "the kept cause cannot be read: {what}")
            }
        }
    }
}
