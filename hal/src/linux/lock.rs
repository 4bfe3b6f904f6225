//! Lock files: `TIOCEXCL` and permissions do not stop a second program that runs as root.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A device that is ours until this is dropped, or the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

/// Why a lock was not had.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another process holds {}", .0.display())]
    Taken(PathBuf),
    /// The lock file cannot be opened or locked.
    #[error("lock file {}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
}

impl Lock {
    /// Takes the lock of a device; `directory` is made if it is not there.
    ///
    /// # Errors
    /// When another process has it, or its file cannot be made.
    pub fn take(directory: &Path, device: &str) -> Result<Self, LockError> {
        let name = device.trim_start_matches('/').replace('/', "-");
        let path = directory.join(format!("{name}.lock"));
        let opened = std::fs::create_dir_all(directory).and_then(|()| {
            OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
        });
        let file = match opened {
            Ok(file) => file,
            Err(error) => return Err(LockError::Io(path, error)),
        };
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { _file: file }),
            Err((_, Errno::EWOULDBLOCK)) => Err(LockError::Taken(path)),
            Err((_, error)) => Err(LockError::Io(path, error.into())),
        }
    }
}
