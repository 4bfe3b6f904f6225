//! The doors to the outside: bounds what strangers send in size, number and time, and passes on whole requests.

mod answer;
mod connection;
mod head;
mod live;
mod origin;
mod places;
#[cfg(feature = "tls")]
mod secured;
mod socket;
mod upload;
mod upstream;
pub mod websocket;

pub use head::{BODY_LIMIT, HEAD_LIMIT, Head, parse_head};
pub use live::LIVE_PATH;
pub use upload::UPLOAD_PATH;

use super::access::{Caller, Gatekeeper, Need};
use super::failure::Failure;
use super::tls::Identity;
use super::{ApiError, Control, set_mode};
use crate::config::{ApiSection, Role};
use crate::telemetry::SnapshotSource;
use cgminer_hal::task::boxed;
use connection::{Client, Door};
use nix::sys::resource::{Resource, getrlimit};
use places::{Place, Places};
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use upstream::Upstream;

/// Requests answered at one time; each holds one thread of `tiny_http`.
const ANSWERED_AT_ONCE: usize = 4;
/// Local tools at one time.
const LOCAL_CONNECTIONS: usize = 16;
/// Open files that network clients leave to everything else.
const FILES_RESERVED: usize = 128;
/// Shortest and longest pause after the system refused to accept.
const ACCEPT_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// All listeners, not yet serving.
pub struct Gateway {
    shared: Arc<Shared>,
    places: Arc<Places>,
    network: Option<TcpListener>,
    local: Option<(UnixListener, SocketFile)>,
    identity: Option<Identity>,
}

/// What all connections share.
struct Shared {
    upstream: Upstream,
    /// Names of this machine that nobody has to configure.
    own_names: Vec<String>,
    control: Control,
    gatekeeper: Mutex<Gatekeeper>,
    answering: Semaphore,
    feed: live::Feed,
    source: SnapshotSource,
}

