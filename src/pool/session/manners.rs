//! What one session learns of its pool for the next.

use super::{EndReason, Session, State};
use std::time::Duration;
use tokio::time::Instant;

/// Connections closed on `mining.configure` before one is tried without it.
const HANG_UPS_AT_CONFIGURE: u8 = 3;
/// A connection closed within this time of an optional request was closed because of it.
const OFFENCE: Duration = Duration::from_secs(10);

/// What a pool was found not to stand, kept from one connection to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manners {
    /// Connections that it closed on `mining.configure`, one after another.
    pub hang_ups_at_configure: u8,
    /// It dislikes parameters in `mining.subscribe`.
    pub bare_subscribe: bool,
    /// It hangs up on `mining.suggest_difficulty` or `mining.extranonce.subscribe`.
    pub no_optional_requests: bool,
    /// Its name for our last session, to be resumed.
    pub resume: Option<String>,
    /// It has rejected or not answered our shares, and has accepted none since.
    pub probation: bool,
}

impl Manners {
    /// Version rolling is worth much, so it is given up only after three hang-ups, for one try; if
    /// that fails too, the pool was just down.
    pub(super) fn sends_configure(&self) -> bool {
        self.hang_ups_at_configure != HANG_UPS_AT_CONFIGURE
    }
}

impl Session {
    /// What the next session should know of the pool, given that this connection is over.
    pub fn lessons(&self, now: Instant) -> Manners {
        let mut manners = self.manners.clone();
        manners.resume.clone_from(&self.resumable);
        manners.probation =
            self.ledger.is_on_probation() || self.ended().is_some_and(EndReason::is_distrust);
        match &self.state {
            State::Configuring => manners.hang_ups_at_configure += 1,
            State::Running { since } => {
                if manners.sends_configure() {
                    manners.hang_ups_at_configure = 0;
                }
                if self.has_asked_options() && now < *since + OFFENCE {
                    manners.no_optional_requests = true;
                }
            }
            State::Subscribing
            | State::Ended(EndReason::SubscribeRefused(_) | EndReason::SubscribeShape(_)) => {
                manners.bare_subscribe = !manners.bare_subscribe;
                manners.resume = None;
            }
            _ => {}
        }
        if self.running_since().is_none() && !self.manners.sends_configure() {
            manners.hang_ups_at_configure = 0;
        }
        manners
    }
}
