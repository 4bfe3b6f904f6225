//! The temperature sensors of one bus.

use super::Placed;
use crate::keeper::proofs::LoopRule;
use crate::keeper::worker::{Found, Orders, Reports, Round, Worker};
use std::time::Duration;

/// Reads all sensors of one bus, one after the other, once a second.
pub struct SensorWorker {
    bus: String,
    parts: Vec<Placed>,
}

impl SensorWorker {
    /// The sensors of a bus.
    #[must_use]
    pub fn new(bus: &str, parts: Vec<Placed>) -> Self {
        Self {
            bus: bus.to_owned(),
            parts,
        }
    }
}

impl Worker for SensorWorker {
    fn rule(&self) -> LoopRule {
        LoopRule {
            name: format!("sensors {}", self.bus),
            deadline: Duration::from_secs(6),
            always: false,
        }
    }

    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn minds(&self, _old: &Orders, _new: &Orders) -> bool {
        false
    }

    fn round<'a>(&'a mut self, _orders: &'a Orders, reports: &'a Reports) -> Round<'a> {
        Box::pin(async move {
            for (first, part) in &mut self.parts {
                for (index, observation) in (*first..).zip(part.read()) {
                    reports.found(Found::Sensor(index, observation));
                }
            }
        })
    }
}
