//! The supply's bus.

use super::{PowerSupply, SupplyOrder};
use crate::keeper::proofs::LoopRule;
use crate::keeper::worker::{Found, Orders, Reports, Round, Worker};
use std::time::Duration;

/// Sets and measures the supply. The enable line is not its business: that must never wait for this bus.
pub struct SupplyWorker {
    supply: Box<dyn PowerSupply>,
}

impl SupplyWorker {
    /// A supply.
    #[must_use]
    pub fn new(supply: Box<dyn PowerSupply>) -> Self {
        Self { supply }
    }
}

impl Worker for SupplyWorker {
    fn rule(&self) -> LoopRule {
        LoopRule {
            name: "supply".into(),
            deadline: Duration::from_secs(10),
            always: false,
        }
    }

    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn minds(&self, old: &Orders, new: &Orders) -> bool {
        (old.preset, old.enable) != (new.preset, new.enable)
    }

    fn round<'a>(&'a mut self, orders: &'a Orders, reports: &'a Reports) -> Round<'a> {
        Box::pin(async move {
            let order = SupplyOrder {
                preset: orders.preset,
                enable: orders.enable,
            };
            let answer = self.supply.attend(order).await;
            if let Some(reading) = answer.reading {
                reports.found(Found::Supply(reading));
            }
            reports.found(Found::Preset(answer.preset));
        })
    }
}
