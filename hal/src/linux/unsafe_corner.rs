//! The calls that Rust cannot vouch for, in one place. Nothing else in this crate is unsafe.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use tokio::io::unix::AsyncFd;

/// "The transmitter is physically empty", in the answer to `TIOCSERGETLSR` (`linux/serial.h`).
const TIOCSER_TEMT: libc::c_uint = 0x01;
/// `asm-generic/ioctls.h`, the same on ARM and x86.
const TIOCSERGETLSR: u32 = 0x5459;
/// `_IOR('W', 2, int)` of `linux/watchdog.h`.
const WDIOC_GETBOOTSTATUS: u32 = 0x8004_5702;
/// `_IOWR('W', 6, int)` of `linux/watchdog.h`.
const WDIOC_SETTIMEOUT: u32 = 0xC004_5706;
/// `_IOR('W', 7, int)` of `linux/watchdog.h`.
const WDIOC_GETTIMEOUT: u32 = 0x8004_5707;

/// Hands a descriptor to tokio's reactor. It must not block when read or written.
pub(super) fn register(file: File) -> io::Result<AsyncFd<File>> {
    // SAFETY: `File` owns its descriptor, returns the same one from every `as_raw_fd`, and closes it only when
    // dropped, which `AsyncFd` does after taking it off the reactor.
    Ok(unsafe { AsyncFd::register(file) }?)
}

/// Whether the last bit has left the line; `None` where the driver cannot tell, as on a pty.
pub(super) fn transmitter_is_empty(tty: &impl AsRawFd) -> io::Result<Option<bool>> {
    let mut status: libc::c_uint = 0;
    match get(tty, TIOCSERGETLSR, &mut status) {
        Ok(()) => Ok(Some(status & TIOCSER_TEMT != 0)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTTY | libc::EINVAL)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a watchdog's driver knows of the last reset, as flags `WDIOF_*`.
pub(super) fn watchdog_boot_status(watchdog: &File) -> io::Result<libc::c_int> {
    let mut flags = 0;
    get(watchdog, WDIOC_GETBOOTSTATUS, &mut flags).map(|()| flags)
}

/// The time-out of a watchdog in seconds.
pub(super) fn watchdog_timeout(watchdog: &File) -> io::Result<libc::c_int> {
    let mut seconds = 0;
    get(watchdog, WDIOC_GETTIMEOUT, &mut seconds).map(|()| seconds)
}

/// Sets the time-out of a watchdog and returns the one that it took.
pub(super) fn set_watchdog_timeout(
    watchdog: &File,
    mut seconds: libc::c_int,
) -> io::Result<libc::c_int> {
    get(watchdog, WDIOC_SETTIMEOUT, &mut seconds).map(|()| seconds)
}

/// Gives up the `flock` of a descriptor and of every copy of it, which closing does only once the last copy is closed.
pub(super) fn unlock(file: &impl AsRawFd) {
    // SAFETY: the descriptor is open while `file` is borrowed; no memory is involved. It cannot fail on an open one.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

/// An ioctl whose argument is a pointer to one 32-bit integer.
trait Word {}
impl Word for libc::c_int {}
impl Word for libc::c_uint {}

fn get<W: Word>(file: &impl AsRawFd, request: u32, word: &mut W) -> io::Result<()> {
    // SAFETY: the descriptor is open while `file` is borrowed; each of the requests above reads or writes one 32-bit
    // integer at the pointer, which `W` is, and the kernel keeps no copy of the pointer. A descriptor of another kind
    // answers ENOTTY. The type of the request differs between C libraries, its value does not.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), request as _, std::ptr::from_mut(word)) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
