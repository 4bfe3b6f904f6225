//! `cgminer-rs pool test URL` as a process, against pools, proxies and TLS servers on this machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says why"
)]

#[cfg(feature = "sv2")]
mod sv2;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread;

/// How a pool behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manners {
    Good,
    RefusesUser,
    /// No version rolling, and it hangs up on `mining.extranonce.subscribe`.
    Strict,
    /// Says nothing to `mining.extranonce.subscribe`.
    Silent,
}

/// A pool at an address of this machine, for as many connections as come.
fn pool(manners: Manners) -> u16 {
    listen(move |stream| {
        let mut writer = stream.try_clone().expect("a second handle");
        serve(&mut BufReader::new(stream), &mut writer, manners);
    })
}

fn listen(take: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            take(stream);
        }
    });
    port
}

/// Talks as a pool does, until the other end hangs up or the manners say so.
fn serve(reader: &mut dyn BufRead, writer: &mut dyn Write, manners: Manners) {
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
        let request: Value = serde_json::from_str(&line).expect("a request");
        line.clear();
        let mut say = |message: Value| writeln!(writer, "{message}").and_then(|()| writer.flush());
        let mut reply = |result: Value, error: Value| {
            say(json!({"id": request["id"], "result": result, "error": error}))
        };
        let said = match request["method"].as_str().expect("a method") {
            "mining.configure" if manners == Manners::Strict => {
                reply(Value::Null, json!([-3, "Method not found", null]))
            }
            "mining.configure" => reply(
                json!({"version-rolling": true, "version-rolling.mask": "1fffe000"}),
                Value::Null,
            ),
            "mining.subscribe" => reply(
                json!([[["mining.notify", "1"]], "c0ffee01", 6]),
                Value::Null,
            ),
            "mining.authorize" if manners == Manners::RefusesUser => {
                reply(json!(false), json!([24, "who is that?", null]))
            }
            "mining.authorize" => {
                assert_eq!(request["params"], json!(["account.worker", "hidden"]));
                let hash = "46f99360a6e97256d49f87304f087507a6e24f6b7e2e86bacad8d1e100000000";
                let branch = "11".repeat(32);
                reply(json!(true), Value::Null)
                    .and_then(|()| say(json!({"id": null, "method": "mining.set_difficulty", "params": [4096]})))
                    .and_then(|()| say(json!({"id": null, "method": "client.show_message", "params": ["welcome"]})))
                    .and_then(|()| say(json!({"id": null, "method": "mining.notify",
                        "params": ["6b", hash, "01", "02", [branch], "20000000", "1705c739", "64495522", true]})))
            }
            "mining.extranonce.subscribe" if manners == Manners::Strict => return,
            "mining.extranonce.subscribe" if manners == Manners::Silent => Ok(()),
            "mining.extranonce.subscribe" => reply(json!(true), Value::Null),
            other => panic!("an unwanted request: {other}"),
        };
        if said.is_err() {
            return;
        }
    }
}

/// Runs `pool test` with the worker's name on the command line and its password in the environment.
fn pool_test(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
        .args(["pool", "test"])
        .args(arguments)
        .args(["--user", "account.worker"])
        .env("CGMINER_POOL_0_PASSWORD", "hidden")
        .output()
        .expect("it runs")
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(!out.contains("hidden") && !error.contains("hidden"));
    (output.status.code(), out, error)
}

/// What stands behind a label.
fn row<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text.lines().find(|line| line.starts_with(label));
    let line = line.unwrap_or_else(|| panic!("no {label} in\n{text}"));
    line[label.len()..].trim()
}

#[test]
fn a_good_pool_is_described_and_the_exit_code_is_zero() {
    let port = pool(Manners::Good);
    let (code, text, error) = told(&pool_test(&[&format!("stratum+tcp://127.0.0.1:{port}")]));
    assert_eq!((code, error.as_str()), (Some(0), ""), "{text}");
    assert!(row(&text, "connected").starts_with(&format!("to 127.0.0.1:{port} within ")));
    assert!(row(&text, "first answer").ends_with(" ms"));
    assert!(row(&text, "authorized").starts_with("as account.worker after "));
    assert_eq!(row(&text, "extranonce1"), "4 bytes");
    assert_eq!(row(&text, "extranonce2"), "6 bytes");
    assert_eq!(row(&text, "version rolling"), "1fffe000, 16 bits");
    assert_eq!(row(&text, "difficulty"), "4096");
    let job = row(&text, "first job");
    assert!(
        job.starts_with("6b after ") && job.contains(": 1 merkle branches, coinbase of 12 bytes")
    );
    assert_eq!(row(&text, "extranonce.subscribe"), "yes");
    assert_eq!(row(&text, "the pool says"), "welcome");
}

#[test]
fn what_a_pool_does_not_support_is_told() {
    let port = pool(Manners::Strict);
    let (code, text, _) = told(&pool_test(&[&format!("localhost:{port}")]));
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(row(&text, "version rolling"), "no");
    assert!(row(&text, "extranonce.subscribe").starts_with("hangs up on it"));
    let port = pool(Manners::Silent);
    let (code, text, _) = told(&pool_test(&[&format!("localhost:{port}")]));
    assert_eq!(
        (code, row(&text, "extranonce.subscribe")),
        (Some(0), "no answer")
    );
}

