//! What a running chain can be told.

use crate::chain::error::PllError;
use cgminer_hal::units::Megahertz;
use tokio::sync::oneshot;

/// A command to a chain task.
#[derive(Debug)]
pub enum ChainCommand {
    /// Reset and bring up again. Costs nothing of the restart budget, and gives a failed chain a new one.
    Restart {
        /// Why, for status and log.
        reason: String,
    },
    /// Change the frequency, in steps; answered at once with whether it is allowed.
    SetFrequency {
        /// Frequency to hash at.
        frequency: Megahertz,
        /// Whether it is allowed; the status tells when it is reached.
        reply: oneshot::Sender<Result<(), PllError>>,
    },
    /// Hold the chips in reset and end the task.
    Stop,
}
