//! `GET /api/v1/live`: the machine told again and again, as server-sent events.
//!
//! One feed builds and writes down the status once a second while anybody listens; all listeners share the text. Each waits
//! for the newest one, so a slow reader misses some rather than making anything wait, and one that takes nothing is let go.

use super::head::Head;
use crate::telemetry::SnapshotSource;
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
    latest: watch::Sender<Arc<str>>,
}

/// What one listener wants.
#[derive(Clone, Copy)]
struct Topics {
    status: bool,
    events: bool,
}

impl Feed {
    /// A feed that nobody listens to yet.
    pub fn new(source: SnapshotSource) -> Self {
        Self {
            source,
            latest: watch::Sender::new("".into()),
        }
    }

    /// Writes down the status while anybody listens.
    pub async fn run(&self) {
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if self.latest.receiver_count() > 0 {
                match serde_json::to_string(&self.source.snapshot()) {
                    Ok(text) => {
                        self.latest.send_replace(text.into());
                    }
                    Err(error) => {
                        tracing::error!(%error, "the status could not be written as JSON");
                    }
                }
            }
        }
    }

    /// Tells a listener until it has gone or takes nothing any more.
    pub async fn tell<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        head: &Head,
        heading: &str,
    ) -> io::Result<()> {
        let topics = Topics::of(&head.target);
        write(stream, heading).await?;
        let mut latest = self.latest.subscribe();
        let mut last_event = 0;
        loop {
            latest.changed().await.map_err(io::Error::other)?;
            let status = latest.borrow_and_update().clone();
            let mut text = String::new();
            if topics.events {
                let events = self.source.events_after(last_event);
                if let Some(newest) = events.last() {
                    last_event = newest.number;
                    let events = serde_json::to_string(&events).map_err(io::Error::other)?;
                    text.push_str(&message("events", &events));
                }
            }
            if topics.status {
                text.push_str(&message("status", &status));
            }
            // A comment proves a quiet connection alive.
            if text.is_empty() {
                text.push_str(":\n\n");
            }
            write(stream, &text).await?;
        }
    }
}

impl Topics {
    /// From `?topics=status,events`; both when nothing is said.
    fn of(target: &str) -> Self {
        let wanted = target
            .split_once("topics=")
            .map(|(_, rest)| rest.split('&').next().unwrap_or_default());
        let has = |topic| wanted.is_none_or(|wanted| wanted.split(',').any(|each| each == topic));
        Self {
            status: has("status"),
            events: has("events"),
        }
    }
}

/// JSON holds no line breaks, so one `data` line holds it.
fn message(event: &str, json: &str) -> String {
    format!("event: {event}\ndata: {json}\n\n")
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, text: &str) -> io::Result<()> {
    let write = async {
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await
    };
    timeout(WRITE_TIME, write)
        .await
        .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::gateway::parse_head;
    use crate::telemetry::samples::Rooms;
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::time::Instant;

    fn head(target: &str) -> Head {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        parse_head(text.as_bytes()).unwrap().unwrap()
    }

    /// What a listener that reads for some seconds gets.
    async fn heard(target: &str, seconds: u64) -> String {
        let (source, rooms) = Rooms::at_work();
        let feed = Feed::new(source.clone());
        let (mut client, mut server) = duplex(1 << 20);
        let recording = tokio::spawn(source.record());
        let head = head(target);
        tokio::select! {
            () = feed.run() => {}
            _ = feed.tell(&mut server, &head, "") => {}
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
        let text = heard("/api/v1/live?topics=events", 5).await;
        assert_eq!(
            (
                text.matches("event: status").count(),
                text.matches("event: events").count()
            ),
            (0, 1)
        );
        assert!(text.contains("\n:\n\n"), "quiet seconds are filled: {text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_takes_nothing_is_let_go() {
        let (source, _rooms) = Rooms::at_work();
        let feed = Feed::new(source);
        let (_client, mut server) = duplex(100);
        let start = Instant::now();
        let head = head("/api/v1/live");
        let told = tokio::select! {
            () = feed.run() => unreachable!(),
            told = feed.tell(&mut server, &head, "") => told,
        };
        assert_eq!(told.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(
            start.elapsed() <= Duration::from_secs(7),
            "{:?}",
            start.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_listeners_nothing_is_built() {
        let (source, _rooms) = Rooms::at_work();
        let feed = Feed::new(source);
        let _ = timeout(Duration::from_secs(10), feed.run()).await;
        assert!(feed.latest.borrow().is_empty());
    }
}
