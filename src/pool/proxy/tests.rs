//! Proxies, good and hostile, in memory.

use super::*;
use proptest::prelude::*;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

const POOL: &str = "stratum+tcp://poolpoolpool.onion:3333";

/// Connections whose far ends go to a test.
struct Wire(mpsc::UnboundedSender<(PoolUrl, DuplexStream)>);

impl Connector for Wire {
    fn connect<'a>(
        &'a self,
        url: &'a PoolUrl,
        _: &'a Deadlines,
    ) -> Boxed<'a, Result<Connection, ConnectError>> {
        Box::pin(async move {
            let (near, far) = duplex(16 * 1024);
            self.0.send((url.clone(), far)).unwrap();
            Ok(Connection {
                stream: Box::new(near),
                peer: "192.0.2.9:1080".into(),
                secured: None,
            })
        })
    }
}

/// What a proxy hears and says, in turn; an empty answer is silence.
type Script = Vec<(Vec<u8>, Vec<u8>)>;

fn settings(url: &str, credentials: Option<(&str, &str)>) -> ProxySettings {
    ProxySettings {
        url: url.parse().unwrap(),
        credentials: credentials.map(|(user, password)| Credentials {
            user: user.into(),
            password: password.into(),
        }),
    }
}

fn socks5() -> ProxySettings {
    settings("socks5://proxy.example.com:1080", None)
}

fn http() -> ProxySettings {
    settings("http://proxy.example.com:8080", None)
}

/// Connects to a pool through a proxy that follows a script and then stays open, or hangs up.
async fn connect(
    pool: &str,
    proxy: ProxySettings,
    script: Script,
    hangs_up: bool,
) -> Result<(Connection, DuplexStream), String> {
    let (sender, mut wires) = mpsc::unbounded_channel();
    let address = (proxy.url.host.clone(), proxy.url.port);
    let connector = ProxyConnector::new(Arc::new(Wire(sender)), proxy);
    let play = async move {
        let (beneath, mut far): (PoolUrl, DuplexStream) = wires.recv().await.unwrap();
        assert_eq!((beneath.host, beneath.port), address);
        for (heard, said) in script {
            let mut bytes = vec![0; heard.len()];
            far.read_exact(&mut bytes).await.unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(bytes, heard, "{text}");
            far.write_all(&said).await.unwrap();
        }
        (!hangs_up).then_some(far)
    };
    let (url, deadlines) = (pool.parse().unwrap(), Deadlines::default());
    let (connected, far) = tokio::join!(connector.connect(&url, &deadlines), play);
    match connected {
        Ok(connection) => Ok((connection, far.unwrap())),
        Err(error) => Err(error.to_string()),
    }
}

/// The proxy is through, and not a byte too many was read.
async fn talks_to_the_pool((mut connection, mut far): (Connection, DuplexStream)) {
    far.write_all(b"pool").await.unwrap();
    let mut bytes = [0; 4];
    connection.stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"pool");
    connection.stream.write_all(b"miner").await.unwrap();
    let mut bytes = [0; 5];
    far.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"miner");
}

fn connect_by_name() -> Vec<u8> {
    [
        &[5, 1, 0, 3, 18][..],
        b"poolpoolpool.onion",
        &3333_u16.to_be_bytes(),
    ]
    .concat()
}

#[tokio::test]
async fn socks5_is_given_the_name_and_the_way_is_clear_behind_its_answer() {
    for bound in [
        &[1, 0, 0, 0, 0, 0, 0][..],
        &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2],
        &[3, 2, b'a', b'b', 1, 2],
    ] {
        let answer = [&[5, 0, 0], bound].concat();
        let script = vec![(vec![5, 1, 0], vec![5, 0]), (connect_by_name(), answer)];
        let connected = connect(POOL, socks5(), script, false).await.unwrap();
        assert_eq!(
            connected.0.peer,
            "poolpoolpool.onion:3333 by 192.0.2.9:1080"
        );
        talks_to_the_pool(connected).await;
    }
}

#[tokio::test]
async fn socks5_takes_user_and_password_and_literal_addresses() {
    let request = [&[5, 1, 0, 4][..], &[0; 15], &[1], &[0x0d, 0x05]].concat();
    let script = vec![
        (vec![5, 2, 0, 2], vec![5, 2]),
        (b"\x01\x04user\x06secret".to_vec(), vec![1, 0]),
        (request, vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ];
    let proxy = settings("socks5h://proxy.example.com:1080", Some(("user", "secret")));
    let connected = connect("[::1]:3333", proxy, script, false).await.unwrap();
    talks_to_the_pool(connected).await;
}

#[tokio::test]
async fn http_connect_is_given_the_name_and_the_way_is_clear_behind_the_empty_line() {
    let request =
        b"CONNECT poolpoolpool.onion:3333 HTTP/1.1\r\nHost: poolpoolpool.onion:3333\r\n\r\n";
    for answer in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200\r\nVia: x\r\nA: bb\r\n\r\n",
        "HTTP/1.1 204 OK\nA: b\n\n",
        "HTTP/1.1 200 OK\nA: b\n\r\n",
    ] {
        let script = vec![(request.to_vec(), answer.as_bytes().to_vec())];
        let connected = connect(POOL, http(), script, false).await.unwrap();
        talks_to_the_pool(connected).await;
    }
}

