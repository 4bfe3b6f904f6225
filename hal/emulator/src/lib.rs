//! A whole emulated miner: chips on a byte stream, sensors, supply, fans, physics and faults.
#![forbid(unsafe_code)]

pub mod chain;
pub mod clock;
pub mod control;
pub mod fault;
pub mod machine;
mod parts;
pub mod scenario;
pub mod transport;
pub mod usbip;
