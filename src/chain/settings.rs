//! What a chain is run with: from the board file and the owner's settings, checked before anything moves.

use crate::chain::baud::BaudDivider;
use crate::chain::error::{PllError, SettingsError};
use crate::chain::model::{ChipModel, MOST_CHIPS};
use crate::chain::pll::{HIGHEST, LOWEST};
use crate::chain::ticket_mask::TicketMask;
use crate::work::{ChainIndex, Extranonce2Partition, Ticket};
use cgminer_hal::units::{Baud, Megahertz};
use std::time::Duration;

/// All that one chain is run with.
#[derive(Clone, Debug)]
pub struct ChainSettings {
    /// Which chain.
    pub chain: ChainIndex,
    /// Model of its chips.
    pub model: &'static ChipModel,
    /// Chips on it.
    pub chips: u16,
    /// Voltage domains that the chips divide into evenly.
    pub domains: u16,
    /// Frequency to hash at.
    pub frequency: Megahertz,
    /// The board's bounds of the frequency; the model's own hold too.
    pub frequency_bounds: (Megahertz, Megahertz),
    /// Speed of the line while hashing.
    pub baud: Baud,
    /// Which nonces chips report.
    pub ticket_mask: TicketMask,
    /// Zero bits that chips demand by themselves: 32 on silicon, fewer where an emulated machine declares it.
    pub hardwired_zero_bits: u8,
    /// The chain's own part of the extranonce2 space.
    pub partition: Extranonce2Partition,
    /// Pauses of the bring-up.
    pub pacing: Pacing,
    /// When to give up, and when to look.
    pub deadlines: Deadlines,
    /// How often a failed chain is brought up again.
    pub restarts: RestartPolicy,
}

/// Pauses of the bring-up. The defaults are what captures of production machines show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// How long reset is held.
    pub reset_hold: Duration,
    /// How long chips get after reset.
    pub reset_settle: Duration,
    /// Between two writes.
    pub write: Duration,
    /// After a part of the bring-up.
    pub milestone: Duration,
    /// Between draining the change of speed and changing the host's own.
    pub baud: Duration,
    /// Between two steps of the clock.
    pub ramp: Duration,
}

impl Pacing {
    /// As captured (S19j Pro, S21 Pro; mujina REFERENCE.md).
    pub const CAPTURED: Self = Self {
        reset_hold: Duration::from_millis(100),
        reset_settle: Duration::from_millis(500),
        write: Duration::from_millis(10),
        milestone: Duration::from_millis(100),
        baud: Duration::from_millis(60),
        ramp: Duration::from_millis(100),
    };

    /// A tenth of that, for machines that are known to be emulated.
    pub const EMULATED: Self = Self {
        reset_hold: Duration::from_millis(10),
        reset_settle: Duration::from_millis(20),
        write: Duration::from_micros(500),
        milestone: Duration::from_millis(5),
        baud: Duration::from_millis(5),
        ramp: Duration::from_millis(5),
    };
}

/// When to give up, and when to look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deadlines {
    /// For one write, and for the line to drain.
    pub write: Duration,
    /// For the reset line.
    pub reset: Duration,
    /// For the answers of all chips, beyond the time that their bytes take.
    pub answers: Duration,
    /// How long the line must be quiet for the answers to be all.
    pub quiet: Duration,
    /// A hashing chain without a good nonce for so many mean intervals is mute.
    pub mute_intervals: f64,
    /// No chain is called mute earlier.
    pub mute_least: Duration,
    /// Between two reads of the chips' error counters.
    pub error_counters: Duration,
    /// Between two publications of the status.
    pub status: Duration,
    /// Share of the version epoch, or of the job timeout, after which work is replaced.
    pub work_fraction: f64,
    /// Greatest share of the line that work may take.
    pub line_share: f64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            write: Duration::from_secs(2),
            reset: Duration::from_secs(5),
            answers: Duration::from_millis(500),
            quiet: Duration::from_millis(50),
            mute_intervals: 60.0,
            mute_least: Duration::from_secs(30),
            error_counters: Duration::from_secs(30),
            status: Duration::from_secs(1),
            work_fraction: 0.9,
            line_share: 0.5,
        }
    }
}

/// How often a failed chain is brought up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Wait after the first failure; doubled with each further one.
    pub first_wait: Duration,
    /// Longest wait.
    pub longest_wait: Duration,
    /// Failures allowed within `window`; one more and the chain stays down.
    pub budget: u8,
    /// See `budget`.
    pub window: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(2),
            longest_wait: Duration::from_secs(60),
            budget: 6,
            window: Duration::from_secs(3600),
        }
    }
}

impl ChainSettings {
    /// Checks all of it.
    ///
    /// # Errors
    /// Names the first setting that no chain can be run with.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let most = MOST_CHIPS.min(256 / self.model.addressing.interval(self.chips.max(1)));
        if !(1..=most).contains(&self.chips) {
            return Err(SettingsError::Chips {
                chips: self.chips,
                most,
            });
        }
        if self.domains == 0 || self.chips % self.domains != 0 {
            return Err(SettingsError::Domains {
                chips: self.chips,
                domains: self.domains,
            });
        }
        let (lowest, highest) = self.frequency_limits();
        // Bounds that are no number were turned into ones that hold nothing.
        if lowest.0 > highest.0 {
            let (lowest, highest) = self.frequency_bounds;
            return Err(SettingsError::FrequencyBounds {
                lowest,
                highest,
                model: self.model.name,
            });
        }
        self.check_frequency(self.frequency)?;
        BaudDivider::nearest(self.baud)?;
        self.ticket()?;
        Ok(())
    }

    /// The frequencies allowed: what the board, the model and the constants in code have in common.
    pub fn frequency_limits(&self) -> (Megahertz, Megahertz) {
        let range = &self.model.pll;
        let (board_lowest, board_highest) = self.frequency_bounds;
        // `max` and `min` of f32 would pass over a bound that is no number.
        if board_lowest.0.is_nan() || board_highest.0.is_nan() {
            return (HIGHEST, LOWEST);
        }
        let lowest = board_lowest.0.max(range.lowest.0).max(LOWEST.0);
        let highest = board_highest.0.min(range.highest.0).min(HIGHEST.0);
        (Megahertz(lowest), Megahertz(highest))
    }

    /// Whether chips may be set to hash at a frequency.
    ///
    /// # Errors
    /// When it is outside of [`Self::frequency_limits`].
    pub fn check_frequency(&self, wanted: Megahertz) -> Result<(), PllError> {
        let (lowest, highest) = self.frequency_limits();
        if wanted.0 >= lowest.0 && wanted.0 <= highest.0 {
            Ok(())
        } else {
            Err(PllError::OutOfBounds {
                wanted,
                lowest,
                highest,
            })
        }
    }

    /// The threshold that reported nonces meet.
    ///
    /// # Errors
    /// When mask and hard-wired bits together are more than can be told.
    pub fn ticket(&self) -> Result<Ticket, SettingsError> {
        Ok(Ticket::new(
            self.hardwired_zero_bits,
            self.ticket_mask.bits(),
        )?)
    }
}
