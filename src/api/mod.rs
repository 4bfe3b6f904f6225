//! How the machine is looked at over HTTP: one endpoint, three doors.
//!
//! ```text
//! network ── TCP ─────────► gateway ──┐
//! local tools ─ api.sock ─► gateway ──┴─ http.sock ─► `tiny_http` ─► routes ─► Snapshot
//! ```
//!
//! `tiny_http` answers, on a private socket that only this user can open: it spawns a thread for each slow client, and a
//! huge Content-Length makes it abort the process. The gateway takes what strangers send, bounds it in size, number
//! and time, and passes on only whole, well-formed requests in its own words.

pub mod access;
mod failure;
mod fleet;
pub mod gateway;
mod http;
pub mod local;
mod metrics;
pub(crate) mod openapi;
pub mod orders;
mod packed;
mod page;
mod probe;
mod routes;
pub mod rpc;
pub mod tls;
mod writes;

pub use failure::Failure;
pub use probe::probe;
pub use routes::{Answer, Route, order_of};
pub use writes::{BACKUP_SCHEMA, NO_DEVICE, NO_POOL};

use crate::config::{ApiSection, Listen};
use crate::telemetry::SnapshotSource;
use access::Access;
use gateway::Gateway;
use orders::Orders;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};
use thiserror::Error;
use tls::Identity;
use tokio::sync::watch;

/// Socket for local tools, in the run directory.
pub const LOCAL_SOCKET: &str = "api.sock";
/// Socket between gateway and `tiny_http`, in the run directory.
const INNER_SOCKET: &str = "http.sock";

/// The endpoint with all its doors open.
pub struct Api {
    gateway: Gateway,
    address: Option<SocketAddr>,
    _server: http::Server,
}

/// What the doors need besides the Snapshot, to let something be changed.
#[derive(Clone)]
pub struct Control {
    /// The way to who carries orders out.
    pub orders: Orders,
    /// Who may.
    pub access: watch::Receiver<Arc<Access>>,
}

/// Why the endpoint could not be opened.
#[derive(Debug, Error)]
pub enum ApiError {
    /// The run directory cannot be used.
    #[error(
        "run directory {}: {source}; create it for this user, or set api.run_directory to one that can be written",
        path.display()
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another program answers on the socket.
    #[error(
        "{}: another cgminer-rs answers here; stop it first, or give this one its own api.run_directory",
        path.display()
    )]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// A socket cannot be opened.
    #[error(
        "{what}: cannot listen: {source}; free the address, or change `api` in the configuration"
    )]
    Listen {
        /// Path or address.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Api {
    /// Opens all doors. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When a door cannot be opened; none is open then.
    pub fn open(
        settings: &ApiSection,
        source: SnapshotSource,
        control: Control,
    ) -> Result<Self, ApiError> {
        Self::open_secured(settings, source, control, None)
    }

    /// The same, with TLS at the network door when there is an identity.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_secured(
        settings: &ApiSection,
        source: SnapshotSource,
        control: Control,
        identity: Option<Identity>,
    ) -> Result<Self, ApiError> {
        let directory = &settings.run_directory;
        let inner = directory.join(INNER_SOCKET);
        let local = directory.join(LOCAL_SOCKET);
        prepare_directory(directory)?;
        remove_stale(&local)?;
        remove_stale(&inner)?;
        let server = http::Server::start(&inner, source.clone(), control.access.clone())?;
        let mut gateway = Gateway::new(inner, settings, source, control, identity);
        gateway.listen_locally(&local)?;
        let address = match settings.listen {
            Listen::Off => None,
            Listen::At(address) => Some(gateway.listen(address)?),
        };
        Ok(Self {
            gateway,
            address,
            _server: server,
        })
    }

    /// Where the network door is, with the port that the system chose when 0 was asked for.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Serves until dropped.
    pub async fn run(self) {
        self.gateway.run().await;
    }
}

fn prepare_directory(path: &Path) -> Result<(), ApiError> {
    let failed = |source| ApiError::Directory {
        path: path.into(),
        source,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(failed)?;
    if fs::metadata(path).map_err(failed)?.is_dir() {
        Ok(())
    } else {
        Err(failed(io::ErrorKind::NotADirectory.into()))
    }
}

/// Takes away a socket that a killed process left behind, never one that somebody listens at.
fn remove_stale(path: &Path) -> Result<(), ApiError> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(ApiError::InUse { path: path.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => fs::remove_file(path).map_err(|source| ApiError::Listen {
            what: path.display().to_string(),
            source,
        }),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), ApiError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|source| ApiError::Listen {
        what: path.display().to_string(),
        source,
    })
}

#[cfg(test)]
mod tests;
