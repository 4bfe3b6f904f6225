//! The doors to the outside: bounds what strangers send in size, number and time, and passes on whole requests.

mod connection;
mod head;
mod live;
mod upstream;

pub use head::{BODY_LIMIT, HEAD_LIMIT, Head, parse_head};
pub use live::LIVE_PATH;

use super::access::{Caller, Gatekeeper};
use super::failure::Failure;
use super::{ApiError, Control, set_mode};
use crate::config::{ApiSection, Role};
use crate::telemetry::SnapshotSource;
use connection::Door;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// Requests answered at one time; each holds one thread of `tiny_http`.
const ANSWERED_AT_ONCE: usize = 4;
/// Local tools at one time.
const LOCAL_CONNECTIONS: usize = 16;
/// Shortest and longest pause after the system refused to accept.
const ACCEPT_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// All listeners, not yet serving.
pub struct Gateway {
    shared: Arc<Shared>,
    network_permits: Arc<Semaphore>,
    network: Option<TcpListener>,
    local: Option<(UnixListener, SocketFile)>,
}

/// What all connections share.
struct Shared {
    inner_socket: PathBuf,
    /// Names of this machine that nobody has to configure.
    own_names: Vec<String>,
    control: Control,
    gatekeeper: Mutex<Gatekeeper>,
    answering: Semaphore,
    feed: live::Feed,
    source: SnapshotSource,
}

/// Takes the socket's file away at the end.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Nothing is lost when it stays: the next start removes it.
        let _ = fs::remove_file(&self.0);
    }
}

impl Gateway {
    /// A gateway that forwards to `tiny_http` at `inner_socket`.
    pub fn new(
        inner_socket: PathBuf,
        settings: &ApiSection,
        source: SnapshotSource,
        control: Control,
    ) -> Self {
        let mut own_names = Vec::new();
        if let Ok(name) = fs::read_to_string("/proc/sys/kernel/hostname") {
            let name = name.trim().to_ascii_lowercase();
            own_names.push(format!("{name}.local"));
            own_names.push(name);
        }
        Self {
            shared: Arc::new(Shared {
                inner_socket,
                own_names,
                control,
                gatekeeper: Mutex::default(),
                answering: Semaphore::new(ANSWERED_AT_ONCE),
                feed: live::Feed::new(source.clone()),
                source,
            }),
            network_permits: Arc::new(Semaphore::new(settings.maximum_connections.into())),
            network: None,
            local: None,
        }
    }

    /// Opens the network door and tells where it is.
    pub fn listen(&mut self, address: SocketAddr) -> Result<SocketAddr, ApiError> {
        let failed = |source| ApiError::Listen {
            what: address.to_string(),
            source,
        };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        self.network = Some(listener);
        Ok(bound)
    }

    /// Opens the door for local tools: owner and group of this process.
    pub fn listen_locally(&mut self, path: &Path) -> Result<(), ApiError> {
        let failed = |source| ApiError::Listen {
            what: path.display().to_string(),
            source,
        };
        let listener = UnixListener::bind(path).map_err(failed)?;
        let file = SocketFile(path.into());
        set_mode(path, 0o660)?;
        self.local = Some((listener, file));
        Ok(())
    }

    /// Serves until dropped.
    pub async fn run(self) {
        let Self {
            shared,
            network_permits,
            network,
            local,
        } = self;
        let network = async {
            match network {
                Some(listener) => serve(listener, network_permits, &shared).await,
                None => std::future::pending().await,
            }
        };
        let local = async {
            match local {
                Some((listener, _file)) => {
                    let permits = Arc::new(Semaphore::new(LOCAL_CONNECTIONS));
                    serve(listener, permits, &shared).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::join!(network, local, shared.feed.run());
    }
}

/// What clients come in through.
trait Listener: Send + Sync {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept_stream(&self) -> impl Future<Output = io::Result<(Self::Stream, Door)>> + Send;
}

impl Listener for TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn accept_stream(&self) -> io::Result<(Self::Stream, Door)> {
        let (stream, peer) = self.accept().await?;
        // A client that has gone already is found out by reading.
        let _ = stream.set_nodelay(true);
        Ok((stream, Door::Network(peer.ip())))
    }
}

impl Listener for UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn accept_stream(&self) -> io::Result<(Self::Stream, Door)> {
        self.accept().await.map(|(stream, _)| (stream, Door::Local))
    }
}

/// Accepts for ever. A client beyond the cap is told so and let go; a system that refuses is asked again, ever slower.
async fn serve(listener: impl Listener, permits: Arc<Semaphore>, shared: &Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut pause = ACCEPT_PAUSES.0;
    loop {
        tokio::select! {
            accepted = listener.accept_stream() => match accepted {
                Ok((stream, door)) => {
                    pause = ACCEPT_PAUSES.0;
                    match permits.clone().try_acquire_owned() {
                        Ok(permit) => {
                            let life = live(stream, door, shared.clone(), permit);
                            connections.spawn(life);
                        }
                        Err(_) => connection::turn_away(stream),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a client; tried again in {pause:?}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSES.1);
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn live<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    door: Door,
    shared: Arc<Shared>,
    permit: OwnedSemaphorePermit,
) {
    connection::serve(stream, door, &shared).await;
    drop(permit);
}

impl Shared {
    /// Whether a browser may have meant this machine. A page of a stranger can point its own name at this address (DNS
    /// rebinding), but it cannot make the browser send another name than its own.
    fn allows_host(&self, host: &str) -> bool {
        let name = host_without_port(host);
        let address = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || address.parse::<std::net::IpAddr>().is_ok()
            || self
                .own_names
                .iter()
                .chain(&self.control.access.borrow().hosts)
                .any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Who asks, as far as the door and the head tell. Whoever may open the local socket may do everything.
    fn identify(&self, door: Door, head: &Head) -> Result<Caller, Failure> {
        let Door::Network(address) = door else {
            return Ok(Caller {
                name: "a local tool".into(),
                role: Some(Role::Admin),
            });
        };
        let access = self.control.access.borrow().clone();
        let now = tokio::time::Instant::now();
        let mut gatekeeper = self.gatekeeper();
        gatekeeper.admit(address, access.requests_per_second, now)?;
        gatekeeper.identify(address, head.authorization.as_deref(), &access, now)
    }

    /// Whether the first token may be claimed by whoever asks now.
    fn may_claim(&self, caller: &Caller) -> bool {
        let pressed = self.source.is_claim_open();
        self.control.access.borrow().may_claim(caller, pressed)
    }

    /// Holds who asks against what is asked.
    fn allow(&self, caller: &Caller, needed: Option<Role>) -> Result<(), Failure> {
        match needed {
            Some(role) => self.control.access.borrow().allow(caller, role),
            None => Ok(()),
        }
    }

    fn gatekeeper(&self) -> std::sync::MutexGuard<'_, Gatekeeper> {
        self.gatekeeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn host_without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

const BUSY: Failure = Failure::new(
    503,
    "busy",
    "too many requests at this moment",
    "ask again in a second",
);
