//! What can go wrong with a part.

use cgminer_hal::i2c::smbus::SmbusError;
use embedded_hal::i2c;
use std::fmt;
use thiserror::Error;

/// A register or command, by the name that the data sheet gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Name, as `TEMPERATURE`.
    pub name: &'static str,
    /// Address or command code.
    pub code: u8,
}

/// Short for a [`Register`], so that a driver's register list reads as the data sheet's table.
pub(super) const fn register(name: &'static str, code: u8) -> Register {
    Register { name, code }
}

impl fmt::Display for Register {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({:#04x})", self.name, self.code)
    }
}

/// A part that gave no usable answer: which, where, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{part} at address {address:#04x}, register {register}: {problem}")]
pub struct PartError {
    /// Part, as `TMP451`.
    pub part: &'static str,
    /// 7-bit I2C address, or the input of an SPI part.
    pub address: u8,
    /// What was asked.
    pub register: Register,
    /// Why there is no answer.
    pub problem: Problem,
}

/// Why a part gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// The bus failed.
    #[error("{detail}")]
    Bus {
        /// Class of the failure.
        kind: i2c::ErrorKind,
        /// What the bus said.
        detail: String,
    },
    /// The bytes carry a check that they fail.
    #[error("damaged bytes: {0}; look for noise or a loose connector")]
    Damaged(String),
    /// Another part answers there.
    #[error("identifies itself as {read}, expected {expected}; correct the part in the board file")]
    WrongPart {
        /// What was read.
        read: String,
        /// What the driver knows.
        expected: &'static str,
    },
    /// A value that the part cannot mean.
    #[error("reads {read}, which it cannot mean; {hint}")]
    Implausible {
        /// What was read.
        read: String,
        /// What to look at.
        hint: &'static str,
    },
    /// The remote diode is open or shorted. The part's own temperature is then all that is known; vendor firmware adds
    /// 15 C to it to stand for the diode.
    #[error("its remote diode is open or shorted; the part's own temperature stands in, raised")]
    OpenDiode,
    /// The part has not measured yet.
    #[error("has no measurement yet; ask again later")]
    NotReady,
    /// The part refuses the command.
    #[error("refuses the command")]
    Refused,
    /// No answer came by its deadline.
    #[error("gave no answer within {0} ms; check its power and that its address is right")]
    Silent(u64),
    /// The part cannot do that. Nothing was sent.
    #[error("does not offer {0}")]
    Unsupported(&'static str),
    /// Another request is under way.
    #[error("is still busy with {0}; take that answer first")]
    Busy(&'static str),
    /// A written value did not read back.
    #[error("was set to {set} and reads back {read}; it did not take the setting")]
    NotTaken {
        /// What was written.
        set: String,
        /// What was read.
        read: String,
    },
    /// A value that the part or the program's limits do not allow. Nothing was sent.
    #[error("must not be set to {asked}; allowed is {allowed}")]
    OutOfRange {
        /// What was asked.
        asked: String,
        /// What is allowed.
        allowed: String,
    },
}

impl Problem {
    pub(super) fn bus<E: i2c::Error>(error: &E) -> Self {
        Self::Bus {
            kind: error.kind(),
            detail: format!("{error:?}"),
        }
    }

    pub(super) fn smbus<E: i2c::Error>(error: &SmbusError<E>) -> Self {
        match error {
            SmbusError::Bus(error) => Self::bus(error),
            damaged => Self::Damaged(damaged.to_string()),
        }
    }
}

/// A part's name and place, for its errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) part: &'static str,
    pub(super) address: u8,
}

impl Site {
    pub(super) fn error(self, register: Register, problem: Problem) -> PartError {
        PartError {
            part: self.part,
            address: self.address,
            register,
            problem,
        }
    }

    /// For `map_err` of plain transfers.
    pub(super) fn bus<E: i2c::Error>(self, register: Register) -> impl Fn(E) -> PartError {
        move |error| self.error(register, Problem::bus(&error))
    }

    /// For `map_err` of SMBus transfers.
    pub(super) fn smbus<E: i2c::Error>(
        self,
        register: Register,
    ) -> impl Fn(SmbusError<E>) -> PartError {
        move |error| self.error(register, Problem::smbus(&error))
    }
}
