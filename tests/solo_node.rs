//! Solo mining against a real Bitcoin node on regtest, through the whole emulated machine.
//!
//! `tests/peers/bitcoin-knots.sh` installs the node. Without it these tests say that they were left out; where `CI` is set,
//! a missing node is a failure.
#![cfg(feature = "emulator")]
#![allow(clippy::expect_used, reason = "a test that cannot go on says why")]

#[path = "solo/daemon.rs"]
mod daemon;
#[path = "solo/machine.rs"]
mod machine;
#[path = "solo/node.rs"]
mod node;

use bitcoin::hex::DisplayHex;
use cgminer_rs::chain::ChainStatus;
use cgminer_rs::config::PoolAddress;
use cgminer_rs::pool::connection::DirectConnector;
use cgminer_rs::pool::manager::{self, ConfiguredSource, ManagerPorts};
use cgminer_rs::pool::settings::{Place, StrategyKind};
use cgminer_rs::pool::solo::address::{Network, payout_script};
use cgminer_rs::pool::solo::{SoloSettings, SoloSource};
use cgminer_rs::pool::status::PoolsStatus;
use cgminer_rs::work::{Job, Share};
use machine::Rig;
use node::Node;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Who the miner works for: nobody's key, of BIP 173's examples.
const OWNER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// Blocks to be mined.
const BLOCKS: u64 = 20;
/// Generous, for a busy machine: an idle one takes seconds.
const PATIENCE: Duration = Duration::from_secs(900);

/// The miner's pool side, working for one node.
struct Pools {
    jobs: watch::Receiver<Option<Arc<Job>>>,
    shares: mpsc::Sender<Share>,
    status: watch::Receiver<PoolsStatus>,
    _hashes: watch::Sender<f64>,
    _manager: JoinHandle<()>,
}

impl Pools {
    fn start(settings: SoloSettings) -> Self {
        let source = SoloSource::new(settings, Arc::new(DirectConnector::system()), 1);
        let source = ConfiguredSource {
            source: Box::new(source),
            place: Place::default(),
            name: None,
        };
        let (job_sender, jobs) = watch::channel(None);
        let (shares, found) = mpsc::channel(256);
        let (status_sender, status) = watch::channel(PoolsStatus::default());
        let (hashes, hashes_done) = watch::channel(0.0);
        let ports = ManagerPorts {
            jobs: job_sender,
            shares: found,
            status: status_sender,
            hashes_done,
            commands: mpsc::channel(1).1,
        };
        Self {
            jobs,
            shares,
            status,
            _hashes: hashes,
            _manager: tokio::spawn(manager::run(vec![source], StrategyKind::Failover, ports)),
        }
    }

    async fn blocks_accepted(&mut self, count: u64) {
        let reached = |status: &PoolsStatus| {
            status
                .pools
                .first()
                .is_some_and(|pool| pool.shares.blocks_accepted >= count)
        };
        let waited = timeout(PATIENCE, self.status.wait_for(reached))
            .await
            .map(|_| ());
        assert!(
            waited.is_ok(),
            "{count} blocks: {:?}",
            *self.status.borrow()
        );
    }

    async fn job_on(&mut self, previous: &str) {
        let builds = |job: &Option<Arc<Job>>| {
            job.as_ref()
                .is_some_and(|job| displayed(&job.previous_hash) == previous)
        };
        let waited = timeout(PATIENCE, self.jobs.wait_for(builds))
            .await
            .map(|_| ());
        assert!(waited.is_ok(), "no job on {previous}");
    }
}

fn displayed(hash: &[u8; 32]) -> String {
    let mut displayed = *hash;
    displayed.reverse();
    displayed.to_lower_hex_string()
}

fn is_ours(block: &Value) -> bool {
    block["tx"][0]["vout"][0]["scriptPubKey"]["address"] == OWNER
}

