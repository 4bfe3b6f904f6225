//! The GPIO lines: enable, resets, presence, lights. Nothing here waits for a bus, so power can always be taken away.

use crate::keeper::proofs::LoopRule;
use crate::keeper::worker::{Found, Orders, Reports, Round, Worker};
use cgminer_hal::gpio::{GpioError, Input, Output, Signal};
use cgminer_hal::led::Led;
use std::time::Duration;

/// An output line that reads back.
pub struct Line {
    name: &'static str,
    signal: Signal<Output>,
    complained: bool,
}

impl Line {
    /// A line by its meaning.
    #[must_use]
    pub fn new(name: &'static str, signal: Signal<Output>) -> Self {
        Self {
            name,
            signal,
            complained: false,
        }
    }

    /// Drives the line and gives what it reads back; none when it failed.
    fn drive(&mut self, active: bool) -> Option<bool> {
        let done: Result<bool, GpioError> =
            self.signal.set(active).and_then(|()| self.signal.is_set());
        if let (Err(error), false) = (&done, self.complained) {
            tracing::error!(line = self.name, %error, "a line cannot be driven");
        }
        self.complained = done.is_err();
        done.ok()
    }
}

/// Drives all lines, power first.
pub struct LinesWorker {
    /// The supply's enable line, where it has one.
    pub enable: Option<Line>,
    /// Each chain's reset line, active when held; none where it could not be opened.
    pub resets: Vec<Option<Line>>,
    /// Each chain's presence line, where it has one.
    pub presence: Vec<Option<Signal<Input>>>,
    /// Green light.
    pub green: Option<Box<dyn Led>>,
    /// Red light.
    pub red: Option<Box<dyn Led>>,
}

impl LinesWorker {
    fn drive(&mut self, orders: &Orders, reports: &Reports) {
        // On the way off the supply goes first; on the way on the guard's sequence holds the resets long before.
        let enable = self.enable.as_mut().map(|line| line.drive(orders.enable));
        for (chain, line) in self.resets.iter_mut().enumerate() {
            let held = line
                .as_mut()
                .and_then(|line| line.drive(orders.holds(chain)));
            reports.found(Found::Reset(chain, held));
        }
        if let Some(enable) = enable {
            reports.found(Found::Enable(enable));
        }
        for (chain, line) in self.presence.iter_mut().enumerate() {
            if let Some(Ok(present)) = line.as_mut().map(Signal::is_active) {
                reports.found(Found::Present(chain, present));
            }
        }
        for (light, lit) in [(&mut self.green, orders.green), (&mut self.red, orders.red)] {
            if let Some(light) = light {
                // A light that fails is no reason for anything.
                let _ = light.set(lit);
            }
        }
    }
}

impl Worker for LinesWorker {
    fn rule(&self) -> LoopRule {
        LoopRule {
            name: "lines".into(),
            deadline: Duration::from_secs(3),
            always: true,
        }
    }

    fn period(&self) -> Duration {
        Duration::from_millis(500)
    }

    fn minds(&self, old: &Orders, new: &Orders) -> bool {
        (old.enable, &old.resets, old.green, old.red)
            != (new.enable, &new.resets, new.green, new.red)
    }

    fn round<'a>(&'a mut self, orders: &'a Orders, reports: &'a Reports) -> Round<'a> {
        Box::pin(async move { self.drive(orders, reports) })
    }
}
