use super::message::Message;
use super::*;
use crate::config::parse;
use crate::pool::connection::{Boxed, ConnectError, Connection, Dialer, TcpDialer};
use crate::pool::settings::Deadlines;
use crate::pool::url::{Host, PoolUrl};
use crate::telemetry::samples::Rooms;
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// Gives one end of a pipe for each connection, and the other to the test; refuses while told to.
#[derive(Default)]
struct Pipes {
    servers: Mutex<Option<mpsc::UnboundedSender<DuplexStream>>>,
    tried: Mutex<Vec<Instant>>,
}

impl Connector for Pipes {
    fn connect<'a>(
        &'a self,
        _: &'a PoolUrl,
        _: &'a Deadlines,
    ) -> Boxed<'a, Result<Connection, ConnectError>> {
        Box::pin(async {
            self.tried.lock().unwrap().push(Instant::now());
            let servers = self.servers.lock().unwrap();
            let Some(servers) = servers.as_ref() else {
                return Err(ConnectError::Unreachable {
                    address: "192.0.2.1:1".parse().unwrap(),
                    tried: 1,
                    error: io::ErrorKind::ConnectionRefused.into(),
                });
            };
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            servers.send(theirs).unwrap();
            Ok(Connection {
                stream: Box::new(ours),
                peer: "a pipe".into(),
                secured: None,
            })
        })
    }
}

/// Dials by TCP wherever a test listens.
struct Loopback;

impl Connector for Loopback {
    fn connect<'a>(
        &'a self,
        url: &'a PoolUrl,
        _: &'a Deadlines,
    ) -> Boxed<'a, Result<Connection, ConnectError>> {
        Box::pin(async move {
            let Host::Address(address) = url.host else {
                panic!("{url}");
            };
            let address = SocketAddr::new(address, url.port);
            let stream = TcpDialer.dial(address).await.unwrap();
            Ok(Connection {
                stream,
                peer: address.to_string(),
                secured: None,
            })
        })
    }
}

fn settings(text: &str) -> Arc<Settings> {
    Settings::of(&parse(text).unwrap().config)
}

fn message(severity: Severity) -> Arc<Message> {
    let (source, _rooms) = Rooms::at_work();
    let text = "fan, front: the fan is stalled";
    let more = json!({"alert": null});
    Arc::new(Message::new(
        "raised",
        severity,
        text,
        &more,
        &source.snapshot(),
    ))
}

/// A target of that URL with its task running.
fn target(url: &str, more: &str, connector: &Arc<impl Connector + 'static>) -> Target {
    let text = format!("[[alert_target]]\nname = \"t\"\nurl = \"{url}\"\n{more}\n");
    let section = parse(&text).unwrap().config.alert_target.remove(0);
    let connector: Arc<dyn Connector> = connector.clone();
    let (target, task) = Target::new(section, &connector);
    tokio::spawn(task);
    target
}

