//! The machine's push buttons.

use crate::keeper::proofs::LoopRule;
use crate::keeper::worker::{Found, Orders, Reports, Round, Worker};
use cgminer_hal::button::{Button, ButtonEvent};
use std::time::Duration;
use tokio::time::Instant;

/// A press shorter than this is one that says "it is me, at the machine".
pub const SHORT_PRESS: Duration = Duration::from_secs(2);
/// How long the reset button is held for the first settings to come back.
pub const RESET_HELD: Duration = Duration::from_secs(10);

/// What somebody at the machine wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// Blink, or no more.
    Locate,
    /// The press of the locate button was a short one.
    Short,
    /// Back to the first settings.
    FactoryReset,
}

/// Polls the buttons.
#[derive(Default)]
pub struct ButtonsWorker {
    /// Blinks; a short press also lets the first token be claimed.
    pub locate: Option<Button>,
    /// Brings the first settings back when it is held.
    pub reset: Option<Button>,
    reset_since: Option<Instant>,
    complained: bool,
}

impl ButtonsWorker {
    /// The buttons that there are.
    #[must_use]
    pub fn new(locate: Option<Button>, reset: Option<Button>) -> Self {
        Self {
            locate,
            reset,
            ..Self::default()
        }
    }

    fn look(&mut self, reports: &Reports) {
        let now = Instant::now();
        match poll(self.locate.as_mut(), now, &mut self.complained) {
            Some(ButtonEvent::Pressed) => reports.found(Found::Press(Press::Locate)),
            Some(ButtonEvent::Released { held }) if held < SHORT_PRESS => {
                reports.found(Found::Press(Press::Short));
            }
            _ => {}
        }
        match poll(self.reset.as_mut(), now, &mut self.complained) {
            Some(ButtonEvent::Pressed) => self.reset_since = Some(now),
            Some(ButtonEvent::Released { .. }) => self.reset_since = None,
            None => {}
        }
        let held = self
            .reset_since
            .is_some_and(|since| now - since >= RESET_HELD);
        if held {
            self.reset_since = None;
            reports.found(Found::Press(Press::FactoryReset));
        }
    }
}

/// A button that cannot be read is told once, and is no reason for anything else.
fn poll(button: Option<&mut Button>, now: Instant, complained: &mut bool) -> Option<ButtonEvent> {
    match button?.poll(now.into_std()) {
        Ok(event) => event,
        Err(error) => {
            if !std::mem::replace(complained, true) {
                tracing::warn!(%error, "a button cannot be read");
            }
            None
        }
    }
}

impl Worker for ButtonsWorker {
    fn rule(&self) -> LoopRule {
        LoopRule {
            name: "buttons".into(),
            // Nothing is decided on it.
            deadline: Duration::MAX,
            always: false,
        }
    }

    fn period(&self) -> Duration {
        Duration::from_millis(100)
    }

    fn minds(&self, _old: &Orders, _new: &Orders) -> bool {
        false
    }

    fn round<'a>(&'a mut self, _orders: &'a Orders, reports: &'a Reports) -> Round<'a> {
        Box::pin(async move { self.look(reports) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cgminer_hal::emulated::GpioLine;
    use cgminer_hal::gpio::{Input, Level, Signal};
    use tokio::time::advance;

    /// A button between a line that rests high and ground.
    fn button(line: &GpioLine) -> Button {
        Button::new(Signal::new(Input::new(line.clone()), Level::Low))
    }

    /// What is found while the line is held so.
    async fn held(
        worker: &mut ButtonsWorker,
        line: &GpioLine,
        down: bool,
        time: Duration,
    ) -> Vec<Press> {
        line.set(!down);
        let (reports, mut found) = Reports::channel();
        for _ in 0..time.as_millis() / 100 {
            advance(Duration::from_millis(100)).await;
            worker.look(&reports);
        }
        let mut pressed = Vec::new();
        while let Ok(report) = found.try_recv() {
            if let Found::Press(press) = report.found {
                pressed.push(press);
            }
        }
        pressed
    }

    #[tokio::test(start_paused = true)]
    async fn the_locate_button_locates_and_a_short_press_says_more() {
        let line = GpioLine::new(true);
        let mut worker = ButtonsWorker::new(Some(button(&line)), None);
        let second = Duration::from_secs(1);
        assert_eq!(held(&mut worker, &line, false, second).await, []);
        assert_eq!(
            held(&mut worker, &line, true, second).await,
            [Press::Locate]
        );
        assert_eq!(
            held(&mut worker, &line, false, second).await,
            [Press::Short]
        );
        assert_eq!(
            held(&mut worker, &line, true, 3 * second).await,
            [Press::Locate]
        );
        assert_eq!(held(&mut worker, &line, false, second).await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn the_reset_button_is_held_for_ten_seconds_or_does_nothing() {
        let line = GpioLine::new(true);
        let mut worker = ButtonsWorker::new(None, Some(button(&line)));
        let second = Duration::from_secs(1);
        assert_eq!(held(&mut worker, &line, false, second).await, []);
        assert_eq!(held(&mut worker, &line, true, 9 * second).await, []);
        assert_eq!(held(&mut worker, &line, false, second).await, []);
        let pressed = held(&mut worker, &line, true, 30 * second).await;
        assert_eq!(pressed, [Press::FactoryReset], "once a press");
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_was_never_seen_up_is_no_button_that_is_held() {
        // Stuck, shorted, or of the other polarity: it would reset the machine at every start.
        let line = GpioLine::new(false);
        let mut worker = ButtonsWorker::new(Some(button(&line)), Some(button(&line)));
        let pressed = held(&mut worker, &line, true, Duration::from_secs(60)).await;
        assert_eq!(pressed, []);
    }
}
