//! A whole emulated miner: chips on a byte stream, sensors, supply, fans, physics and faults.
#![forbid(unsafe_code)]

pub mod chain;
pub mod clock;
pub mod fault;
pub mod machine;
mod parts;
