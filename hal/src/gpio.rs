//! GPIO lines: how one is named, which electrical level means "active", and pins as boxed embedded-hal traits.
//!
//! Pins speak of the electrical level only. The single place that turns "active" into a level is [`Signal`], so that
//! an active-low reset line can never be inverted twice.

use embedded_hal::digital::{self, ErrorType, InputPin, OutputPin, StatefulOutputPin};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Electrical level of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Near ground.
    Low,
    /// Near the supply of the line.
    High,
}

impl Level {
    /// The other level.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

/// Names one GPIO line, in one of the three ways that kernels offer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawLineId", into = "RawLineId")]
pub enum LineId {
    /// Offset on a chip, the chip by its device name (`gpiochip0`) or its label (`1e780000.gpio`).
    Offset {
        /// Device name or label of the chip.
        chip: String,
        /// Line of the chip, counted from 0.
        offset: u32,
    },
    /// The line's own name, as `gpio-line-names` of the device tree gives it.
    Name(String),
    /// The kernel's global number, as vendor firmware writes it; found through `/sys/class/gpio`.
    Number(u32),
}

impl fmt::Display for LineId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset { chip, offset } => write!(formatter, "GPIO {chip}:{offset}"),
            Self::Name(name) => write!(formatter, "GPIO \"{name}\""),
            Self::Number(number) => write!(formatter, "GPIO number {number}"),
        }
    }
}

/// A [`LineId`] as a file spells it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLineId {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chip: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<u32>,
}

impl TryFrom<RawLineId> for LineId {
    type Error = &'static str;

    fn try_from(raw: RawLineId) -> Result<Self, Self::Error> {
        match raw {
            RawLineId {
                chip: Some(chip),
                offset: Some(offset),
                name: None,
                number: None,
            } => Ok(Self::Offset { chip, offset }),
            RawLineId {
                chip: None,
                offset: None,
                name: Some(name),
                number: None,
            } => Ok(Self::Name(name)),
            RawLineId {
                chip: None,
                offset: None,
                name: None,
                number: Some(number),
            } => Ok(Self::Number(number)),
            _ => Err(
                "a GPIO line is named by `chip` and `offset`, or by `name`, or by `number` alone",
            ),
        }
    }
}

impl From<LineId> for RawLineId {
    fn from(line: LineId) -> Self {
        let mut raw = Self {
            chip: None,
            offset: None,
            name: None,
            number: None,
        };
        match line {
            LineId::Offset { chip, offset } => {
                raw.chip = Some(chip);
                raw.offset = Some(offset);
            }
            LineId::Name(name) => raw.name = Some(name),
            LineId::Number(number) => raw.number = Some(number),
        }
        raw
    }
}

/// A line and the level that means "active": reset held, board present, supply enabled, button pressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalSpec {
    /// Which line.
    pub line: LineId,
    /// Electrical level that means active.
    pub active: Level,
}

impl SignalSpec {
    /// The electrical level of a state of the signal.
    #[must_use]
    pub const fn level(&self, active: bool) -> Level {
        if active {
            self.active
        } else {
            self.active.opposite()
        }
    }
}

