//! What all temperature sensors have in common.

use super::error::{PartError, Problem, Register};
use super::registers::Registers;
use cgminer_hal::units::Celsius;
use embedded_hal::i2c::I2c;

/// Most remote diodes of any part here.
pub const REMOTES_MAX: usize = 3;

/// Configuration of every diode sensor here: the part stands by and keeps its last temperatures for ever.
const STAND_BY: u8 = 0x40;
/// The same: the extended scale, on which all temperatures have 64 C added.
const EXTENDED: u8 = 0x04;
/// What the extended scale adds.
const EXTENDED_OFFSET: f32 = 64.0;

/// A part that measures temperatures.
pub trait TemperatureSensor: Send {
    /// Makes sure that the part is the one it should be and measures. Repeated after a loss of power.
    ///
    /// # Errors
    /// [`Problem::NotReady`] when it had to be woken: what its registers hold is from before. Start it again after half a
    /// second.
    fn start(&mut self) -> Result<(), PartError>;

    /// Reads all temperatures of the part.
    fn read(&mut self) -> Readings;
}

/// One look at a sensor. Each temperature is a number or the reason why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Readings {
    /// The part's own.
    pub local: Result<Celsius, PartError>,
    /// Its remote diodes, in the order of the data sheet. [`Problem::OpenDiode`] stands for one that is cut off.
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

/// What to take off the temperatures of a diode sensor; an error while it stands by.
///
/// Asked at every look and never set: after a change of scale the registers hold the old one until the next conversion,
/// and a part that lost its supply is back on the plain scale. Either would be 64 C wrong.
pub(super) fn scale_offset<I: I2c>(
    registers: &mut Registers<I>,
    configuration: Register,
) -> Result<f32, PartError> {
    let bits = registers.byte(configuration)?;
    if bits & STAND_BY != 0 {
        return Err(registers.error(configuration, Problem::NotReady));
    }
    Ok(if bits & EXTENDED == 0 {
        0.0
    } else {
        EXTENDED_OFFSET
    })
}

/// Makes a diode sensor measure; [`Problem::NotReady`] when it did not yet.
pub(super) fn wake<I: I2c>(
    registers: &mut Registers<I>,
    configuration: Register,
    written_at: Register,
) -> Result<(), PartError> {
    let bits = registers.byte(configuration)?;
    if bits & STAND_BY == 0 {
        return Ok(());
    }
    registers.write_byte(written_at, bits & !STAND_BY)?;
    Err(registers.error(configuration, Problem::NotReady))
}
