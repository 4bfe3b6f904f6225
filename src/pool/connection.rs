//! From an address to a byte stream: look-up, every address tried, each step with a deadline.

use super::proxy::ProxyUrl;
use super::settings::Deadlines;
use super::trust::CertificatePin;
use super::url::{Host, PoolUrl, Transport};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep_until, timeout};

/// Addresses of one name that are tried at once; of a name with more, the next try takes the next.
const MOST_ADDRESSES: usize = 8;
/// Addresses of one name that are known of at all.
const MOST_FOUND: usize = 64;
/// How long an address is waited for before the next is dialled beside it: long enough that a living
/// one is alone, short enough that a whole list of black holes is passed within one try.
const STAGGER: Duration = Duration::from_secs(1);
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
    /// This build has no Stratum v2.
    #[error(
        "{0} asks for Stratum v2, which this build does not have: build with the feature `sv2`, or use the pool's \
         Stratum v1 address, stratum+tcp:// or stratum+tls://"
    )]
    NoNoise(PoolUrl),
    /// The Noise handshake failed.
    #[error("Noise with {url}: {error}")]
    Noise {
        /// The pool.
        url: PoolUrl,
        /// What went wrong, and what can be done.
        error: String,
    },
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

impl ConnectError {
    /// Refuses an address whose bytes would have to be encrypted, where they can only go as they are.
    pub(super) fn unless_bare(url: &PoolUrl) -> Result<(), Self> {
        match url.transport {
            Transport::Tcp => Ok(()),
            Transport::Tls => Err(Self::NoTls(url.clone())),
            Transport::Noise => Err(Self::NoNoise(url.clone())),
        }
    }
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
    turns: Turns,
}

/// An address that is being dialled.
type Dial<'a> = (SocketAddr, Boxed<'a, Dialled>);
/// What came of it within its deadline.
type Dialled = Result<io::Result<Box<dyn Stream>>, Elapsed>;

impl DirectConnector {
    /// By the system's resolver, over TCP.
    pub fn system() -> Self {
        Self::new(SystemResolver::default(), TcpDialer)
    }
}

impl<R: Resolver, D: Dialer> DirectConnector<R, D> {
    /// By the given resolver and dialer.
    pub fn new(resolver: R, dialer: D) -> Self {
        Self {
            resolver,
            dialer,
            turns: Turns::default(),
        }
    }

    async fn connect_any(
        &self,
        url: &PoolUrl,
        deadlines: &Deadlines,
    ) -> Result<Connection, ConnectError> {
        let found = self.addresses(url, deadlines.resolve).await?;
        let many = found.len() > MOST_ADDRESSES;
        let begin = if many { self.turns.of(&url.host) } else { 0 };
        let addresses = found.iter().cycle().skip(begin % found.len().max(1));
        let addresses = addresses.take(found.len().min(MOST_ADDRESSES)).copied();
        if many {
            // Until one of these has answered, the next try is for those behind them.
            self.turns.set(&url.host, begin + MOST_ADDRESSES);
        }
        let connection = self.first_of(addresses, url, deadlines).await?;
        if many {
            self.turns.set(&url.host, begin);
        }
        Ok(connection)
    }

    /// Dials the addresses, one each [`STAGGER`] or as soon as the one before it has failed; the
    /// first that answers is taken.
    async fn first_of(
        &self,
        mut addresses: impl Iterator<Item = SocketAddr>,
        url: &PoolUrl,
        deadlines: &Deadlines,
    ) -> Result<Connection, ConnectError> {
        let mut failure = ConnectError::ResolveTimeout {
            name: url.host.to_string(),
            within: deadlines.resolve,
        };
        let mut dials: Vec<Dial<'_>> = Vec::with_capacity(MOST_ADDRESSES);
        let mut next = addresses.next();
        let mut next_at = Instant::now();
        let mut tried = 0;
        loop {
            if dials.is_empty() || Instant::now() >= next_at {
                match next.take() {
                    Some(address) => {
                        let dial = timeout(deadlines.connect, self.dialer.dial(address));
                        dials.push((address, Box::pin(dial)));
                        next = addresses.next();
                        next_at = Instant::now() + STAGGER;
                    }
                    None if dials.is_empty() => return Err(failure),
                    None => {}
                }
            }
            let (address, outcome) = tokio::select! {
                biased;
                answered = first_answer(&mut dials) => answered,
                () = sleep_until(next_at), if next.is_some() => continue,
            };
            let error = match outcome {
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
            tried += 1;
            next_at = Instant::now();
            failure = ConnectError::Unreachable {
                address,
                tried,
                error,
            };
        }
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
            ConnectError::unless_bare(url)?;
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

/// The first of these dials that comes to an end; it is taken out.
async fn first_answer(dials: &mut Vec<Dial<'_>>) -> (SocketAddr, Dialled) {
    poll_fn(|context| {
        let answered = dials.iter_mut().enumerate().find_map(|(at, (_, dial))| {
            match dial.as_mut().poll(context) {
                Poll::Ready(outcome) => Some((at, outcome)),
                Poll::Pending => None,
            }
        });
        match answered {
            Some((at, outcome)) => Poll::Ready((dials.remove(at).0, outcome)),
            None => Poll::Pending,
        }
    })
    .await
}

/// Where in its list the next try begins, for names with more addresses than one try takes.
#[derive(Debug, Default)]
struct Turns(Mutex<HashMap<Box<str>, usize>>);

impl Turns {
    fn of(&self, host: &Host) -> usize {
        let turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.get(&*host.to_string()).copied().unwrap_or(0)
    }

    fn set(&self, host: &Host, begin: usize) {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= LOOKUPS {
            // Beginning at the front again is all that forgetting does.
            turns.clear();
        }
        turns.insert(host.to_string().into(), begin);
    }
}

/// IPv6 and IPv4 in turn, so that one broken family does not stand before the other.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (mut v6, mut v4) = (
        addresses.iter().filter(|address| address.is_ipv6()),
        addresses.iter().filter(|address| address.is_ipv4()),
    );
    let mut order = Vec::with_capacity(addresses.len().min(MOST_FOUND));
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            break;
        }
        for address in pair.into_iter().flatten() {
            if order.len() < MOST_FOUND && !order.contains(address) {
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
mod tests;
