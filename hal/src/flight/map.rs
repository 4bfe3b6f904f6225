//! The one call that Rust cannot vouch for: a file as memory. Nothing else of the flight recorder is unsafe.
#![allow(unsafe_code)]

use memmap2::MmapMut;
use nix::fcntl::Flock;
use std::fs::File;
use std::io;

/// A file that is written as memory, and never read as such.
pub(super) struct Map {
    bytes: MmapMut,
    /// Holds the lock.
    _file: Flock<File>,
}

impl Map {
    /// Maps the first bytes of a file, all of which have to be there.
    pub(super) fn of(file: Flock<File>, length: usize) -> io::Result<Self> {
        let there = file.metadata()?.len();
        if there < length as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: what Rust fears of a mapped file is that bytes change behind a reference that says they do not. Here no
        // byte is ever read back through the mapping: `write` only copies into it, so that whoever else changes the file
        // changes nothing that this process relies on. A file that somebody cuts off ends the process by SIGBUS, which
        // breaks no memory; it lies in a directory that only the process's own user may write to, and is locked.
        let bytes = unsafe { memmap2::MmapOptions::new().len(length).map_mut(&*file) }?;
        Ok(Self { bytes, _file: file })
    }

    /// Stores bytes; what would lie behind the end is left out.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}
