//! Tells the local network that a miner is here: multicast DNS, service `_cgminer-rs._tcp`.
//!
//! ```text
//! probe (is the name free?) ─► announce ─► answer questions ─► goodbye at the end
//! ```
//!
//! Only what has an address for others is told: a gateway that listens at the machine itself alone stays silent. No list of
//! network devices is asked for, which this process may not: the address is the one that the kernel would answer from.

pub mod packet;
mod responder;
#[cfg(test)]
mod tests;

use packet::LONGEST;
use responder::Responder;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket as StdSocket};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep, timeout_at};
use tracing::{debug, info};

/// The group of multicast DNS.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
/// Its port.
const PORT: u16 = 5353;
/// Questions whether a name is free, and the time between them (RFC 6762, 8.1).
const PROBES: (u32, Duration) = (3, Duration::from_millis(250));
/// Names that are tried.
const NAMES: u32 = 9;
/// How often is looked whether the address has changed, and the network is there at all.
const LOOK: Duration = Duration::from_secs(60);
/// A network that is not there is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// The same answer is given to all at most so often (RFC 6762, 6).
const REST: Duration = Duration::from_secs(1);

/// What is told.
#[derive(Clone, Debug)]
pub struct Service {
    /// This machine's name.
    pub host: String,
    /// Where the gateway listens.
    pub address: SocketAddr,
    /// Board file in use.
    pub board: String,
    /// Whether it is an emulation.
    pub emulated: bool,
}

/// Where multicast DNS is spoken.
#[derive(Clone, Copy, Debug)]
struct Net {
    port: u16,
    /// Address of the network; unspecified: the kernel's choice.
    at: Ipv4Addr,
}

impl Service {
    /// What there is to tell of a gateway at an address: nothing when its owner does not want it, nor when others cannot
    /// reach it.
    #[must_use]
    pub fn of(
        wanted: bool,
        host: Option<String>,
        address: SocketAddr,
        (board, emulated): (&str, bool),
    ) -> Option<Self> {
        let is_for_others = match address.ip() {
            IpAddr::V4(address) => !address.is_loopback(),
            // Whoever listens at all addresses of version 6 is reached by version 4, too.
            IpAddr::V6(address) => address.is_unspecified(),
        };
        (wanted && is_for_others).then(|| Self {
            host: host.unwrap_or_default(),
            address,
            board: board.to_owned(),
            emulated,
        })
    }
}

/// Tells it until `stop`, then says goodbye.
pub async fn run(service: Service, stop: watch::Receiver<bool>) {
    let net = Net {
        port: PORT,
        at: Ipv4Addr::UNSPECIFIED,
    };
    run_at(net, service, stop).await;
}

async fn run_at(net: Net, service: Service, mut stop: watch::Receiver<bool>) {
    let mut number = 1;
    loop {
        let told = tokio::select! {
            told = tell(net, &service, &mut number) => told,
            stopped = stop.wait_for(|stop| *stop) => {
                drop(stopped);
                return;
            }
        };
        let (socket, mut responder) = match told {
            Ok(told) => told,
            Err(error) => {
                debug!(%error, "no multicast DNS for now");
                tokio::select! {
                    () = sleep(AGAIN) => continue,
                    stopped = stop.wait_for(|stop| *stop) => {
                        drop(stopped);
                        return;
                    }
                }
            }
        };
        let ended = tokio::select! {
            error = answer(net, &socket, &mut responder, &service) => Some(error),
            // A keeper that is gone is a stop as well.
            stopped = stop.wait_for(|stop| *stop) => {
                drop(stopped);
                None
            }
        };
        let Some(error) = ended else {
            // Nobody waits for it to arrive.
            let _ = socket
                .send_to(&responder.goodbye(), (GROUP, net.port))
                .await;
            return;
        };
        debug!(%error, "multicast DNS begins anew");
        sleep(REST).await;
    }
}

/// Opens the socket, finds a free name and announces it.
async fn tell(net: Net, service: &Service, number: &mut u32) -> io::Result<(UdpSocket, Responder)> {
    let socket = open(net)?;
    let address = address_towards(service, SocketAddrV4::new(GROUP, net.port).into())?;
    loop {
        let responder = Responder::new(service, *number, address);
        if *number >= NAMES || is_free(net, &socket, &responder).await? {
            for _ in 0..2 {
                socket
                    .send_to(&responder.announcement(), (GROUP, net.port))
                    .await?;
                sleep(REST).await;
            }
            info!(name = responder.instance(), %address, "told to the local network");
            return Ok((socket, responder));
        }
        *number += 1;
    }
}

async fn is_free(net: Net, socket: &UdpSocket, responder: &Responder) -> io::Result<bool> {
    let mut buffer = vec![0; LONGEST];
    for _ in 0..PROBES.0 {
        socket
            .send_to(&responder.probe(), (GROUP, net.port))
            .await?;
        let until = Instant::now() + PROBES.1;
        while let Ok(received) = timeout_at(until, socket.recv_from(&mut buffer)).await {
            let (count, _) = received?;
            if responder.conflicts(buffer.get(..count).unwrap_or_default()) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Answers questions until the network is no longer as it was.
async fn answer(
    net: Net,
    socket: &UdpSocket,
    responder: &mut Responder,
    service: &Service,
) -> io::Error {
    let mut buffer = vec![0; LONGEST];
    let mut look = interval_at(Instant::now() + LOOK, LOOK);
    let mut last: Option<Instant> = None;
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            _ = look.tick() => {
                match address_towards(service, SocketAddrV4::new(GROUP, net.port).into()) {
                    Ok(address) if address == responder.address() => continue,
                    Ok(_) => return io::Error::other("the address has changed"),
                    Err(error) => return error,
                }
            }
        };
        let (count, from) = match received {
            Ok(received) => received,
            Err(error) => return error,
        };
        let question = buffer.get(..count).unwrap_or_default();
        // Who asks from another port wants the answer for itself, and knows nothing of multicast.
        let alone = from.port() != net.port;
        let address = if alone {
            address_towards(service, from).unwrap_or(responder.address())
        } else {
            responder.address()
        };
        let Some(told) = responder.answer(question, alone, address) else {
            continue;
        };
        let sent = if alone {
            socket.send_to(&told, from).await
        } else {
            let now = Instant::now();
            if last.is_some_and(|last| now - last < REST) {
                continue;
            }
            last = Some(now);
            socket.send_to(&told, (GROUP, net.port)).await
        };
        if let Err(error) = sent {
            return error;
        }
    }
}

/// A socket that shares the port with whoever else speaks multicast DNS here.
fn open(net: Net) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, net.port)).into())?;
    if !net.at.is_unspecified() {
        socket.set_multicast_if_v4(&net.at)?;
    }
    socket.join_multicast_v4(&GROUP, &net.at)?;
    UdpSocket::from_std(socket.into())
}

/// Our own address, as somebody sees it: the one that was asked for, or the kernel's choice.
fn address_towards(service: &Service, peer: SocketAddr) -> io::Result<Ipv4Addr> {
    if let IpAddr::V4(address) = service.address.ip() {
        if !address.is_unspecified() {
            return Ok(address);
        }
    }
    let socket = StdSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(peer)?;
    match socket.local_addr()?.ip() {
        IpAddr::V4(address) if !address.is_unspecified() && !address.is_loopback() => Ok(address),
        _ => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}
