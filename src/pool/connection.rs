//! From an address to a byte stream: look-up, every address tried, each step with a deadline.

use super::proxy::ProxyUrl;
use super::settings::Deadlines;
use super::trust::CertificatePin;
use super::url::{Host, PoolUrl, Transport};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// Addresses of one name that are tried; a name with more is answered by more than one try.
const MOST_ADDRESSES: usize = 8;
/// Names whose look-ups may hang in the system's resolver at once.
const LOOKUPS: usize = 16;
/// Stack of a look-up thread.
const LOOKUP_STACK: usize = 512 * 1024;
/// TCP looks whether the peer lives after this much silence, and so often from then on.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);
/// TCP gives up when sent bytes stay unacknowledged for this long.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// A future of its own size.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connected byte stream.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to a pool.
pub struct Connection {
    /// Its bytes.
    pub stream: Box<dyn Stream>,
    /// Who is at the other end, for the owner.
    pub peer: String,
    /// How it is encrypted; `None`: not at all.
    pub secured: Option<Secured>,
}

/// What TLS was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// As in `TLSv1_3`.
    pub protocol: &'static str,
    /// As in `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The certificate's SHA-256.
    pub certificate: Option<CertificatePin>,
    /// Whether the certificate's dates were checked: not with a pin, nor while the clock is unset.
    pub dates_checked: bool,
}

/// Makes connections: directly, through a proxy, or in memory for tests.
pub trait Connector: Send + Sync {
    /// Connects, with a deadline for each step inside.
    fn connect<'a>(
        &'a self,
        url: &'a PoolUrl,
        deadlines: &'a Deadlines,
    ) -> Boxed<'a, Result<Connection, ConnectError>>;
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The name was not found.
    #[error("looking up {name}: {error}")]
    Resolve {
        /// The name.
        name: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// The resolver did not answer.
    #[error("looking up {name}: no answer within {} s", .within.as_secs())]
    ResolveTimeout {
        /// The name.
        name: String,
        /// How long was waited.
        within: Duration,
    },
    /// Every address of it failed.
    #[error("connecting to {address} (the last of {tried} tried): {error}")]
    Unreachable {
        /// The last address.
        address: SocketAddr,
        /// How many were tried.
        tried: usize,
        /// What the last one failed with.
        error: io::Error,
    },
    /// All addresses together took too long.
    #[error("connecting to {host}: none of its addresses answered within {} s", .within.as_secs())]
    TooSlow {
        /// Name or address.
        host: String,
        /// How long was waited.
        within: Duration,
    },
    /// An onion service, and no way into Tor.
    #[error(
        "{0} is reached through Tor alone: set `proxy` to its SOCKS5 port, as in socks5://127.0.0.1:9050"
    )]
    Onion(String),
    /// The proxy gave no connection.
    #[error("proxy {proxy}: {error}")]
    Proxy {
        /// The proxy.
        proxy: ProxyUrl,
        /// What went wrong, and what can be done.
        error: String,
    },
    /// This build has no TLS.
    #[error(
        "{0} asks for TLS, which this build does not have: build with the feature `tls`, or use stratum+tcp://"
    )]
    NoTls(PoolUrl),
    /// No certificate could be judged.
    #[error("{url}: {error}")]
    Trust {
        /// The pool.
        url: PoolUrl,
        /// What is wrong with what was to be trusted.
        error: String,
    },
    /// The TLS handshake failed.
    #[error("TLS with {url}: {error}")]
    Tls {
        /// The pool.
        url: PoolUrl,
        /// What went wrong, and what can be done.
        error: String,
    },
}

/// Looks names up.
pub trait Resolver: Send + Sync {
    /// All addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Boxed<'a, io::Result<Vec<SocketAddr>>>;
}

/// Opens a stream to one address.
pub trait Dialer: Send + Sync {
    /// Opens it.
    fn dial(&self, address: SocketAddr) -> Boxed<'_, io::Result<Box<dyn Stream>>>;
}

/// Connects without a proxy. Names are looked up anew at every try.
pub struct DirectConnector<R = SystemResolver, D = TcpDialer> {
    resolver: R,
    dialer: D,
}

impl DirectConnector {
    /// By the system's resolver, over TCP.
    pub fn system() -> Self {
        Self::new(SystemResolver::default(), TcpDialer)
    }
}

impl<R: Resolver, D: Dialer> DirectConnector<R, D> {
    /// By the given resolver and dialer.
    pub fn new(resolver: R, dialer: D) -> Self {
        Self { resolver, dialer }
    }

