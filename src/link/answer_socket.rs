//! A socket in the run directory at which the keeper's process answers the miner's, one asker at a time.

use cgminer_hal::task;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// After an asker could not be let in, as when no descriptor is left.
const BREATH: Duration = Duration::from_millis(100);

/// Answers until dropped.
pub struct AnswerSocket {
    stop: Arc<AtomicBool>,
    socket: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl AnswerSocket {
    /// Opens the socket `name` in the run directory, for that directory's owner alone, and has a thread serve whoever comes. An
    /// asker who goes away is nobody's trouble; what `serve` waits for needs a deadline, since the others wait with it.
    ///
    /// # Errors
    /// When the socket or the thread cannot be had.
    pub fn open(
        run_directory: &Path,
        name: &'static str,
        mut serve: impl FnMut(UnixStream) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let socket = run_directory.join(name);
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&socket)?;
        let owner = fs::metadata(run_directory)?;
        // In this order, since only its owner may change a file's mode, and a root of few capabilities is none of another's file.
        fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
        chown(&socket, Some(owner.uid()), Some(owner.gid()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = task::thread(name, move || {
            loop {
                let came = listener.accept();
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                match came.map(|(stream, _)| serve(stream)) {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(name, %error, "an asker went away"),
                    Err(error) => {
                        tracing::warn!(name, %error, "an asker could not be let in");
                        thread::sleep(BREATH);
                    }
                }
            }
        })?;
        Ok(Self {
            stop,
            socket,
            thread: Some(thread),
        })
    }
}

impl Drop for AnswerSocket {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread. Where that fails it is not waited for.
        let woken = UnixStream::connect(&self.socket).is_ok();
        // The socket's file may be gone with its directory.
        let _ = fs::remove_file(&self.socket);
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn askers_are_answered_for_the_owner_alone_until_it_closes() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("a.sock");
        // Left behind by a process that was killed.
        fs::write(&socket, "").unwrap();
        let mut count = 0;
        let opened = AnswerSocket::open(directory.path(), "a.sock", move |mut stream| {
            count += 1;
            if count == 1 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            stream.write_all(&[count])
        });
        let opened = opened.unwrap();
        let mode = fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for answer in [&[][..], &[2], &[3]] {
            let mut said = Vec::new();
            let mut stream = UnixStream::connect(&socket).unwrap();
            stream.read_to_end(&mut said).unwrap();
            assert_eq!(said, answer, "one who failed stops nobody else");
        }
        drop(opened);
        assert!(!socket.exists());
    }
}
