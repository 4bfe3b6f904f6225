//! What all temperature sensors have in common.

use super::error::PartError;
use cgminer_hal::units::Celsius;

/// Most remote diodes of any part here.
pub const REMOTES_MAX: usize = 3;

/// A part that measures temperatures.
pub trait TemperatureSensor: Send {
    /// Makes sure that the part is the one it should be, and sets it up. Repeated after a loss of power.
    fn start(&mut self) -> Result<(), PartError>;

    /// Reads all temperatures of the part.
    fn read(&mut self) -> Readings;
}

/// One look at a sensor. Each temperature is a number or the reason why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Readings {
    /// The part's own.
    pub local: Result<Celsius, PartError>,
    /// Its remote diodes, in the order of the data sheet. [`super::Problem::OpenDiode`] stands for one that is cut off.
    pub remotes: heapless::Vec<Result<Celsius, PartError>, REMOTES_MAX>,
}

impl Readings {
    /// Of a part without remote diodes.
    pub(super) fn local_only(local: Result<Celsius, PartError>) -> Self {
        Self {
            local,
            remotes: heapless::Vec::new(),
        }
    }
}
