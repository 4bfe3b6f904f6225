//! What can go wrong with a chain, and with what it is asked to do.

use crate::chain::registers::Register;
use crate::chain::reset::ResetError;
use crate::work::ticket::TicketError;
use cgminer_hal::uart::UartError;
use cgminer_hal::units::{Baud, Megahertz};
use std::fmt;
use std::io;
use std::time::Duration;
use thiserror::Error;

/// A clock that cannot be set.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum PllError {
    /// Outside the bounds.
    #[error("{wanted} is outside {lowest} to {highest}; choose a frequency within")]
    OutOfBounds {
        /// What was asked for.
        wanted: Megahertz,
        /// Least that is allowed.
        lowest: Megahertz,
        /// Most that is allowed.
        highest: Megahertz,
    },
    /// No dividers come near.
    #[error(
        "no dividers make {wanted} with a feedback of {feedback_min} to {feedback_max}; choose another frequency"
    )]
    NoDividers {
        /// What was asked for.
        wanted: Megahertz,
        /// Smallest feedback divider of the model.
        feedback_min: u16,
        /// Largest feedback divider of the model.
        feedback_max: u16,
    },
}

/// Settings that no chain can be run with.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum SettingsError {
    /// Too few or too many chips.
    #[error("{chips} chips in a chain: 1 to {most} are possible; correct the board file")]
    Chips {
        /// As set.
        chips: u16,
        /// Most that addresses allow.
        most: u16,
    },
    /// Chips do not divide into domains.
    #[error("{chips} chips do not divide into {domains} domains; correct the board file")]
    Domains {
        /// As set.
        chips: u16,
        /// As set.
        domains: u16,
    },
    /// A ticket difficulty that the register cannot hold.
    #[error("ticket difficulty {given} is not a power of two from 1 to 2^32")]
    TicketDifficulty {
        /// As set.
        given: String,
    },
    /// Ticket and hard-wired bits together are too many.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// A rate that the chips' crystal does not make.
    #[error(
        "{given} is more than 2.5 % off what chips can make from 25 MHz; choose 25e6 / (8 n), n from 1 to 32"
    )]
    Baud {
        /// As set.
        given: Baud,
    },
    /// A frequency that cannot be set.
    #[error("frequency: {0}")]
    Frequency(#[from] PllError),
    /// A board's frequency bounds that are none.
    #[error(
        "frequency bounds {lowest} to {highest} hold no frequency that {model} runs at; correct the board file"
    )]
    FrequencyBounds {
        /// Lower bound of the board.
        lowest: Megahertz,
        /// Upper bound of the board.
        highest: Megahertz,
        /// Name of the model.
        model: &'static str,
    },
}

/// What the sequencer was doing when it failed: part of the bring-up, register, chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepName {
    /// Number of the step, from 1.
    pub number: usize,
    /// How many steps there are.
    pub of: usize,
    /// Part of the bring-up.
    pub part: &'static str,
    /// Register that is written or read, if any.
    pub register: Option<Register>,
    /// Address of the chip spoken to; `None` for all of them.
    pub chip: Option<u8>,
}

impl fmt::Display for StepName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "step {} of {} ({}",
            self.number, self.of, self.part
        )?;
        if let Some(register) = self.register {
            write!(formatter, ", register {register}")?;
        }
        if let Some(chip) = self.chip {
            write!(formatter, ", chip {chip:02X}")?;
        }
        formatter.write_str(")")
    }
}

/// A chain does not work, and why.
#[derive(Debug, Error)]
pub enum ChainError {
    /// Settings that no chain can be run with.
    #[error("settings: {0}")]
    Settings(#[from] SettingsError),
    /// A step of the bring-up failed.
    #[error("bring-up failed at {step}: {cause}")]
    BringUp {
        /// Which step.
        step: StepName,
        /// What went wrong there.
        cause: StepError,
    },
    /// The serial line failed while hashing.
    #[error("{doing}: {cause}")]
    Line {
        /// What was being done.
        doing: &'static str,
        /// What went wrong.
        cause: StepError,
    },
    /// The chips hash, by all that is known, and no good nonce comes.
    #[error(
        "no good nonce for {silent_for:.1?}, one in {mean:.3?} was expected; chips may have lost power, clock or baud rate"
    )]
    Mute {
        /// Since when.
        silent_for: Duration,
        /// Mean time between two nonces of a healthy chain.
        mean: Duration,
    },
    /// Somebody asked for it.
    #[error("restart asked for: {reason}")]
    Asked {
        /// Why.
        reason: String,
    },
}

/// What went wrong in one step.
#[derive(Debug, Error)]
pub enum StepError {
    /// Not done in time.
    #[error("not done within {0:.1?}; check the serial line and that nothing else holds it")]
    Deadline(Duration),
    /// The reset line failed.
    #[error(transparent)]
    Reset(#[from] ResetError),
    /// Reading or writing failed.
    #[error("UART {name}: {source}")]
    Io {
        /// Name of the line.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The line ended.
    #[error("UART {name} was closed from the other side; check the cable or the device")]
    Closed {
        /// Name of the line.
        name: String,
    },
    /// The line's own settings failed.
    #[error(transparent)]
    Uart(#[from] UartError),
    /// Not as many chips answered as there should be.
    #[error(
        "{found} of {expected} chips answered{}; check the chain's power, its connector, and the chip where replies end",
        Replies(*.lost_bytes, *.crc_errors)
    )]
    ChipCount {
        /// How many should.
        expected: u16,
        /// How many did.
        found: u16,
        /// Bytes in between that belonged to no reply.
        lost_bytes: u64,
        /// Replies with a wrong checksum.
        crc_errors: u64,
    },
    /// Not every chip answers at the speed that was set.
    #[error(
        "{found} of {expected} chips answer at {baud}{}; the chips or the host's line did not take the speed: set a lower `baud` in the board file",
        Replies(*.lost_bytes, *.crc_errors)
    )]
    BaudNotTaken {
        /// The host's speed.
        baud: Baud,
        /// How many should.
        expected: u16,
        /// How many did.
        found: u16,
        /// Bytes in between that belonged to no reply.
        lost_bytes: u64,
        /// Replies with a wrong checksum.
        crc_errors: u64,
    },
    /// A chip of another model answered.
    #[error(
        "chip {index} says it is {found:04X}, {expected:04X} was expected; choose the board file of this machine"
    )]
    ChipModel {
        /// Place among the answers, from 0.
        index: u16,
        /// What the model's register 00 holds.
        expected: u16,
        /// What was read.
        found: u16,
    },
    /// Two lines in the script that need each other do not match.
    #[error("address of chip {index} does not exist on a chain of {chips}")]
    Address {
        /// Place in the chain.
        index: u16,
        /// Chips of the chain.
        chips: u16,
    },
}

/// Adds what was received besides the answers, when there was any.
struct Replies(u64, u64);

impl fmt::Display for Replies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(lost_bytes, crc_errors) = self;
        if *lost_bytes == 0 && *crc_errors == 0 {
            return Ok(());
        }
        write!(
            formatter,
            " ({lost_bytes} bytes of no reply, {crc_errors} wrong checksums)"
        )
    }
}
