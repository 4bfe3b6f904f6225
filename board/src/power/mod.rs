//! Power decisions: limits, the order in which power comes and goes, how often a restart may be tried.
//!
//! All of it is pure: readbacks and time come in, what to drive and why go out.

pub mod restarts;
pub mod sequence;
pub mod supply;

pub use restarts::{Restarts, Verdict};
pub use sequence::{Drive, Outcome, Readback, Sequence, Step};
pub use supply::{Expected, Measured, Rail, Supply, SupplyFault, SupplyReading, VoltageLimits};
