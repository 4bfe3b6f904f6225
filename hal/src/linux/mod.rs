//! Real devices of a Linux control board.

mod lock;
mod uart;
mod unsafe_corner;
mod watchdog;

pub use uart::LinuxUart;
pub use watchdog::LinuxWatchdog;
