//! Lights on the control board.

use crate::gpio::{GpioError, Output, Signal, SignalSpec};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A light.
pub trait Led: Send {
    /// Switches it on or off.
    fn set(&mut self, lit: bool) -> Result<(), LedError>;
}

/// Names a light.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum LedSpec {
    /// A directory under `/sys/class/leds`.
    Sysfs {
        /// Name of the directory, as `green:status`.
        name: String,
    },
    /// A GPIO line.
    Gpio {
        /// Line and the level that lights it.
        signal: SignalSpec,
    },
}

/// What can go wrong with a light.
#[derive(Debug, Error)]
pub enum LedError {
    /// Its GPIO line failed.
    #[error(transparent)]
    Gpio(#[from] GpioError),
    /// Its sysfs file failed.
    #[error("LED {name}: {doing} failed: {source}; check the name against /sys/class/leds")]
    Io {
        /// Directory name.
        name: String,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Led for Signal<Output> {
    fn set(&mut self, lit: bool) -> Result<(), LedError> {
        Ok(Signal::set(self, lit)?)
    }
}
