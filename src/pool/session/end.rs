//! Why sessions end and shares stay unsent.

use crate::pool::message::ExtranonceError;
use crate::pool::reject::PoolError;
use crate::pool::url::PoolUrl;
use std::time::Duration;
use thiserror::Error;

/// Lines of noise, one after another, that end a session.
pub const NOISE_RUN: u32 = 100;

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EndReason {
    /// The pool refused `mining.subscribe`.
    #[error("mining.subscribe refused: {0}")]
    SubscribeRefused(PoolError),
    /// The answer to `mining.subscribe` has no known shape.
    #[error("mining.subscribe: {0} is no subscription")]
    SubscribeShape(String),
    /// The extranonce cannot be used.
    #[error("mining.subscribe: {0}")]
    Extranonce(#[from] ExtranonceError),
    /// The pool refused user or password.
    #[error("mining.authorize refused for this user: {0}")]
    AuthorizeRefused(PoolError),
    /// The pool refused a Stratum v2 connection.
    #[error("SetupConnection refused: {0}")]
    SetupRefused(PoolError),
    /// The pool speaks another version of the protocol.
    #[error("SetupConnection: the pool wants version {0} of the protocol, and only 2 is known")]
    Version(u16),
    /// The pool refused a channel.
    #[error("no mining channel for this user: {0}")]
    ChannelRefused(PoolError),
    /// The pool closed the channel.
    #[error("the pool closed the channel: {0}")]
    ChannelClosed(String),
    /// A Stratum v2 frame of which nothing is read.
    #[error("a frame of {0} bytes, which no message has")]
    FrameTooLong(usize),
    /// A message of ours that does not fit its layout.
    #[error("{0} cannot be sent: a setting is too long for it")]
    Unencodable(&'static str),
    /// A step of the handshake got no answer in time.
    #[error("no answer to {0} in time")]
    Unanswered(&'static str),
    /// No job came after the handshake.
    #[error("no job after the handshake")]
    NoFirstJob,
    /// No further job came.
    #[error("no new job for too long")]
    NoNextJob,
    /// Nothing came at all.
    #[error("silent for too long")]
    Silent,
    /// Submitted shares get no answer.
    #[error("submitted shares get no answer")]
    SharesUnanswered,
    /// Too many shares are rejected.
    #[error("too many shares rejected, the last one: {0}")]
    SharesRejected(String),
    /// The pool does not know our session or worker any more.
    #[error("the pool does not know this worker any more: {0}")]
    Forgotten(String),
    /// Nothing but noise.
    #[error("{NOISE_RUN} lines in a row that are not Stratum")]
    Noise,
    /// The pool sends us elsewhere.
    #[error("the pool asked for a new connection to {url}")]
    Reconnect {
        /// Where to.
        url: PoolUrl,
        /// How long to wait first.
        wait: Duration,
    },
}

impl EndReason {
    /// Whether it was left for its verdicts, or their absence.
    pub fn is_distrust(&self) -> bool {
        matches!(
            self,
            Self::SharesUnanswered | Self::SharesRejected(_) | Self::Forgotten(_)
        )
    }

    /// Whether the pool has refused us, so that coming back soon would change nothing.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::AuthorizeRefused(_)
                | Self::SharesRejected(_)
                | Self::Extranonce(_)
                | Self::SetupRefused(_)
                | Self::Version(_)
                | Self::ChannelRefused(_)
                | Self::Unencodable(_)
        )
    }
}

/// Why a share was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Withheld {
    /// Another session made its job.
    #[error("its session is over")]
    OtherSession,
    /// Its job is worthless by now.
    #[error("its job is stale")]
    Stale,
}