#[tokio::test]
async fn http_connect_sends_user_and_password() {
    let request = b"CONNECT 192.0.2.7:3333 HTTP/1.1\r\nHost: 192.0.2.7:3333\r\n\
                    Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";
    let script = vec![(request.to_vec(), b"HTTP/1.1 200 OK\r\n\r\n".to_vec())];
    let proxy = settings("http://[::1]:8080", Some(("Aladdin", "open sesame")));
    let connected = connect("192.0.2.7:3333", proxy, script, false)
        .await
        .unwrap();
    talks_to_the_pool(connected).await;
}

#[tokio::test]
async fn proxies_that_refuse_or_talk_garbage_are_told_with_their_words() {
    let hello = vec![5, 1, 0];
    let greeted = |answer: &[u8]| {
        vec![
            (hello.clone(), vec![5, 0]),
            (connect_by_name(), answer.to_vec()),
        ]
    };
    let rows: Vec<(Script, &str)> = vec![
        (vec![(hello.clone(), vec![5, 0xff])], "`proxy_user`"),
        (
            vec![(hello.clone(), vec![5, 2])],
            "a method that was not offered",
        ),
        (vec![(hello.clone(), vec![4, 0])], "does not speak SOCKS5"),
        (
            vec![(hello.clone(), b"HTTP/1.1 400 Bad".to_vec())],
            "does not speak SOCKS5",
        ),
        (greeted(&[5, 5]), "connection refused (reply 5)"),
        (greeted(&[5, 0xf0]), "onion service is not found"),
        (greeted(&[5, 0x77]), "unknown reason (reply 119)"),
        (greeted(&[5, 0, 0, 9, 0]), "unknown kind of address"),
        (greeted(&[4, 0]), "answer of another kind"),
        (greeted(&[5, 0, 0, 1, 0]), "hung up"),
        (vec![], "hung up"),
    ];
    for (script, words) in rows {
        let error = connect(POOL, socks5(), script, true).await.err().unwrap();
        assert!(
            error.contains(words) && error.starts_with("proxy socks5://proxy.example.com:1080: "),
            "{error}"
        );
    }
    let request =
        b"CONNECT poolpoolpool.onion:3333 HTTP/1.1\r\nHost: poolpoolpool.onion:3333\r\n\r\n";
    for (answer, words) in [
        (
            "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\n\r\n",
            "`proxy_user`",
        ),
        ("HTTP/1.1 403 Not here\r\n\r\n", "HTTP 403 Not here"),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "HTTP 502 Bad Gateway"),
        ("HTTP/1.1 200 OK\r\nVia", "hung up"),
        ("HTTP/1.1 abc\r\n\r\n", "does not speak HTTP"),
        ("\x05\x00\x00\x01", "does not speak HTTP"),
        ("{\"id\":1}", "does not speak HTTP"),
    ] {
        let script = vec![(request.to_vec(), answer.as_bytes().to_vec())];
        let error = connect(POOL, http(), script, true).await.err().unwrap();
        assert!(error.contains(words), "{answer}: {error}");
    }
}

#[tokio::test]
async fn a_proxy_that_tells_our_password_is_not_repeated() {
    let request = b"CONNECT poolpoolpool.onion:3333 HTTP/1.1\r\nHost: poolpoolpool.onion:3333\r\n\
                    Proxy-Authorization: Basic dTpnZWhlaW0=\r\n\r\n";
    let proxy = settings("http://proxy.example.com:8080", Some(("u", "geheim")));
    let answer = b"HTTP/1.1 403 no geheim here\r\n\r\n";
    let script = vec![(request.to_vec(), answer.to_vec())];
    let error = connect(POOL, proxy, script, true).await.err().unwrap();
    assert!(error.contains("HTTP 403 no <our password> here"), "{error}");
}

#[tokio::test]
async fn wrong_passwords_are_told_and_impossible_ones_are_not_tried() {
    let proxy = |password| settings("socks5://proxy.example.com:1080", Some(("user", password)));
    let script = vec![
        (vec![5, 2, 0, 2], vec![5, 2]),
        (b"\x01\x04user\x05wrong".to_vec(), vec![1, 1]),
    ];
    let error = connect(POOL, proxy("wrong"), script, true)
        .await
        .err()
        .unwrap();
    assert!(
        error.contains("`proxy_password`") && !error.contains("wrong "),
        "{error}"
    );
    let long = "x".repeat(256);
    let host = Host::parse("a").unwrap();
    for password in ["", &long] {
        let credentials = proxy(password).credentials;
        let refused = socks5::Socks5::new(&host, 1, credentials.as_ref());
        assert!(matches!(refused, Err(ProxyError::Unaskable(_))));
    }
}

