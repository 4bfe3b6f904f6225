//! The bring-up commands as real processes: each as the keeper of an emulated machine, and through a keeper that runs.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cgminer_rs::keeper::operator;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest that a command may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// The words of a line, then the options that keep it off this computer's own hardware.
fn emulated(directory: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"));
    command
        .env_remove("CGMINER_CONFIG")
        .args(line.split(' '))
        .args(["--config", "/dev/null", "--emulated", "--run-directory"])
        .arg(directory.join("run"))
        .stdin(Stdio::null());
    command
}

struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

fn said(output: Output) -> Said {
    Said {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

/// Runs a command on an emulated machine of its own, or through the keeper of that directory.
fn run(directory: &Path, line: &str) -> Said {
    said(emulated(directory, line).output().unwrap())
}

fn done(directory: &Path, line: &str) -> String {
    let said = run(directory, line);
    assert_eq!(said.code, Some(0), "{line}: {} {}", said.out, said.err);
    said.out
}

/// A child that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("run-keeper/keeper.sock")
}

/// Waits until a keeper answers in this directory.
fn wait_for_keeper(directory: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let until = Instant::now() + PATIENCE;
    runtime.block_on(async {
        while operator::connect(&socket(directory)).await.is_err() {
            assert!(Instant::now() < until, "no keeper came");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

/// Watches until a table is as wanted.
fn watched_until(directory: &Path, is_it: impl Fn(&str) -> bool) {
    let until = Instant::now() + PATIENCE;
    loop {
        let watched = done(directory, "board watch --seconds 2");
        let mut tables = watched.split("board      emulated");
        if tables.any(&is_it) {
            return;
        }
        assert!(Instant::now() < until, "not seen: {watched}");
    }
}

/// A daemon on the emulated machine, in one process, with its log in the directory.
fn daemon(directory: &Path, options: &[&str]) -> Running {
    let log = fs::File::create(directory.join("log")).unwrap();
    let mut command = emulated(directory, "run --single --listen off");
    let child = command.args(options).stderr(log).spawn().unwrap();
    let running = Running(child);
    wait_for_keeper(directory);
    running
}

#[test]
fn probing_tells_what_the_board_is_and_reads_every_part() {
    let directory = tempfile::tempdir().unwrap();
    let out = done(directory.path(), "board probe");
    for part in [
        "device tree CGMiner-RS emulated machine",
        "slot 2      has a BHB42603",
        "verdict     power allowed",
        "state      standby",
        "watchdog   armed, 15 s",
        "apw12",
        "front left",
        "board 2 outlet side",
        "plugged in  held",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert_eq!(out.matches("BHB42603 KPMIYNRBBJDB").count(), 3, "{out}");
}

#[test]
fn fans_obey_the_hand_above_the_boards_minimum() {
    let directory = tempfile::tempdir().unwrap();
    let out = done(directory.path(), "fan set 40 --seconds 1");
    assert!(out.contains("fans fixed at 40 %"), "{out}");
    assert_eq!(out.matches("  40 %").count(), 4, "{out}");
    assert!(out.contains("keeps the machine for 1s"), "{out}");
    let low = run(directory.path(), "fan set 3");
    assert_eq!(low.code, Some(1));
    assert!(
        low.err.contains("this board allows 15 % to 100 %"),
        "{}",
        low.err
    );
    let out = done(directory.path(), "fan get");
    assert!(out.contains("fans set by temperature"), "{out}");
    assert!(out.contains("turning"), "{out}");
}

#[test]
fn a_supply_is_read_set_and_kept_off_within_the_boards_limits() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    assert!(done(directory, "psu set 13000").contains("13003 mV, read back"));
    let high = run(directory, "psu set 20000");
    assert_eq!(high.code, Some(1));
    assert!(
        high.err.contains("allowed is 12000 mV to 15000 mV"),
        "{}",
        high.err
    );
    for line in ["psu read", "psu off"] {
        let out = done(directory, line);
        assert!(out.contains("apw12   off"), "{line}: {out}");
    }
}

#[test]
fn a_reset_line_is_pulled_without_power() {
    let directory = tempfile::tempdir().unwrap();
    let out = done(directory.path(), "chain reset 1");
    assert_eq!(
        out,
        "chain 1 reset held\nchain 1 reset released\nchain 1 reset held\n"
    );
    let none = run(directory.path(), "chain reset 7");
    assert_eq!(none.code, Some(2));
    assert!(none.err.contains("there are 3, from 0"), "{}", none.err);
}

#[test]
fn chains_are_counted_with_power_that_goes_off_again_and_nobody_else_may_drive_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = directory.path().join("scenario.toml");
    fs::write(
        &scenario,
        "[[steps]]\nat = 0\ninject = { fault = \"chip-cuts-chain\", chain = 1, chip = 40 }\n",
    )
    .unwrap();
    let mut command = emulated(directory.path(), "chain detect");
    let mut counting = command
        .arg("--scenario")
        .arg(&scenario)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_keeper(directory.path());
    // Another tool speaks to the very keeper that the command is.
    watched_until(directory.path(), |table| {
        table.contains("board 0 inlet side")
    });
    // A second keeper is refused.
    let second = run(directory.path(), "run --single --listen off");
    assert_eq!(second.code, Some(1));
    assert!(second.err.contains("driven already"), "{}", second.err);
    let mut out = String::new();
    counting
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    let code = counting.wait().unwrap().code();
    assert_eq!(code, Some(1), "a chain is not whole: {out}");
    assert!(out.contains("0      126 of 126  L7"), "{out}");
    assert!(out.contains("1      40 of 126   L7"), "{out}");
    assert!(out.contains("2      126 of 126  L7"), "{out}");
    assert!(out.contains("power-up waits for: "), "{out}");
    assert!(out.contains("power is off"), "{out}");
}

#[test]
fn a_keeper_that_runs_is_spoken_to() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let control = directory.join("control");
    let _daemon = daemon(directory, &["--control", control.to_str().unwrap()]);
    assert!(done(directory, "psu off").contains("apw12   off"));
    assert!(done(directory, "psu set 12500").contains("12500 mV"));
    let high = run(directory, "psu set 20000");
    assert_eq!(high.code, Some(1));
    assert!(
        high.err.contains("this board allows 12000 mV to 15000 mV"),
        "{}",
        high.err
    );
    let high = run(directory, "psu on 20000");
    assert_eq!(high.code, Some(1));
    assert!(done(directory, "psu on 12600").contains("12600 mV"));
    assert!(done(directory, "psu off").contains("apw12   off"));
    let out = done(directory, "fan set 70");
    assert!(out.contains("the keeper that runs keeps it so"), "{out}");
    assert!(out.contains("not written down"), "{out}");
    assert!(done(directory, "fan get").contains("fans fixed at 70 %"));
    assert!(done(directory, "fan auto").contains("fans set by temperature"));
    assert!(done(directory, "locate").contains("blinking"));
    let out = done(directory, "board probe");
    assert!(
        out.contains("blinking") && out.contains("an operator holds the power off"),
        "{out}"
    );
    assert!(done(directory, "locate off").contains("no more"));
    let out = done(directory, "chain detect 1");
    assert!(out.contains("1      - of 126  waiting"), "{out}");
    let refused = run(directory, "chain reset 0");
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains("the rail is not confirmed on"),
        "{}",
        refused.err
    );
    // Somebody pulls a board's sensor meanwhile, by the machine's own control socket.
    let mut line = std::os::unix::net::UnixStream::connect(&control).unwrap();
    line.write_all(b"inject { fault = \"sensor-nak\", sensor = \"board 1 inlet side\" }\n")
        .unwrap();
    let mut answer = [0; 4];
    line.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ok 1");
    // The fault is told.
    watched_until(directory, |table| {
        let row = |row: &&str| row.starts_with("board 1 inlet side");
        table
            .lines()
            .find(row)
            .is_some_and(|row| !row.ends_with('-'))
    });
    assert!(done(directory, "psu on").contains("when the miner asks for it"));
}

#[test]
fn a_latched_machine_is_cleared_with_and_without_a_keeper() {
    const LATCHED: &str = r#"{"format":1,"running":false,"unclean_ends":0,"latch":
        {"cause":{"cause":"no_temperature","chain":1},"unix_time":1700000000,"kept":false}}"#;
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let kept = directory.join("run-keeper/keeper.json");
    assert!(done(directory, "latch show").contains("nothing is latched"));
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    fs::write(&kept, LATCHED).unwrap();
    let out = done(directory, "latch show");
    assert!(
        out.contains("chain 1 has no sensor") && out.contains("since 1700000000"),
        "{out}"
    );
    assert!(done(directory, "latch clear").contains("cleared: chain 1"));
    assert!(done(directory, "latch show").contains("nothing is latched"));

    fs::write(&kept, LATCHED).unwrap();
    let _daemon = daemon(directory, &[]);
    let out = done(directory, "board probe");
    assert!(
        out.contains("state      latched") && out.contains("latched    chain 1 has no sensor"),
        "{out}"
    );
    assert!(done(directory, "latch show").contains("over a restart"));
    let out = done(directory, "latch clear");
    assert!(!out.contains("latched"), "{out}");
    let again = run(directory, "latch clear");
    assert_eq!(again.code, Some(1));
    assert!(
        again.err.contains("there is nothing to clear"),
        "{}",
        again.err
    );
}

/// The emulated L7 with something else about it.
fn described(directory: &Path, old: &str, new: &str) -> PathBuf {
    let text = include_str!("../hal/emulator/machines/l7.toml");
    assert!(text.contains(old), "{old}");
    let path = directory.join("machine.toml");
    fs::write(&path, text.replace(old, new)).unwrap();
    path
}

#[test]
fn an_unknown_machine_is_not_driven_and_what_was_read_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let machine = described(directory.path(), "CGMiner-RS emulated machine", "A toaster");
    for line in ["board probe", "psu on"] {
        let mut command = emulated(directory.path(), line);
        let said = said(command.arg("--machine").arg(&machine).output().unwrap());
        assert_eq!(said.code, Some(1), "{line}");
        assert!(
            said.err.contains("model is \"A toaster\""),
            "{line}: {}",
            said.err
        );
        assert!(said.err.contains("a113d-s19jpro"), "{line}: {}", said.err);
        assert!(
            !socket(directory.path()).exists(),
            "{line}: nothing was driven"
        );
    }
    // A service that ended would have the board reset again and again: it stays, and says why on every door.
    let _daemon = daemon(directory.path(), &["--machine", machine.to_str().unwrap()]);
    watched_until(directory.path(), |table| {
        table.contains("state      fan-only: unknown board, so no power")
            && table.contains("A toaster")
    });
    let out = done_plainly(directory.path(), "status");
    assert!(out.contains("A toaster"), "{out}");
}

