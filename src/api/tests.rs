use super::*;
use crate::telemetry::samples::Rooms;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Doors behind which nobody carries orders out, and everybody may read.
pub(super) fn no_control() -> Control {
    Control {
        orders: Orders::channel().0,
        access: watch::Sender::new(Access::of(&crate::config::Config::default())).subscribe(),
    }
}

struct Running {
    address: SocketAddr,
    directory: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
    _rooms: Rooms,
}

fn settings(directory: &Path, maximum_connections: u16) -> ApiSection {
    ApiSection {
        listen: Listen::At(([127, 0, 0, 1], 0).into()),
        run_directory: directory.into(),
        maximum_connections,
        ..ApiSection::default()
    }
}

fn start(maximum_connections: u16) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let (source, rooms) = Rooms::silent();
    let api = Api::open(
        &settings(directory.path(), maximum_connections),
        source,
        no_control(),
    )
    .unwrap();
    let address = api.address().unwrap();
    Running {
        address,
        directory,
        task: tokio::spawn(api.run()),
        _rooms: rooms,
    }
}

/// Sends bytes and reads until the server closes.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A refusal may come before all is sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes()
}

fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(0)
}

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn both_doors_tell_the_same_truth() {
    let running = start(8);
    let network = exchange(running.address, &get("/api/v1/status")).await;
    assert_eq!(status(&network), 200);
    let directory = running.directory.path().to_owned();
    let local = tokio::task::spawn_blocking(move || local::get(&directory, "/api/v1/status"));
    let local: Value = serde_json::from_slice(&local.await.unwrap().unwrap()).unwrap();
    let network = body(&network);
    assert_eq!(network["machine"]["board"], "l7");
    assert_eq!(network["machine"]["emulated"], true);
    for member in ["schema", "versions", "pools", "shares"] {
        assert_eq!(network[member], local[member], "{member}");
    }
}

#[tokio::test]
async fn requests_sent_at_once_are_all_answered_in_order() {
    let running = start(8);
    let mut bytes = b"GET /api/v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    bytes.extend_from_slice(b"\r\nHEAD /api/v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n");
    bytes.extend(get("/nowhere"));
    let answer = exchange(running.address, &bytes).await;
    let heads: Vec<u16> = answer
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| status(&answer[at..]))
        .collect();
    assert_eq!(heads, [200, 200, 404]);
    assert_eq!(
        answer.matches("daemon").count(),
        1,
        "HEAD has no body: {answer}"
    );
}

#[tokio::test]
async fn every_error_has_code_message_and_hint() {
    let running = start(8);
    for (bytes, expected) in [
        (get("/nowhere"), 404),
        (get("/api/v1/status/../../etc/passwd"), 404),
        (get("//api/v1/status"), 404),
        (get("/api/v1/status%00"), 404),
        (
            b"POST /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                .to_vec(),
            405,
        ),
        (b"nonsense\r\n\r\n".to_vec(), 400),
    ] {
        let answer = exchange(running.address, &bytes).await;
        assert_eq!(status(&answer), expected, "{answer}");
        for member in ["code", "message", "hint"] {
            assert!(body(&answer)["error"][member].is_string(), "{answer}");
        }
    }
}

