//! Pool software that nobody of this project wrote, with a real Bitcoin node on regtest behind it: every share accepted,
//! every block accepted by the node, no reject over a hundred job switches, and failover when the pool dies.
//!
//! `tests/peers/bitcoin-knots.sh` and `tests/peers/pools.sh` install them. Without them these tests say that they were
//! left out; where `CI` is set, a missing one is a failure.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why"
)]

#[cfg(feature = "emulator")]
#[path = "../solo/daemon.rs"]
mod daemon;
#[path = "../independent/mod.rs"]
mod independent;
mod miner;
mod mining;
#[path = "../solo/node.rs"]
mod node;
mod programs;
#[cfg(feature = "emulator")]
mod through_the_daemon;

use cgminer_rs::pool::connection::DirectConnector;
use cgminer_rs::pool::settings::StratumSettings;
use cgminer_rs::pool::solo::SoloSource;
use cgminer_rs::pool::status::PoolsStatus;
use cgminer_rs::pool::stratum::StratumSource;
use miner::Miner;
use mining::mine;
use node::Node;
use programs::{Program, programs};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Who the pool pays: nobody's key, of BIP 173's examples.
const OWNER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// Generous, for a busy machine: an idle one takes a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(240);

/// Works for the pool at this port, and for the node itself when that pool fails.
fn miner(port: u16, node: &Node) -> Miner {
    let url = format!("stratum+tcp://127.0.0.1:{port}").parse().unwrap();
    let settings = StratumSettings::new(url, OWNER, "x");
    let connector = Arc::new(DirectConnector::system());
    let pool = StratumSource::new(settings, connector.clone(), 1);
    let solo = SoloSource::new(node.settings(OWNER), connector, 2);
    Miner::start(vec![Box::new(pool), Box::new(solo)])
}

/// The node, with a wallet of somebody else's and some blocks.
async fn node() -> Option<(Node, String)> {
    let node = Node::start(&node::program()?).await;
    node.call("createwallet", json!(["other"])).await;
    let other = node.call("getnewaddress", json!([])).await;
    let other = other.as_str().expect("an address").to_owned();
    node.generate(3, &other).await;
    Some((node, other))
}

#[tokio::test]
async fn foundation_stratum_accepts_all_and_when_it_dies_the_node_itself_is_mined_on() {
    let Some(prefix) = programs() else { return };
    let Some((node, other)) = node().await else {
        return;
    };
    let pool = Program::pool("foundation-stratum", &prefix, &node, OWNER);
    let mut miner = miner(pool.port, &node);
    mine(&mut miner, &node, &other).await;

    drop(pool);
    let elsewhere = |status: &PoolsStatus| status.active == Some(1);
    let waited = timeout(PATIENCE, miner.status.wait_for(elsewhere))
        .await
        .map(|_| ());
    assert!(waited.is_ok(), "{:?}", *miner.status.borrow());
    let job = miner.jobs.borrow().clone().expect("the node's job");
    let height = node.height().await;
    miner.find(&job, true).await;
    miner.all_accepted(1, 1).await;
    assert_eq!(node.height().await, height + 1);
}

#[tokio::test]
async fn blinkhash_stratum_behind_a_relay_accepts_all() {
    let Some(prefix) = programs() else { return };
    let Some((node, other)) = node().await else {
        return;
    };
    let pool = Program::pool("blinkhash-stratum", &prefix, &node, OWNER);
    let relay = Program::relay(&prefix, pool.port);
    let mut miner = miner(relay.port, &node);
    mine(&mut miner, &node, &other).await;
}
