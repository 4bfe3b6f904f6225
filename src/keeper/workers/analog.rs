//! The analogue inputs of one converter.

use crate::keeper::proofs::LoopRule;
use crate::keeper::worker::{Found, Orders, Reports, Round, Worker};
use crate::link::status::AnalogReading;
use cgminer_board::file::Quantity;
use cgminer_hal::units::{Amperes, Millivolts};
use std::time::Duration;

/// A part that measures voltages at its inputs.
pub trait Converter: Send {
    /// The voltage at an input.
    ///
    /// # Errors
    /// What the driver said.
    fn read(&mut self, channel: u8) -> Result<Millivolts, String>;
}

/// One input, and what its voltage stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalogInput {
    /// Name for messages.
    pub name: String,
    /// Input of the part.
    pub channel: u8,
    /// What it measures.
    pub measures: Quantity,
    /// Volts or amperes for each volt at the input.
    pub per_volt: f32,
}

impl AnalogInput {
    fn meaning(&self, pin: Millivolts) -> AnalogReading {
        let scaled = pin.0 as f32 * self.per_volt;
        match self.measures {
            Quantity::Voltage => AnalogReading::Voltage(Millivolts(scaled.round() as u32)),
            Quantity::Current => AnalogReading::Current(Amperes(scaled / 1000.0)),
        }
    }
}

/// Reads the inputs of one converter, one after the other, once a second.
pub struct AnalogWorker {
    /// Name of its device.
    device: String,
    part: Box<dyn Converter>,
    /// Index of its first input in the settings.
    first: usize,
    inputs: Vec<AnalogInput>,
    /// For each input, whether its last failure was logged.
    complained: Vec<bool>,
}

impl AnalogWorker {
    /// A converter whose inputs stand in the settings from `first` on.
    #[must_use]
    pub fn new(
        device: &str,
        part: Box<dyn Converter>,
        first: usize,
        inputs: Vec<AnalogInput>,
    ) -> Self {
        Self {
            device: device.to_owned(),
            part,
            first,
            complained: vec![false; inputs.len()],
            inputs,
        }
    }

    fn look(&mut self, reports: &Reports) {
        let inputs = self.inputs.iter().zip(&mut self.complained);
        for (index, (input, complained)) in (self.first..).zip(inputs) {
            let read = self.part.read(input.channel);
            if let (Err(error), false) = (&read, *complained) {
                tracing::warn!(input = input.name, %error, "an analogue input cannot be read");
            }
            *complained = read.is_err();
            let reading = read.ok().map(|pin| input.meaning(pin));
            reports.found(Found::Analog(index, reading));
        }
    }
}

impl Worker for AnalogWorker {
    fn rule(&self) -> LoopRule {
        LoopRule {
            name: format!("converter {}", self.device),
            // Nothing is decided on it: one that hangs is seen by its age, and must not take the power.
            deadline: Duration::MAX,
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
        Box::pin(async move { self.look(reports) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Script(Vec<Result<Millivolts, String>>);

    impl Converter for Script {
        fn read(&mut self, _: u8) -> Result<Millivolts, String> {
            self.0.remove(0)
        }
    }

    #[test]
    fn each_input_is_scaled_and_keeps_its_place_whatever_fails() {
        let input = |name: &str, channel, measures, per_volt| AnalogInput {
            name: name.into(),
            channel,
            measures,
            per_volt,
        };
        let script = Script(vec![
            Ok(Millivolts(1_500)),
            Err("no zero bit".into()),
            Ok(Millivolts(2_000)),
        ]);
        let inputs = vec![
            input("board 0 current", 0, Quantity::Current, 50.0),
            input("board 1 current", 1, Quantity::Current, 50.0),
            input("rail", 7, Quantity::Voltage, 6.6),
        ];
        let mut worker = AnalogWorker::new("spidev0.0", Box::new(script), 4, inputs);
        let (reports, mut found) = Reports::channel();
        worker.look(&reports);
        let mut next = || found.try_recv().unwrap().found;
        let current = AnalogReading::Current(Amperes(75.0));
        assert_eq!(next(), Found::Analog(4, Some(current)));
        assert_eq!(next(), Found::Analog(5, None));
        let rail = AnalogReading::Voltage(Millivolts(13_200));
        assert_eq!(next(), Found::Analog(6, Some(rail)));
    }
}