#[tokio::test]
async fn hostile_requests_are_refused_and_the_next_client_is_served() {
    let running = start(8);
    let head = |headers: &str| {
        format!("POST /api/v1/status HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n")
    };
    let long = "a".repeat(100_000);
    for (text, expected) in [
        (head("Content-Length: 1000000000000000"), 413),
        (head("Content-Length: 18446744073709551616"), 413),
        (head("Content-Length: 5\r\nContent-Length: 6"), 400),
        (head("Content-Length: 5\r\nTransfer-Encoding: chunked"), 411),
        (head(&format!("X: {long}")), 431),
        (
            format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            431,
        ),
        ("\u{0}\u{1}\u{2}\r\n\r\n".into(), 400),
        (head("Expect: 100-continue\r\nContent-Length: 3"), 417),
        (
            "GET http://x/api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
            400,
        ),
    ] {
        let answer = exchange(running.address, text.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{}", &text[..text.len().min(80)]);
        let next = exchange(running.address, &get("/api/v1/version")).await;
        assert_eq!(status(&next), 200);
    }
}

#[tokio::test]
async fn a_name_that_is_not_this_machines_is_refused() {
    let running = start(8);
    for (host, expected) in [
        ("attacker.example", 403),
        ("attacker.example:8080", 403),
        ("127.0.0.1.attacker.example", 403),
        ("localhost:8080", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("LOCALHOST", 200),
    ] {
        let text =
            format!("GET /api/v1/version HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(
            status(&exchange(running.address, text.as_bytes()).await),
            expected,
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_strange_page_cannot_make_a_browser_write() {
    let running = start(8);
    for (origin, expected) in [
        ("http://attacker.example", 403),
        ("null", 403),
        ("http://localhost:81", 403),
        ("http://localhost", 405),
    ] {
        let text = format!(
            "POST /api/v1/status HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            status(&exchange(running.address, text.as_bytes()).await),
            expected,
            "{origin}"
        );
    }
}

#[tokio::test]
async fn two_hundred_unfinished_requests_hold_nobody_up() {
    let running = start(512);
    let began = std::time::Instant::now();
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream
            .write_all(b"GET /api/v1/status HTTP/1.1\r\nHo")
            .await
            .unwrap();
        slow.push(stream);
    }
    assert_eq!(
        status(&exchange(running.address, &get("/api/v1/version")).await),
        200
    );
    for mut stream in slow {
        // One whose time is over has been told so by now, and is closed.
        let _ = stream
            .write_all(b"st: localhost\r\nConnection: close\r\n\r\n")
            .await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let status = status(&String::from_utf8_lossy(&answer));
        // The gateway's time for a head.
        let is_late = began.elapsed() >= std::time::Duration::from_secs(3);
        assert!(status == 200 || is_late, "{status}");
    }
}

#[tokio::test]
async fn a_running_machine_keeps_its_socket_and_a_killed_ones_is_replaced() {
    let running = start(8);
    let directory = running.directory.path();
    let (second, _rooms) = Rooms::silent();
    match Api::open(&settings(directory, 8), second.clone(), no_control()) {
        Err(ApiError::InUse { path }) => assert_eq!(path, directory.join(LOCAL_SOCKET)),
        other => panic!("{:?}", other.map(|api| api.address())),
    }
    let directory = tempfile::tempdir().unwrap();
    for name in [LOCAL_SOCKET, INNER_SOCKET] {
        drop(std::os::unix::net::UnixListener::bind(directory.path().join(name)).unwrap());
    }
    let api = Api::open(&settings(directory.path(), 8), second, no_control()).unwrap();
    let mode = |name: &str| {
        fs::metadata(directory.path().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode(LOCAL_SOCKET), mode(INNER_SOCKET)), (0o660, 0o600));
    drop(api);
    assert!(!directory.path().join(LOCAL_SOCKET).exists());
}

#[tokio::test]
async fn a_stopped_endpoint_answers_nobody() {
    let running = start(8);
    running.task.abort();
    let _ = running.task.await;
    assert!(TcpStream::connect(running.address).await.is_err());
    let error = local::get(running.directory.path(), "/api/v1/status").unwrap_err();
    assert!(
        matches!(error, local::LocalError::NotRunning { .. }),
        "{error}"
    );
}

mod doors;

/// Doors with tokens, and somebody who carries out all orders and remembers them.
struct Guarded {
    running: Running,
    tokens: [String; 3],
    done: Arc<std::sync::Mutex<Vec<(orders::Order, String)>>>,
}

fn guarded(read_without_token: bool) -> Guarded {
    use crate::config::{FreshToken, Role};
    let made = [
        ("v", Role::Viewer),
        ("o", Role::Operator),
        ("a", Role::Admin),
    ]
    .map(|(name, role)| FreshToken::make(name, role).unwrap());
    let access = Access {
        tokens: made.iter().map(|token| token.kept.clone()).collect(),
        read_without_token,
        requests_per_second: 1000.0,
        ..Access::default()
    };
    let (orders, mut given) = Orders::channel();
    let done = Arc::new(std::sync::Mutex::new(Vec::new()));
    let remembered = done.clone();
    tokio::spawn(async move {
        while let Some(orders::Given { order, by, reply }) = given.recv().await {
            remembered.lock().unwrap().push((order, by));
            let _ = reply.send(Ok(serde_json::json!({"done": true})));
        }
    });
    let control = Control {
        orders,
        access: watch::Sender::new(Arc::new(access)).subscribe(),
    };
    let directory = tempfile::tempdir().unwrap();
    let (source, rooms) = Rooms::at_work();
    let api = Api::open(&settings(directory.path(), 8), source, control).unwrap();
    Guarded {
        running: Running {
            address: api.address().unwrap(),
            directory,
            task: tokio::spawn(api.run()),
            _rooms: rooms,
        },
        tokens: made.map(|token| token.text.expose().to_owned()),
        done,
    }
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[tokio::test]
async fn every_path_asks_for_its_role_of_every_token() {
    use crate::config::Role;
    let guarded = guarded(false);
    let address = guarded.running.address;
    let roles = [Role::Viewer, Role::Operator, Role::Admin];
    for route in routes::all() {
        let path = route.path.replace("{index}", "0").replace("{name}", "v");
        for (token, role) in guarded.tokens.iter().zip(roles) {
            let header = format!("Authorization: Bearer {token}\r\n");
            let answer = exchange(address, &request(route.method, &path, &header, "")).await;
            let let_in = route.needs.is_none_or(|needed| role >= needed);
            assert_eq!(status(&answer) != 403, let_in, "{path} {role:?}: {answer}");
        }
        let answer = exchange(address, &request(route.method, &path, "", "")).await;
        let is_closed = status(&answer) == 401;
        assert_eq!(is_closed, route.needs.is_some(), "{path}: {answer}");
    }
    let live = exchange(address, &get("/api/v1/live")).await;
    assert_eq!(status(&live), 401);
}

#[tokio::test]
async fn an_order_is_carried_out_once_by_name_and_never_for_a_strange_page() {
    let guarded = guarded(true);
    let address = guarded.running.address;
    let fans = |headers: &str| {
        let sent = r#"{"mode":"fixed","duty":60}"#;
        request("PATCH", "/api/v1/fans", headers, sent)
    };
    let operator = format!("Authorization: Bearer {}\r\n", guarded.tokens[1]);
    let json = format!("{operator}Content-Type: application/json; charset=utf-8\r\n");
    let answer = exchange(address, &fans(&json)).await;
    assert_eq!(status(&answer), 200);
    assert_eq!(body(&answer)["done"], true);
    {
        let done = guarded.done.lock().unwrap();
        let [(orders::Order::Fans(_), by)] = done.as_slice() else {
            panic!("{done:?}")
        };
        assert_eq!(by, "o at 127.0.0.1");
    }
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for (headers, expected) in [
        (form.to_owned(), 401),
        (format!("{operator}{form}"), 415),
        (format!("{operator}Content-Type: text/plain\r\n"), 415),
        (format!("{json}Origin: http://attacker.example\r\n"), 403),
    ] {
        let answer = exchange(address, &fans(&headers)).await;
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(!answer.contains("Access-Control-"));
    }
    let preflight = exchange(address, &request("OPTIONS", "/api/v1/fans", "", "")).await;
    assert_eq!(status(&preflight), 501);
    assert_eq!(guarded.done.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_claimed_token_the_network_changes_nothing_and_the_local_socket_may() {
    let running = start(8);
    let stop = request("POST", "/api/v1/control/stop", "", "");
    let answer = exchange(running.address, &stop).await;
    assert_eq!(status(&answer), 403);
    assert_eq!(body(&answer)["error"]["code"], "not_claimed");
    let directory = running.directory.path().to_owned();
    let local = tokio::task::spawn_blocking(move || {
        local::ask(&directory, "POST", "/api/v1/control/stop", "")
    });
    // Nobody carries orders out in this test: that the order got so far is what counts.
    match local.await.unwrap() {
        Err(local::LocalError::Refused { status: 503, text }) => {
            assert!(text.contains("not_done"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn wrong_tokens_lock_their_address_out_at_the_door() {
    let guarded = guarded(true);
    let guess = "Authorization: Bearer guess\r\n";
    let wrong = request("GET", "/api/v1/version", guess, "");
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(status(&exchange(guarded.running.address, &wrong).await));
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429]);
    let plain = exchange(guarded.running.address, &get("/api/v1/version")).await;
    assert_eq!(status(&plain), 200);
}
