//! Whether the endpoint still answers, asked as a local tool would ask.

use super::LOCAL_SOCKET;
use std::io;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The cheapest route that goes through every door and thread.
const QUESTION: &[u8] =
    b"GET /api/v1/version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const SUCCESS: &[u8] = b"HTTP/1.1 200 ";

/// Asks once. The caller sets the deadline.
///
/// # Errors
/// When there is no answer, or another than success.
pub async fn probe(run_directory: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(run_directory.join(LOCAL_SOCKET)).await?;
    stream.write_all(QUESTION).await?;
    let mut status = [0; SUCCESS.len()];
    stream.read_exact(&mut status).await?;
    if status == SUCCESS {
        Ok(())
    } else {
        Err(io::Error::other(
            String::from_utf8_lossy(&status).into_owned(),
        ))
    }
}
