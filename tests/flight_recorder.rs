//! The flight record of a process that is killed in the middle of recording, and what the command line tells of it.
#![cfg(feature = "flight-recorder")]
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests are tests too

use cgminer_rs::flight;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the file to a child of this test.
const RING: &str = "TEST_FLIGHT_RING";
const KIB: u32 = 64;
/// Slots of 32 bytes.
const SLOTS: usize = KIB as usize * 32;

/// No test of its own: what the killed process does.
#[test]
fn child_that_records_until_it_is_killed() {
    let Some(path) = std::env::var_os(RING).map(PathBuf::from) else {
        return;
    };
    flight::start(&path, KIB).unwrap();
    for job in 0u64.. {
        flight::job_sent(1, job, job as u8);
        if job == 2 * SLOTS as u64 {
            eprintln!("recording");
        }
    }
}

/// Starts the child above and kills it while it records.
fn record_and_kill(path: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_that_records_until_it_is_killed",
            "--nocapture",
        ])
        .env(RING, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "recording"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_was_recorded_before_a_kill_is_there_and_the_next_process_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(flight::FILE);
    record_and_kill(&path);
    let decoded = flight::decode(&std::fs::read(&path).unwrap()).unwrap();
    assert!(decoded.torn <= 1, "{} slots are torn", decoded.torn);
    assert_eq!(decoded.lines.len() + decoded.torn, SLOTS);
    let (first, last) = (&decoded.lines[0], decoded.lines.last().unwrap());
    assert!(last.number > 2 * SLOTS as u64);
    assert!(last.number - first.number < SLOTS as u64 + 1);
    for line in &decoded.lines {
        // The first number is that of the beginning, so job 0 has the second.
        let (job, work) = (line.number - 2, (line.number - 2) % 256);
        assert_eq!(line.text, format!("chain 1: job {job} sent as work {work}"));
    }
    // A second process does not write over what the first one left.
    record_and_kill(&path);
    let again = flight::decode(&std::fs::read(&path).unwrap()).unwrap();
    assert!(again.lines[0].number > last.number, "{:?}", again.lines[0]);

    let told = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
        .args(["flight", "decode"])
        .arg(&path)
        .output()
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(
        told.status.success() && text.lines().count() >= SLOTS,
        "{text}"
    );
    assert!(text.contains("Z  chain 1: job "), "{text}");
}

#[test]
fn a_file_that_is_no_record_is_told_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    std::fs::write(&path, "no record").unwrap();
    let told = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
        .args(["flight", "decode"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(told.status.code(), Some(1));
    let text = String::from_utf8(told.stderr).unwrap();
    assert!(text.contains("no flight record"), "{text}");
}
