//! A network in memory: names, addresses, and what happens to those who connect.

use cgminer_rs::pool::connection::{Boxed, Dialer, DirectConnector, Resolver, Stream};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Bytes that a connection holds before its writer has to wait.
const WINDOW: usize = 64 * 1024;

/// What the resolver says.
#[derive(Clone)]
pub enum Lookup {
    Found(Vec<SocketAddr>),
    NotFound,
    Slow(Duration, Vec<SocketAddr>),
}

/// What an address does with a connection.
pub enum Reach {
    Refused,
    BlackHole,
    /// Takes it; the far end goes to whoever plays the pool.
    Taken(Box<dyn FnOnce(DuplexStream) + Send>),
    /// The same, until the connection is reset so long after the network began.
    Resets(Duration, Box<dyn FnOnce(DuplexStream) + Send>),
}

impl Reach {
    /// A connection that is reset, where it would have been closed.
    pub fn reset_at(self, at: Duration) -> Self {
        match self {
            Self::Taken(pool) => Self::Resets(at, pool),
            other => other,
        }
    }

    /// A connection that leads through a SOCKS5 proxy without a password.
    pub fn through_socks(self) -> Self {
        match self {
            Self::Taken(pool) => Self::Taken(Box::new(|mut stream| {
                tokio::spawn(async move {
                    let mut greeting = [0; 3];
                    stream.read_exact(&mut greeting).await?;
                    assert_eq!(greeting, [5, 1, 0]);
                    stream.write_all(&[5, 0]).await?;
                    let mut request = [0; 5];
                    stream.read_exact(&mut request).await?;
                    assert_eq!(request[..4], [5, 1, 0, 3], "a name, looked up there");
                    let mut name = vec![0; usize::from(request[4]) + 2];
                    stream.read_exact(&mut name).await?;
                    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
                    pool(stream);
                    io::Result::Ok(())
                });
            })),
            other => other,
        }
    }
}

/// A stream that tells of a reset when its time has come.
struct Resetting {
    stream: DuplexStream,
    at: Pin<Box<Sleep>>,
}

impl AsyncRead for Resetting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Resetting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.at.is_elapsed() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

type Names = HashMap<String, Box<dyn Fn(Duration) -> Lookup + Send>>;
type Hosts = HashMap<SocketAddr, Box<dyn FnMut(Duration) -> Reach + Send>>;

#[derive(Default)]
struct State {
    names: Names,
    hosts: Hosts,
    dials: Vec<(Duration, SocketAddr)>,
    lookups: Vec<(Duration, String)>,
}

/// The network. Times are since it began.
#[derive(Clone)]
pub struct Net {
    state: Arc<Mutex<State>>,
    began: Instant,
}

impl Net {
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            began: Instant::now(),
        }
    }

    pub fn name(&self, name: &str, lookup: impl Fn(Duration) -> Lookup + Send + 'static) {
        self.state
            .lock()
            .unwrap()
            .names
            .insert(name.to_owned(), Box::new(lookup));
    }

    pub fn host(&self, address: &str, reach: impl FnMut(Duration) -> Reach + Send + 'static) {
        let address = address.parse().unwrap();
        self.state
            .lock()
            .unwrap()
            .hosts
            .insert(address, Box::new(reach));
    }

    pub fn dials(&self) -> Vec<(Duration, SocketAddr)> {
        self.state.lock().unwrap().dials.clone()
    }

    pub fn lookups(&self) -> Vec<(Duration, String)> {
        self.state.lock().unwrap().lookups.clone()
    }

    pub fn connector(&self) -> Arc<DirectConnector<Self, Self>> {
        Arc::new(DirectConnector::new(self.clone(), self.clone()))
    }
}

impl Resolver for Net {
    fn resolve<'a>(&'a self, name: &'a str, _: u16) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        let now = self.began.elapsed();
        let lookup = {
            let mut state = self.state.lock().unwrap();
            state.lookups.push((now, name.to_owned()));
            state
                .names
                .get(name)
                .map_or(Lookup::NotFound, |lookup| lookup(now))
        };
        Box::pin(async move {
            match lookup {
                Lookup::Found(addresses) => Ok(addresses),
                Lookup::NotFound => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
                Lookup::Slow(time, addresses) => {
                    sleep(time).await;
                    Ok(addresses)
                }
            }
        })
    }
}

impl Dialer for Net {
    fn dial(&self, address: SocketAddr) -> Boxed<'_, io::Result<Box<dyn Stream>>> {
        let (began, now) = (self.began, self.began.elapsed());
        let reach = {
            let mut state = self.state.lock().unwrap();
            state.dials.push((now, address));
            state
                .hosts
                .get_mut(&address)
                .map_or(Reach::Refused, |reach| reach(now))
        };
        Box::pin(async move {
            match reach {
                Reach::Refused => Err(io::ErrorKind::ConnectionRefused.into()),
                Reach::BlackHole => std::future::pending().await,
                Reach::Taken(pool) => {
                    let (near, far) = duplex(WINDOW);
                    pool(far);
                    Ok(Box::new(near) as Box<dyn Stream>)
                }
                Reach::Resets(at, pool) => {
                    let (stream, far) = duplex(WINDOW);
                    pool(far);
                    let at = Box::pin(sleep_until(began + at));
                    Ok(Box::new(Resetting { stream, at }) as Box<dyn Stream>)
                }
            }
        })
    }
}
