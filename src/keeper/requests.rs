//! What the keeper grants of what it is asked for.

use super::guard::Guard;
use super::state::State;
use crate::link::{Refusal, Request};
use cgminer_board::moment::Moment;
use cgminer_board::thermal::FanMode;
use cgminer_hal::units::{DutyPercent, Millivolts};

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
            (Request::HoldReset { chain }, _) => self.set_reset(chain, true),
            (Request::ReleaseReset { chain }, _) => self.set_reset(chain, false),
            (Request::Locate { on }, _) => {
                self.wishes.locate = on;
                Ok(())
            }
            (Request::ClearLatch | Request::Stop, Asker::Miner) => Err(Refusal::OperatorOnly),
            (Request::Stop, Asker::Operator) => {
                self.wishes.stop = true;
                Ok(())
            }
            (Request::ClearLatch, Asker::Operator) if self.state == State::Latched => {
                self.wishes.clear = true;
                Ok(())
            }
            (Request::ClearLatch, Asker::Operator) => Err(Refusal::NotNow {
                state: self.state,
                reason: "there is nothing to clear".into(),
            }),
        }
    }

    /// Whether the lights are to blink.
    #[must_use]
    pub const fn is_locating(&self) -> bool {
        self.wishes.locate
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
