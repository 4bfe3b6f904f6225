//! Log lines to a syslog server, in datagrams. Nothing is ever read back, so the keeper may do it, too.

use crate::config::SyslogServer;
use crate::pool::url::Host;
use crate::telemetry::logs::{AdoptedSink, LineSink};
use crate::telemetry::syslog::SyslogMessage;
use cgminer_hal::task::thread;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tracing::Level;

/// Lines on their way.
const QUEUE: usize = 256;
/// 2024-01-01: a clock before it was never set.
const EARLIEST_CLOCK: f64 = 1_704_067_200.0;

/// How long a name may take to be looked up before lines go on being lost.
const LOOK_UP: Duration = Duration::from_secs(5);
/// Between two look-ups of a name that is known, and of one that is not.
const AGAIN: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(30));
/// Lines of the keeper that were told before this process was there, and are not older, are sent by it.
const BEFORE: f64 = 60.0;

/// The way to a server; lines that find the queue full are lost.
#[derive(Clone)]
pub struct Remote {
    lines: SyncSender<(Level, f64, String)>,
    /// When it began, in seconds since 1970.
    began: f64,
}

impl Remote {
    /// Sends from a thread of its own.
    pub fn to(server: SyslogServer, host: Option<String>) -> Self {
        let (sender, lines) = sync_channel::<(Level, f64, String)>(QUEUE);
        let send = move || {
            let mut server = Server::new(server, look_up);
            let mut socket = None;
            for (level, unix_time, text) in lines {
                let message = SyslogMessage {
                    severity: severity(level),
                    unix_time: Some(unix_time).filter(|at| *at > EARLIEST_CLOCK),
                    host: host.as_deref(),
                    id: "log",
                    text: &text,
                };
                let Some(address) = server.address(Instant::now()) else {
                    continue;
                };
                // A network that comes up later is found later.
                if socket.is_none() {
                    socket = open(address).ok();
                }
                if let Some(open) = &socket {
                    if open.send_to(&message.to_bytes(), address).is_err() {
                        socket = None;
                    }
                }
            }
        };
        // Without a thread lines are lost, which is what this way promises at most.
        let _ = thread("syslog", send);
        Self {
            lines: sender,
            began: unix_now(),
        }
    }
}

impl LineSink for Remote {
    fn take(&self, level: Level, target: &'static str, text: String) {
        let line = (level, unix_now(), format!("{target}: {text}"));
        let _ = self.lines.try_send(line);
    }
}

impl AdoptedSink for Remote {
    fn take(&self, unix_time: f64, level: Level, target: &str, text: &str) {
        if unix_time >= self.began - BEFORE {
            let line = (level, unix_time, format!("{target}: {text}"));
            let _ = self.lines.try_send(line);
        }
    }
}

fn unix_now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}

/// Asks the system's resolver, which may hang.
type LookUp = fn(&str, u16) -> Option<SocketAddr>;

fn look_up(name: &str, port: u16) -> Option<SocketAddr> {
    (name, port).to_socket_addrs().ok()?.next()
}

/// A server and what is known of where it is.
struct Server {
    named: SyslogServer,
    look_up: LookUp,
    address: Option<SocketAddr>,
    looked: Option<Instant>,
    /// A look-up on its way: one at most, however long it hangs.
    pending: Option<Receiver<Option<SocketAddr>>>,
}

impl Server {
    fn new(named: SyslogServer, look_up: LookUp) -> Self {
        Self {
            named,
            look_up,
            address: None,
            looked: None,
            pending: None,
        }
    }

    /// Where it is, as far as is known; waits for a first look-up, and not for long.
    fn address(&mut self, now: Instant) -> Option<SocketAddr> {
        let port = self.named.port;
        let name = match &self.named.host {
            Host::Address(address) => return Some(SocketAddr::new(*address, port)),
            Host::Name(name) => name.clone(),
        };
        let rest = if self.address.is_some() {
            AGAIN.0
        } else {
            AGAIN.1
        };
        let mut patience = Duration::ZERO;
        if self.pending.is_none() && self.looked.is_none_or(|looked| now - looked >= rest) {
            self.looked = Some(now);
            let (tell, told) = sync_channel(1);
            let look_up = self.look_up;
            let spawned = thread("syslog-name", move || {
                // Who asked may have gone.
                let _ = tell.send(look_up(&name, port));
            });
            if spawned.is_ok() {
                self.pending = Some(told);
            }
            if self.address.is_none() {
                patience = LOOK_UP;
            }
        }
        let told = self.pending.as_ref();
        match told.map(|pending| pending.recv_timeout(patience)) {
            None | Some(Err(RecvTimeoutError::Timeout)) => {}
            Some(told) => {
                self.pending = None;
                // What was known holds until something better is.
                self.address = told.ok().flatten().or(self.address);
            }
        }
        self.address
    }
}

