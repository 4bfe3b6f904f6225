//! Drivers of the parts on control and hash boards, a file each, with the register names of their data sheets.
//!
//! A driver sees embedded-hal traits only, keeps no time of its own and never waits. A reading that fails a check is
//! an error that names part, address and register, never a number.

pub mod apw;
pub mod controller;
pub mod dspic33ep;
pub mod eeprom;
pub mod emc1413;
pub mod emc2305;
mod error;
pub mod fan;
pub mod lm75;
pub mod max31785;
pub mod mcp3208;
pub mod pic16f1704;
pub mod pmbus;
mod registers;
pub mod supply;
pub mod temperature;
pub mod tmp421;
pub mod tmp451;

pub use error::{PartError, Problem, Register};
pub use fan::{Fan, FanError};
pub use supply::{Supply, SupplyReply, SupplyRequest, supply_range};
pub use temperature::{Readings, TemperatureSensor};
