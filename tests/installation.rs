//! What surrounds an installed program agrees with it: directories of the unit, of the Buildroot tree and of the emulated
//! board. That they work is seen only on a machine; that they say the same is seen here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cgminer_board::file::BoardFile;
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

/// What a `lines.sed` of the Buildroot tree says of each line: the maker's number, and the name in our device tree.
fn renamed(rules: &str) -> Vec<(u32, String)> {
    let rules = rules.lines().filter_map(|rule| {
        let rule = rule.strip_prefix("s/{ number = ")?;
        let (number, name) = rule.split_once(" }/{ name = \"")?;
        let name = name.strip_suffix("\" }/").unwrap();
        Some((number.parse().unwrap(), name.to_owned()))
    });
    rules.collect()
}

/// The names that a device tree gives to the lines of one controller, in their order.
fn line_names(tree: &str, controller: &str) -> Vec<String> {
    let node = tree.split_once(&format!("\n&{controller} {{")).unwrap().1;
    let names = node.split_once("gpio-line-names =").unwrap().1;
    let names = names.split_once(';').unwrap().0.split('"');
    names.skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_images_device_trees_name_the_lines_that_their_board_files_drive() {
    // The maker's numbers of a controller begin at `base`.
    type Controllers = &'static [(&'static str, u32, usize)];
    let am335x: Controllers = &[("gpio0", 0, 32), ("gpio1", 32, 32), ("gpio3", 96, 32)];
    let a113d: Controllers = &[("gpio", 411, 86)];
    for (board, rules, tree, controllers) in [
        (
            include_str!("../board/boards/am335x-s19jpro.toml"),
            include_str!("../buildroot/board/am335x/lines.sed"),
            include_str!("../buildroot/board/am335x/dts/ti/omap/am335x-control-board.dts"),
            am335x,
        ),
        (
            include_str!("../board/boards/a113d-s19jpro.toml"),
            include_str!("../buildroot/board/a113d/lines.sed"),
            include_str!("../buildroot/board/a113d/dts/amlogic/meson-axg-control-board.dts"),
            a113d,
        ),
    ] {
        let mut text = board.to_owned();
        for (number, name) in renamed(rules) {
            let here = controllers.iter().find_map(|(controller, base, count)| {
                let names = line_names(tree, controller);
                assert_eq!(names.len(), *count, "{controller}");
                let place = number.checked_sub(*base)?;
                names.get(place as usize).cloned()
            });
            assert_eq!(here.as_deref(), Some(&*name), "line {number}");
            text = text.replace(
                &format!("number = {number} "),
                &format!("name = \"{name}\" "),
            );
        }
        let model = |line: &&str| !line.starts_with("device_tree = ");
        let text: Vec<&str> = text.lines().filter(model).collect();
        let text = text.join("\n");
        assert!(!text.contains("number = "), "{text}");
        BoardFile::parse(&text, "the image's board file").unwrap();
    }
}

#[test]
fn no_partition_of_the_card_lies_over_the_boot_loaders_environment() {
    const OPTIONS: &str = include_str!("../buildroot/board/common/uboot.fragment");
    const TOOLS: &str = include_str!("../buildroot/board/common/rootfs_overlay/etc/fw_env.config");
    const CARD: &str = include_str!("../buildroot/board/am335x/genimage.cfg");
    let hexadecimal =
        |text: &str| u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap();
    let option = |name: &str| {
        let mut lines = OPTIONS.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        hexadecimal(value.unwrap())
    };
    let size = option("CONFIG_ENV_SIZE");
    let (one, other) = (
        option("CONFIG_ENV_OFFSET"),
        option("CONFIG_ENV_OFFSET_REDUND"),
    );
    let told: Vec<(u64, u64)> = TOOLS
        .lines()
        .filter(|line| line.starts_with("/dev/"))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (hexadecimal(words[1]), hexadecimal(words[2]))
        })
        .collect();
    assert_eq!(told, [(one, size), (other, size)]);

    let first = CARD.split_once("partition boot {").unwrap().1;
    let first = first.split_once('}').unwrap().0;
    let megabytes = first.split_once("offset = ").expect("a place of its own").1;
    let megabytes: u64 = megabytes.split_once('M').unwrap().0.parse().unwrap();
    // Behind the table, which is one sector, and before the first partition.
    assert!(512 <= one && one + size <= other && other + size <= megabytes << 20);
}
