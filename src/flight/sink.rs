//! Where frames go: the one ring of this process.

use super::{Frame, Kind, LONGEST, STRINGS};
use cgminer_hal::flight::{PAYLOAD, Ring, RingError, SLOT};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, TryLockError};

static RING: Mutex<Option<Ring>> = Mutex::new(None);
static LEFT_OUT: AtomicU32 = AtomicU32::new(0);

const _: () = assert!(LONGEST == PAYLOAD);

/// Begins to record into a file of so many KiB; none: not at all. A ring that is there is gone on with.
///
/// # Errors
/// When the file cannot be had.
pub fn start(path: &Path, kib: u32) -> Result<(), RingError> {
    if kib == 0 {
        return Ok(());
    }
    let slots = kib as usize * 1024 / SLOT;
    let ring = Ring::open(path, STRINGS.join("\n").as_bytes(), slots)?;
    *RING
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(ring);
    super::started(std::process::id());
    Ok(())
}

/// Records a frame, or leaves it out where it would have to wait.
pub(super) fn put(frame: &[u8; PAYLOAD]) {
    let mut held = match RING.try_lock() {
        Ok(held) => held,
        Err(TryLockError::Poisoned(held)) => held.into_inner(),
        Err(TryLockError::WouldBlock) => {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
            return;
        }
    };
    let Some(ring) = held.as_mut() else {
        return;
    };
    let missing = LEFT_OUT.swap(0, Ordering::Relaxed);
    if missing > 0 {
        ring.append(&Frame::of(Kind::LeftOut).u32(missing).bytes);
    }
    ring.append(frame);
}
