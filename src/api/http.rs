//! `tiny_http` on the private socket: the only place where requests are answered.

use super::access::Access;
use super::routes::{Answer, answer};
use super::{ApiError, fleet, set_mode};
use crate::telemetry::SnapshotSource;
use cgminer_hal::task::thread;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tiny_http::{Header, Response};
use tokio::sync::watch;

/// How often the thread looks whether it is to end.
const LOOK_UP: Duration = Duration::from_millis(500);
/// Pause before the socket is opened again after the system refused to accept, as when descriptors run out.
const PAUSE: Duration = Duration::from_millis(500);

/// A thread that answers requests until dropped.
pub struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Opens the socket for this user alone, and answers.
    ///
    /// # Errors
    /// When the socket or the thread cannot be had.
    pub fn start(
        path: &Path,
        source: SnapshotSource,
        access: watch::Receiver<Arc<Access>>,
    ) -> Result<Self, ApiError> {
        let listener = listen(path)?;
        let stop = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            path: path.into(),
            source,
            access,
            stop: stop.clone(),
        };
        let thread = thread("http", move || worker.run(listener)).map_err(|source| {
            let what = path.display().to_string();
            ApiError::Listen { what, source }
        })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread ends within LOOK_UP; a panic in it was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

struct Worker {
    path: PathBuf,
    source: SnapshotSource,
    access: watch::Receiver<Arc<Access>>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    /// One failed accept ends `tiny_http`'s own loop for good, so a fresh server takes over then.
    fn run(self, first: tiny_http::Server) {
        let mut server = Some(first);
        while !self.stop.load(Ordering::Relaxed) {
            match server.take() {
                Some(server) => self.answer_until_broken(&server),
                None => match listen(&self.path) {
                    Ok(fresh) => server = Some(fresh),
                    Err(error) => {
                        tracing::warn!(%error, "the endpoint cannot be opened again yet");
                        std::thread::sleep(PAUSE);
                    }
                },
            }
        }
    }

    fn answer_until_broken(&self, server: &tiny_http::Server) {
        while !self.stop.load(Ordering::Relaxed) {
            match server.recv_timeout(LOOK_UP) {
                Ok(None) => {}
                Ok(Some(request)) => {
                    let answer = self.answer(request.method().as_str(), request.url());
                    // A client that has gone is no news.
                    let _ = request.respond(response(answer));
                }
                Err(error) => {
                    tracing::warn!(%error, "the endpoint could not accept; it is opened again");
                    std::thread::sleep(PAUSE);
                    return;
                }
            }
        }
    }
}

impl Worker {
    fn answer(&self, method: &str, target: &str) -> Answer {
        let model = self.access.borrow().fleet.clone();
        fleet::answer(method, target, model.as_deref(), &self.source)
            .unwrap_or_else(|| answer(method, target, &self.source))
    }
}

fn listen(path: &Path) -> Result<tiny_http::Server, ApiError> {
    let server = tiny_http::Server::http_unix(path).map_err(|error| ApiError::Listen {
        what: path.display().to_string(),
        source: std::io::Error::other(error.to_string()),
    })?;
    set_mode(path, 0o600)?;
    Ok(server)
}

fn response(answer: Answer) -> Response<std::io::Cursor<Vec<u8>>> {
    let content_type = Header::from_bytes("Content-Type", &*answer.content_type);
    let response = Response::from_data(answer.body)
        .with_status_code(answer.status)
        // The gateway needs lengths: never chunked.
        .with_chunked_threshold(usize::MAX);
    match content_type {
        Ok(header) => response.with_header(header),
        Err(()) => response,
    }
}
