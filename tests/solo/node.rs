//! A real Bitcoin node, alone on its chain, in a directory of its own, gone when it is dropped.
#![allow(
    dead_code,
    reason = "each test that has this file needs another part of it"
)]

use cgminer_rs::pool::connection::DirectConnector;
use cgminer_rs::pool::solo::SoloSettings;
use cgminer_rs::pool::solo::rpc::{RpcAuth, RpcClient};
use cgminer_rs::pool::url::Host;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// How long the node may take to answer after its start; it verifies nothing on an empty chain.
const START: Duration = Duration::from_secs(240);
const CALL: Duration = Duration::from_secs(120);
/// A port that was free when it was asked for may be somebody else's when the node wants it, so one that ends gets another one.
const TRIES: u32 = 3;

pub struct Node {
    process: Child,
    directory: TempDir,
    chain: &'static str,
    port: u16,
    client: RpcClient,
}

/// The node's program: `TEST_BITCOIND`, or where `tests/peers/bitcoin-knots.sh` puts it. `None` where there is
/// none, which in CI is a failure.
pub fn program() -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/knots/bin/bitcoind");
    let program = std::env::var_os("TEST_BITCOIND").map_or(installed, PathBuf::from);
    if program.is_file() {
        return Some(program);
    }
    let missing = format!(
        "no Bitcoin node at {}: run tests/peers/bitcoin-knots.sh",
        program.display()
    );
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    // Past what the test's harness keeps for itself of a test that passes.
    let _ = writeln!(std::io::stderr(), "left out: {missing}");
    None
}

impl Node {
    /// Starts it on regtest, where every other hash is a block, and waits until it answers.
    pub async fn start(program: &Path) -> Self {
        Self::start_on("regtest", program, &[]).await
    }

    /// Starts it on a chain of its own, with further arguments.
    pub async fn start_on(chain: &'static str, program: &Path, arguments: &[&str]) -> Self {
        let mut said = String::new();
        for _ in 0..TRIES {
            match Self::try_start(chain, program, arguments).await {
                Ok(node) => return node,
                Err(words) => said = words,
            }
        }
        panic!("the node does not answer: {said}");
    }

    /// Its own words when it ends, or does not answer.
    async fn try_start(
        chain: &'static str,
        program: &Path,
        arguments: &[&str],
    ) -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a directory for the node");
        let port = free_port();
        let log = std::fs::File::create(directory.path().join("output")).expect("a file");
        let process = Command::new(program)
            .arg(format!("-{chain}"))
            .args(arguments)
            .args(["-server", "-listen=0", "-dnsseed=0", "-fallbackfee=0.0001"])
            .args([
                "-rpcbind=127.0.0.1",
                "-rpcallowip=127.0.0.1",
                "-printtoconsole",
            ])
            .arg(format!("-datadir={}", directory.path().display()))
            .arg(format!("-rpcport={port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the node starts");
        let auth = RpcAuth::Cookie(directory.path().join(chain).join(".cookie"));
        let client = RpcClient::new(host(), port, auth, Arc::new(DirectConnector::system()));
        let mut node = Self {
            process,
            directory,
            chain,
            port,
            client,
        };
        let answers = async {
            while node.try_call("getblockcount", json!([])).await.is_err() {
                if node.process.try_wait().is_ok_and(|ended| ended.is_some()) {
                    return false;
                }
                sleep(Duration::from_millis(100)).await;
            }
            true
        };
        if timeout(START, answers).await == Ok(true) {
            return Ok(node);
        }
        let said = std::fs::read_to_string(node.directory.path().join("output"));
        Err(said.unwrap_or_default())
    }

    /// What a miner needs to know of it.
    pub fn settings(&self, payout_address: &str) -> SoloSettings {
        let auth = RpcAuth::Cookie(self.cookie());
        SoloSettings::new(host(), self.port, auth, payout_address)
    }

    /// Its cookie file.
    pub fn cookie(&self) -> PathBuf {
        self.directory.path().join(self.chain).join(".cookie")
    }

    /// Where it keeps all it has.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its chain's name.
    pub fn chain(&self) -> &'static str {
        self.chain
    }

    /// Its RPC port.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub async fn call(&self, method: &'static str, params: Value) -> Value {
        let answer = self.try_call(method, params).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    async fn try_call(&self, method: &'static str, params: Value) -> Result<Value, String> {
        let answer = self.client.call(method, params, CALL).await;
        answer.map_err(|error| error.to_string())
    }

    pub async fn height(&self) -> u64 {
        self.call("getblockcount", json!([]))
            .await
            .as_u64()
            .expect("a number")
    }

    /// The block at a height of the node's chain, its transactions written out.
    pub async fn block(&self, height: u64) -> Value {
        let hash = self.call("getblockhash", json!([height])).await;
        self.call("getblock", json!([hash, 2])).await
    }

    /// Somebody else finds blocks, few by each call: a node that gets a hundredth of a processor needs a second for each.
    pub async fn generate(&self, count: u32, address: &str) {
        let mut left = count;
        while left > 0 {
            let few = left.min(10);
            self.call("generatetoaddress", json!([few, address])).await;
            left -= few;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself; its directory goes either way.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn host() -> Host {
    Host::parse("127.0.0.1").expect("an address")
}

/// A port that was free just now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