/// Does a command that takes no options of an emulated machine.
fn done_plainly(directory: &Path, line: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let output = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
            .env_remove("CGMINER_CONFIG")
            .args(line.split(' '))
            .args(["--config", "/dev/null", "--run-directory"])
            .arg(directory.join("run"))
            .output();
        let said = said(output.unwrap());
        if said.code == Some(0) {
            return said.out;
        }
        assert!(Instant::now() < until, "{line}: {}", said.err);
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_machine_with_a_bus_missing_is_kept_without_power_and_tells_which() {
    let directory = tempfile::tempdir().unwrap();
    let board = include_str!("../board/boards/emulated.toml");
    let supply = "part = \"apw12\"\nbus = \"i2c-1\"";
    assert!(board.contains(supply));
    let text =
        board.replace(supply, "part = \"apw12\"\nbus = \"i2c-9\"") + "\n[[i2c]]\nbus = \"i2c-9\"\n";
    let file = directory.path().join("board.toml");
    fs::write(&file, text).unwrap();
    let set = format!("board.file={}", file.display());
    let _daemon = daemon(directory.path(), &["--set", &set]);
    // With its fans full.
    watched_until(directory.path(), |table| {
        table.contains("state      fan-only: no power, as not all of the hardware is there")
            && table.contains("i2c-9")
            && table.matches("  100 %").count() == 4
            && table.contains("watchdog   armed")
    });
}

#[test]
fn a_strange_hash_board_gets_no_power_and_its_name_is_told() {
    let directory = tempfile::tempdir().unwrap();
    // An empty part: nobody knows what this board is.
    let machine = described(
        directory.path(),
        "bus = \"i2c-0\"\naddress = 0x51\n",
        "bus = \"i2c-0\"\naddress = 0x51\nimage = \"FF\"\n",
    );
    let machine = machine.to_str().unwrap();
    let daemon = daemon(directory.path(), &["--machine", machine, "--board", "auto"]);
    let out = done(directory.path(), "board probe");
    assert!(
        out.contains("state      fan-only: unknown board, so no power"),
        "{out}"
    );
    assert!(out.contains("slot 1") && out.contains("BHB426"), "{out}");
    assert!(out.contains("apw12   off"), "{out}");
    let log = fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(log.contains("the machine gets no power"), "{log}");
    drop(daemon);
}

#[test]
fn wrong_words_and_options_are_wrong_usage() {
    for words in [
        &["fan", "set"][..],
        &["psu", "set", "a lot"],
        &["board", "probe", "--zero-bits", "8"],
        &["chain", "detect", "--seconds", "never"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"));
        let said = said(
            command
                .args(words)
                .args(["--config", "/dev/null"])
                .output()
                .unwrap(),
        );
        assert_eq!(said.code, Some(2), "{words:?}: {}", said.err);
    }
}

/// The commands of a document's console examples with the lines that they show.
fn examples(text: &str) -> Vec<(&str, Vec<&str>)> {
    let blocks = text.split("```console\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines());
    let mut examples: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        match (line.strip_prefix("$ cgminer-rs "), examples.last_mut()) {
            (Some(command), _) => examples.push((command, Vec::new())),
            (None, Some((_, shown))) => shown.push(line),
            (None, None) => panic!("{line}: no command before it"),
        }
    }
    examples
}

/// A line without its spaces, and with every number the same: readings differ, words do not.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for c in line.chars().filter(|c| !c.is_whitespace()) {
        match c {
            '0'..='9' | '.' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            c => shape.push(c),
        }
    }
    shape
}

