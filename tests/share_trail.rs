//! A share can be followed through the log by its numbers: job, work, nonce, request, reply.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::panic)]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // Asked to, it takes its own directory along.
        if let Ok(process) = i32::try_from(self.0.id()) {
            let _ = kill(Pid::from_raw(process), Signal::SIGTERM);
        }
        let _ = self.0.wait();
    }
}

/// The latest line with these words and members.
fn find<'a>(lines: &'a [Value], words: &str, members: &[(&str, &Value)]) -> Option<&'a Value> {
    lines.iter().rev().find(|line| {
        line["message"] == words && members.iter().all(|(name, value)| line[name] == **value)
    })
}

/// What was told of the latest accepted share at each step, as far as all of it was.
fn trail(lines: &[Value]) -> Option<()> {
    let accepted = find(lines, "share accepted", &[])?;
    let session = &accepted["session"];
    let request = [("session", session), ("request", &accepted["request"])];
    let sent = find(lines, "share sent", &request)?;
    let (job, nonce) = (&sent["job"], &sent["nonce"]);
    let found = [("session", session), ("job", job), ("nonce", nonce)];
    let found = find(lines, "share found", &found)?;
    let chain = &found["chain"];
    let work = [("chain", chain), ("job", job), ("work", &found["work"])];
    find(lines, "work sent", &work)?;
    let begun = [("session", session), ("job", job)];
    find(lines, "job made", &begun)?;
    let at_chain = [("chain", chain), ("session", session), ("job", job)];
    find(lines, "chain works on a job", &at_chain)?;
    Some(())
}

#[test]
fn an_accepted_share_leads_back_to_its_job_step_by_step() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
        .args(["demo", "--seconds", "900", "--api", "127.0.0.1:0"])
        .args([
            "--config",
            "/dev/null",
            "--log-format",
            "json",
            "--run-directory",
        ])
        .arg(directory.path().join("run"))
        .args([
            "--log-level",
            "info,cgminer_rs::pool=debug,cgminer_rs::chain=trace",
        ])
        .env_remove("CGMINER_CONFIG")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told = BufReader::new(demo.stderr.take().unwrap());
    let _demo = Demo(demo);
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in told.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut lines: Vec<Value> = Vec::new();
    let mut accepted = 0;
    while let Ok(line) = receiver.recv_timeout(Duration::from_secs(180)) {
        let Ok(line) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let is_verdict = line["message"] == "share accepted";
        lines.push(line);
        if is_verdict {
            accepted += 1;
            if trail(&lines).is_some() {
                return;
            }
            assert!(accepted < 20, "no trail behind {accepted} shares");
        }
    }
    let last = lines.last();
    panic!(
        "{} lines, {accepted} shares accepted, last {last:?}",
        lines.len()
    );
}
