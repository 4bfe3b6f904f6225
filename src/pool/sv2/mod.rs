//! Stratum v2: mining over extended or standard channels, in frames of bytes inside Noise.
//!
//! ```text
//! connection -> link (Noise) -> frame -> message -> session -> channel -> Job
//! ```
//!
//! Noise, frame headers and message layouts are those of the protocol's reference implementation; all else is ours, and
//! everything above (strategies, ledger, reconnection) is the same as for Stratum v1.

pub mod channel;
pub mod frame;
pub mod link;
pub mod message;
pub mod probe;
pub mod request;
pub mod session;
pub mod settings;
pub mod source;