/// What can go wrong with a GPIO line.
#[derive(Debug, Error)]
pub enum GpioError {
    /// No line answers to that name.
    #[error("{line}: no such line ({looked}); check the board file against `gpioinfo`")]
    Unknown {
        /// The line asked for.
        line: String,
        /// Where it was looked for.
        looked: String,
    },
    /// The kernel offers neither GPIO character-device interface.
    #[error(
        "{line}: {chip} answers neither to the GPIO v2 nor to the v1 interface: {source}; enable CONFIG_GPIO_CDEV"
    )]
    NoInterface {
        /// The line asked for.
        line: String,
        /// Chip device.
        chip: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Any other failure.
    #[error(
        "{line}: {doing} failed: {source}; check that no other program or kernel driver uses the line"
    )]
    Io {
        /// The line.
        line: String,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl digital::Error for GpioError {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

/// An output line of any maker: a real one or an emulated one.
pub struct Output(Box<dyn StatefulOutputPin<Error = GpioError> + Send>);

impl Output {
    /// Wraps a pin.
    pub fn new(pin: impl StatefulOutputPin<Error = GpioError> + Send + 'static) -> Self {
        Self(Box::new(pin))
    }
}

impl ErrorType for Output {
    type Error = GpioError;
}

impl OutputPin for Output {
    fn set_low(&mut self) -> Result<(), GpioError> {
        self.0.set_low()
    }

    fn set_high(&mut self) -> Result<(), GpioError> {
        self.0.set_high()
    }
}

impl StatefulOutputPin for Output {
    fn is_set_high(&mut self) -> Result<bool, GpioError> {
        self.0.is_set_high()
    }

    fn is_set_low(&mut self) -> Result<bool, GpioError> {
        self.0.is_set_low()
    }
}

/// An input line of any maker.
pub struct Input(Box<dyn InputPin<Error = GpioError> + Send>);

impl Input {
    /// Wraps a pin.
    pub fn new(pin: impl InputPin<Error = GpioError> + Send + 'static) -> Self {
        Self(Box::new(pin))
    }
}

impl ErrorType for Input {
    type Error = GpioError;
}

impl InputPin for Input {
    fn is_high(&mut self) -> Result<bool, GpioError> {
        self.0.is_high()
    }

    fn is_low(&mut self) -> Result<bool, GpioError> {
        self.0.is_low()
    }
}

/// A pin seen by meaning: active or not, whatever level that is.
pub struct Signal<P> {
    pin: P,
    active: Level,
}

impl<P> Signal<P> {
    /// Gives a pin its meaning.
    pub fn new(pin: P, active: Level) -> Self {
        Self { pin, active }
    }
}

impl<P: OutputPin> Signal<P> {
    /// Drives the line to its active level, or to the other one.
    pub fn set(&mut self, active: bool) -> Result<(), P::Error> {
        match (active, self.active) {
            (true, Level::High) | (false, Level::Low) => self.pin.set_high(),
            (true, Level::Low) | (false, Level::High) => self.pin.set_low(),
        }
    }
}

impl<P: StatefulOutputPin> Signal<P> {
    /// Whether the line is driven to its active level, read back from the driver.
    pub fn is_set(&mut self) -> Result<bool, P::Error> {
        Ok(self.pin.is_set_high()? == (self.active == Level::High))
    }
}

impl<P: InputPin> Signal<P> {
    /// Whether the line is seen at its active level.
    pub fn is_active(&mut self) -> Result<bool, P::Error> {
        Ok(self.pin.is_high()? == (self.active == Level::High))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    struct Wire(bool);

    impl ErrorType for Wire {
        type Error = Infallible;
    }

    impl OutputPin for Wire {
        fn set_low(&mut self) -> Result<(), Infallible> {
            self.0 = false;
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            self.0 = true;
            Ok(())
        }
    }

    impl StatefulOutputPin for Wire {
        fn is_set_high(&mut self) -> Result<bool, Infallible> {
            Ok(self.0)
        }

        fn is_set_low(&mut self) -> Result<bool, Infallible> {
            Ok(!self.0)
        }
    }

    impl InputPin for Wire {
        fn is_high(&mut self) -> Result<bool, Infallible> {
            Ok(self.0)
        }

        fn is_low(&mut self) -> Result<bool, Infallible> {
            Ok(!self.0)
        }
    }

    #[test]
    fn an_active_low_signal_drives_low_when_set_and_high_when_cleared() {
        let mut reset = Signal::new(Wire(true), Level::Low);
        reset.set(true).unwrap();
        assert!(!reset.pin.0);
        assert!(reset.is_set().unwrap() && reset.is_active().unwrap());
        reset.set(false).unwrap();
        assert!(reset.pin.0);
        assert!(!reset.is_set().unwrap() && !reset.is_active().unwrap());
    }

    #[test]
    fn a_signal_spec_gives_the_level_of_each_state() {
        let enable = SignalSpec {
            line: LineId::Number(437),
            active: Level::Low,
        };
        assert_eq!(enable.level(true), Level::Low);
        assert_eq!(enable.level(false), Level::High);
    }
}
