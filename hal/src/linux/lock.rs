//! Lock files: `TIOCEXCL` and permissions do not stop a second program that runs as root.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A device that is ours until this is dropped, or the process ends in any way.
#[derive(Debug)]
pub(super) struct Lock {
    _file: Flock<File>,
}

/// Why a lock was not had.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process has it.
    Taken(PathBuf),
    /// The lock file cannot be opened or locked.
    Io(PathBuf, io::Error),
}

impl Lock {
    /// Takes the lock of a device; `directory` is made if it is not there.
    pub(super) fn take(directory: &Path, device: &str) -> Result<Self, LockError> {
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
