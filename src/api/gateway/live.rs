//! `GET /api/v1/live`: the machine told again and again, as server-sent events or over a WebSocket.
//!
//! One feed builds and writes down what there is to tell once a second while anybody listens; all listeners share the text.
//! Each waits for the newest one, so a slow reader misses some rather than making anything wait, and one that takes nothing is
//! let go. A listener whose token is taken back hears no more.

use super::websocket::{Kind, frame};
use crate::api::access::{Access, Caller, Need};
use crate::telemetry::SnapshotSource;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Path of the stream.
pub const LIVE_PATH: &str = "/api/v1/live";
/// Between two tellings.
const PERIOD: Duration = Duration::from_secs(1);
/// For a listener to take one telling.
const WRITE_TIME: Duration = Duration::from_secs(5);

/// What is told to all listeners.
pub struct Feed {
    source: SnapshotSource,
    latest: watch::Sender<Arc<Told>>,
}

/// One telling.
#[derive(Default)]
pub struct Told {
    status: Message,
    devices: Message,
    pools: Message,
    last_event: u64,
}

/// The same in both forms.
#[derive(Clone, Default)]
pub struct Message {
    /// As a server-sent event.
    pub event: Box<[u8]>,
    /// As a frame of a WebSocket.
    pub frame: Box<[u8]>,
}

/// What one listener wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent wish"
)]
pub struct Topics {
    status: bool,
    devices: bool,
    pools: bool,
    events: bool,
}

/// One listener's place in what is told.
pub struct Listening<'a> {
    source: &'a SnapshotSource,
    latest: watch::Receiver<Arc<Told>>,
    last_event: u64,
}

/// Who listens, and by what right.
pub struct Guest {
    caller: Caller,
    need: Need,
    access: watch::Receiver<Arc<Access>>,
}

impl Feed {
    /// A feed that nobody listens to yet.
    pub fn new(source: SnapshotSource) -> Self {
        Self {
            source,
            latest: watch::Sender::new(Arc::default()),
        }
    }

    /// Writes down what there is to tell while anybody listens.
    pub async fn run(&self) {
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if self.latest.receiver_count() > 0 {
                match self.build() {
                    Ok(told) => {
                        self.latest.send_replace(Arc::new(told));
                    }
                    Err(error) => {
                        tracing::error!(%error, "the status could not be written as JSON");
                    }
                }
            }
        }
    }

    fn build(&self) -> serde_json::Result<Told> {
        let snapshot = self.source.snapshot();
        Ok(Told {
            status: Message::of("status", &snapshot)?,
            devices: Message::of("devices", &snapshot.chains)?,
            pools: Message::of("pools", &snapshot.pools)?,
            last_event: snapshot.last_event,
        })
    }

    /// A listener from now on.
    pub fn listen(&self) -> Listening<'_> {
        Listening {
            source: &self.source,
            latest: self.latest.subscribe(),
            last_event: 0,
        }
    }

    /// Tells a listener in server-sent events until it has gone, takes nothing any more, or may no longer listen.
    pub async fn tell<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        topics: Topics,
        mut guest: Guest,
        heading: &str,
    ) -> io::Result<()> {
        write(stream, &[heading.as_bytes()]).await?;
        let mut listening = self.listen();
        loop {
            let told = tokio::select! {
                told = listening.next() => told?,
                () = guest.is_unwelcome() => return Ok(()),
            };
            let messages = listening.messages(&told, topics)?;
            let pieces: Vec<&[u8]> = messages.iter().map(|message| &*message.event).collect();
            // A comment proves a quiet connection alive.
            let quiet: &[&[u8]] = &[b":\n\n"];
            write(stream, if pieces.is_empty() { quiet } else { &pieces }).await?;
        }
    }
}

impl Listening<'_> {
    /// Waits for the newest telling. Safe to cancel.
    pub async fn next(&mut self) -> io::Result<Arc<Told>> {
        self.latest.changed().await.map_err(io::Error::other)?;
        Ok(self.latest.borrow_and_update().clone())
    }

    /// What of it the listener wants, and the events that it has not heard.
    pub fn messages(&mut self, told: &Told, topics: Topics) -> io::Result<Vec<Message>> {
        let mut messages = Vec::new();
        if topics.events && told.last_event > self.last_event {
            let events = self.source.events_after(self.last_event);
            if let Some(newest) = events.last() {
                self.last_event = newest.number;
                messages.push(Message::of("events", &events).map_err(io::Error::other)?);
            }
        }
        let others = [
            (topics.status, &told.status),
            (topics.devices, &told.devices),
            (topics.pools, &told.pools),
        ];
        messages.extend(
            others
                .into_iter()
                .filter(|(wanted, _)| *wanted)
                .map(|(_, message)| message.clone()),
        );
        Ok(messages)
    }
}

impl Message {
    /// JSON holds no line breaks, so one `data` line holds it.
    pub fn of(topic: &str, data: &impl Serialize) -> serde_json::Result<Self> {
        let json = serde_json::to_string(data)?;
        let text = format!("{{\"topic\":\"{topic}\",\"data\":{json}}}");
        Ok(Self {
            event: format!("event: {topic}\ndata: {json}\n\n")
                .into_bytes()
                .into(),
            frame: frame(Kind::Text, text.as_bytes()).into(),
        })
    }
}

impl Topics {
    /// None at all.
    pub const NONE: Self = Self {
        status: false,
        devices: false,
        pools: false,
        events: false,
    };

