//! Real devices of a Linux control board.

pub mod boot;
mod devices;
mod gpio;
mod i2c;
mod led;
mod lock;
mod pwm;
pub mod random;
mod spi;
mod sysfs;
mod tach;
mod uart;
mod unsafe_corner;
mod watchdog;

pub use devices::LinuxDevices;
#[cfg(feature = "flight-recorder")]
pub(crate) use lock::hold;
pub use lock::{Lock, LockError};
pub use uart::LinuxUart;
pub use watchdog::LinuxWatchdog;