    async fn connect_any(
        &self,
        url: &PoolUrl,
        deadlines: &Deadlines,
    ) -> Result<Connection, ConnectError> {
        let addresses = self.addresses(url, deadlines.resolve).await?;
        let mut failure = ConnectError::ResolveTimeout {
            name: url.host.to_string(),
            within: deadlines.resolve,
        };
        for (tried, address) in addresses.into_iter().enumerate() {
            let error = match timeout(deadlines.connect, self.dialer.dial(address)).await {
                Ok(Ok(stream)) => {
                    return Ok(Connection {
                        stream,
                        peer: address.to_string(),
                        secured: None,
                    });
                }
                Ok(Err(error)) => error,
                Err(_) => io::Error::new(io::ErrorKind::TimedOut, "no answer"),
            };
            failure = ConnectError::Unreachable {
                address,
                tried: tried + 1,
                error,
            };
        }
        Err(failure)
    }

    async fn addresses(
        &self,
        url: &PoolUrl,
        within: Duration,
    ) -> Result<Vec<SocketAddr>, ConnectError> {
        let name = match &url.host {
            Host::Address(address) => return Ok(vec![SocketAddr::new(*address, url.port)]),
            // RFC 7686: such names are never asked of DNS, which would tell others.
            Host::Name(name) if name.ends_with(".onion") => {
                return Err(ConnectError::Onion(name.to_string()));
            }
            Host::Name(name) => name,
        };
        match timeout(within, self.resolver.resolve(name, url.port)).await {
            Ok(Ok(addresses)) if addresses.is_empty() => {
                let error = io::Error::new(io::ErrorKind::NotFound, "it has no address");
                Err(ConnectError::Resolve {
                    name: name.to_string(),
                    error,
                })
            }
            Ok(Ok(addresses)) => Ok(interleaved(&addresses)),
            Ok(Err(error)) => Err(ConnectError::Resolve {
                name: name.to_string(),
                error,
            }),
            Err(_) => Err(ConnectError::ResolveTimeout {
                name: name.to_string(),
                within,
            }),
        }
    }
}

impl<R: Resolver, D: Dialer> Connector for DirectConnector<R, D> {
    fn connect<'a>(
        &'a self,
        url: &'a PoolUrl,
        deadlines: &'a Deadlines,
    ) -> Boxed<'a, Result<Connection, ConnectError>> {
        Box::pin(async move {
            if url.transport == Transport::Tls {
                return Err(ConnectError::NoTls(url.clone()));
            }
            let within = deadlines.connect_all;
            let attempt = timeout(within, self.connect_any(url, deadlines)).await;
            attempt.unwrap_or_else(|_| {
                Err(ConnectError::TooSlow {
                    host: url.host.to_string(),
                    within,
                })
            })
        })
    }
}

/// IPv6 and IPv4 in turn, so that one broken family costs one deadline and not all of them.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (mut v6, mut v4) = (
        addresses.iter().filter(|address| address.is_ipv6()),
        addresses.iter().filter(|address| address.is_ipv4()),
    );
    let mut order = Vec::with_capacity(addresses.len().min(MOST_ADDRESSES));
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            break;
        }
        for address in pair.into_iter().flatten() {
            if order.len() < MOST_ADDRESSES && !order.contains(address) {
                order.push(*address);
            }
        }
    }
    order
}

/// The operating system's resolver. It blocks, sometimes for half a minute, so each look-up has a
/// thread of its own. A name whose look-up still hangs gets no second one: its next try waits for
/// the thread of the first, so that a dead name can stall neither others nor the machine.
#[derive(Debug, Default)]
pub struct SystemResolver {
    names: Mutex<HashMap<Box<str>, Arc<Semaphore>>>,
}

impl SystemResolver {
    /// The right to look this name up, for one thread at a time.
    fn turn(&self, name: &str) -> io::Result<Arc<Semaphore>> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = names.get(name) {
            return Ok(Arc::clone(turn));
        }
        if names.len() >= LOOKUPS {
            names.retain(|_, turn| turn.available_permits() == 0);
        }
        if names.len() >= LOOKUPS {
            return Err(io::Error::other(
                "too many look-ups hang in the system's resolver",
            ));
        }
        let turn = Arc::new(Semaphore::new(1));
        names.insert(name.into(), Arc::clone(&turn));
        Ok(turn)
    }
}

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let permit = self
                .turn(name)?
                .acquire_owned()
                .await
                .map_err(io::Error::other)?;
            let (sender, receiver) = oneshot::channel();
            let name = name.to_owned();
            let thread = std::thread::Builder::new().name("resolver".into());
            thread.stack_size(LOOKUP_STACK).spawn(move || {
                let found = (name.as_str(), port)
                    .to_socket_addrs()
                    .map(Iterator::collect);
                // Nobody waits any more when the deadline is past.
                let _ = sender.send(found);
                drop(permit);
            })?;
            receiver.await.map_err(io::Error::other)?
        })
    }
}

/// TCP, set up so that shares leave at once and a dead peer is noticed.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDialer;

