//! The daemon itself, as a process of its own.
#![allow(
    dead_code,
    reason = "each test that has this file needs another part of it"
)]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// For the daemon to open its endpoint, and for it to end.
const PATIENCE: Duration = Duration::from_secs(240);

/// Its configuration, in a directory of its own.
const FILE: &str = "cgminer-rs.toml";

/// A daemon on the emulated machine; killed when dropped before it ended.
pub struct Daemon {
    process: Child,
    address: String,
    lines: Receiver<String>,
    directory: TempDir,
}

impl Daemon {
    /// Starts it with a configuration, and waits until it says where its status is.
    pub fn start(configuration: &str, zero_bits: u8) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the daemon");
        let file = directory.path().join(FILE);
        std::fs::write(&file, configuration).expect("a file");
        let mut process = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
            .args([
                "run",
                "--emulated",
                // The node's cookie is this user's alone, so a miner that is another user could not read it.
                "--single",
                "--listen",
                "127.0.0.1:0",
                "--zero-bits",
            ])
            .arg(zero_bits.to_string())
            .arg("--config")
            .arg(&file)
            .arg("--run-directory")
            .arg(directory.path().join("run"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let lines = lines_of(process.stderr.take().expect("a pipe"));
        let address = wait_for_address(&lines);
        Self {
            process,
            address,
            lines,
            directory,
        }
    }

    /// What it says of itself over HTTP.
    pub fn status(&self) -> Value {
        let mut stream = TcpStream::connect(&self.address).expect("the endpoint listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        let request = format!(
            "GET /api/v1/status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("HTTP");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        serde_json::from_str(body).expect("JSON")
    }

    /// Gives it another configuration, and says so with a hang-up.
    pub fn reload(&self, configuration: &str) {
        let file = self.directory.path().join(FILE);
        std::fs::write(file, configuration).expect("a file");
        self.signal(Signal::SIGHUP);
    }

    /// What it has said since the last look.
    pub fn said(&self) -> String {
        self.lines.try_iter().collect::<Vec<_>>().join("\n")
    }

    fn signal(&self, signal: Signal) {
        let daemon = Pid::from_raw(self.process.id().try_into().expect("a process id"));
        kill(daemon, signal).expect("the daemon runs");
    }

    /// Asks it to end, as an init system does; gives what it said since the last look, and whether it ended well.
    pub fn stop(mut self) -> (bool, String) {
        self.signal(Signal::SIGTERM);
        let asked_at = Instant::now();
        let ended = loop {
            match self.process.try_wait().expect("a child") {
                Some(status) => break status.success(),
                None if asked_at.elapsed() > PATIENCE => break false,
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        (ended, self.said())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A configuration for solo mining at a node with a cookie file.
pub fn solo_configuration(port: u16, cookie: &Path, payout_address: &str) -> String {
    format!(
        "[[pool]]\nurl = \"http://127.0.0.1:{port}\"\ncookie_file = \"{}\"\npayout_address = \"{payout_address}\"\n",
        cookie.display()
    )
}

fn lines_of(stderr: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn wait_for_address(lines: &Receiver<String>) -> String {
    let mut said = Vec::new();
    while let Ok(line) = lines.recv_timeout(PATIENCE) {
        if let Some((_, rest)) = line.split_once("status: http://") {
            let address = rest.split('/').next().unwrap_or_default();
            return address.to_owned();
        }
        said.push(line);
    }
    panic!("the daemon opened no endpoint:\n{}", said.join("\n"));
}