#[test]
fn the_documents_examples_show_what_the_commands_say() {
    let examples = examples(include_str!("../docs/boards.md"));
    assert!(examples.len() >= 5);
    std::thread::scope(|scope| {
        for (command, shown) in examples {
            scope.spawn(move || {
                let directory = tempfile::tempdir().unwrap();
                let out = done(directory.path(), &format!("{command} --seconds 1"));
                let said: Vec<_> = out.lines().map(shape).collect();
                let mut said = said.iter();
                for line in shown {
                    let found = said.any(|said| *said == shape(line));
                    assert!(found, "{command}: {line}: not in this order in\n{out}");
                }
            });
        }
    });
}

#[test]
fn every_command_that_the_readme_names_is_one() {
    let readme = include_str!("../README.md");
    let section = readme.split("## Hardware").nth(1).unwrap();
    let section = section.split("## ").next().unwrap();
    let mut named = 0;
    for line in section
        .lines()
        .filter_map(|line| line.strip_prefix("    cgminer-rs "))
    {
        let (command, told) = line.split_once("  ").unwrap();
        let also = told.split_once("also: ").map_or("", |(_, also)| also);
        for command in also
            .split(", ")
            .chain([command])
            .filter(|words| !words.is_empty())
        {
            let words: Vec<_> = command.split(' ').collect();
            cgminer_rs::cli::bringup::Command::parse(&words).unwrap();
            named += 1;
        }
    }
    assert_eq!(named, 14);
}
