//! What brings fans to full speed before the keeper runs: the image's list of outputs is made of the board file, and the script
//! that reads it does to a tree of files what it does to the kernel's. On a real kernel it runs in `tests/board`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cgminer_board::file::{BoardFile, FanControl};
use cgminer_hal::pwm::PwmSpec;
use std::collections::BTreeSet;
use std::fs::{self, read_to_string};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const PREINIT: &str = include_str!("../buildroot/board/common/rootfs_overlay/sbin/preinit");

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs `fans-full` on a tree and a list, with the shell of this machine.
fn fans_full(sys: &TempDir, list: &str) -> Output {
    let file = sys.path().join("fans");
    fs::write(&file, list).unwrap();
    let script = repository("buildroot/board/common/rootfs_overlay/sbin/fans-full");
    let mut command = Command::new("sh");
    command.arg(script).arg(sys.path()).arg(file);
    command.output().unwrap()
}

/// A tree as `/sys` with these files, each with its content.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let sys = TempDir::new().unwrap();
    for (path, content) in files {
        let path = sys.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    sys
}

fn holds(sys: &TempDir, path: &str) -> String {
    let text = read_to_string(sys.path().join(path)).unwrap();
    text.trim_end().to_owned()
}

#[test]
fn an_output_that_runs_slow_is_brought_to_full_and_one_that_stands_is_started() {
    let sys = tree(&[
        ("class/pwm/pwmchip1/export", ""),
        ("class/pwm/pwmchip1/pwm0/period", "40000"),
        ("class/pwm/pwmchip1/pwm0/duty_cycle", "6000"),
        ("class/pwm/pwmchip1/pwm0/polarity", "normal"),
        ("class/pwm/pwmchip1/pwm0/enable", "1"),
        ("class/pwm/pwmchip0/pwm1/period", "0"),
        ("class/pwm/pwmchip0/pwm1/duty_cycle", "0"),
        ("class/pwm/pwmchip0/pwm1/polarity", "normal"),
        ("class/pwm/pwmchip0/pwm1/enable", "0"),
    ]);
    let list = "sysfs pwmchip1 0 100000 normal\nsysfs pwmchip0 1 10000 inversed\n";
    let output = fans_full(&sys, list);
    assert!(output.status.success(), "{output:?}");
    for (output, period, polarity) in [
        ("pwmchip1/pwm0", "100000", "normal"),
        ("pwmchip0/pwm1", "10000", "inversed"),
    ] {
        let attribute = |name: &str| holds(&sys, &format!("class/pwm/{output}/{name}"));
        assert_eq!(attribute("period"), period, "{output}");
        assert_eq!(attribute("duty_cycle"), period, "{output}");
        assert_eq!(attribute("polarity"), polarity, "{output}");
        assert_eq!(attribute("enable"), "1", "{output}");
    }
    // It is there already.
    assert_eq!(holds(&sys, "class/pwm/pwmchip1/export"), "");
}

#[test]
fn a_monitor_is_found_by_its_name_and_taken_from_the_kernels_own_control() {
    let sys = tree(&[
        ("class/hwmon/hwmon0/name", "lm75"),
        ("class/hwmon/hwmon0/pwm1", "10"),
        ("class/hwmon/hwmon1/name", "emc2305"),
        ("class/hwmon/hwmon1/pwm1", "64"),
        ("class/hwmon/hwmon1/pwm1_enable", "2"),
        // No choice of who controls it.
        ("class/hwmon/hwmon1/pwm2", "64"),
    ]);
    let output = fans_full(&sys, "hwmon emc2305 1\nhwmon emc2305 2\n");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(holds(&sys, "class/hwmon/hwmon1/pwm1"), "255");
    assert_eq!(holds(&sys, "class/hwmon/hwmon1/pwm1_enable"), "1");
    assert_eq!(holds(&sys, "class/hwmon/hwmon1/pwm2"), "255");
    assert_eq!(holds(&sys, "class/hwmon/hwmon0/pwm1"), "10");
}

