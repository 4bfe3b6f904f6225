//! Log lines to a syslog server, in datagrams. Nothing is ever read back, so the keeper may do it, too.

use crate::telemetry::logs::LineSink;
use crate::telemetry::syslog::SyslogMessage;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::Level;

/// Lines on their way.
const QUEUE: usize = 256;
/// 2024-01-01: a clock before it was never set.
const EARLIEST_CLOCK: f64 = 1_704_067_200.0;

/// The way to a server; lines that find the queue full are lost.
pub struct Remote(SyncSender<(Level, f64, String)>);

impl Remote {
    /// Sends from a thread of its own.
    pub fn to(server: SocketAddr, host: Option<String>) -> Self {
        let (sender, lines) = sync_channel::<(Level, f64, String)>(QUEUE);
        let send = move || {
            let mut socket = None;
            for (level, unix_time, text) in lines {
                let message = SyslogMessage {
                    severity: severity(level),
                    unix_time: Some(unix_time).filter(|at| *at > EARLIEST_CLOCK),
                    host: host.as_deref(),
                    id: "log",
                    text: &text,
                };
                // A network that comes up later is found later.
                if socket.is_none() {
                    socket = open(server).ok();
                }
                if let Some(open) = &socket {
                    if open.send_to(&message.to_bytes(), server).is_err() {
                        socket = None;
                    }
                }
            }
        };
        // Without a thread lines are lost, which is what this way promises at most.
        let _ = std::thread::Builder::new()
            .name("syslog".into())
            .spawn(send);
        Self(sender)
    }
}

impl LineSink for Remote {
    fn take(&self, level: Level, target: &'static str, text: String) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let unix_time = now.unwrap_or_default().as_secs_f64();
        let _ = self
            .0
            .try_send((level, unix_time, format!("{target}: {text}")));
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
    use std::time::Duration;

    #[test]
    fn each_line_is_a_datagram_with_its_severity() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let remote = Remote::to(server.local_addr().unwrap(), Some("miner-7".into()));
        remote.take(Level::WARN, "cgminer_rs::pool", "the pool is silent".into());
        remote.take(Level::INFO, "cgminer_rs::pool", "it speaks".into());
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
            remote.take(Level::INFO, "a", "b".repeat(400));
        }
    }
}
