//! A daemon whose descriptors have really run out: its system allows no more than it has open.
//!
//! What `tiny_http` does then ends a process that is built to abort (`TEST_DAEMON` names such a one); in a build for tests it would be a
//! thread that panics, which the log tells.

use crate::crowd::{connect, exchange};
use crate::daemon::Daemon;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PLENTY: u32 = 1024;

/// Asks on a connection that stays; none: it was closed.
async fn ask(stream: &mut TcpStream) -> Option<u16> {
    let request = b"GET /api/v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.ok()?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        if stream.read_buf(&mut answer).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    String::from_utf8_lossy(&answer).get(9..12)?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_without_descriptors_answers_who_is_there_and_recovers() {
    cgminer_rs::miner::confine::raise_files(8_192).unwrap();
    let api = "maximum_connections = 64\nrequests_per_second = 10000\n";
    let daemon = Daemon::start(api, Some(PLENTY)).await;
    let before = daemon.until_mining().await;
    let nonces = daemon.nonces().await;
    let mut guest = connect(&daemon.address, 7).await.unwrap();
    assert_eq!(ask(&mut guest).await, Some(200));
    let open = daemon.open_files();
    daemon.allow_files(open);
    // Nothing has to be opened for who is there already.
    for _ in 0..20 {
        assert_eq!(ask(&mut guest).await, Some(200), "{}", daemon.log());
    }
    // With each number that is left, somebody else may be the one who gets nothing.
    for spare in (0..12).chain([16, 24, 32, 48]) {
        daemon.allow_files(open + spare);
        let mut crowd = Vec::new();
        for _ in 0..spare + 4 {
            let mut stream = connect(&daemon.address, 8).await.unwrap();
            let _ = timeout(Duration::from_millis(20), ask(&mut stream)).await;
            crowd.push(stream);
        }
    }
    daemon.until_log("cannot accept a client").await;
    daemon.allow_files(PLENTY as usize);
    let answered = async {
        while !exchange(&daemon.address, "/api/v1/version")
            .await
            .starts_with("HTTP/1.1 200 ")
        {}
    };
    let recovers = timeout(Duration::from_secs(120), answered).await;
    assert!(recovers.is_ok(), "{}", daemon.log());
    daemon.until_nonces_pass(nonces).await;
    let after = daemon.until_mining().await;
    let restarts = |status: &serde_json::Value| status["keeper"]["restarts"]["total"].clone();
    assert_eq!(restarts(&after), restarts(&before));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}
