//! Asks a running machine through its local socket; what the command line uses.

use super::LOCAL_SOCKET;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// For connecting, asking and each piece of the answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes that an answer may have.
const ANSWER_LIMIT: u64 = 8 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum LocalError {
    /// Nothing listens.
    #[error(
        "{}: no cgminer-rs answers here ({source}); start it, or name its api.run_directory with --run-directory",
        socket.display()
    )]
    NotRunning {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke.
    #[error("{}: asking failed: {source}; try again, and look into the log if it stays", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The machine refused.
    #[error("the machine answered {status}: {text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it said.
        text: String,
    },
}

/// Reads a path of the interface.
///
/// # Errors
/// When nothing listens, the connection breaks, or the answer is not 200.
pub fn get(run_directory: &Path, path: &str) -> Result<Vec<u8>, LocalError> {
    ask(run_directory, "GET", path, "")
}

/// Asks for anything, with a body of JSON or none.
///
/// # Errors
/// As [`get`].
pub fn ask(
    run_directory: &Path,
    method: &str,
    path: &str,
    body: &str,
) -> Result<Vec<u8>, LocalError> {
    let socket = run_directory.join(LOCAL_SOCKET);
    let stream = UnixStream::connect(&socket).map_err(|source| LocalError::NotRunning {
        socket: socket.clone(),
        source,
    })?;
    let bytes = exchange(stream, method, path, body).map_err(|source| LocalError::Broken {
        socket: socket.clone(),
        source,
    })?;
    let (status, body) = split(&bytes).ok_or_else(|| LocalError::Broken {
        socket,
        source: io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP"),
    })?;
    if status == 200 {
        Ok(body.to_vec())
    } else {
        Err(LocalError::Refused {
            status,
            text: String::from_utf8_lossy(body).into_owned(),
        })
    }
}

fn exchange(mut stream: UnixStream, method: &str, path: &str, body: &str) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn split(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes).ok()? {
        httparse::Status::Complete(length) => Some((response.code?, bytes.get(length..)?)),
        httparse::Status::Partial => None,
    }
}
