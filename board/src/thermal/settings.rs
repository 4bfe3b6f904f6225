//! What the thermal decision has to know of a machine, all of it from its board file.

use super::fan::FanRules;
use cgminer_hal::units::{Celsius, DutyPercent};
use serde::{Deserialize, Serialize};

/// The three limits of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tiers {
    /// What the fans aim at.
    pub target: Celsius,
    /// Fans full and throttling from here on.
    pub hot: Celsius,
    /// Power off from here on.
    pub dangerous: Celsius,
}

/// Where a temperature is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// On a hash board: it is one of those that stand between its chain and fire.
    Chain(u8),
    /// In the air or coolant drawn in, or on the control board: it asks for air, but its loss does not take the power.
    Machine,
}

/// One temperature: a sensor's own, or that of one of its diodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Name for messages and the status.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// Limits that it is held to.
    pub tiers: Tiers,
}

/// A machine as the thermal decision sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Every temperature.
    pub points: Vec<Point>,
    /// Every fan's name and what it can do.
    pub fans: Vec<(String, FanRules)>,
    /// Chains, present or not.
    pub chains: u8,
    /// How fast a temperature that is not seen is taken to rise, in kelvin per second.
    pub unseen_rise: f32,
    /// After a cut-off power comes back only when every temperature is below.
    pub resume_below: Celsius,
    /// Fans that must be counted on.
    pub fans_required: u8,
    /// Least duty while the rail is on.
    pub duty_minimum: DutyPercent,
}
