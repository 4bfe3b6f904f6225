//! Strangers in crowds at the HTTP gateway of a whole daemon, while it mines on the emulated machine in real time.
//!
//! What is measured is printed; what is held are counts, and bounds that a slow machine keeps too.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod crowd;
mod daemon;
mod exhausted;

use crowd::{Crowd, Kind, exchange, listen};
use daemon::Daemon;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

const IDLE: usize = 2_000;
const SLOW: usize = 1_500;
/// Requests whose time is measured.
const MEASURED: usize = 200;
/// What keeper and miner may take together, the emulated machine aside.
const MEMORY: u64 = 16 << 20;
/// Listeners to the live stream at once, half of them by WebSocket.
const LISTENERS: usize = 1_000;

const CROWDED: &str = "maximum_connections = 4096\nrequests_per_second = 10000\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_costs_little_keeps_nobody_out_and_does_not_touch_the_chains() {
    cgminer_rs::miner::confine::raise_files(8_192).unwrap();
    let daemon = Daemon::start(CROWDED, None).await;
    let before = daemon.until_mining().await;
    let (keeper, miner) = daemon.memory();
    let nonces = daemon.nonces().await;

    let crowd = Crowd::of(&daemon.address, &[(Kind::Idle, IDLE), (Kind::Slow, SLOW)]);
    crowd.is_there(Duration::from_secs(240)).await;
    let mut times = Vec::new();
    let mut most = (0, 0);
    for _ in 0..MEASURED {
        let began = Instant::now();
        let answer = exchange(&daemon.address, "/api/v1/version").await;
        times.push(began.elapsed());
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let now = daemon.memory();
        most = (most.0.max(now.0), most.1.max(now.1));
        sleep(Duration::from_millis(20)).await;
    }
    times.sort();
    println!(
        "{IDLE} idle and {SLOW} slow clients, {} of them connected at the end: a new request takes {:?} in the median, \
         {:?} at most",
        crowd.connected(),
        times[MEASURED / 2],
        times[MEASURED - 1],
    );
    println!(
        "memory of the keeper with the emulated machine {keeper} -> {}, of the miner {miner} -> {} bytes; resident with \
         mapped files {:?}",
        most.0,
        most.1,
        daemon.resident(),
    );
    assert!(times[MEASURED / 2] < Duration::from_secs(2));
    // The keeper speaks with no network: what it had before is the machine that it emulates.
    let grown = most.0.saturating_sub(keeper);
    let of_both = if daemon.is_split() {
        most.1 + grown
    } else {
        grown
    };
    assert!(of_both <= MEMORY, "{of_both} bytes");

    drop(crowd);
    daemon.until_nonces_pass(nonces).await;
    let after = daemon.status().await;
    assert_eq!(after["machine"]["state"], "mining");
    let (miner, keeper) = (&after["process"]["pid"], &after["keeper"]["process"]["pid"]);
    assert!(keeper.is_u64() && (keeper != miner) == daemon.is_split());
    assert_eq!(
        after["keeper"]["restarts"]["total"],
        before["keeper"]["restarts"]["total"]
    );
    for (chain, earlier) in after["chains"]
        .as_array()
        .unwrap()
        .iter()
        .zip(before["chains"].as_array().unwrap())
    {
        let (now, then) = (&chain["counters"], &earlier["counters"]);
        assert_eq!(
            (&now["failures"], &now["bring_ups"]),
            (&then["failures"], &then["bring_ups"])
        );
    }

    let lost = listen(&daemon.address, LISTENERS, Duration::from_secs(240)).await;
    println!("{LISTENERS} listeners heard at the same time, after {lost} had come again");
    a_header_of_64_mib_is_refused(&daemon).await;
    daemon.until_mining().await;
}

async fn a_header_of_64_mib_is_refused(daemon: &Daemon) {
    let (_, before) = daemon.memory();
    let mut stream = crowd::connect(&daemon.address, 9).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        .await
        .unwrap();
    let piece = vec![b'a'; 1 << 16];
    let mut sent = 0;
    let sending = async {
        while sent < 64 << 20 {
            match stream.write(&piece).await {
                Ok(count) => sent += count,
                Err(_) => return,
            }
        }
    };
    timeout(Duration::from_secs(120), sending)
        .await
        .expect("it is refused, not waited for");
    assert!(sent < 64 << 20, "all of it was taken");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let (_, after) = daemon.memory();
    println!(
        "of a header of 64 MiB {sent} bytes were sent, the memory went from {before} to {after} bytes"
    );
    assert!(after.saturating_sub(before) < 4 << 20);
    let answer = exchange(&daemon.address, "/api/v1/version").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_with_few_descriptors_keeps_enough_for_itself() {
    cgminer_rs::miner::confine::raise_files(8_192).unwrap();
    let daemon = Daemon::start(CROWDED, Some(96)).await;
    let before = daemon.until_mining().await;
    assert!(daemon.log().contains("the system allows 96 open files"));
    let nonces = daemon.nonces().await;
    let crowd = Crowd::of(&daemon.address, &[(Kind::Idle, 200), (Kind::Slow, 200)]);
    crowd.was_there(1_000, Duration::from_secs(240)).await;
    // The crowd has this address, too, and may push an asker out of one of its dozen places before it was served.
    let mut answered = 0;
    for _ in 0..400 {
        let answer = exchange(&daemon.address, "/api/v1/version").await;
        answered += usize::from(answer.starts_with("HTTP/1.1 200 "));
        if answered == 5 {
            break;
        }
    }
    assert_eq!(answered, 5, "{}", daemon.log());
    daemon.until_nonces_pass(nonces).await;
    drop(crowd);
    // What of the crowd still stands before the door is let in first, and may push an asker out even now.
    let answered = async {
        while !exchange(&daemon.address, "/api/v1/version")
            .await
            .starts_with("HTTP/1.1 200 ")
        {}
    };
    let answered = timeout(Duration::from_secs(120), answered).await;
    assert!(answered.is_ok(), "{}", daemon.log());
    let after = daemon.until_mining().await;
    let restarts = |status: &serde_json::Value| status["keeper"]["restarts"]["total"].clone();
    assert_eq!(restarts(&after), restarts(&before));
}
