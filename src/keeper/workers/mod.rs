//! The workers of a machine, and the narrow traits that they see its parts through.
//!
//! A part may block for as long as its bus does; each worker has a thread of its own for that.

mod analog;
mod buttons;
mod fans;
mod lines;
mod sensors;
mod supply;

pub use analog::{AnalogInput, AnalogWorker, Converter};
pub use buttons::{ButtonsWorker, Press, RESET_HELD};
pub use fans::FanWorker;
pub use lines::{Line, LinesWorker};
pub use sensors::SensorWorker;
pub use supply::SupplyWorker;

use cgminer_board::power::SupplyReading;
use cgminer_board::thermal::Observation;
use cgminer_hal::units::{DutyPercent, Millivolts, Rpm};
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

/// A part that measures temperatures.
pub trait Thermometer: Send {
    /// What each of its temperatures gives, in the order of the thermal settings' points.
    fn read(&mut self) -> Vec<Observation>;
}

/// A part that measures temperatures, with the index of its first one in the thermal settings.
pub type Placed = (usize, Box<dyn Thermometer>);

/// A fan and its tach.
pub trait Blower: Send {
    /// Sets the duty and gives what the driver reads back.
    ///
    /// # Errors
    /// What the driver said.
    fn set_duty(&mut self, duty: DutyPercent) -> Result<DutyPercent, String>;

    /// The speed; none while it is only not known yet.
    ///
    /// # Errors
    /// What the driver said.
    fn speed(&mut self, now: Instant) -> Result<Option<Rpm>, String>;
}

/// What a supply is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupplyOrder {
    /// Setting; none: leave it.
    pub preset: Option<Millivolts>,
    /// Whether it delivers, and its own watchdog is fed.
    pub enable: bool,
}

/// What a supply said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SupplyAnswer {
    /// What it measures; none when it was not asked.
    pub reading: Option<SupplyReading>,
    /// The setting that it confirms.
    pub preset: Option<Millivolts>,
}

/// A future of a supply's answer.
pub type Answering<'a> = Pin<Box<dyn Future<Output = SupplyAnswer> + Send + 'a>>;

/// A supply that can be set and measured.
pub trait PowerSupply: Send {
    /// Brings it to the order and measures. It waits as the part's protocol needs, with a deadline for each answer.
    fn attend(&mut self, order: SupplyOrder) -> Answering<'_>;
}
