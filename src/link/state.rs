//! Where the keeper stands; what leads from one state to the next is the keeper's (`keeper::state`).

use core::fmt;
use serde::{Deserialize, Serialize};

/// Where the keeper stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Just started: rails off, fans full, nothing is known yet.
    Boot,
    /// Rails off, all is well, nobody wants power.
    Standby,
    /// The power sequence is under way.
    PowerUp,
    /// Rails on, reset lines at the miner's call.
    Running,
    /// Rails on, fans full, the miner is asked to throttle.
    Hot,
    /// Power is being taken away; the rail is not yet known to be off.
    Dangerous,
    /// The rail is off after a fault: fans full until cool, then a pause before the restart.
    CoolDown,
    /// Power cannot be given at all; fans full.
    FanOnly,
    /// Safe and staying so, over reboots too, until an operator clears it.
    Latched,
    /// A wanted stop: rail off, fans until cool.
    Stopping,
    /// A wanted stop is complete.
    Stopped,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::Boot,
        Self::Standby,
        Self::PowerUp,
        Self::Running,
        Self::Hot,
        Self::Dangerous,
        Self::CoolDown,
        Self::FanOnly,
        Self::Latched,
        Self::Stopping,
        Self::Stopped,
    ];

    /// Whether the rail may be on.
    #[must_use]
    pub const fn may_power(self) -> bool {
        matches!(self, Self::PowerUp | Self::Running | Self::Hot)
    }

    /// Whether the miner may release reset lines.
    #[must_use]
    pub const fn may_hash(self) -> bool {
        matches!(self, Self::Running | Self::Hot)
    }
}

impl State {
    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Standby => "standby",
            Self::PowerUp => "power-up",
            Self::Running => "running",
            Self::Hot => "hot",
            Self::Dangerous => "dangerous",
            Self::CoolDown => "cool-down",
            Self::FanOnly => "fan-only",
            Self::Latched => "latched",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
