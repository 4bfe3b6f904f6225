//! The emulator from outside: as a chain of bytes, and as a machine of devices.
#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute and takes helpers for shipped code

mod chain_behaviour;
mod chain_captures;
mod chain_faults;
mod common;
mod faults;
mod machine;
mod parts;
mod transport;
