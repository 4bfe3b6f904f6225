//! A whole emulated miner: chips on a byte stream, sensors, supply, fans, physics and faults.
#![forbid(unsafe_code)]

pub mod chain;
