//! The kernel's randomness.

use std::fs::File;
use std::io::{self, Read};

/// Fills a buffer with bytes that nobody can guess.
///
/// # Errors
/// When the kernel's device cannot be read.
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    File::open("/dev/urandom")?.read_exact(bytes)
}
