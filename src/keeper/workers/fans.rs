//! The fans and their tachs.

use super::Blower;
use crate::keeper::proofs::LoopRule;
use crate::keeper::worker::{Found, Orders, Reports, Round, Worker};
use cgminer_hal::units::DutyPercent;
use std::time::Duration;
use tokio::time::Instant;

/// How far a duty may read back from what was set; drivers count in steps.
const STEP: f32 = 2.0;

/// Drives all fans and reads their speeds.
pub struct FanWorker {
    fans: Vec<Box<dyn Blower>>,
    /// For each fan, whether its last failure was logged.
    complained: Vec<bool>,
}

impl FanWorker {
    /// The fans in the order of the thermal settings.
    #[must_use]
    pub fn new(fans: Vec<Box<dyn Blower>>) -> Self {
        Self {
            complained: vec![false; fans.len()],
            fans,
        }
    }
}

impl Worker for FanWorker {
    fn rule(&self) -> LoopRule {
        LoopRule {
            name: "fans".into(),
            deadline: Duration::from_secs(5),
            always: false,
        }
    }

    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn minds(&self, old: &Orders, new: &Orders) -> bool {
        old.duty != new.duty
    }

    fn round<'a>(&'a mut self, orders: &'a Orders, reports: &'a Reports) -> Round<'a> {
        Box::pin(async move {
            let mut all_took_it = true;
            for (index, (fan, complained)) in
                self.fans.iter_mut().zip(&mut self.complained).enumerate()
            {
                let took = fan.set_duty(orders.duty);
                let speed = fan.speed(Instant::now().into_std());
                match (&took, &speed) {
                    (Ok(_), Ok(_)) => *complained = false,
                    (Err(error), _) | (_, Err(error)) if !*complained => {
                        *complained = true;
                        tracing::warn!(fan = index, %error, "a fan does not obey");
                    }
                    _ => {}
                }
                all_took_it &= took.is_ok_and(|duty| (duty.0 - orders.duty.0).abs() <= STEP);
                if let Ok(Some(speed)) = speed {
                    reports.found(Found::Fan(index, speed));
                }
            }
            let duty: Option<DutyPercent> = all_took_it.then_some(orders.duty);
            reports.found(Found::Duty(duty));
        })
    }
}
