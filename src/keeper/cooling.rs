//! What the owner may choose of the cooling while the machine runs. Nothing of it widens a limit of the board.

use super::guard::Guard;
use crate::flight;
use crate::link::Refusal;
use cgminer_hal::units::Celsius;

/// The room that a board leaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoolingRoom {
    /// Temperatures whose target can be chosen.
    pub targets: Vec<TargetRoom>,
    /// Fans of the board that must turn whatever is chosen.
    pub fans_least: u8,
    /// Fans that the owner's files ask for. The miner reads these files, too, but it is not believed.
    pub fans_owner: u8,
}

/// One temperature whose target can be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetRoom {
    /// Its place among the points of the thermal settings.
    pub point: usize,
    /// The board's own.
    pub usual: Celsius,
    /// Lowest that can be chosen.
    pub lowest: Celsius,
    /// Highest that can be chosen.
    pub highest: Celsius,
}

impl Guard {
    /// Takes what the owner's files say now. It takes force with the next request, and is the least that one may ask for.
    pub(super) fn owner_counts_on(&mut self, fans: Option<u8>) {
        self.settings.cooling.fans_owner = fans.unwrap_or(0).min(self.fan_count());
    }

    /// Takes the owner's choice; none takes back to the board's own.
    pub(super) fn set_cooling(
        &mut self,
        target: Option<Celsius>,
        minimum_fans: Option<u8>,
    ) -> Result<(), Refusal> {
        let room = &self.settings.cooling;
        if let Some(asked) = target {
            self.check_target(asked)?;
        }
        let count = self.fan_count();
        let fans = minimum_fans.unwrap_or(0);
        if fans > count {
            return Err(Refusal::TooManyFans { asked: fans, count });
        }
        if fans < room.fans_owner {
            let least = room.fans_owner;
            return Err(Refusal::TooFewFans { asked: fans, least });
        }
        let settings = &mut self.settings.thermal;
        settings.fans_required = room.fans_least.max(fans);
        for one in &room.targets {
            if let Some(point) = settings.points.get_mut(one.point) {
                point.tiers.target = target.unwrap_or(one.usual);
            }
        }
        self.thermal.choose(settings);
        if let Some(one) = room.targets.first() {
            let fans = settings.fans_required;
            flight::target(target.unwrap_or(one.usual), fans);
        }
        Ok(())
    }

    fn check_target(&self, asked: Celsius) -> Result<(), Refusal> {
        let targets = &self.settings.cooling.targets;
        if targets.is_empty() {
            return Err(Refusal::NotNow {
                state: self.state,
                reason: "no temperature of this board has a target that can be chosen".into(),
            });
        }
        // Also finds what is no number.
        let outside = |one: &&TargetRoom| !(one.lowest.0..=one.highest.0).contains(&asked.0);
        match targets.iter().find(outside) {
            Some(one) => Err(Refusal::TargetOutOfLimits {
                asked,
                lowest: one.lowest,
                highest: one.highest,
            }),
            None => Ok(()),
        }
    }

    fn fan_count(&self) -> u8 {
        u8::try_from(self.settings.thermal.fans.len()).unwrap_or(u8::MAX)
    }
}
