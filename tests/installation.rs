//! What surrounds an installed program agrees with it: directories of the unit, of the Buildroot tree and of the emulated
//! board. That they work is seen only on a machine; that they say the same is seen here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cgminer_rs::cli::DEFAULT_CONFIG;
use cgminer_rs::config::{Config, parse};
use std::path::Path;

const UNIT: &str = include_str!("../deploy/cgminer-rs.service");
const BUILDROOT: &str = include_str!("../buildroot/package/cgminer-rs/cgminer-rs.toml");
const INIT: &str = include_str!("../buildroot/package/cgminer-rs/S05cgminer-rs");
const PREINIT: &str = include_str!("../buildroot/board/common/rootfs_overlay/sbin/preinit");

/// The words of a setting of the unit.
fn unit(setting: &str) -> Vec<&'static str> {
    let line = UNIT
        .lines()
        .find_map(|line| line.strip_prefix(setting)?.strip_prefix('='));
    line.unwrap_or_default().split_whitespace().collect()
}

#[test]
fn the_unit_makes_each_directory_that_the_program_uses() {
    let config = Config::default();
    let below = |root: &str, path: &Path| {
        let rest = path.strip_prefix(root).unwrap();
        rest.to_str().unwrap().to_owned()
    };
    let run = below("/run", &config.api.run_directory);
    assert_eq!(unit("RuntimeDirectory"), [&run, &format!("{run}-keeper")]);
    let state = below("/var/lib", &config.keeper.state_directory);
    assert_eq!(unit("StateDirectory"), [&state]);
    assert_eq!(unit("StateDirectoryMode"), ["0700"]);
    let file = Path::new(DEFAULT_CONFIG);
    assert_eq!(
        unit("ConfigurationDirectory"),
        [below("/etc", file.parent().unwrap())]
    );
    // So that no option moves what the settings above make.
    assert_eq!(
        unit("ExecStart"),
        ["/usr/bin/cgminer-rs", "run", "--config", DEFAULT_CONFIG]
    );
}

#[test]
fn the_firmware_keeps_its_state_where_it_can_be_written_and_its_sockets_in_memory() {
    let config = parse(BUILDROOT).unwrap().config;
    let state = config.keeper.state_directory;
    assert!(state.starts_with("/data"), "the root is read-only");
    assert_eq!(
        config.api.run_directory,
        Config::default().api.run_directory
    );
    for made in ["mkdir -p ", "chmod 700 "] {
        let path = state.to_str().unwrap();
        let made = |line: &str| line.starts_with(made) && line.split(' ').any(|word| word == path);
        assert!(PREINIT.lines().any(made), "{path} in {PREINIT}");
    }
    // The wish that the reset button leaves there is found by who acts on it.
    let wish = state.join(cgminer_rs::keeper::factory_reset::FLAG);
    let wish = wish.to_str().unwrap();
    assert!(PREINIT.contains(&format!("[ -e {wish} ]")));
    assert!(PREINIT.contains(&format!("rm -f {wish}")));
    assert!(INIT.contains(&format!("[ -e {wish} ] && reboot")));
}