/// So many places as are wanted, as far as the open files go that the system allows: what strangers hold must never be
/// missing to whoever proves that this process lives.
fn places_for(wanted: usize) -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let most = limit.saturating_sub(FILES_RESERVED).max(limit / 4).max(1);
    if most < wanted {
        tracing::warn!(
            "{most} network clients at one time instead of {wanted}: the system allows {limit} open files"
        );
    }
    most.min(wanted)
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
    /// A gateway that forwards to `tiny_http` at `inner_socket`, and speaks TLS with the network when it has an identity.
    pub fn new(
        inner_socket: PathBuf,
        settings: &ApiSection,
        source: SnapshotSource,
        control: Control,
        identity: Option<Identity>,
    ) -> Self {
        let mut own_names = Vec::new();
        if let Ok(name) = fs::read_to_string("/proc/sys/kernel/hostname") {
            let name = name.trim().to_ascii_lowercase();
            own_names.push(format!("{name}.local"));
            own_names.push(name);
        }
        Self {
            shared: Arc::new(Shared {
                upstream: Upstream::new(inner_socket),
                own_names,
                control,
                gatekeeper: Mutex::default(),
                answering: Semaphore::new(ANSWERED_AT_ONCE),
                feed: live::Feed::new(source.clone()),
                source,
            }),
            places: Places::new(places_for(settings.maximum_connections.into())),
            network: None,
            local: None,
            identity,
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
            places,
            network,
            local,
            identity,
        } = self;
        // Before anybody can come in who might take the descriptors for it.
        shared.upstream.open_ahead(ANSWERED_AT_ONCE).await;
        let network = async {
            match (network, identity) {
                (Some(listener), None) => serve(listener, places, &shared).await,
                (Some(listener), Some(identity)) => {
                    serve(secured(listener, &identity), places, &shared).await;
                }
                (None, _) => std::future::pending().await,
            }
        };
        let local = async {
            match local {
                Some((listener, _file)) => {
                    serve(listener, Places::new(LOCAL_CONNECTIONS), &shared).await;
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

    /// From the first byte to the last.
    fn serve(
        &self,
        stream: Self::Stream,
        door: Door,
        shared: Arc<Shared>,
        place: Place,
    ) -> impl Future<Output = ()> + Send + 'static {
        plainly(Box::new(stream), door, shared, place)
    }

    /// Says that there is no place, without waiting.
    fn turn_away(stream: Self::Stream) {
        answer::turn_away(stream, BUSY);
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

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

#[cfg(feature = "tls")]
use secured::secured;

/// Without TLS there is no identity.
#[cfg(not(feature = "tls"))]
fn secured(listener: TcpListener, _: &Identity) -> TcpListener {
    listener
}

async fn plainly(stream: Box<dyn Client>, door: Door, shared: Arc<Shared>, place: Place) {
    connection::serve(stream, door, &shared, &place).await;
}

/// Accepts for ever. When all places are taken, whoever only waits goes; when nobody does, the client is told so and let go. A
/// system that refuses is asked again, ever slower, and one that waits goes too: it may be descriptors that are missing.
async fn serve(listener: impl Listener, places: Arc<Places>, shared: &Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut pause = ACCEPT_PAUSES.0;
    loop {
        tokio::select! {
            accepted = admit(&listener, shared) => match accepted {
                Ok((stream, door)) => {
                    pause = ACCEPT_PAUSES.0;
                    let peer = match door {
                        Door::Network(address) => Some(address),
                        Door::Local => None,
                    };
                    match places.take(peer, Instant::now()) {
                        Some(place) => {
                            let serving = listener.serve(stream, door, shared.clone(), place);
                            connections.spawn(boxed(serving));
                        }
                        None => turn_away(&listener, stream),
                    }
                }
                Err(error) => {
                    let made_room = places.free_one();
                    tracing::warn!(%error, made_room, "cannot accept a client; tried again in {pause:?}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSES.1);
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Lets the next client in, but not in the moments in which the endpoint needs descriptors. Safe to cancel.
async fn admit<L: Listener>(listener: &L, shared: &Shared) -> io::Result<(L::Stream, Door)> {
    loop {
        shared.upstream.is_opening(false).await;
        tokio::select! {
            biased;
            () = shared.upstream.is_opening(true) => {}
            accepted = listener.accept_stream() => return accepted,
        }
    }
}

fn turn_away<L: Listener>(_: &L, stream: L::Stream) {
    L::turn_away(stream);
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

    /// Whether the owner lets the pages of an origin use the interface.
    fn allows_origin(&self, origin: &str) -> bool {
        let access = self.control.access.borrow();
        access.origins.iter().any(|allowed| allowed == origin)
    }

    /// Who asks, as far as the door and the head tell. Whoever may open the local socket may do everything.
    fn identify(&self, door: Door, head: &Head, token: Option<&str>) -> Result<Caller, Failure> {
        let Door::Network(address) = door else {
            return Ok(Caller {
                name: "a local tool".into(),
                role: Some(Role::Admin),
                token: None,
            });
        };
        let access = self.control.access.borrow().clone();
        let now = tokio::time::Instant::now();
        let mut gatekeeper = self.gatekeeper();
        gatekeeper.admit(address, access.requests_per_second, now)?;
        let subprotocol = token.map(|token| format!("Bearer {token}"));
        let said = head.authorization.as_deref().or(subprotocol.as_deref());
        gatekeeper.identify(address, said, &access, now)
    }

    /// Whether the first token may be claimed by whoever asks now.
    fn may_claim(&self, caller: &Caller) -> bool {
        let pressed = self.source.is_claim_open();
        self.control.access.borrow().may_claim(caller, pressed)
    }

    /// Holds who asks against what is asked.
    fn allow(&self, caller: &Caller, needed: Option<Need>) -> Result<(), Failure> {
        match needed {
            Some(need) => self.control.access.borrow().allow(caller, need),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::samples::Rooms;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A system without descriptors, until somebody gives one back.
    struct Starved {
        refusals: Arc<AtomicUsize>,
    }

    impl Listener for Starved {
        type Stream = tokio::io::Empty;

        async fn accept_stream(&self) -> io::Result<(Self::Stream, Door)> {
            if self.refusals.fetch_add(1, Ordering::Relaxed) < 3 {
                return Err(io::Error::other("too many open files"));
            }
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_system_that_refuses_is_asked_again_and_whoever_waits_makes_room() {
        let shared = Arc::new(Shared {
            upstream: Upstream::new("/nowhere/http.sock".into()),
            own_names: Vec::new(),
            control: crate::api::tests::no_control(),
            gatekeeper: Mutex::default(),
            answering: Semaphore::new(1),
            feed: live::Feed::new(Rooms::silent().0),
            source: Rooms::silent().0,
        });
        let places = Places::new(8);
        let waiting: Vec<_> = (0..5)
            .map(|_| places.take(None, Instant::now()).unwrap())
            .collect();
        let refusals = Arc::new(AtomicUsize::new(0));
        let listener = Starved {
            refusals: refusals.clone(),
        };
        let start = Instant::now();
        let serving = serve(listener, places.clone(), &shared);
        let _ = tokio::time::timeout(Duration::from_secs(5), serving).await;
        assert_eq!(refusals.load(Ordering::Relaxed), 4);
        assert!(start.elapsed() <= Duration::from_secs(5));
        let mut gone = 0;
        for place in &waiting {
            let wanted = tokio::time::timeout(Duration::ZERO, place.is_wanted());
            gone += usize::from(wanted.await.is_ok());
        }
        assert_eq!(gone, 3);
    }

    #[test]
    fn clients_leave_open_files_to_the_rest() {
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let soft = usize::try_from(soft).unwrap();
        assert_eq!(places_for(4), 4);
        assert!(places_for(usize::MAX) < soft);
    }
}