#[test]
fn an_output_that_is_not_there_is_named_and_keeps_no_other_one_from_full() {
    let sys = tree(&[
        ("class/pwm/pwmchip0/export", ""),
        ("class/hwmon/hwmon0/name", "pwmfan"),
        ("class/hwmon/hwmon0/pwm1", "0"),
    ]);
    let list = "sysfs pwmchip7 0 40000 normal\nsysfs pwmchip0 3 40000 normal\nhwmon pwmfan 1\n";
    let output = fans_full(&sys, list);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    for missing in ["pwmchip7/pwm0 cannot", "pwmchip0/pwm3 cannot"] {
        assert!(said.contains(missing), "{said}");
    }
    assert_eq!(said.lines().count(), 2, "{said}");
    // The kernel was asked for it, and did not give it.
    assert_eq!(holds(&sys, "class/pwm/pwmchip0/export"), "3");
    assert_eq!(holds(&sys, "class/hwmon/hwmon0/pwm1"), "255");
}

#[test]
fn an_image_without_a_list_goes_on_at_once() {
    let sys = TempDir::new().unwrap();
    let script = repository("buildroot/board/common/rootfs_overlay/sbin/fans-full");
    let output = Command::new("sh")
        .arg(script)
        .arg(sys.path())
        .arg(sys.path().join("none"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn the_list_names_the_outputs_of_each_board_file() {
    let mut files = 0;
    for entry in fs::read_dir(repository("board/boards")).unwrap() {
        let path = entry.unwrap().path();
        let output = list(&path);
        assert!(output.status.success(), "{output:?}");
        same_outputs(&path, &String::from_utf8(output.stdout).unwrap());
        files += 1;
    }
    assert!(files >= 6);
}

#[test]
fn an_image_holds_the_list_of_its_own_board_file() {
    for image in ["am335x", "a113d"] {
        let target = TempDir::new().unwrap();
        let script = repository(&format!("buildroot/board/{image}/board-file.sh"));
        let output = Command::new(script).arg(target.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let settings = target.path().join("etc/cgminer-rs");
        let board = fs::read_dir(settings.join("boards")).unwrap().next();
        let listed = read_to_string(settings.join("fans")).unwrap();
        same_outputs(&board.unwrap().unwrap().path(), &listed);
    }
}

fn same_outputs(board: &Path, listed: &str) {
    let board = BoardFile::parse(&read_to_string(board).unwrap(), "a board file").unwrap();
    let wanted = board.fans.iter().filter_map(|fan| match &fan.control {
        FanControl::Pwm { pwm } => Some(line(pwm)),
        FanControl::Max31785 { .. } | FanControl::Emc2305 { .. } => None,
    });
    let wanted: BTreeSet<String> = wanted.collect();
    assert_eq!(listed.lines().count(), wanted.len(), "{listed}");
    let listed: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
    assert_eq!(listed, wanted);
}

#[test]
fn a_board_file_that_the_list_cannot_be_made_of_stops_the_build() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("board.toml");
    for fans in [
        // Not in one line.
        "[[fans]]\nname = \"a\"\n[fans.control]\nkind = \"pwm\"\n",
        // Nobody knows this kind.
        "[[fans]]\ncontrol = { kind = \"pwm\", pwm = { kind = \"tacho\", chip = \"pwmchip0\", channel = 0 } }\n",
        // No period.
        "[[fans]]\ncontrol = { kind = \"pwm\", pwm = { kind = \"sysfs\", chip = \"pwmchip0\", channel = 0 } }\n",
    ] {
        fs::write(&path, fans).unwrap();
        let output = list(&path);
        assert!(!output.status.success(), "{fans}: {output:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn nothing_comes_before_the_fans_and_nothing_waits_for_them_for_ever() {
    let commands = PREINIT.lines().map(str::trim_end).filter(|line| {
        !line.is_empty() && !line.starts_with(['#', '\t', '}']) && !line.ends_with("() {")
    });
    let commands: Vec<&str> = commands.take(3).collect();
    assert_eq!(
        commands[..2],
        ["mount -t proc proc /proc", "mount -t sysfs sysfs /sys"]
    );
    assert!(
        commands[2].contains("$(timeout 5 /sbin/fans-full "),
        "{commands:?}"
    );
}

fn list(board: &Path) -> Output {
    let script = repository("buildroot/board/common/fans.sh");
    Command::new("sh").arg(script).arg(board).output().unwrap()
}

/// The output as the list says it.
fn line(pwm: &PwmSpec) -> String {
    match pwm {
        PwmSpec::Sysfs {
            chip,
            channel,
            period_ns,
            inversed,
        } => {
            let polarity = if *inversed { "inversed" } else { "normal" };
            format!("sysfs {chip} {channel} {period_ns} {polarity}")
        }
        PwmSpec::Hwmon { device, channel } => format!("hwmon {device} {channel}"),
    }
}
