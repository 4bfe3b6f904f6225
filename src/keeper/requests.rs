//! What the keeper grants of what it is asked for.

use super::guard::Guard;
use super::state::State;
use crate::link::{Refusal, Request};
use cgminer_board::moment::Moment;
use cgminer_board::thermal::FanMode;
use cgminer_hal::units::{DutyPercent, Millivolts};
use std::time::Duration;

/// Between two clearings over the network.
const BETWEEN_CLEARINGS: Duration = Duration::from_secs(3_600);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The miner process, which parses what the network sends and is believed accordingly.
    Miner,
    /// A tool that a local administrator runs.
    Operator,
}

impl Guard {
    /// Grants a request or refuses it; what is granted takes effect at the next decision.
    ///
    /// # Errors
    /// With the limit that it broke.
    pub fn request(&mut self, asker: Asker, request: Request, now: Moment) -> Result<(), Refusal> {
        match (request, asker) {
            (Request::SetPower { on }, Asker::Miner) => {
                self.wishes.power = on;
                Ok(())
            }
            (Request::SetPower { on }, Asker::Operator) => {
                self.wishes.held_off = !on;
                Ok(())
            }
            (Request::SetVoltage { voltage }, _) => self.set_voltage(voltage, now),
            (Request::SetFanMode { mode }, _) => self.set_fan_mode(asker, mode),
            (
                Request::SetCooling {
                    target,
                    minimum_fans,
                },
                _,
            ) => self.set_cooling(target, minimum_fans),
            (Request::HoldReset { chain }, _) => self.set_reset(chain, true),
            (Request::ReleaseReset { chain }, _) => self.set_reset(chain, false),
            (Request::Locate { on }, _) => {
                self.wishes.locate = on;
                Ok(())
            }
            (Request::Stop, Asker::Miner) => Err(Refusal::OperatorOnly),
            (Request::Stop, Asker::Operator) => {
                self.wishes.stop = true;
                Ok(())
            }
            (Request::ClearLatch, _) if self.state != State::Latched => Err(Refusal::NotNow {
                state: self.state,
                reason: "there is nothing to clear".into(),
            }),
            (Request::ClearLatch, asker) => {
                if asker == Asker::Miner {
                    self.allow_clearing_from_afar(now)?;
                }
                self.wishes.clear = true;
                Ok(())
            }
        }
    }

    /// Whether the lights are to blink.
    #[must_use]
    pub const fn is_locating(&self) -> bool {
        self.wishes.locate
    }

    /// Who clears over the network has not looked at the machine, and may be nobody's friend: it goes only when all that
    /// can be read says that the cause is gone, and not again and again past the budget of restarts.
    fn allow_clearing_from_afar(&mut self, now: Moment) -> Result<(), Refusal> {
        let state = self.state;
        let refuse = |reason: String| Err(Refusal::NotNow { state, reason });
        if self
            .cleared_from_afar
            .is_some_and(|last| now.since(last) < BETWEEN_CLEARINGS)
        {
            return refuse(
                "it was cleared over the network within the hour; now it takes `cgminer-rs latch clear` on the machine"
                    .into(),
            );
        }
        if let Some(fault) = self.supply_fault.or(self.supply.failing()) {
            return refuse(format!("the supply {fault}"));
        }
        if !self.is_rail_off(now) {
            return refuse("the rail is not seen off".into());
        }
        if let Err(reason) = self.thermal.ready(&self.plant()) {
            return refuse(format!("not ready for power: {reason}"));
        }
        self.cleared_from_afar = Some(now);
        Ok(())
    }

    fn set_voltage(&mut self, voltage: Millivolts, now: Moment) -> Result<(), Refusal> {
        let limits = self.supply.limits();
        if !limits.allow(voltage) {
            return Err(Refusal::VoltageOutOfLimits {
                asked: voltage,
                minimum: limits.minimum,
                maximum: limits.maximum,
            });
        }
        if voltage != self.wishes.voltage {
            self.wishes.voltage = voltage;
            self.wishes.voltage_since = now;
        }
        Ok(())
    }

    fn set_fan_mode(&mut self, asker: Asker, mode: FanMode) -> Result<(), Refusal> {
        match mode {
            FanMode::Fixed { duty } => {
                let minimum = self.settings.thermal.duty_minimum;
                // Also refuses what is no number.
                if !(minimum.0..=DutyPercent::FULL.0).contains(&duty.0) {
                    return Err(Refusal::DutyOutOfLimits {
                        asked: duty,
                        minimum,
                    });
                }
            }
            FanMode::Immersion
                if asker == Asker::Miner && self.wishes.mode != FanMode::Immersion =>
            {
                return Err(Refusal::OperatorOnly);
            }
            FanMode::Immersion | FanMode::Auto => {}
        }
        self.wishes.mode = mode;
        Ok(())
    }

    fn set_reset(&mut self, chain: u8, hold: bool) -> Result<(), Refusal> {
        let state = self.state;
        let count = self.settings.thermal.chains;
        let index = usize::from(chain);
        let Some(released) = self.wishes.released.get_mut(index) else {
            return Err(Refusal::UnknownChain {
                asked: chain,
                count,
            });
        };
        if hold {
            *released = false;
            return Ok(());
        }
        if !state.may_hash() {
            return Err(Refusal::NotNow {
                state,
                reason: "the rail is not confirmed on".into(),
            });
        }
        if self.present.get(index) == Some(&Some(false)) {
            return Err(Refusal::NotNow {
                state,
                reason: format!("no board is plugged in at chain {chain}"),
            });
        }
        *released = true;
        Ok(())
    }
}
