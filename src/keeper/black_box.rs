//! What of the keeper's decisions the flight recorder is told: each that differs from the one before, and each reset line that
//! follows.

use super::guard::Outputs;
use super::state::State;
use crate::flight;
use cgminer_board::limits::CHAINS_MAX;
use cgminer_hal::units::Millivolts;

/// What was recorded last.
#[derive(Debug, Default)]
pub(super) struct BlackBox {
    decision: Option<(State, bool, i32)>,
    rail: Option<Millivolts>,
    /// For each chain, whether anything was told of its reset line, and what.
    resets: [(bool, Option<bool>); CHAINS_MAX],
}

impl BlackBox {
    /// Records what a reset line is known to be, if it is news.
    pub(super) fn reset(&mut self, chain: usize, held: Option<bool>) {
        let news = (true, held);
        if let Some(last) = self.resets.get_mut(chain).filter(|last| **last != news) {
            *last = news;
            flight::reset(chain as u8, held);
        }
    }

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
