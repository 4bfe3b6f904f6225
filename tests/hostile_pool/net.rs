//! A network in memory: names, addresses, and what happens to those who connect.

use cgminer_rs::pool::connection::{Boxed, Dialer, DirectConnector, Resolver, Stream};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{DuplexStream, duplex};
use tokio::time::{Instant, sleep};

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
        let now = self.began.elapsed();
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
            }
        })
    }
}