#[test]
fn a_pool_that_refuses_or_is_not_there_is_a_failure_with_its_reason() {
    let port = pool(Manners::RefusesUser);
    let (code, text, error) = told(&pool_test(&[&format!("127.0.0.1:{port}")]));
    assert!(code == Some(1) && error.contains("who is that?"), "{error}");
    assert_eq!(row(&text, "extranonce2"), "6 bytes");

    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let (code, _, error) = told(&pool_test(&[&format!("127.0.0.1:{port}")]));
    assert!(code == Some(1) && error.contains("refused"), "{error}");

    let closes = listen(|stream| drop(stream.shutdown(Shutdown::Both)));
    let (code, _, error) = told(&pool_test(&[&format!("127.0.0.1:{closes}")]));
    assert!(
        code == Some(1) && error.contains("connection lost"),
        "{error}"
    );

    let (code, _, error) = told(&pool_test(&["pool.example.com"]));
    assert!(code == Some(3) && error.contains("needs a port"), "{error}");
}

#[test]
fn a_pool_behind_a_socks5_proxy_is_reached_by_its_name() {
    let port = pool(Manners::Good);
    let proxy = listen(move |mut client| {
        let mut greeting = [0; 3];
        client.read_exact(&mut greeting).expect("a greeting");
        client.write_all(&[5, 0]).expect("it reads");
        let mut head = [0; 5];
        client.read_exact(&mut head).expect("a request");
        assert_eq!(head[..4], [5, 1, 0, 3], "by name");
        let mut rest = vec![0; usize::from(head[4]) + 2];
        client.read_exact(&mut rest).expect("the rest");
        assert!(rest.starts_with(b"pool.of.nobody.onion"));
        let pool = TcpStream::connect(("127.0.0.1", port)).expect("the pool");
        client
            .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            .expect("it reads");
        let (mut from, mut to) = (
            client.try_clone().expect("a handle"),
            pool.try_clone().expect("a handle"),
        );
        thread::spawn(move || {
            // Either end may hang up.
            let _ = std::io::copy(&mut from, &mut to);
        });
        let (mut from, mut to) = (pool, client);
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    });
    let proxy = format!("socks5://127.0.0.1:{proxy}");
    let (code, text, error) = told(&pool_test(&[
        "pool.of.nobody.onion:3333",
        "--proxy",
        &proxy,
    ]));
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(row(&text, "proxy"), proxy);
    assert!(row(&text, "connected").starts_with("to pool.of.nobody.onion:3333 by 127.0.0.1:"));
    assert_eq!(row(&text, "difficulty"), "4096");
}

#[cfg(not(feature = "sv2"))]
#[test]
fn a_build_without_stratum_v2_says_so() {
    let key = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";
    let (code, _, error) = told(&pool_test(&[&format!("stratum2+tcp://127.0.0.1:1/{key}")]));
    let says_so = error.contains("which this build does not have") && error.contains("`sv2`");
    assert!(code == Some(1) && says_so, "{error}");
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use std::sync::Arc;

    /// A TLS pool whose certificate is signed by itself, and that certificate in PEM.
    fn tls_pool() -> (u16, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
            .expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("a sound certificate");
        let server = Arc::new(server);
        let port = listen(move |stream| {
            let session = ServerConnection::new(Arc::clone(&server)).expect("a session");
            let (mut reader, mut writer) = halves(StreamOwned::new(session, stream));
            serve(&mut reader, &mut writer, Manners::Good);
        });
        (port, made.cert.pem())
    }

    type Shared = Arc<std::sync::Mutex<StreamOwned<ServerConnection, TcpStream>>>;

    struct Half(Shared);

    impl Read for Half {
        fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
            self.0.lock().expect("one thread").read(bytes)
        }
    }

    impl Write for Half {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("one thread").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            self.0.lock().expect("one thread").flush()
        }
    }

    fn halves(stream: StreamOwned<ServerConnection, TcpStream>) -> (BufReader<Half>, Half) {
        let shared = Arc::new(std::sync::Mutex::new(stream));
        (BufReader::new(Half(Arc::clone(&shared))), Half(shared))
    }

    #[test]
    fn a_pinned_pool_over_tls_is_described_and_an_unknown_one_is_refused() {
        let (port, pem) = tls_pool();
        let url = format!("stratum+tls://localhost:{port}");
        let (code, _, error) = told(&pool_test(&[&url]));
        assert!(code == Some(1) && error.contains("`tls_pin`"), "{error}");

        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), pem).expect("a file");
        // The fingerprint by another program, as the owner would get it.
        let openssl = Command::new("openssl")
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
            .arg(file.path())
            .output();
        let pin = match openssl {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8(output.stdout).expect("text");
                let (_, pin) = text.trim().split_once('=').expect("a fingerprint");
                pin.to_owned()
            }
            _ => {
                use rustls::pki_types::pem::PemObject;
                let der = rustls::pki_types::CertificateDer::from_pem_file(file.path());
                cgminer_rs::pool::trust::CertificatePin::of(&der.expect("PEM")).to_string()
            }
        };
        let (code, text, error) = told(&pool_test(&[&url, "--tls-pin", &pin]));
        assert_eq!(code, Some(0), "{error}");
        assert!(row(&text, "tls").starts_with("TLSv1_3, TLS13_"));
        let digits = pin.replace(':', "").to_lowercase();
        assert_eq!(
            row(&text, "certificate"),
            format!("{digits}, dates not checked")
        );
        assert_eq!(row(&text, "difficulty"), "4096");

        let other = "00".repeat(32);
        let (code, _, error) = told(&pool_test(&[&url, "--tls-pin", &other]));
        assert!(code == Some(1) && error.contains(&digits), "{error}");
    }
}
