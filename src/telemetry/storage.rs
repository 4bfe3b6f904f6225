//! Room on the file systems that this program writes to.

use nix::sys::statvfs::{FsFlags, statvfs};
use serde::Serialize;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// One file system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Storage {
    /// A directory on it.
    pub path: String,
    /// Bytes that are free for this program.
    pub free_bytes: u64,
    /// Bytes that it has.
    pub total_bytes: u64,
    /// The one in per cent of the other.
    pub free_percent: f64,
}

/// The file systems that these directories are on, each once. Those that cannot be written to, or be asked, are left out.
#[allow(
    clippy::unnecessary_cast,
    reason = "these types are narrower on 32-bit machines"
)]
pub fn read(directories: &[PathBuf]) -> Vec<Storage> {
    let mut seen = Vec::new();
    let mut all = Vec::new();
    for directory in directories {
        let (Ok(told), Ok(known)) = (statvfs(directory), fs::metadata(directory)) else {
            continue;
        };
        let total = (told.blocks() as u64).saturating_mul(told.fragment_size() as u64);
        let free = (told.blocks_available() as u64).saturating_mul(told.fragment_size() as u64);
        // The number that statvfs tells is 0 of several kinds, and what is free changes from one look to the next.
        let device = known.dev();
        let writable = !told.flags().contains(FsFlags::ST_RDONLY);
        if !writable || total == 0 || seen.contains(&device) {
            continue;
        }
        seen.push(device);
        all.push(Storage {
            path: directory.display().to_string(),
            free_bytes: free,
            total_bytes: total,
            free_percent: 100.0 * free as f64 / total as f64,
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_told_once_and_what_is_not_there_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let paths = [
            directory.path().to_owned(),
            directory.path().to_owned(),
            "/nowhere/at/all".into(),
        ];
        let told = read(&paths);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].free_bytes <= told[0].total_bytes);
        assert!((0.0..=100.0).contains(&told[0].free_percent));
    }
}
