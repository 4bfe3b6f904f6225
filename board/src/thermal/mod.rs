//! Thermal decisions: what to believe of sensors and fans, how fast the fans turn, when to throttle, when to cut power.
//!
//! All of it is pure: readings and time come in, a decision and its reason go out.

pub mod decide;
pub mod fan;
pub mod pid;
pub mod reason;
pub mod sensor;
pub mod settings;
pub mod throttle;

pub use decide::{Decision, Plant, Thermal};
pub use fan::{FanCondition, FanMode, FanRules};
pub use reason::Reason;
pub use sensor::{Observation, SensorFault, View};
pub use settings::{Place, Point, Settings, Tiers};

use core::fmt;
use serde::{Deserialize, Serialize};

/// Where the hottest believable temperature stands. The tiers are above every fan mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Below the hot limit: the fan mode rules.
    Normal,
    /// At or above the hot limit: fans full, the miner is asked to throttle.
    Hot,
    /// At or above the dangerous limit, or cooling cannot be trusted: power off.
    Dangerous,
}

/// The frequency that the thermal decision allows, in per cent of the configured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Throttle(pub u8);

impl Throttle {
    /// No throttling.
    pub const NONE: Self = Self(100);
}

impl fmt::Display for Throttle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} %", self.0)
    }
}
