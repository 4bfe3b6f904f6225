//! What the two processes may say to each other.

use super::state::State;
use super::status::KeeperStatus;
use cgminer_board::thermal::FanMode;
use cgminer_hal::units::{Celsius, DutyPercent, Millivolts};
use core::fmt;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;

/// Pairs a reply with its request; chosen by the asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u32);

/// From the miner, or from an operator's tool, to the keeper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Down {
    /// Asks for something. Answered by exactly one [`Up::Reply`].
    Request {
        /// Comes back in the reply.
        id: RequestId,
        /// What is asked for.
        request: Request,
    },
    /// The loop met its deadline just now.
    Alive(Loop),
}

/// From the keeper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Up {
    /// All measurements, about once a second and at every change of state.
    Status(Arc<KeeperStatus>),
    /// The answer to a request.
    Reply {
        /// The request's.
        id: RequestId,
        /// Done, or why not.
        result: Result<(), Refusal>,
    },
    /// The machine is being stopped on purpose: send what is to be sent, then end.
    Stop,
}

/// What may be asked of the keeper. Each is checked against the board's limits there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Whether the miner wants the rail on. A new miner wants nothing until it says so.
    SetPower {
        /// On or off.
        on: bool,
    },
    /// The rail's voltage.
    SetVoltage {
        /// Within the board's limits, or refused.
        voltage: Millivolts,
    },
    /// Who sets the fans.
    SetFanMode {
        /// The board's minimum duty and every limit stand above it.
        mode: FanMode,
    },
    /// What the fans aim at, and how many of them must turn. The board's own number of fans stands below it.
    SetCooling {
        /// Within the board's limits, or refused; none: the board's own.
        target: Option<Celsius>,
        /// No more than there are and no fewer than the owner's files say, or refused; none: the board's own.
        minimum_fans: Option<u8>,
    },
    /// Holds a chain in reset.
    HoldReset {
        /// Chain, from 0.
        chain: u8,
    },
    /// Lets a chain out of reset; only while the rail is confirmed on.
    ReleaseReset {
        /// Chain, from 0.
        chain: u8,
    },
    /// Blinks, so that the machine can be found in its rack.
    Locate {
        /// On or off.
        on: bool,
    },
    /// Forgets the latched cause. An operator's tool may always ask; the miner once an hour, and only when the machine reads well.
    ClearLatch,
    /// Stops the machine on purpose. An operator's tool may ask, the miner may not.
    Stop,
}

/// A loop of the miner that has to prove that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loop {
    /// Every chain task met its deadline.
    Chain,
    /// The pool tasks.
    Pool,
    /// The status endpoint.
    Api,
}

impl Loop {
    /// Every loop.
    pub const ALL: [Self; 3] = [Self::Chain, Self::Pool, Self::Api];
}

impl fmt::Display for Loop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Chain => "chain",
            Self::Pool => "pool",
            Self::Api => "api",
        })
    }
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Refusal {
    /// A voltage outside the board's limits.
    #[error("{asked} refused: this board allows {minimum} to {maximum}")]
    VoltageOutOfLimits {
        /// Asked for.
        asked: Millivolts,
        /// Lowest allowed.
        minimum: Millivolts,
        /// Highest allowed.
        maximum: Millivolts,
    },
    /// A duty outside 0 to 100 %, or below the board's minimum.
    #[error("a fan duty of {asked} refused: this board allows {minimum} to 100 %")]
    DutyOutOfLimits {
        /// Asked for.
        asked: DutyPercent,
        /// Lowest allowed.
        minimum: DutyPercent,
    },
    /// A target outside the board's limits.
    #[error("a target of {asked} refused: this board allows {lowest} to {highest}")]
    TargetOutOfLimits {
        /// Asked for.
        asked: Celsius,
        /// Lowest allowed.
        lowest: Celsius,
        /// Highest allowed.
        highest: Celsius,
    },
    /// More fans than the board has.
    #[error("{asked} fans refused: this board has {count}")]
    TooManyFans {
        /// Asked for.
        asked: u8,
        /// Fans there are.
        count: u8,
    },
    /// Fewer fans than the owner asks for.
    #[error(
        "{asked} fans refused: the owner's configuration file asks for {least}, change it there"
    )]
    TooFewFans {
        /// Asked for.
        asked: u8,
        /// Least allowed.
        least: u8,
    },
    /// The board has no such chain.
    #[error("chain {asked} refused: this board has {count} chains, from 0")]
    UnknownChain {
        /// Asked for.
        asked: u8,
        /// Chains there are.
        count: u8,
    },
    /// Not in this state.
    #[error("refused in state {state}: {reason}")]
    NotNow {
        /// Where the keeper stands.
        state: State,
        /// Why that forbids it.
        reason: String,
    },
    /// The miner asked for what only an operator's tool may.
    #[error("refused: only an operator's tool on the machine itself may ask for this")]
    OperatorOnly,
    /// More requests than the keeper takes.
    #[error("refused: too many requests at once, wait for the replies")]
    Busy,
}
