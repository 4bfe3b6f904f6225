//! Controllers of a hash board's DC-DC converter: what they have in common.
//!
//! Both cut the converter unless they hear a heartbeat, so the rail of a dead control board goes away by itself. Neither
//! driver can reset, erase or write a controller's program: public reports tell of boards lost that way.

use super::error::PartError;
use cgminer_hal::units::Millivolts;

/// A controller of a hash board's converter.
pub trait VoltageController: Send {
    /// Makes sure that the part is the one it should be and runs its program; returns the version it gives.
    fn start(&mut self) -> Result<u8, PartError>;

    /// Keeps the converter on. Due every [`HEARTBEAT`].
    fn heartbeat(&mut self) -> Result<(), PartError>;

    /// Switches the converter.
    fn switch(&mut self, on: bool) -> Result<(), PartError>;

    /// Sets the converter's voltage, where its scale is public.
    fn set_voltage(&mut self, voltage: Millivolts) -> Result<Millivolts, PartError>;
}

/// How often a controller wants to hear from us. It gives up after about a minute, with some programs after ten seconds.
pub const HEARTBEAT: std::time::Duration = std::time::Duration::from_secs(1);
