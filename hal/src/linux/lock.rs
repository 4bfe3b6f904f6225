//! Locks that end with their holder, in whatever way it ends.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A name that is ours until this is dropped, or the process ends: what no device of its own stands for.
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
    /// Takes the lock of a name by a file in `directory`, which is made if it is not there.
    ///
    /// # Errors
    /// When another process has it, or its file cannot be made.
    pub fn take(directory: &Path, name: &str) -> Result<Self, LockError> {
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
        match hold(file) {
            Ok(file) => Ok(Self { _file: file }),
            Err(Errno::EWOULDBLOCK) => Err(LockError::Taken(path)),
            Err(error) => Err(LockError::Io(path, error.into())),
        }
    }
}

/// Locks an open file against every other opening of it, root's too.
pub(crate) fn hold(file: File) -> Result<Flock<File>, Errno> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error)
}