    /// From `?topics=status,pools`; status and events when nothing is said.
    pub fn of(target: &str) -> Self {
        let (_, query) = target.split_once('?').unwrap_or_default();
        let said = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("topics="));
        let mut topics = Self::NONE;
        for name in said.unwrap_or("status,events").split(',') {
            topics.set(name, true);
        }
        topics
    }

    /// Adds one or takes it away. False: there is none of that name.
    pub fn set(&mut self, name: &str, wanted: bool) -> bool {
        match name {
            "status" => self.status = wanted,
            "devices" => self.devices = wanted,
            "pools" => self.pools = wanted,
            "events" => self.events = wanted,
            _ => return false,
        }
        true
    }
}

impl Guest {
    /// A caller that was let in for what it needs.
    pub fn new(caller: Caller, need: Need, mut access: watch::Receiver<Arc<Access>>) -> Self {
        access.mark_changed();
        Self {
            caller,
            need,
            access,
        }
    }

    /// Resolves when its token, or what everybody may, is no longer enough. Safe to cancel.
    pub async fn is_unwelcome(&mut self) {
        loop {
            if self.access.changed().await.is_err() {
                // Nobody changes it any more.
                return std::future::pending().await;
            }
            let access = self.access.borrow_and_update();
            if !access.still_allows(&self.caller, self.need) {
                return;
            }
        }
    }
}

/// Writes all pieces within the time for one telling.
pub async fn write<S: AsyncWrite + Unpin>(stream: &mut S, pieces: &[&[u8]]) -> io::Result<()> {
    let write = async {
        for piece in pieces {
            stream.write_all(piece).await?;
        }
        stream.flush().await
    };
    timeout(WRITE_TIME, write)
        .await
        .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{FreshToken, Role};
    use crate::telemetry::samples::Rooms;
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::time::Instant;

    /// One who may listen, and who may change that.
    pub fn guest() -> (Guest, watch::Sender<Arc<Access>>) {
        let fresh = FreshToken::make("phone", Role::Viewer).unwrap();
        let caller = Caller {
            name: "phone".into(),
            role: Some(Role::Viewer),
            token: Some(fresh.kept.sha256.expose().into()),
        };
        let access = Access {
            tokens: vec![fresh.kept],
            ..Access::default()
        };
        let sender = watch::Sender::new(Arc::new(access));
        let need = Need::to_read(Role::Viewer);
        (Guest::new(caller, need, sender.subscribe()), sender)
    }

    /// What a listener that reads for some seconds gets.
    async fn heard(target: &str, seconds: u64) -> String {
        let (source, rooms) = Rooms::at_work();
        let feed = Feed::new(source.clone());
        let (mut client, mut server) = duplex(1 << 20);
        let recording = tokio::spawn(source.record());
        let (guest, _access) = guest();
        tokio::select! {
            () = feed.run() => {}
            _ = feed.tell(&mut server, Topics::of(target), guest, "") => {}
            () = tokio::time::sleep(Duration::from_millis(seconds * 1000 + 500)) => {}
        }
        recording.abort();
        drop((server, rooms));
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_hears_the_status_each_second_and_each_event_once() {
        let text = heard("/api/v1/live", 5).await;
        assert!(
            (5..=6).contains(&text.matches("event: status\n").count()),
            "{text}"
        );
        assert_eq!(text.matches("event: events\n").count(), 1);
        for line in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_hears_only_the_topics_that_it_asked_for() {
        let counts = async |target| {
            let text = heard(target, 5).await;
            ["status", "devices", "pools", "events"]
                .map(|topic| text.matches(&format!("event: {topic}\n")).count().min(2))
        };
        assert_eq!(counts("/api/v1/live?topics=events").await, [0, 0, 0, 1]);
        assert_eq!(
            counts("/api/v1/live?topics=devices,pools").await,
            [0, 2, 2, 0]
        );
        assert_eq!(counts("/api/v1/live?x=1&topics=status").await, [2, 0, 0, 0]);
        let text = heard("/api/v1/live?topics=events", 5).await;
        assert!(text.contains("\n:\n\n"), "quiet seconds are filled: {text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_takes_nothing_is_let_go() {
        let (source, _rooms) = Rooms::at_work();
        let feed = Feed::new(source);
        let (_client, mut server) = duplex(100);
        let start = Instant::now();
        let (guest, _access) = guest();
        let told = tokio::select! {
            () = feed.run() => unreachable!(),
            told = feed.tell(&mut server, Topics::of(LIVE_PATH), guest, "") => told,
        };
        assert_eq!(told.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(
            start.elapsed() <= Duration::from_secs(7),
            "{:?}",
            start.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_whose_token_is_taken_back_hears_no_more() {
        let (source, _rooms) = Rooms::at_work();
        let feed = Feed::new(source);
        let (_client, mut server) = duplex(1 << 20);
        let (guest, access) = guest();
        let changing = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            access.send_modify(|access| Arc::make_mut(access).hosts.push("a".into()));
            tokio::time::sleep(Duration::from_secs(3)).await;
            access.send_modify(|access| Arc::make_mut(access).tokens.clear());
            std::future::pending::<()>().await;
        };
        let start = Instant::now();
        tokio::select! {
            () = feed.run() => unreachable!(),
            () = changing => unreachable!(),
            told = feed.tell(&mut server, Topics::of(LIVE_PATH), guest, "") => told.unwrap(),
        }
        assert_eq!(start.elapsed().as_secs(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn without_listeners_nothing_is_built() {
        let (source, _rooms) = Rooms::at_work();
        let feed = Feed::new(source);
        let _ = timeout(Duration::from_secs(10), feed.run()).await;
        assert!(feed.latest.borrow().status.event.is_empty());
    }
}
