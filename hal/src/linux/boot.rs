//! Which start of the kernel this is.

use std::fs;

/// An identity that the kernel makes anew at each start; none where it tells none.
#[must_use]
pub fn id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}
