use super::*;
use crate::api::access::Access;
use crate::api::gateway::live::tests::guest;
use crate::api::gateway::websocket::tests::masked;
use crate::telemetry::samples::Rooms;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const MASK: [u8; 4] = [1, 2, 3, 4];

struct Client {
    stream: DuplexStream,
    access: watch::Sender<Arc<Access>>,
    serving: tokio::task::JoinHandle<io::Result<()>>,
    _rooms: Rooms,
}

/// Server frames have no mask: kind, payload.
struct Got(u8, Vec<u8>);

impl Client {
    fn connect(topics: &str, room: usize) -> Self {
        let (source, rooms) = Rooms::at_work();
        let (stream, mut server) = duplex(room);
        let (guest, access) = guest();
        let topics = Topics::of(&format!("/?topics={topics}"));
        let serving = tokio::spawn(async move {
            let feed = Feed::new(source);
            let ports = (&mut server, &mut Buffer::default());
            tokio::select! {
                () = feed.run() => unreachable!(),
                end = converse(&feed, ports, topics, guest, "") => end,
            }
        });
        Self {
            stream,
            access,
            serving,
            _rooms: rooms,
        }
    }

    async fn send(&mut self, kind: Kind, payload: &[u8]) {
        let bytes = masked(true, kind, payload, MASK);
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn next(&mut self) -> Option<Got> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = match head[1] {
            126 => usize::from(self.stream.read_u16().await.unwrap()),
            127 => usize::try_from(self.stream.read_u64().await.unwrap()).unwrap(),
            short => short.into(),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await.unwrap();
        Some(Got(head[0] & 0x0f, payload))
    }

    /// The next text, as JSON.
    async fn text(&mut self) -> Value {
        loop {
            let Got(kind, payload) = self.next().await.unwrap();
            if kind == 1 {
                return serde_json::from_slice(&payload).unwrap();
            }
        }
    }

    /// The code that the server closes with; all before it is skipped.
    async fn end(&mut self) -> u16 {
        loop {
            if let Got(8, payload) = self.next().await.unwrap() {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn topics_are_chosen_by_query_and_by_message() {
    let mut client = Client::connect("pools", 1 << 20);
    let told = client.text().await;
    assert_eq!(told["topic"], "pools");
    assert_eq!(told["data"]["list"][0]["index"], 0);
    let wish = br#"{"subscribe":["devices"],"unsubscribe":["pools"]}"#;
    client.send(Kind::Text, wish).await;
    let topics: Vec<_> = {
        let mut topics = Vec::new();
        for _ in 0..3 {
            topics.push(client.text().await["topic"].clone());
        }
        topics
    };
    assert_eq!(topics.last().unwrap(), "devices");
    for wrong in ["{", "[]", r#"{"subscribe":["x"]}"#, r#"{"x":1}"#] {
        client.send(Kind::Text, wrong.as_bytes()).await;
        let answer = loop {
            let text = client.text().await;
            if text["topic"] == "error" {
                break text;
            }
        };
        assert_eq!(answer["data"]["code"], "bad_message");
    }
    assert_eq!(client.text().await["topic"], "devices");
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_and_a_close_too() {
    let mut client = Client::connect("events", 1 << 20);
    client.send(Kind::Ping, b"hello").await;
    loop {
        if let Got(10, payload) = client.next().await.unwrap() {
            break assert_eq!(payload, b"hello");
        }
    }
    client.send(Kind::Close, &1001_u16.to_be_bytes()).await;
    assert_eq!(client.end().await, 1001);
    assert!(client.next().await.is_none());
    client.serving.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_breaks_the_protocol_floods_or_loses_the_right_is_let_go_with_the_code() {
    let mut unmasked = Client::connect("status", 1 << 20);
    unmasked.stream.write_all(b"\x81\x01a").await.unwrap();
    assert_eq!(unmasked.end().await, 1002);
    let mut flood = Client::connect("events", 1 << 20);
    for _ in 0..=FRAMES {
        flood.send(Kind::Pong, b"").await;
    }
    assert_eq!(flood.end().await, POLICY);
    let mut revoked = Client::connect("status", 1 << 20);
    revoked.text().await;
    let access = revoked.access.clone();
    access.send_modify(|access| Arc::make_mut(access).tokens.clear());
    assert_eq!(revoked.end().await, POLICY);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_let_go_and_one_that_answers_pings_is_not() {
    let start = Instant::now();
    let mut silent = Client::connect("events", 1 << 20);
    assert_eq!(silent.end().await, NORMAL);
    assert_eq!(start.elapsed(), PING * (SILENT_PINGS + 1));
    let mut well = Client::connect("events", 1 << 20);
    for _ in 0..10 {
        loop {
            if matches!(well.next().await.unwrap(), Got(9, _)) {
                break;
            }
        }
        well.send(Kind::Pong, b"").await;
    }
    assert!(!well.serving.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_let_go() {
    let client = Client::connect("status", 100);
    sleep(Duration::from_secs(10)).await;
    let end = client.serving.await.unwrap();
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn a_handshake_is_held_to_the_rfc() {
    let asked = |version: &str, key: &str| {
        heading(&Upgrade {
            key: Some(key.into()),
            version: Some(version.into()),
            ..Upgrade::default()
        })
    };
    let text = asked("13", "dGhlIHNhbXBsZSBub25jZQ==").unwrap();
    assert!(text.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_eq!(
        asked("8", "dGhlIHNhbXBsZSBub25jZQ==").unwrap_err().status,
        426
    );
    assert_eq!(asked("13", "short").unwrap_err().status, 400);
    assert_eq!(heading(&Upgrade::default()).unwrap_err().status, 426);
}
