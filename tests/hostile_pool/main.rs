//! Hostile pools: the whole pool room, from look-up to share, against networks and pools that
//! misbehave. In memory, in virtual time, so that an hour of trouble takes milliseconds and comes
//! out the same each time.

// A scene that cannot be set is a failure; difficulties here are exact.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::float_cmp)]

mod edge_cases;
mod faults;
mod manager;
mod miner;
mod net;
mod server;
mod stage;
#[cfg(feature = "sv2")]
mod sv2;
