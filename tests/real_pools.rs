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

mod independent;
#[path = "solo/node.rs"]
mod node;

use bitcoin::hex::DisplayHex;
use cgminer_rs::pool::connection::DirectConnector;
use cgminer_rs::pool::manager::{self, ConfiguredSource, ManagerPorts};
use cgminer_rs::pool::settings::{Place, StrategyKind, StratumSettings};
use cgminer_rs::pool::solo::SoloSource;
use cgminer_rs::pool::source::JobSource;
use cgminer_rs::pool::status::{PoolStatus, PoolsStatus};
use cgminer_rs::pool::stratum::StratumSource;
use cgminer_rs::work::{ChainIndex, Extranonce2, Job, Share};
use independent::{assert_pool_agrees, pool_view};
use node::Node;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc as threads};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

/// Who the pool pays: nobody's key, of BIP 173's examples.
const OWNER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// Blocks, and so switches to another job.
const SWITCHES: u64 = 104;
/// Shares of a job that make no block.
const SHARES: u64 = 2;
/// Generous, for a busy machine: an idle one takes a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where `tests/peers/pools.sh` puts the programs. `None` where they are not, which in CI is a failure.
fn programs() -> Option<PathBuf> {
    let prefix = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/pools");
    let prefix = std::env::var_os("TEST_POOLS").map_or(prefix, PathBuf::from);
    if prefix.join("complete").is_file() {
        return Some(prefix);
    }
    let missing = format!("no pools in {}: run tests/peers/pools.sh", prefix.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    eprintln!("LEFT OUT, {missing}");
    None
}

/// A program that listens; killed when dropped.
struct Program {
    process: Child,
    port: u16,
}

impl Program {
    /// A pool of an npm package.
    fn pool(package: &str, prefix: &Path, node: &Node) -> Self {
        let port = free_port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/npm-pool.js");
        let mut process = Command::new("node")
            .arg(script)
            .args([package.as_ref(), prefix.as_os_str()])
            .arg(node.port().to_string())
            .arg(node.cookie())
            .args([port.to_string().as_str(), OWNER])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let output = process.stdout.take().expect("a pipe");
        let (sender, ready) = threads::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody listens any more once it was ready.
                let _ = sender.send(line);
            }
        });
        let line = ready
            .recv_timeout(PATIENCE)
            .expect("the pool says something");
        assert_eq!(line, "ready");
        Self { process, port }
    }

    /// A relay in Python before it.
    fn relay(prefix: &Path, upstream: u16) -> Self {
        let port = free_port();
        let process = Command::new("python3")
            .env("PYTHONPATH", prefix.join("python"))
            .args(["-m", "bit_byte_block", "proxy", "--bind-host", "127.0.0.1"])
            .args(["--bind-port", &port.to_string()])
            .args(["--upstream-host", "127.0.0.1"])
            .args(["--upstream-port", &upstream.to_string()])
            .args(["--backup-host", "127.0.0.1", "--backup-port", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python starts");
        let relay = Self { process, port };
        let began = std::time::Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "the relay listens");
            std::thread::sleep(Duration::from_millis(50));
        }
        relay
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// The miner's pool side, with this test in the place of the chains.
struct Miner {
    jobs: watch::Receiver<Option<Arc<Job>>>,
    shares: mpsc::Sender<Share>,
    status: watch::Receiver<PoolsStatus>,
    _hashes: watch::Sender<f64>,
    nonce: u32,
}

impl Miner {
    /// Works for the pool at this port, and for the node itself when that pool fails.
    fn start(port: u16, node: &Node) -> Self {
        let url = format!("stratum+tcp://127.0.0.1:{port}").parse().unwrap();
        let settings = StratumSettings::new(url, OWNER, "x");
        let connector = Arc::new(DirectConnector::system());
        let pool = StratumSource::new(settings, connector.clone(), 1);
        let solo = SoloSource::new(node.settings(OWNER), connector, 2);
        let sources: [Box<dyn JobSource>; 2] = [Box::new(pool), Box::new(solo)];
        let sources = sources.into_iter().map(|source| ConfiguredSource {
            source,
            place: Place::default(),
            name: None,
        });
        let (job_sender, jobs) = watch::channel(None);
        let (shares, found) = mpsc::channel(16);
        let (status_sender, status) = watch::channel(PoolsStatus::default());
        let (hashes, hashes_done) = watch::channel(0.0);
        let ports = ManagerPorts {
            jobs: job_sender,
            shares: found,
            status: status_sender,
            hashes_done,
            commands: mpsc::channel(1).1,
        };
        tokio::spawn(manager::run(
            sources.collect(),
            StrategyKind::Failover,
            ports,
        ));
        Self {
            jobs,
            shares,
            status,
            _hashes: hashes,
            nonce: 0,
        }
    }

    /// The pool's newest job on this block.
    async fn job_on(&mut self, previous: &str) -> Arc<Job> {
        let active = |status: &PoolsStatus| status.active == Some(0);
        timeout(PATIENCE, self.status.wait_for(active))
            .await
            .unwrap_or_else(|_| panic!("the pool is not worked for"))
            .unwrap();
        let builds = |job: &Option<Arc<Job>>| {
            job.as_ref()
                .is_some_and(|job| displayed(&job.previous_hash) == previous)
        };
        let waited = timeout(PATIENCE, self.jobs.wait_for(builds)).await;
        let job = waited.unwrap_or_else(|_| panic!("no job on {previous}"));
        job.unwrap().clone().unwrap()
    }

    /// Finds a share of this job that is a block, or one that is none, and sends it.
    async fn find(&mut self, job: &Arc<Job>, is_block: bool) {
        loop {
            self.nonce += 1;
            // Each in a version of its own, so that rolling is judged, too.
            let version_bits = (self.nonce << 13) & job.version_mask;
            let mut share = Share {
                job: Arc::clone(job),
                extranonce2: Extranonce2 {
                    value: u64::from(self.nonce % 251),
                    size: job.extranonce2_size,
                },
                ntime: job.ntime,
                nonce: self.nonce,
                version_bits,
                hash: [0; 32],
                is_block: false,
                chain: ChainIndex(0),
                found_at: Instant::now(),
            };
            let view = pool_view(&share);
            if view.is_block == is_block {
                share.hash = *view.hash.as_ref();
                share.is_block = is_block;
                assert_pool_agrees(&share);
                return self.shares.send(share).await.unwrap();
            }
        }
    }

    fn pool(&self, index: usize) -> PoolStatus {
        self.status.borrow().pools[index].clone()
    }

    /// Waits for the verdict on everything sent to a pool, which must be good.
    async fn all_accepted(&mut self, index: usize, count: u64) {
        let judged = |status: &PoolsStatus| {
            let shares = &status.pools[index].shares;
            shares.accepted + shares.rejected.total >= count
        };
        let waited = timeout(PATIENCE, self.status.wait_for(judged))
            .await
            .map(|_| ());
        let shares = self.pool(index).shares;
        assert!(
            waited.is_ok() && shares.accepted == count && shares.rejected.total == 0,
            "{count} shares: {shares:?}"
        );
    }
}

fn displayed(hash: &[u8; 32]) -> String {
    let mut displayed = *hash;
    displayed.reverse();
    displayed.to_lower_hex_string()
}

async fn tip(node: &Node) -> String {
    let hash = node.call("getbestblockhash", json!([])).await;
    hash.as_str().unwrap().to_owned()
}

/// Mines through a hundred new blocks, every other one our own.
async fn mine(miner: &mut Miner, node: &Node, other: &str) {
    let mut sent = 0;
    for switch in 0..SWITCHES {
        let height = node.height().await;
        let job = miner.job_on(&tip(node).await).await;
        for _ in 0..SHARES {
            miner.find(&job, false).await;
            sent += 1;
        }
        miner.all_accepted(0, sent).await;
        if switch % 2 == 0 {
            miner.find(&job, true).await;
            sent += 1;
            miner.all_accepted(0, sent).await;
            let taken = async {
                while node.height().await == height {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            let taken = timeout(PATIENCE, taken).await;
            assert!(taken.is_ok(), "the node takes the block");
            let block = node.block(height + 1).await;
            let paid = block["tx"][0]["vout"].as_array().unwrap();
            let ours = |output: &Value| output["scriptPubKey"]["address"] == OWNER;
            assert!(paid.iter().any(ours), "{paid:?}");
        } else {
            node.generate(1, other).await;
        }
    }
    let pool = miner.pool(0);
    assert_eq!(pool.shares.submitted, sent);
    assert_eq!(
        (pool.shares.blocks_submitted, pool.shares.blocks_accepted),
        (SWITCHES / 2, SWITCHES / 2)
    );
    assert!(pool.jobs >= SWITCHES, "{}", pool.jobs);
    assert_eq!((pool.failures, pool.shares.unanswered), (0, 0), "{pool:?}");
    assert_eq!(pool.version_mask, Some(0x1fff_e000));
    let lines = pool.lines;
    assert_eq!(
        (lines.malformed, lines.bad_parameters, lines.over_long),
        (0, 0, 0)
    );
    println!(
        "{} shares and {} blocks accepted, none rejected, {} jobs",
        sent, pool.shares.blocks_accepted, pool.jobs
    );
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
    let pool = Program::pool("foundation-stratum", &prefix, &node);
    let mut miner = Miner::start(pool.port, &node);
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
    let pool = Program::pool("blinkhash-stratum", &prefix, &node);
    let relay = Program::relay(&prefix, pool.port);
    let mut miner = Miner::start(relay.port, &node);
    mine(&mut miner, &node, &other).await;
}