/// Reads one request and gives its head and its body.
async fn request<S: AsyncReadExt + Unpin>(stream: &mut S) -> (String, Value) {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8(bytes.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            if body.len() == length.unwrap().parse::<usize>().unwrap() {
                return (head.to_owned(), serde_json::from_str(body).unwrap());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_alert_of_the_machine_reaches_log_and_webhook_once_and_its_end_does() {
    let (source, rooms) = Rooms::at_work();
    let recording = tokio::spawn(source.clone().record());
    let (connected, mut servers) = mpsc::unbounded_channel();
    let pipes = Arc::new(Pipes {
        servers: Mutex::new(Some(connected)),
        ..Pipes::default()
    });
    let text = "[alerts]\nhold = 10\n[[alert_target]]\nname = \"t\"\nurl = \"http://a/hook\"\n";
    let (_change, settings) = watch::channel(settings(text));
    let sending = tokio::spawn(deliver_by(pipes, source.clone(), settings));
    let speaking = tokio::spawn(async move {
        for second in 0..600 {
            rooms.all_speak();
            rooms.chain.send_modify(|chain| {
                chain.counters.nonces += 100;
                chain.counters.hashes += 1e12;
                for chip in &mut chain.chips {
                    chip.nonces += 50;
                }
            });
            rooms.keeper.send_modify(|keeper| {
                let keeper = Arc::make_mut(keeper.as_mut().unwrap());
                keeper.fans[0].condition = if (60..120).contains(&second) {
                    cgminer_board::thermal::FanCondition::Stalled
                } else {
                    cgminer_board::thermal::FanCondition::Turning
                };
            });
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut stream = servers.recv().await.unwrap();
        let (head, body) = request(&mut stream).await;
        assert!(
            head.starts_with("POST /hook HTTP/1.1\r\nHost: a\r\n"),
            "{head}"
        );
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(body["alert"]["rule"], "fan");
        assert_eq!(body["machine"]["emulated"], true);
        assert!(body["text"].as_str().unwrap().contains("front"), "{body}");
        kinds.push(body["kind"].clone());
    }
    assert_eq!(kinds, ["raised", "resolved"]);
    speaking.await.unwrap();
    assert!(servers.try_recv().is_err(), "nothing was told twice");
    assert_eq!(source.snapshot().alerts_raised, 1);
    recording.abort();
    sending.abort();
}

#[tokio::test(start_paused = true)]
async fn a_dead_target_is_tried_six_times_with_pauses_and_its_queue_is_bounded() {
    let pipes = Arc::new(Pipes::default());
    let mut target = target("http://a/", "", &pipes);
    for _ in 0..100 {
        target.give(&message(Severity::Error));
    }
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    let tried = pipes.tried.lock().unwrap().clone();
    // One may be out of the queue already, in its first try.
    assert!((32 * 6..=33 * 6).contains(&tried.len()), "{}", tried.len());
    for window in tried.windows(11) {
        assert!(window[10] - window[0] >= Duration::from_secs(60));
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_comes_back_gets_what_waited() {
    let pipes = Arc::new(Pipes::default());
    let mut target = target("http://a/", "", &pipes);
    target.give(&message(Severity::Error));
    tokio::time::sleep(Duration::from_millis(10)).await;
    let (connected, mut servers) = mpsc::unbounded_channel();
    *pipes.servers.lock().unwrap() = Some(connected);
    let mut stream = servers.recv().await.unwrap();
    let (_, body) = request(&mut stream).await;
    assert_eq!(body["severity"], "error");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_takes_the_connection_and_says_nothing_has_a_deadline() {
    let (connected, mut servers) = mpsc::unbounded_channel();
    let pipes = Arc::new(Pipes {
        servers: Mutex::new(Some(connected)),
        ..Pipes::default()
    });
    let mut target = target("http://a/", "", &pipes);
    let began = Instant::now();
    target.give(&message(Severity::Error));
    let _silent = servers.recv().await.unwrap();
    let _again = servers.recv().await.unwrap();
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_secs(30) && waited < Duration::from_secs(40),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_target_gets_what_matters_to_it() {
    let (connected, mut servers) = mpsc::unbounded_channel();
    let pipes = Arc::new(Pipes {
        servers: Mutex::new(Some(connected)),
        ..Pipes::default()
    });
    let mut target = target("http://a/", "minimum = \"error\"\nreport = true", &pipes);
    let (source, _rooms) = Rooms::at_work();
    target.give(&message(Severity::Warning));
    target.give(&Arc::new(super::report::message(&source.snapshot())));
    let mut stream = servers.recv().await.unwrap();
    let (_, body) = request(&mut stream).await;
    assert_eq!(body["kind"], "report");
    assert!(body["report"]["shares"]["accepted"].is_u64(), "{body}");
    assert!(
        body["text"].as_str().unwrap().contains("9 shares accepted"),
        "{body}"
    );
}

#[tokio::test]
async fn a_webhook_is_told_who_we_are_and_what_it_refuses_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x?y=1", listener.local_addr().unwrap());
    for (more, authorization) in [
        ("password = \"key\"", "Authorization: Bearer key"),
        (
            "user = \"a\"\npassword = \"b\"",
            "Authorization: Basic YTpi",
        ),
    ] {
        let mut target = target(&url, more, &Arc::new(Loopback));
        target.give(&message(Severity::Error));
        for status in ["500 Internal Server Error", "200 OK"] {
            let (mut stream, _) = timeout(Duration::from_secs(60), listener.accept())
                .await
                .unwrap()
                .unwrap();
            let (head, _) = request(&mut stream).await;
            assert!(head.starts_with("POST /x?y=1 HTTP/1.1\r\n"), "{head}");
            assert!(head.lines().any(|line| line == authorization), "{head}");
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_webhook_over_tls_is_spoken_to_when_its_certificate_is_the_pinned_one() {
    use crate::pool::trust::CertificatePin;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    let made = rcgen::generate_simple_self_signed(vec!["hook.example".into()]).unwrap();
    let pin = CertificatePin::of(made.cert.der());
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/secret", listener.local_addr().unwrap());
    let mut good = target(&url, &format!("tls_pin = \"{pin}\""), &Arc::new(Loopback));
    good.give(&message(Severity::Error));
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = acceptor.accept(stream).await.unwrap();
    let (head, body) = request(&mut stream).await;
    assert!(head.starts_with("POST /secret "), "{head}");
    assert_eq!(body["kind"], "raised");
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();

    let mut strict = target(&url, "", &Arc::new(Loopback));
    strict.give(&message(Severity::Error));
    let (stream, _) = listener.accept().await.unwrap();
    assert!(
        acceptor.accept(stream).await.is_err(),
        "nobody vouches for it"
    );
}

#[tokio::test]
async fn syslog_gets_one_datagram_or_one_frame_for_each() {
    let datagrams = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let url = format!("syslog+udp://{}", datagrams.local_addr().unwrap());
    let mut udp = target(&url, "", &Arc::new(Loopback));
    udp.give(&message(Severity::Error));
    let mut buffer = [0; 4096];
    let (count, _) = datagrams.recv_from(&mut buffer).await.unwrap();
    let text = String::from_utf8(buffer[..count].to_vec()).unwrap();
    assert!(
        text.starts_with("<27>1 ") && text.ends_with(" stalled"),
        "{text}"
    );

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("syslog+tcp://{}", listener.local_addr().unwrap());
    let mut tcp = target(&url, "", &Arc::new(Loopback));
    tcp.give(&message(Severity::Warning));
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut frame = String::new();
    stream.read_to_string(&mut frame).await.unwrap();
    let (length, text) = frame.split_once(' ').unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), text.len());
    assert!(text.starts_with("<28>1 "), "{text}");
}

/// A broker of one message: gives its topic and payload.
async fn broker(stream: &mut TcpStream, code: u8) -> Option<(String, Value)> {
    async fn packet(stream: &mut TcpStream) -> (u8, Vec<u8>) {
        let kind = stream.read_u8().await.unwrap();
        let (mut length, mut shift) = (0, 0);
        loop {
            let digit = stream.read_u8().await.unwrap();
            length |= usize::from(digit & 0x7F) << shift;
            shift += 7;
            if digit & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        (kind, body)
    }
    let (kind, body) = packet(stream).await;
    assert_eq!((kind, &body[..7]), (0x10, &b"\0\x04MQTT\x04"[..]));
    stream.write_all(&[0x20, 2, 0, code]).await.unwrap();
    if code > 0 {
        return None;
    }
    let (kind, body) = packet(stream).await;
    assert_eq!(kind, 0x32, "PUBLISH with QoS 1");
    let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let topic = String::from_utf8(body[2..2 + length].to_vec()).unwrap();
    let id = &body[2 + length..4 + length];
    let payload = serde_json::from_slice(&body[4 + length..]).unwrap();
    // Something that it did not wait for first.
    stream
        .write_all(&[0xD0, 0, 0x40, 2, id[0], id[1]])
        .await
        .unwrap();
    assert_eq!(packet(stream).await.0, 0xE0, "DISCONNECT");
    Some((topic, payload))
}

#[tokio::test]
async fn a_broker_that_refuses_is_asked_again_and_one_that_takes_it_confirms() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}/farm/7", listener.local_addr().unwrap());
    let mut target = target(&url, "user = \"a\"\npassword = \"b\"", &Arc::new(Loopback));
    target.give(&message(Severity::Error));
    let (mut stream, _) = listener.accept().await.unwrap();
    assert!(broker(&mut stream, 5).await.is_none());
    let (mut stream, _) = listener.accept().await.unwrap();
    let (topic, payload) = broker(&mut stream, 0).await.unwrap();
    assert_eq!(topic, "farm/7");
    assert_eq!(payload["kind"], "raised");
}
