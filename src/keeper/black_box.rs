//! What of the keeper's decisions the flight recorder is told: each that differs from the one before.

use super::guard::Outputs;
use super::state::State;
use crate::flight;
use cgminer_hal::units::Millivolts;

/// What was recorded last.
#[derive(Debug, Default)]
pub(super) struct BlackBox {
    decision: Option<(State, bool, i32)>,
    rail: Option<Millivolts>,
}

impl BlackBox {
    /// Records a decision, if it is news. The fans' controller moves by fractions of a per cent, which are none.
    pub(super) fn note(&mut self, outputs: &Outputs) {
        let decision = (outputs.state, outputs.enable, outputs.duty.0.round() as i32);
        if self.decision.replace(decision) != Some(decision) {
            flight::decision(outputs.state.name(), outputs.enable, outputs.duty);
        }
        if let Some(asked) = outputs.preset {
            if self.rail.replace(asked) != Some(asked) {
                flight::rail(asked);
            }
        }
    }
}