fn open(server: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: SocketAddr = if server.is_ipv6() {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    };
    UdpSocket::bind(any)
}

fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn each_line_is_a_datagram_with_its_severity() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        // A name, looked up in the system's own list.
        let port = server.local_addr().unwrap().port();
        let named = format!("localhost:{port}").parse().unwrap();
        let mut known = Server::new(named, |_, port| Some((Ipv4Addr::LOCALHOST, port).into()));
        assert_eq!(
            known.address(Instant::now()),
            Some(server.local_addr().unwrap())
        );
        let at = server.local_addr().unwrap().to_string();
        let remote = Remote::to(at.parse().unwrap(), Some("miner-7".into()));
        LineSink::take(
            &remote,
            Level::WARN,
            "cgminer_rs::pool",
            "the pool is silent".into(),
        );
        // Of the keeper, by way of the miner; what is old was sent by the miner before.
        let now = unix_now();
        AdoptedSink::take(
            &remote,
            now - 2.0 * BEFORE,
            Level::INFO,
            "cgminer_rs::pool",
            "old",
        );
        AdoptedSink::take(&remote, now, Level::INFO, "cgminer_rs::pool", "it speaks");
        for (priority, words) in [(28, "the pool is silent"), (30, "it speaks")] {
            let mut buffer = [0; 4096];
            let count = server.recv(&mut buffer).unwrap();
            let text = String::from_utf8(buffer[..count].to_vec()).unwrap();
            assert!(text.starts_with(&format!("<{priority}>1 ")), "{text}");
            let end = format!("log - cgminer_rs::pool: {words}");
            assert!(text.contains(" miner-7 ") && text.ends_with(&end), "{text}");
        }
    }

    #[test]
    fn lines_faster_than_the_network_never_wait() {
        // A port that nobody listens at: sending fails or is lost, and nothing hangs.
        let remote = Remote::to("127.0.0.1:9".parse().unwrap(), None);
        for _ in 0..10 * QUEUE {
            LineSink::take(&remote, Level::INFO, "a", "b".repeat(400));
        }
    }

    #[test]
    fn a_name_is_looked_up_once_in_a_while_and_one_that_hangs_by_one_thread() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        static HANGING: AtomicUsize = AtomicUsize::new(0);
        let named: SyslogServer = "log.example:514".parse().unwrap();
        let start = Instant::now();
        let mut server = Server::new(named.clone(), |_, port| {
            let asked = ASKED.fetch_add(1, Ordering::Relaxed);
            // Unknown at first, then at one address, then nobody knows it any more.
            (asked == 1).then(|| (Ipv4Addr::LOCALHOST, port).into())
        });
        for seconds in 0..30 {
            assert_eq!(server.address(start + Duration::from_secs(seconds)), None);
        }
        assert_eq!(ASKED.load(Ordering::Relaxed), 1);
        let at = Some((Ipv4Addr::LOCALHOST, 514).into());
        for seconds in 30..330 {
            assert_eq!(server.address(start + Duration::from_secs(seconds)), at);
        }
        assert_eq!(ASKED.load(Ordering::Relaxed), 2);
        for seconds in 330..400 {
            assert_eq!(server.address(start + Duration::from_secs(seconds)), at);
        }
        while ASKED.load(Ordering::Relaxed) < 3 {
            std::thread::yield_now();
        }

        let mut server = Server::new(named, |_, _| {
            HANGING.fetch_add(1, Ordering::Relaxed);
            loop {
                std::thread::park();
            }
        });
        for hours in 0..24 {
            let now = start + Duration::from_secs(3600 * hours);
            assert_eq!(server.address(now), None);
        }
        assert!(HANGING.load(Ordering::Relaxed) <= 1);
    }
}