#[tokio::test]
async fn the_emulated_machine_mines_blocks_that_a_real_node_accepts() {
    let Some(program) = node::program() else {
        return;
    };
    let node = Node::start(&program).await;
    node.call("createwallet", json!(["other"])).await;
    let other = node.call("getnewaddress", json!([])).await;
    let other = other.as_str().expect("an address").to_owned();
    // The other one's coins ripen, so that there are transactions to mine.
    node.generate(110, &other).await;
    let before = node.height().await;

    let mut pools = Pools::start(node.settings(OWNER));
    let rig = Rig::start(&pools.jobs, &pools.shares);
    pools.blocks_accepted(3).await;
    for amount in [1, 2, 3] {
        node.call("sendtoaddress", json!([other, amount])).await;
    }
    // In blocks of ours, before anybody else's could take them.
    let mined = async {
        while node.call("getmempoolinfo", json!([])).await["size"] != 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, mined).await.expect("payments are mined");
    pools.blocks_accepted(BLOCKS / 2).await;

    // Somebody else is faster: the machine turns to the new block at once.
    let mut foreign = 0;
    for _ in 0..3 {
        node.generate(1, &other).await;
        foreign += 1;
        let more = pools.status.borrow().pools[0].shares.blocks_accepted + 2;
        pools.blocks_accepted(more).await;
    }
    pools.blocks_accepted(BLOCKS).await;
    for status in &rig.statuses {
        let found = |status: &ChainStatus| status.counters.shares > 0;
        let waited = timeout(PATIENCE, status.clone().wait_for(found))
            .await
            .map(|_| ());
        let chain = status.borrow();
        assert_eq!(chain.chips_found, Some(126), "{:?}", chain.reason);
        assert!(waited.is_ok(), "chain {} found nothing", chain.chain);
        assert_eq!(chain.counters.mismatches, 0, "{:?}", chain.counters);
    }
    drop(rig);
    // What was on its way to the node gets its verdict.
    let pool = {
        let settled = |status: &PoolsStatus| {
            let shares = &status.pools[0].shares;
            shares.submitted == shares.accepted + shares.rejected.total + shares.unanswered
        };
        let status = timeout(PATIENCE, pools.status.wait_for(settled)).await;
        status.expect("verdicts").expect("a manager").pools[0].clone()
    };
    drop(pools);

    let mut ours = 0;
    let mut rolled = 0;
    let mut transactions = 0;
    for height in before + 1..=node.height().await {
        let block = node.block(height).await;
        if !is_ours(&block) {
            continue;
        }
        ours += 1;
        let version = block["version"].as_u64().expect("a version");
        assert_eq!(
            version & !0x1fff_e000,
            0x2000_0000,
            "no bit outside of BIP 320's was touched"
        );
        rolled += u64::from(version != 0x2000_0000);
        transactions += block["tx"].as_array().expect("transactions").len() - 1;
        let coinbase = &block["tx"][0];
        assert!(
            coinbase["hash"] != coinbase["txid"],
            "a witness in the coinbase"
        );
    }
    let shares = &pool.shares;
    println!(
        "{ours} blocks accepted, {rolled} of rolled versions, {transactions} transactions in them, {foreign} of somebody \
         else between; {} shares withheld as stale, {} blocks too late",
        shares.stale_withheld, shares.rejected.stale
    );
    assert!(ours >= BLOCKS);
    assert!(rolled > 0, "the chips roll versions");
    assert_eq!(transactions, 3, "each payment is mined, once");
    assert_eq!(
        ours, shares.blocks_accepted,
        "every verdict was the node's own"
    );
    assert_eq!(
        shares.rejected.total, shares.rejected.stale,
        "{:?}",
        shares.last_reject
    );
    // A block submitted on an old tip would be a branch of the node's tree.
    let tips = node.call("getchaintips", json!([])).await;
    let branches = tips.as_array().expect("tips").len() as u64 - 1;
    assert!(branches <= shares.rejected.stale, "{tips}");
}