impl Dialer for TcpDialer {
    fn dial(&self, address: SocketAddr) -> Boxed<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let socket = socket2::SockRef::from(&stream);
            let (idle, interval, retries) = KEEPALIVE;
            let keepalive = socket2::TcpKeepalive::new()
                .with_time(idle)
                .with_interval(interval);
            socket.set_tcp_keepalive(&keepalive.with_retries(retries))?;
            #[cfg(target_os = "linux")]
            socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Table(Vec<SocketAddr>);

    impl Resolver for Table {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
            Box::pin(async { Ok(self.0.clone()) })
        }
    }

    /// Black holes all but one address.
    struct Holes {
        alive: SocketAddr,
        tried: Mutex<Vec<SocketAddr>>,
    }

    impl Dialer for &'static Holes {
        fn dial(&self, address: SocketAddr) -> Boxed<'_, io::Result<Box<dyn Stream>>> {
            self.tried.lock().unwrap().push(address);
            let holes: &'static Holes = self;
            Box::pin(async move {
                if address != holes.alive {
                    std::future::pending::<()>().await;
                }
                Ok(Box::new(tokio::io::duplex(16).0) as Box<dyn Stream>)
            })
        }
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_are_tried_in_turn_and_the_number_is_bounded() {
        let found = addresses(&[
            "192.0.2.1:1",
            "192.0.2.2:1",
            "192.0.2.2:1",
            "[2001:db8::1]:1",
        ]);
        let order = addresses(&["[2001:db8::1]:1", "192.0.2.1:1", "192.0.2.2:1"]);
        assert_eq!(interleaved(&found), order);
        let many: Vec<_> = (0..50)
            .map(|n| SocketAddr::from(([192, 0, 2, n], 1)))
            .collect();
        assert_eq!(interleaved(&many).len(), MOST_ADDRESSES);
    }

    #[tokio::test(start_paused = true)]
    async fn every_address_is_tried_and_black_holes_cost_one_deadline_each() {
        let all = addresses(&["192.0.2.1:1", "[2001:db8::1]:1", "192.0.2.3:1"]);
        let holes: &'static Holes = Box::leak(Box::new(Holes {
            alive: "192.0.2.3:1".parse().unwrap(),
            tried: Mutex::default(),
        }));
        let connector = DirectConnector::new(Table(all.clone()), holes);
        let url: PoolUrl = "pool.example.com:1".parse().unwrap();
        let began = tokio::time::Instant::now();
        let deadlines = Deadlines::default();
        let connection = connector.connect(&url, &deadlines).await.ok().unwrap();
        assert_eq!(connection.peer, "192.0.2.3:1");
        assert_eq!(began.elapsed(), 2 * deadlines.connect);
        assert_eq!(holes.tried.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn the_system_finds_localhost_and_tcp_reaches_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url: PoolUrl = format!("localhost:{port}").parse().unwrap();
        let deadlines = Deadlines::default();
        let connector = DirectConnector::system();
        let connection = connector.connect(&url, &deadlines).await.ok().unwrap();
        assert_eq!(connection.peer, format!("127.0.0.1:{port}"));
    }

    #[tokio::test]
    async fn a_name_whose_look_up_hangs_gets_no_second_thread_and_stalls_no_other() {
        let resolver = SystemResolver::default();
        let hanging = resolver
            .turn("dead.example.com")
            .unwrap()
            .acquire_owned()
            .await
            .unwrap();
        let again = resolver.resolve("dead.example.com", 1);
        assert!(timeout(Duration::from_millis(20), again).await.is_err());
        assert!(!resolver.resolve("127.0.0.1", 1).await.unwrap().is_empty());
        drop(hanging);
        assert_eq!(
            resolver
                .turn("dead.example.com")
                .unwrap()
                .available_permits(),
            1
        );
    }

    #[tokio::test]
    async fn an_onion_name_is_never_looked_up() {
        let url: PoolUrl = "stratum+tcp://poolpoolpool.onion:3333".parse().unwrap();
        let holes: &'static Holes = Box::leak(Box::new(Holes {
            alive: "192.0.2.3:1".parse().unwrap(),
            tried: Mutex::default(),
        }));
        let connector = DirectConnector::new(Table(vec![holes.alive]), holes);
        let deadlines = Deadlines::default();
        let error = connector.connect(&url, &deadlines).await.err().unwrap();
        assert!(error.to_string().contains("socks5://"), "{error}");
        assert!(holes.tried.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_address_that_asks_for_tls_is_never_spoken_to_in_the_clear() {
        let url: PoolUrl = "stratum+tls://pool.example.com:443".parse().unwrap();
        let deadlines = Deadlines::default();
        let error = DirectConnector::system()
            .connect(&url, &deadlines)
            .await
            .err()
            .unwrap();
        assert!(error.to_string().contains("stratum+tcp://"), "{error}");
    }
}