/// A proxy that sends a byte every five seconds, for ever.
async fn drip(mut far: DuplexStream, bytes: &'static [u8]) {
    for byte in bytes.iter().cycle() {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        if far.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silent_and_dripping_proxies_are_left_at_the_deadline() {
    let cases: [(ProxySettings, &'static [u8]); 4] = [
        (socks5(), b""),
        (socks5(), b"\x05\x00\x05\x00\x00\x03\xff"),
        (http(), b""),
        (http(), b"HTTP/1.1 200 OK\r\nA: b\r\n"),
    ];
    for (proxy, bytes) in cases {
        let (sender, mut wires) = mpsc::unbounded_channel();
        let connector = ProxyConnector::new(Arc::new(Wire(sender)), proxy);
        let (url, deadlines) = (POOL.parse().unwrap(), Deadlines::default());
        let began = tokio::time::Instant::now();
        let play = async {
            let (_, far) = wires.recv().await.unwrap();
            if bytes.is_empty() {
                std::future::pending::<()>().await;
            }
            drip(far, bytes).await;
        };
        let connected = tokio::select! {
            connected = connector.connect(&url, &deadlines) => connected,
            () = play => unreachable!("the proxy does not end"),
        };
        let error = connected.err().unwrap().to_string();
        assert_eq!(began.elapsed(), deadlines.proxy, "{error}");
        assert!(error.contains("no answer within 30 s"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_with_an_endless_head_is_left_at_the_limit() {
    let (sender, mut wires) = mpsc::unbounded_channel();
    let connector = ProxyConnector::new(Arc::new(Wire(sender)), http());
    let (url, deadlines) = (POOL.parse().unwrap(), Deadlines::default());
    let play = async {
        let (_, mut far): (PoolUrl, DuplexStream) = wires.recv().await.unwrap();
        let _ = far.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while far.write_all(b"A: b\r\n").await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let connected = tokio::select! {
        connected = connector.connect(&url, &deadlines) => connected,
        () = play => unreachable!("the proxy does not end"),
    };
    let error = connected.err().unwrap().to_string();
    assert!(error.contains("more than 8192 bytes"), "{error}");
}

#[test]
fn addresses_of_proxies_are_read_and_mistakes_are_named() {
    for (text, canonical) in [
        ("socks5://127.0.0.1:9050", "socks5://127.0.0.1:9050"),
        ("SOCKS5H://Proxy.lan:1080/", "socks5://proxy.lan:1080"),
        ("http://[::1]:3128", "http://[::1]:3128"),
    ] {
        assert_eq!(text.parse::<ProxyUrl>().unwrap().to_string(), canonical);
    }
    for text in [
        "127.0.0.1:9050",
        "https://a:1",
        "socks4://a:1",
        "socks5://a",
        "socks5://u:p@a:1",
        "socks5://stratum+tcp://a:1",
        "",
    ] {
        assert!(text.parse::<ProxyUrl>().is_err(), "{text}");
    }
}

#[test]
fn passwords_are_never_printed() {
    let proxy = settings("socks5://a:1", Some(("user", "hidden")));
    assert!(!format!("{proxy:?}").contains("hidden"));
}

/// Feeds a conversation from these bytes. Tells whether it got through, and how many it took.
fn feed(
    conversation: &mut dyn Conversation,
    mut bytes: &[u8],
) -> (Result<bool, ProxyError>, usize) {
    let whole = bytes.len();
    loop {
        match conversation.next() {
            Next::Send(sent) => assert!(!sent.is_empty()),
            Next::Through => return (Ok(true), whole - bytes.len()),
            Next::Read(length) => {
                assert!((1..=257).contains(&length));
                let Some((now, later)) = bytes.split_at_checked(length) else {
                    return (Ok(false), whole - bytes.len());
                };
                bytes = later;
                if let Err(error) = conversation.take(now) {
                    return (Err(error), whole - bytes.len());
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_socks5_panic_or_read_for_ever(
        bytes in proptest::collection::vec(prop_oneof![Just(5_u8), Just(0), Just(1), Just(3), any::<u8>()], 0..600)
    ) {
        let host = Host::parse("pool.example.com").unwrap();
        let mut conversation = socks5::Socks5::new(&host, 1, None).unwrap();
        let (_, taken) = feed(&mut conversation, &bytes);
        prop_assert!(taken <= 2 + 2 + 3 + 257);
    }

    #[test]
    fn no_bytes_make_http_connect_panic_or_read_for_ever(
        text in "(HTTP/1.[01] )?([0-9]{3} )?([a-zA-Z: ]{0,20}\r?\n){0,900}\r?\n?"
    ) {
        let host = Host::parse("pool.example.com").unwrap();
        let mut conversation = http::HttpConnect::new(&host, 1, None);
        let (_, taken) = feed(&mut conversation, text.as_bytes());
        prop_assert!(taken <= 8 * 1024 + 2);
    }

    #[test]
    fn any_text_is_a_proxy_address_or_refused(text in "(socks5|http)?(://)?\\PC{0,40}") {
        if let Ok(url) = text.parse::<ProxyUrl>() {
            prop_assert_eq!(url.to_string().parse(), Ok(url));
        }
    }
}
