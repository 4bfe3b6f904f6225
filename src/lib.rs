//! CGMiner-RS: a lean daemon for the control board of a Bitcoin ASIC miner.
//!
//! The rooms and the arrows between them are drawn in `docs/architecture.md`.
#![forbid(unsafe_code)]

pub mod api;
pub mod chain;
pub mod cli;
pub mod config;
pub mod flight;
pub mod keeper;
pub mod link;
pub mod miner;
pub mod pool;
pub mod telemetry;
pub mod updates;
pub mod work;