#[tokio::test]
async fn the_daemon_itself_mines_twenty_blocks_on_the_emulated_machine() {
    let Some(program) = node::program() else {
        return;
    };
    let node = Node::start(&program).await;
    node.call("createwallet", json!(["other"])).await;
    let other = node.call("getnewaddress", json!([])).await;
    let other = other.as_str().expect("an address").to_owned();
    node.generate(1, &other).await;

    let configuration = daemon::solo_configuration(node.port(), &node.cookie(), OWNER);
    let daemon = daemon::Daemon::start(&configuration, machine::ZERO_BITS);
    let started = std::time::Instant::now();
    let mut foreign = 0;
    let status = loop {
        assert!(started.elapsed() < PATIENCE, "{}", daemon.status());
        tokio::time::sleep(Duration::from_millis(500)).await;
        let status = daemon.status();
        let accepted = status["shares"]["blocks_accepted"]
            .as_u64()
            .expect("a number");
        if accepted >= BLOCKS / 2 && foreign == 0 {
            node.generate(1, &other).await;
            foreign = 1;
        }
        if accepted >= BLOCKS && foreign == 1 {
            break status;
        }
    };
    assert_eq!(status["machine"]["emulated"], true);
    assert_eq!(status["keeper"]["state"], "running");
    for chain in status["chains"].as_array().expect("chains") {
        assert_eq!(chain["chips_found"], 126, "{chain}");
        assert_eq!(chain["counters"]["mismatches"], 0, "{chain}");
    }
    let (ended_well, said) = daemon.stop();
    assert!(ended_well, "{said}");

    let mut ours = 0;
    let mut rolled = 0;
    for height in 1..=node.height().await {
        let block = node.block(height).await;
        if is_ours(&block) {
            ours += 1;
            rolled += u64::from(block["version"] != 0x2000_0000);
        }
    }
    println!(
        "{ours} blocks of the daemon accepted, {rolled} of rolled versions, {foreign} of somebody else"
    );
    assert!(ours >= BLOCKS && rolled > 0);
}

#[tokio::test]
async fn a_new_block_of_somebody_else_takes_the_work_over_before_anything_is_found() {
    let Some(program) = node::program() else {
        return;
    };
    let node = Node::start(&program).await;
    let mut pools = Pools::start(node.settings(OWNER));
    pools
        .job_on(
            node.call("getbestblockhash", json!([]))
                .await
                .as_str()
                .expect("a hash"),
        )
        .await;
    let old = pools.jobs.borrow().clone().expect("a job");
    node.generate(1, OWNER).await;
    let tip = node.call("getbestblockhash", json!([])).await;
    pools.job_on(tip.as_str().expect("a hash")).await;
    let new = pools.jobs.borrow().clone().expect("a job");
    assert!(new.clean && new.sequence > old.sequence);

    // A share of before is withheld; the node hears nothing of it.
    let late = Share {
        job: old,
        extranonce2: cgminer_rs::work::Extranonce2 { value: 0, size: 8 },
        ntime: new.ntime,
        nonce: 0,
        version_bits: 0,
        hash: [0; 32],
        is_block: true,
        chain: cgminer_rs::work::ChainIndex(0),
        found_at: tokio::time::Instant::now(),
    };
    pools.shares.send(late).await.expect("the manager listens");
    let counted = |status: &PoolsStatus| status.pools[0].shares.stale_withheld == 1;
    timeout(PATIENCE, pools.status.wait_for(counted))
        .await
        .expect("counted")
        .expect("a manager");
    assert_eq!(pools.status.borrow().pools[0].shares.blocks_submitted, 0);
    assert_eq!(node.height().await, 1);
}

#[tokio::test]
async fn addresses_of_every_kind_are_paid_as_the_node_would_pay_them() {
    let Some(program) = node::program() else {
        return;
    };
    let node = Node::start(&program).await;
    node.call("createwallet", json!(["owner"])).await;
    for kind in ["legacy", "p2sh-segwit", "bech32", "bech32m"] {
        let address = node.call("getnewaddress", json!(["", kind])).await;
        let address = address.as_str().expect("an address");
        let theirs = node.call("validateaddress", json!([address])).await;
        let ours = payout_script(address, Network::Regtest).expect("a good address");
        assert_eq!(
            theirs["scriptPubKey"],
            ours.to_lower_hex_string(),
            "{address}"
        );
    }
}

#[test]
fn the_example_of_the_documentation_is_a_good_configuration() {
    let text = include_str!("../docs/solo.md");
    let example = text
        .split_once("```toml")
        .and_then(|(_, rest)| rest.split_once("```"))
        .map(|(example, _)| example)
        .expect("an example");
    let config = cgminer_rs::config::parse(example)
        .expect("a good configuration")
        .config;
    let pool = &config.pool[0];
    assert!(matches!(pool.url, PoolAddress::Node { port: 8332, .. }));
    let address = pool.payout_address.as_deref().expect("an address");
    payout_script(address, Network::Main).expect("a good address");
}
