//! The whole program at real pools: emulated machine, chains, manager, sessions; a pool added while it mines, and the
//! other one killed.

use super::PATIENCE;
use super::daemon::Daemon;
use super::node::{self, Node};
use super::programs::{Program, programs};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Nobody's key, of BIP 173's examples, for test nets.
const PAYS: &str = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx";
/// Zero bits of the emulated chips' nonces: shares for a pool that takes any, but no blocks of a test net, which need 32.
/// So there is no new block between a share and its verdict, and not one reject is excused.
const ZERO_BITS: u8 = 16;
/// Shares that each stage waits for.
const SHARES: u64 = 50;
/// Jobs that each stage waits for; the pools send one every two seconds.
const JOBS: u64 = 5;

fn configuration(pools: &[&Program]) -> String {
    let pool = |program: &&Program| {
        let port = program.port;
        format!(
            "[[pool]]\nurl = \"stratum+tcp://127.0.0.1:{port}\"\nuser = \"{PAYS}.1\"\npassword = \"x\"\n"
        )
    };
    pools.iter().map(pool).collect()
}

/// The status, once it is as wanted.
async fn when(daemon: &Daemon, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let status = daemon.status();
        if wanted(&status) {
            return status;
        }
        assert!(
            began.elapsed() < 4 * PATIENCE,
            "{what}: {}\n{}",
            status["pools"],
            daemon.said()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn works_for(status: &Value, pool: usize) -> bool {
    let pool = &status["pools"]["list"][pool];
    pool["active"] == true
        && pool["shares"]["accepted"].as_u64() >= Some(SHARES)
        && pool["jobs"].as_u64() >= Some(JOBS)
}

#[tokio::test]
async fn the_daemon_mines_at_a_real_pool_takes_another_one_on_and_fails_over_to_it() {
    let Some(prefix) = programs() else { return };
    let Some(program) = node::program() else {
        return;
    };
    let node = Node::start_on("testnet4", &program, &[]).await;
    let first = Program::pool("foundation-stratum", &prefix, &node, PAYS);
    let second = Program::pool("foundation-stratum", &prefix, &node, PAYS);

    let daemon = Daemon::start(&configuration(&[&first]), ZERO_BITS);
    when(&daemon, "mining", |status| works_for(status, 0)).await;

    daemon.reload(&configuration(&[&first, &second]));
    let both = when(&daemon, "a pool added", |status| {
        status["pools"]["list"][1]["phase"] == "ready"
    })
    .await;
    let kept = &both["pools"]["list"][0];
    assert_eq!(kept["connection_attempts"], 1, "its session stays: {kept}");
    assert_eq!(kept["active"], true, "{both}");

    drop(first);
    let after = when(&daemon, "failover", |status| works_for(status, 1)).await;
    assert_eq!(after["pools"]["switches"], 1, "{}", after["pools"]);
    assert_ne!(after["pools"]["list"][0]["last_error"], Value::Null);
    assert_eq!(
        after["shares"]["rejected"]["total"], 0,
        "{}",
        after["shares"]
    );
    for chain in after["chains"].as_array().expect("chains") {
        assert_eq!(chain["counters"]["mismatches"], 0, "{chain}");
    }
    println!(
        "{} shares accepted by two pools, none rejected, {} without an answer when the first died; {} jobs",
        after["shares"]["accepted"], after["shares"]["unanswered"], after["work"]["jobs"]
    );
    let (ended_well, said) = daemon.stop();
    assert!(ended_well, "{said}");
}
