//! What all power supplies have in common: a request now, its answer later.
//!
//! An APW takes half a second to answer. So nothing here waits: [`Supply::begin`] sends, [`Supply::poll`] looks whether the
//! answer is there, and the loop that owns the supply goes on in between.

use super::error::PartError;
use crate::file::SupplyPart;
use crate::limits;
use crate::moment::Moment;
use crate::power::Measured;
use cgminer_hal::units::Millivolts;
use std::ops::RangeInclusive;

/// Output voltages that a supply can be set to.
pub fn supply_range(part: SupplyPart) -> RangeInclusive<Millivolts> {
    match part {
        SupplyPart::Apw9 => super::apw::APW9_RANGE,
        SupplyPart::Apw12 => super::apw::APW12_RANGE,
        SupplyPart::Pmbus => limits::RAIL_MIN..=limits::RAIL_MAX,
    }
}

/// A power supply.
pub trait Supply: Send {
    /// Sends a request.
    ///
    /// # Errors
    /// [`super::Problem::Busy`] while an answer is due, [`super::Problem::OutOfRange`] for a voltage outside the board
    /// file's range, of which nothing is sent, or what the bus says.
    fn begin(&mut self, request: SupplyRequest, now: Moment) -> Result<(), PartError>;

    /// The answer of the request under way; `None` while it may still come, and without one.
    fn poll(&mut self, now: Moment) -> Option<Result<SupplyReply, PartError>>;
}

/// What can be asked of a supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupplyRequest {
    /// Who it is; refused when it is not the part of the board file.
    Identify,
    /// Set the output. The rail is switched by the enable line, or by [`SupplyRequest::Switch`].
    SetVoltage(Millivolts),
    /// What the output is set to.
    Setting,
    /// Measure the output.
    Measure,
    /// Let the supply cut its output by itself unless it hears from us; off, it never does. APW only.
    Watchdog(bool),
    /// Switch the output. PMBus only; an APW has its enable line.
    Switch(bool),
}

/// What a supply answered.
#[derive(Clone, Debug, PartialEq)]
pub enum SupplyReply {
    /// It is the part of the board file; its own name for itself.
    Identity(String),
    /// It took a setting, read back, within one of its steps of what was asked.
    Set(Millivolts),
    /// What it is set to.
    Setting(Millivolts),
    /// What it measures.
    Measured(Measured),
    /// It took the command.
    Done,
}
