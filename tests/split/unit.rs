//! What the systemd unit leaves the daemon. Under systemd itself it is run by `make systemd-test`.

use crate::daemon::{Daemon, PATIENCE};
use cgminer_rs::keeper::State;
use std::fs;

/// Of `deploy/cgminer-rs.service`.
const UNIT: &str = include_str!("../../deploy/cgminer-rs.service");

/// Numbers of linux/capability.h, for what the unit names.
const NUMBERS: [(&str, u32); 5] = [
    ("CAP_CHOWN", 0),
    ("CAP_DAC_OVERRIDE", 1),
    ("CAP_KILL", 5),
    ("CAP_SETGID", 6),
    ("CAP_SETUID", 7),
];

#[tokio::test]
async fn the_daemon_gets_along_with_the_capabilities_of_its_systemd_unit() {
    let left = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="))
        .unwrap();
    let names: Vec<_> = left.split_whitespace().collect();
    let bits = names.iter().map(|name| {
        let known = NUMBERS.iter().find(|(known, _)| known == name);
        1_u64 << known.unwrap_or_else(|| panic!("{name}?")).1
    });
    let bits: u64 = bits.sum();
    let bounding = names.iter().fold(String::from("-all"), |set, name| {
        format!("{set},+{}", name.trim_start_matches("CAP_").to_lowercase())
    });
    let by = ["setpriv", "--no-new-privs", "--bounding-set", &bounding];
    let Some(daemon) = Daemon::start_by(&by) else {
        return;
    };
    let tool = daemon.tool().await;
    daemon
        .wait(&tool, PATIENCE, |status| status.state == State::PowerUp)
        .await;
    let keeper = format!("/proc/{}/status", daemon.keeper.id());
    let keeper = fs::read_to_string(keeper).unwrap();
    let has = keeper
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .map(str::trim);
    assert_eq!(has, Some(format!("{bits:016x}").as_str()));
    assert_eq!(daemon.miner_status("CapEff"), "0000000000000000");
    assert_ne!(daemon.miner_status("Uid"), "0");
}
