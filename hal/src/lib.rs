//! Hardware access for CGMiner-RS.
//!
//! Everything above this crate sees traits: the embedded-hal 1.0 ones where they exist, [`uart::Uart`] where they do
//! not. `linux` implements them on real devices; `emulated` gives the in-memory ends that an emulated machine is wired
//! to. Nothing outside this crate opens a path below `/dev` or `/sys`.
//!
//! Unsafe code is forbidden but for the corners of `linux::unsafe_corner` and `flight::map`, each with its reason.
#![deny(unsafe_code)]

pub mod button;
pub mod devices;
#[cfg(feature = "emulated")]
pub mod emulated;
#[cfg(feature = "flight-recorder")]
pub mod flight;
pub mod gpio;
pub mod i2c;
pub mod led;
#[cfg(feature = "linux")]
pub mod linux;
pub mod pwm;
pub mod spi;
pub mod tach;
pub mod task;
pub mod uart;
pub mod units;
pub mod watchdog;
