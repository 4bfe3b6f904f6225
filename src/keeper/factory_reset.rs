//! The wish for the first settings, left for whoever starts the system next.
//!
//! The keeper itself touches no setting: what they are and where they lie is the installation's. It leaves a file beside
//! its own, stops as on a wanted stop, and says so by how it ends.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The file, in the state directory.
pub const FLAG: &str = "factory-reset";

/// Leaves the wish beside the kept file; it is on disk when this returns.
pub(super) fn leave(kept: &Path) -> io::Result<()> {
    let flag: PathBuf = kept.with_file_name(FLAG);
    File::create(&flag)?.sync_all()?;
    match flag.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
