//! The flight record of a process that is killed in the middle of recording, and what the command line tells of it.
#![cfg(feature = "flight-recorder")]
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests are tests too

use cgminer_hal::units::{Celsius, DutyPercent, Megahertz, Millivolts};
use cgminer_rs::flight;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the file to a child of this test.
const RING: &str = "TEST_FLIGHT_RING";
/// Names a file where a record of each kind of event is left, for `tests/peers/defmt.sh`.
const LEFT: &str = "TEST_FLIGHT_LEFT";
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
fn each_kind_of_event_is_told_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let path = std::env::var_os(LEFT).map_or(directory.path().join(flight::FILE), PathBuf::from);
    flight::start(&path, KIB).unwrap();
    flight::bring_up(0);
    flight::job_sent(1, u64::MAX, 255);
    flight::nonce(1, 0xbeef, Some(42), 7, "share");
    flight::nonce(2, 0xffff_ffff, None, 0, "below the ticket mask");
    flight::nonce(2, 0, Some(0), 0, "of no known kind");
    flight::crc_errors(0, 3);
    flight::register(0, 4, 0x1362_0000, 0x3c);
    for held in [Some(true), Some(false), None] {
        flight::reset(2, held);
    }
    flight::clock(2, Megahertz(525.5));
    flight::failed(1);
    flight::decision("cool-down", false, DutyPercent(100.0));
    flight::decision("running", true, DutyPercent(33.3));
    flight::rail(Millivolts(13_800));
    flight::target(Celsius(65.0), 3);
    let decoded = flight::decode(&std::fs::read(&path).unwrap()).unwrap();
    let told: Vec<&str> = decoded.lines.iter().map(|line| &*line.text).collect();
    let began = format!("process {} began to record", std::process::id());
    assert_eq!(
        told,
        [
            &*began,
            "chain 0: bring-up begins",
            "chain 1: job 18446744073709551615 sent as work 255",
            "chain 1: nonce 0000beef of chip 42 for work 7: share",
            "chain 2: nonce ffffffff of chip 65535 for work 0: below the ticket mask",
            "chain 2: nonce 00000000 of chip 0 for work 0: ?",
            "chain 0: 3 replies with a wrong CRC",
            "chain 0: chip 0x04 says 0x13620000 in register 0x3c",
            "chain 2: reset line held",
            "chain 2: reset line released",
            "chain 2: reset line not known",
            "chain 2: clock set to 525.5 MHz",
            "chain 1: failed",
            "keeper: cool-down, supply off, fans at 100.0 %",
            "keeper: running, supply on, fans at 33.3 %",
            "keeper: rail asked for 13800 mV",
            "keeper: cooling aims at 65.0 C, 3 fans must turn",
        ]
    );
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
