//! The reference programs of Stratum v2, run for a test.

use super::node::Node;
use super::{OWNER, PATIENCE};
use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The key pair of the reference's own examples.
pub const AUTHORITY: &str = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";
const AUTHORITY_SECRET: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
/// So many shares of so slow a miner that a tenth of a hash makes one: any hash is a share, and one of two a block. As
/// the test sends fewer, no program finds a reason to ask for more.
const EASY: (f64, f64) = (6000.0, 10.0);

/// Where `tests/peers/sv2.sh` puts the programs. `None` where they are not.
pub fn programs() -> Option<PathBuf> {
    let prefix = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/sv2");
    let prefix = std::env::var_os("TEST_SV2").map_or(prefix, PathBuf::from);
    if prefix.join("complete").is_file() {
        return Some(prefix);
    }
    // An hour's build is not asked of CI: `make sv2-peers` is for whoever changes Stratum.
    // Past what the test's harness keeps for itself of a test that passes.
    let _ = writeln!(
        std::io::stderr(),
        "left out: no Stratum v2 programs in {}: run make sv2-peers",
        prefix.display()
    );
    None
}

/// A program that listens; killed when dropped.
pub struct Program {
    process: Child,
    log: PathBuf,
    pub port: u16,
}

impl Program {
    /// The pool, with its templates from the node by IPC.
    pub fn pool(prefix: &Path, node: &Node) -> Self {
        let (spm, _) = EASY;
        let configuration = |port| {
            format!(
                r#"
authority_public_key = "{AUTHORITY}"
authority_secret_key = "{AUTHORITY_SECRET}"
cert_validity_sec = 3600
listen_address = "127.0.0.1:{port}"
coinbase_reward_script = "addr({OWNER})"
server_id = 1
pool_signature = "test"
shares_per_minute = {spm:.1}
share_batch_size = 1

[template_provider_type.BitcoinCoreIpc]
version = 31
network = "regtest"
data_dir = "{}"
fee_threshold = 100
min_interval = 5
"#,
                node.directory().display()
            )
        };
        Self::start("pool_sv2", prefix, node, configuration)
    }

    /// The proxy that speaks Stratum v1 to miners and Stratum v2 to the pool.
    pub fn translator(prefix: &Path, node: &Node, pool: &Self) -> Self {
        let (spm, hashrate) = EASY;
        let upstream = pool.port;
        let configuration = |port| {
            format!(
                r#"
downstream_address = "127.0.0.1"
downstream_port = {port}
max_supported_version = 2
min_supported_version = 2
downstream_extranonce2_size = 4
verify_payout = false
aggregate_channels = false

[downstream_difficulty_config]
min_individual_miner_hashrate = {hashrate:.1}
shares_per_minute = {spm:.1}
enable_vardiff = false
job_keepalive_interval_secs = 60

[[upstreams]]
address = "127.0.0.1"
port = {upstream}
authority_pubkey = "{AUTHORITY}"
user_identity = "test"
"#
            )
        };
        Self::start("translator_sv2", prefix, node, configuration)
    }

    fn start(
        name: &str,
        prefix: &Path,
        node: &Node,
        configuration: impl Fn(u16) -> String,
    ) -> Self {
        let port = free_port();
        let file = node.directory().join(format!("{name}.toml"));
        std::fs::write(&file, configuration(port)).expect("a file");
        let log = node.directory().join(format!("{name}.log"));
        let output = File::create(&log).expect("a file");
        let process = Command::new(prefix.join("bin").join(name))
            .env("RUST_LOG", "info")
            .arg("--config")
            .arg(&file)
            .current_dir(node.directory())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .expect("the program starts");
        let program = Self { process, log, port };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                began.elapsed() < PATIENCE,
                "{name} does not listen:\n{}",
                program.said()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        program
    }

    /// All that it has written.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.said();
            let tail: Vec<&str> = said.lines().rev().take(40).collect();
            for line in tail.iter().rev() {
                eprintln!("{}: {line}", self.log.display());
            }
        }
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
