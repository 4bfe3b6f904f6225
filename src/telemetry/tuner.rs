//! Who chooses frequency and voltage, and what they are when nobody does.

use cgminer_hal::units::{Megahertz, Millivolts};
use serde::Serialize;

/// Who chooses frequency and voltage.
#[derive(Clone, Debug, Serialize)]
pub struct Tuner {
    /// What it does; null when there is none.
    pub state: Option<String>,
    /// Why there is none.
    pub reason: Option<&'static str>,
    /// What the board file says, which holds where the owner has set nothing; null for a board that nobody knows.
    pub board_file: Option<OperatingPoint>,
}

/// A frequency and a voltage to run at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OperatingPoint {
    /// Of the chips, in MHz.
    pub frequency: Megahertz,
    /// Of the rail, in mV.
    pub voltage: Millivolts,
}

impl Tuner {
    /// There is none.
    pub const fn none(board_file: Option<OperatingPoint>) -> Self {
        Self {
            state: None,
            reason: Some(
                "there is no tuner: frequency and voltage are those of board file and configuration",
            ),
            board_file,
        }
    }
}
