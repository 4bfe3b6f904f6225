//! Pool software of the package registries, run for a test.

use super::PATIENCE;
use super::node::Node;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc as threads;
use std::time::Duration;

/// Where `tests/peers/pools.sh` puts the programs. `None` where they are not, which in CI is a failure.
pub fn programs() -> Option<PathBuf> {
    let prefix = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/pools");
    let prefix = std::env::var_os("TEST_POOLS").map_or(prefix, PathBuf::from);
    if prefix.join("complete").is_file() {
        return Some(prefix);
    }
    let missing = format!("no pools in {}: run tests/peers/pools.sh", prefix.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    // Past what the test's harness keeps for itself of a test that passes.
    let _ = writeln!(std::io::stderr(), "left out: {missing}");
    None
}

/// A program that listens; killed when dropped.
pub struct Program {
    process: Child,
    pub port: u16,
}

impl Program {
    /// A pool of an npm package. A port that was free when it was asked for may be somebody else's when the pool wants it, so a
    /// pool that ends before it listens gets another one.
    pub fn pool(package: &str, prefix: &Path, node: &Node, pays: &str) -> Self {
        (0..3)
            .find_map(|_| Self::try_pool(package, prefix, node, pays))
            .expect("the pool says that it is ready")
    }

    fn try_pool(package: &str, prefix: &Path, node: &Node, pays: &str) -> Option<Self> {
        let port = free_port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/npm-pool.js");
        let mut process = Command::new("node")
            .arg(script)
            .args([package.as_ref(), prefix.as_os_str()])
            .arg(node.port().to_string())
            .arg(node.cookie())
            .args([port.to_string().as_str(), pays])
            .arg(node.chain())
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
        let line = ready.recv_timeout(PATIENCE);
        let program = Self { process, port };
        match line {
            Ok(line) => {
                assert_eq!(line, "ready");
                Some(program)
            }
            Err(_) => None,
        }
    }

    /// A relay in Python before it, which may find its port taken as well.
    pub fn relay(prefix: &Path, upstream: u16) -> Self {
        (0..3)
            .find_map(|_| Self::try_relay(prefix, upstream))
            .expect("the relay listens")
    }

    fn try_relay(prefix: &Path, upstream: u16) -> Option<Self> {
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
        let mut relay = Self { process, port };
        let began = std::time::Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = relay.process.try_wait().expect("a child").is_some();
            if ended || began.elapsed() > PATIENCE {
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(relay)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
