//! Crowds at the doors, pages of other places, WebSocket and TLS, over real sockets.

use super::*;

const ASK: &[u8] = b"GET /api/v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A client whose answer proves that it has a place.
async fn seated(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(ASK).await.unwrap();
    assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
    stream
}

/// Whether the server has closed it.
async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 4096]).await, Ok(0) | Err(_))
}

#[tokio::test]
async fn whoever_only_holds_a_place_gives_it_to_the_next_and_oldest_first() {
    let running = start(8);
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(seated(running.address).await);
    }
    // One address has half of the places: each new client from here takes that of the oldest.
    for _ in 0..3 {
        let answer = exchange(running.address, &get("/api/v1/version")).await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    assert!(is_closed(&mut silent[0]).await);
    let directory = running.directory.path().to_owned();
    let local = tokio::task::spawn_blocking(move || local::get(&directory, "/api/v1/version"));
    assert!(
        local.await.unwrap().is_ok(),
        "local tools have places of their own"
    );
}

#[tokio::test]
async fn listeners_keep_their_places_and_the_next_client_is_told_so() {
    let running = start(4);
    let mut listeners = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(&get("/api/v1/live")).await.unwrap();
        assert!(stream.read(&mut [0; 64]).await.unwrap() > 0);
        listeners.push(stream);
    }
    let refused = exchange(running.address, &get("/api/v1/version")).await;
    assert_eq!(status(&refused), 503, "{refused}");
    drop(listeners);
    loop {
        if status(&exchange(running.address, &get("/api/v1/version")).await) == 200 {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_crowd_of_unfinished_requests_cannot_keep_a_new_client_out() {
    let running = start(16);
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        // Some are closed by now.
        let _ = stream.write_all(b"GET /api/v1/status HTTP/1.1\r\nHo").await;
        slow.push(stream);
    }
    let answer = exchange(running.address, &get("/api/v1/version")).await;
    assert_eq!(status(&answer), 200, "{answer}");
}

fn with_access(access: Access) -> (Running, watch::Sender<Arc<Access>>) {
    let directory = tempfile::tempdir().unwrap();
    let (source, rooms) = Rooms::at_work();
    let sender = watch::Sender::new(Arc::new(access));
    let control = Control {
        orders: Orders::channel().0,
        access: sender.subscribe(),
    };
    let api = Api::open(&settings(directory.path(), 64), source, control).unwrap();
    let running = Running {
        address: api.address().unwrap(),
        directory,
        task: tokio::spawn(api.run()),
        _rooms: rooms,
    };
    (running, sender)
}

fn open_to_all() -> Access {
    Access {
        read_without_token: true,
        requests_per_second: 1000.0,
        ..Access::default()
    }
}

#[tokio::test]
async fn pages_of_configured_origins_alone_may_read_and_ask_before_they_write() {
    let (running, _access) = with_access(Access {
        origins: vec!["https://fleet.example".into()],
        ..open_to_all()
    });
    for (origin, allowed) in [
        ("https://fleet.example", true),
        ("http://fleet.example", false),
        ("https://fleet.example.attacker.example", false),
        ("null", false),
    ] {
        let header = format!("Origin: {origin}\r\n");
        let named = format!("Access-Control-Allow-Origin: {origin}\r\n");
        for path in ["/api/v1/version", "/api/v1/config"] {
            let answer = exchange(running.address, &request("GET", path, &header, "")).await;
            assert_eq!(answer.contains(&named), allowed, "{answer}");
            assert_eq!(answer.contains("Access-Control"), allowed, "{answer}");
        }
        let asked = request("OPTIONS", "/api/v1/fans", &header, "");
        let answer = exchange(running.address, &asked).await;
        assert_eq!(status(&answer), if allowed { 204 } else { 501 }, "{answer}");
        assert_eq!(answer.contains("PATCH"), allowed);
        let written = request("POST", "/api/v1/control/stop", &header, "");
        let answer = exchange(running.address, &written).await;
        let code = &body(&answer)["error"]["code"];
        let expected = if allowed {
            "not_claimed"
        } else {
            "origin_not_allowed"
        };
        assert_eq!(code, expected, "{answer}");
    }
    let plain = exchange(running.address, &get("/api/v1/version")).await;
    assert!(!plain.contains("Access-Control"));
}

fn upgrade(headers: &str) -> Vec<u8> {
    format!(
        "GET /api/v1/live?topics=pools HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
         Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
    .into_bytes()
}

#[tokio::test]
async fn a_websocket_is_opened_told_and_closed() {
    let (running, _access) = with_access(open_to_all());
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let mut asked = upgrade("Origin: http://localhost\r\n");
    // A masked close with code 1000 comes along with the request.
    asked.extend(b"\x88\x82\0\0\0\0\x03\xe8");
    stream.write_all(&asked).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
    assert!(text.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(answer.ends_with(b"\x88\x02\x03\xe8"), "{answer:?}");
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(&upgrade("")).await.unwrap();
    let mut told = Vec::new();
    while !String::from_utf8_lossy(&told).contains("\"topic\":\"pools\"") {
        assert!(stream.read_buf(&mut told).await.unwrap() > 0, "{told:?}");
    }
}

#[tokio::test]
async fn a_strange_page_opens_no_websocket_and_a_revoked_token_keeps_none() {
    use crate::config::{FreshToken, Role};
    let token = FreshToken::make("v", Role::Viewer).unwrap();
    let (running, access) = with_access(Access {
        tokens: vec![token.kept],
        requests_per_second: 1000.0,
        ..Access::default()
    });
    let bearer = format!("Authorization: Bearer {}\r\n", token.text.expose());
    let strange = upgrade(&format!("{bearer}Origin: http://attacker.example\r\n"));
    assert_eq!(status(&exchange(running.address, &strange).await), 403);
    assert_eq!(status(&exchange(running.address, &upgrade("")).await), 401);
    let plain = format!("{bearer}Connection: close\r\n");
    let mut listeners = Vec::new();
    for asked in [upgrade(&bearer), request("GET", "/api/v1/live", &plain, "")] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(&asked).await.unwrap();
        assert!(stream.read(&mut [0; 64]).await.unwrap() > 0);
        listeners.push(stream);
    }
    access.send_modify(|access| Arc::make_mut(access).tokens.clear());
    for mut stream in listeners {
        let mut rest = Vec::new();
        // Ends, or this test does not.
        let _ = stream.read_to_end(&mut rest).await;
    }
}

#[tokio::test]
async fn a_pages_token_opens_a_websocket_as_a_subprotocol_and_nothing_else() {
    use crate::config::{FreshToken, Role};
    let token = FreshToken::make("v", Role::Viewer).unwrap();
    let (running, access) = with_access(Access {
        tokens: vec![token.kept],
        requests_per_second: 1000.0,
        ..Access::default()
    });
    let token = token.text.expose();
    let offer =
        |names: &str| format!("Origin: http://localhost\r\nSec-WebSocket-Protocol: {names}\r\n");
    let right = offer(&format!("cgminer-rs, bearer.{token}"));
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(&upgrade(&right)).await.unwrap();
    let mut told = Vec::new();
    while !String::from_utf8_lossy(&told).contains("\"topic\":\"pools\"") {
        assert!(stream.read_buf(&mut told).await.unwrap() > 0, "{told:?}");
    }
    let text = String::from_utf8_lossy(&told);
    assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
    assert!(
        text.contains("\r\nSec-WebSocket-Protocol: cgminer-rs\r\n"),
        "{text}"
    );
    assert!(!text.contains(token), "the token is not said back");

    // The same line on a request of another kind, or to another place, is no token.
    for (method, path) in [
        ("GET", "/api/v1/status"),
        ("GET", "/api/v1/live"),
        ("POST", "/api/v1/control/pause"),
    ] {
        let plain = request(method, path, &format!("{right}Connection: close\r\n"), "");
        assert_eq!(
            status(&exchange(running.address, &plain).await),
            401,
            "{method} {path}"
        );
    }
    let elsewhere = String::from_utf8(upgrade(&right))
        .unwrap()
        .replace("/live?topics=pools", "/status");
    assert_eq!(
        status(&exchange(running.address, elsewhere.as_bytes()).await),
        401
    );
    let head = String::from_utf8(upgrade(&right))
        .unwrap()
        .replacen("GET", "HEAD", 1);
    assert!(
        exchange(running.address, head.as_bytes())
            .await
            .starts_with("HTTP/1.1 401 ")
    );
    let strange = upgrade(&right.replace("http://localhost", "http://attacker.example"));
    assert_eq!(status(&exchange(running.address, &strange).await), 403);

    // What has two readings, or could not be chosen from, is refused.
    for names in [
        format!("bearer.{token}"),
        format!("cgminer-rs, bearer.{token}, bearer.{token}"),
        format!("CGMINER-RS, bearer.{token}"),
        format!("cgminer-rs\r\nSec-WebSocket-Protocol: bearer.{token}"),
        format!("cgminer-rs, bearer.{token}\r\nAuthorization: Bearer {token}"),
    ] {
        let answer = exchange(running.address, &upgrade(&offer(&names))).await;
        assert_eq!(status(&answer), 400, "{names}: {answer}");
    }
    // Without a token, and with wrong ones, which count as such.
    for names in ["cgminer-rs", "chat", "cgminer-rs; bearer.x"] {
        assert_eq!(
            status(&exchange(running.address, &upgrade(&offer(names))).await),
            401,
            "{names}"
        );
    }
    for (names, expected) in [
        ("cgminer-rs, bearer.", 401),
        ("cgminer-rs, bearer.x y", 401),
        ("cgminer-rs, bearer.wrong", 401),
        ("cgminer-rs, bearer.bearer.x", 401),
        ("cgminer-rs, bearer.\u{e4}", 400),
        ("cgminer-rs, bearer.wrong", 401),
        ("cgminer-rs, bearer.wrong", 429),
    ] {
        assert_eq!(
            status(&exchange(running.address, &upgrade(&offer(names))).await),
            expected,
            "{names}"
        );
    }
    // A page whose token is taken back hears no more.
    access.send_modify(|access| Arc::make_mut(access).tokens.clear());
    let _ = stream.read_to_end(&mut told).await;
}

#[cfg(feature = "tls")]
mod over_tls {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::ServerName;
    use std::time::Duration;
    use tokio_rustls::TlsConnector;

    struct Files {
        directory: tempfile::TempDir,
        certificate: rcgen::Certificate,
    }

    /// A certificate for localhost, and its key, as files.
    fn files() -> Files {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("certificate.pem"), certificate.pem()).unwrap();
        fs::write(directory.path().join("key.pem"), key.serialize_pem()).unwrap();
        Files {
            directory,
            certificate,
        }
    }

    fn secure(files: &Files, run_directory: &Path) -> ApiSection {
        ApiSection {
            tls_certificate: Some(files.directory.path().join("certificate.pem")),
            tls_key: Some(files.directory.path().join("key.pem")),
            ..settings(run_directory, 8)
        }
    }

    fn connector(files: &Files) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(files.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config).into()
    }

    #[tokio::test]
    async fn the_network_door_speaks_tls_with_its_own_certificate_and_nothing_else() {
        let files = files();
        let directory = tempfile::tempdir().unwrap();
        let settings = secure(&files, directory.path());
        let identity = tls::Identity::of(&settings).unwrap();
        let (source, _rooms) = Rooms::silent();
        let api = Api::open_secured(&settings, source, no_control(), identity).unwrap();
        let address = api.address().unwrap();
        let _task = tokio::spawn(api.run());
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector(&files).connect(name, stream).await.unwrap();
        stream.write_all(&get("/api/v1/version")).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(status(&String::from_utf8_lossy(&answer)), 200);
        let plain = exchange(address, &get("/api/v1/version")).await;
        assert!(!plain.contains("HTTP/1.1"), "{plain}");
        let run = directory.path().to_owned();
        let local = tokio::task::spawn_blocking(move || local::get(&run, "/api/v1/version"));
        assert!(local.await.unwrap().is_ok(), "the local socket stays plain");
    }

    #[tokio::test]
    async fn silent_clients_hold_no_place_of_a_door_with_tls() {
        let files = files();
        let directory = tempfile::tempdir().unwrap();
        let settings = secure(&files, directory.path());
        let identity = tls::Identity::of(&settings).unwrap();
        let (source, _rooms) = Rooms::silent();
        let api = Api::open_secured(&settings, source, no_control(), identity).unwrap();
        let address = api.address().unwrap();
        let _task = tokio::spawn(api.run());
        let mut silent = Vec::new();
        for _ in 0..20 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let handshake = connector(&files).connect(name, stream);
        let stream = tokio::time::timeout(Duration::from_secs(60), handshake).await;
        assert!(stream.unwrap().is_ok());
        assert!(is_closed(&mut silent[0]).await);
    }

    #[test]
    fn files_that_do_not_fit_are_named() {
        let (one, other) = (files(), files());
        let run = tempfile::tempdir().unwrap();
        let mut mixed = secure(&one, run.path());
        mixed.tls_key = secure(&other, run.path()).tls_key;
        let told = |settings: &ApiSection| match tls::Identity::of(settings) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("taken"),
        };
        assert!(told(&mixed).contains("api.tls_key"), "{}", told(&mixed));
        let mut missing = secure(&one, run.path());
        missing.tls_certificate = Some("/nowhere/c.pem".into());
        assert!(told(&missing).contains("/nowhere/c.pem"));
        fs::write(one.directory.path().join("key.pem"), "no key").unwrap();
        assert!(told(&secure(&one, run.path())).contains("key.pem"));
    }
}
