//! Clients in numbers, from several addresses of this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Addresses that a crowd comes from: one has half of the places at most.
const ADDRESSES: usize = 7;
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a client of a crowd does.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Says nothing.
    Idle,
    /// Never comes to the end of its request.
    Slow,
}

/// Clients that come again as often as they are sent away.
pub struct Crowd {
    clients: JoinSet<()>,
    wanted: usize,
    now: Arc<AtomicUsize>,
    ever: Arc<AtomicUsize>,
}

impl Crowd {
    /// So many of each kind.
    pub fn of(address: &str, kinds: &[(Kind, usize)]) -> Self {
        let (now, ever) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut clients = JoinSet::new();
        let all = kinds
            .iter()
            .flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count));
        for (number, kind) in all.enumerate() {
            let (address, now, ever) = (address.to_owned(), now.clone(), ever.clone());
            clients.spawn(async move {
                loop {
                    if let Ok(stream) = connect(&address, 1 + number % ADDRESSES).await {
                        now.fetch_add(1, Ordering::Relaxed);
                        ever.fetch_add(1, Ordering::Relaxed);
                        stay(stream, kind).await;
                        now.fetch_sub(1, Ordering::Relaxed);
                    }
                    sleep(Duration::from_millis(50)).await;
                }
            });
        }
        Self {
            wanted: clients.len(),
            clients,
            now,
            ever,
        }
    }

    /// Clients that are connected at the moment.
    pub fn connected(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// Waits until nearly all are there at once: those that are sent away are about to come again.
    pub async fn is_there(&self, within: Duration) {
        let enough = self.wanted - self.wanted / 10;
        self.wait(within, || self.connected() >= enough).await;
    }

    /// Waits until so many have come, whether they stayed or not.
    pub async fn was_there(&self, count: usize, within: Duration) {
        self.wait(within, || self.ever.load(Ordering::Relaxed) >= count)
            .await;
    }

    async fn wait(&self, within: Duration, is_it: impl Fn() -> bool) {
        let until = Instant::now() + within;
        while !is_it() {
            assert!(
                Instant::now() < until,
                "{} of {} are connected, {} have come; {} tasks",
                self.connected(),
                self.wanted,
                self.ever.load(Ordering::Relaxed),
                self.clients.len(),
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn stay(mut stream: TcpStream, kind: Kind) {
    if matches!(kind, Kind::Slow) {
        let _ = stream.write_all(b"GET /api/v1/status HTTP/1.1\r\nHo").await;
    }
    // Until the daemon has enough of it.
    let mut piece = [0; 512];
    while matches!(stream.read(&mut piece).await, Ok(count) if count > 0) {}
}

/// Connects from one of this machine's own addresses.
pub async fn connect(address: &str, from: usize) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let from = Ipv4Addr::new(127, 0, 0, u8::try_from(from).unwrap());
    socket.bind(SocketAddr::new(from.into(), 0))?;
    socket.connect(address.parse().unwrap()).await
}

/// Asks once from an address of its own and gives the whole answer; empty when there is none.
pub async fn exchange(address: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let asking = async {
        let mut stream = connect(address, 9).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    timeout(PATIENCE, asking)
        .await
        .expect("an answer")
        .unwrap_or_default()
}

/// Waits until so many listeners hear the status again and again at the same time, every second one by WebSocket. One that is
/// let go because this machine was too busy to read, or before it was asked, comes again as a browser does; gives how often.
pub async fn listen(address: &str, count: usize, within: Duration) -> usize {
    let hearing = Arc::new(AtomicUsize::new(0));
    let lost = Arc::new(AtomicUsize::new(0));
    let mut listeners = JoinSet::new();
    for number in 0..count {
        let (address, hearing, lost) = (address.to_owned(), hearing.clone(), lost.clone());
        listeners.spawn(async move {
            loop {
                let ended = hear(&address, number, &hearing).await;
                if lost.fetch_add(1, Ordering::Relaxed) < 3 {
                    println!("listener {number} was let go: {ended:?}");
                }
                sleep(Duration::from_millis(500)).await;
            }
        });
    }
    let until = Instant::now() + within;
    while hearing.load(Ordering::Relaxed) < count {
        assert!(
            Instant::now() < until,
            "{} of {count} hear at the same time, {} were let go",
            hearing.load(Ordering::Relaxed),
            lost.load(Ordering::Relaxed),
        );
        sleep(Duration::from_millis(20)).await;
    }
    lost.load(Ordering::Relaxed)
}

/// Listens until it is let go, and counts among those that hear from the second telling on.
async fn hear(address: &str, number: usize, hearing: &AtomicUsize) -> std::io::Result<()> {
    let by_socket = number % 2 == 1;
    let (headers, mark): (_, &[u8]) = if by_socket {
        (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            b"\"topic\":\"status\"",
        )
    } else {
        ("", b"event: status")
    };
    let request =
        format!("GET /api/v1/live?topics=status HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    let mut stream = connect(address, 1 + number % ADDRESSES).await?;
    stream.write_all(request.as_bytes()).await?;
    let (mut bytes, mut tellings) = (Vec::new(), 0_usize);
    let ended = loop {
        match stream.read_buf(&mut bytes).await {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
        while let Some(at) = bytes.windows(mark.len()).position(|found| found == mark) {
            bytes.drain(..at + mark.len());
            tellings += 1;
            if tellings == 2 {
                hearing.fetch_add(1, Ordering::Relaxed);
            }
        }
        // What the mark may have begun in stays.
        let kept = bytes.len().min(mark.len() - 1);
        bytes.drain(..bytes.len() - kept);
    };
    if tellings >= 2 {
        hearing.fetch_sub(1, Ordering::Relaxed);
    }
    ended
}
