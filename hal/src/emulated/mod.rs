//! In-memory ends of the lines that an emulated machine is wired to.
//!
//! Each kind of line has a host end, which implements the same trait as the real device, and a device end, which the
//! emulated machine drives. Nothing here knows what hangs on a line. [`Wiring`] gives the host ends by name.

mod devices;
mod gpio;
mod i2c;
mod pwm;
mod spi;
mod uart;
mod watchdog;

pub use devices::Wiring;
pub use gpio::GpioLine;
pub use i2c::{BusError, BusFault, I2cBus, I2cDevice};
pub use pwm::{PulseTach, PwmLine, TachLine};
pub use spi::{SpiLine, SpiModel};
pub use uart::{DeviceUart, HostUart, UartSocket, uart_line, uart_pair};
pub use watchdog::WatchdogCell;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a cell; a panic elsewhere while it was held leaves plain values behind, which stay usable.
fn locked<T: ?Sized>(cell: &Mutex<T>) -> MutexGuard<'_, T> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}
