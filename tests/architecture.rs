//! Keeps the arrows between rooms, and a few laws that a reader would otherwise have to take on trust.
//!
//! The picture is `docs/architecture.md`; the table here is its executable form.
#![allow(clippy::expect_used, reason = "what cannot go on says why")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// For each room of the daemon, the rooms it may name.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "api",
            "chain",
            "config",
            "keeper",
            "link",
            "miner",
            "pool",
            "telemetry",
            "work",
        ],
    ),
    (
        "miner",
        &[
            "api",
            "chain",
            "config",
            "keeper",
            "link",
            "pool",
            "telemetry",
            "work",
        ],
    ),
    ("api", &["config", "telemetry"]),
    ("telemetry", &["chain", "keeper", "pool", "work"]),
    ("config", &["pool", "work"]),
    ("link", &["keeper"]),
    ("keeper", &["link"]),
    ("pool", &["work"]),
    ("chain", &["work"]),
    ("work", &[]),
];

/// For each crate below the daemon, the crates of the house it may depend on.
const CRATES: &[(&str, &[&str])] = &[
    ("hal", &[]),
    ("hal/emulator", &["cgminer-hal"]),
    ("board", &["cgminer-hal"]),
];

#[test]
fn rooms_name_only_rooms_below_them() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in rust_files(Path::new("src")) {
        let Some(room) = room_of(&file) else {
            continue;
        };
        if file.ends_with("tests.rs") {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!(
                "{}: room `{room}` is not in the table",
                file.display()
            ));
            continue;
        };
        seen.insert(room.clone());
        for (number, line) in code_lines(&file) {
            for named in rooms_named_in(&line) {
                if named != room && !allowed.contains(&named.as_str()) && is_room(&named) {
                    wrong.push(format!("{}:{number}: {room} -> {named}", file.display()));
                }
            }
        }
    }
    assert!(
        seen.contains("work") && seen.contains("chain"),
        "the walk found no rooms: {seen:?}"
    );
    assert!(
        wrong.is_empty(),
        "arrows that point the wrong way:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn crates_depend_only_on_crates_below_them() {
    for (crate_folder, allowed) in CRATES {
        let manifest: toml::Table = fs::read_to_string(Path::new(crate_folder).join("Cargo.toml"))
            .expect("every crate has a manifest")
            .parse()
            .expect("the manifest is TOML");
        let dependencies = manifest["dependencies"].as_table().expect("a table");
        for name in dependencies
            .keys()
            .filter(|name| name.starts_with("cgminer-"))
        {
            assert!(
                allowed.contains(&name.as_str()),
                "{crate_folder} must not depend on {name}"
            );
        }
    }
}

#[test]
fn the_board_crate_knows_no_network_and_no_runtime() {
    let manifest = fs::read_to_string("board/Cargo.toml").expect("the manifest is there");
    for name in ["tokio", "tiny_http", "socket2"] {
        assert!(!manifest.contains(name), "board depends on {name}");
    }
    for file in rust_files(Path::new("board/src")) {
        for (number, line) in code_lines(&file) {
            assert!(
                !line.contains("std::net"),
                "{}:{number} opens the network",
                file.display()
            );
        }
    }
}

#[test]
fn nothing_but_hal_opens_devices() {
    const OPENING: [&str; 4] = ["File::open", "OpenOptions", "fs::read", "fs::write"];
    for folder in ["src", "board/src"] {
        for file in rust_files(Path::new(folder)) {
            for (number, line) in code_lines(&file) {
                let device = line.contains("\"/dev") || line.contains("\"/sys");
                let opens = device && OPENING.iter().any(|call| line.contains(call));
                assert!(!opens, "{}:{number} opens a device: {line}", file.display());
            }
        }
    }
}

#[test]
fn every_crate_root_forbids_unsafe_code() {
    for root in [
        "src/lib.rs",
        "src/main.rs",
        "board/src/lib.rs",
        "hal/emulator/src/lib.rs",
    ] {
        let text = fs::read_to_string(root).expect("the root is there");
        assert!(
            text.contains("#![forbid(unsafe_code)]"),
            "{root} does not forbid unsafe code"
        );
    }
    // Its small corners allow it again, each with its reason.
    let hal = fs::read_to_string("hal/src/lib.rs").expect("the root is there");
    assert!(hal.contains("#![forbid(unsafe_code)]") || hal.contains("#![deny(unsafe_code)]"));
}

fn is_room(name: &str) -> bool {
    ARROWS.iter().any(|(room, _)| *room == name)
}

/// `src/pool/session.rs` is in the room `pool`; `src/lib.rs` and `src/main.rs` are in none.
fn room_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix("src").ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    let is_file = Path::new(first).extension().is_some();
    (!is_file).then(|| first.to_owned())
}

/// Rooms named behind `crate::`, those of `crate::{a, b::c}` included.
fn rooms_named_in(line: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, prefix) in line.match_indices("crate::") {
        let rest = &line[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => named.extend(group.split(',').map(first_word)),
            None => named.push(first_word(rest)),
        }
    }
    named
}

fn first_word(text: &str) -> String {
    text.trim()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Lines of a file up to its test module, without comments.
fn code_lines(file: &Path) -> Vec<(usize, String)> {
    fs::read_to_string(file)
        .expect("the file was just listed")
        .lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line.to_owned()))
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
