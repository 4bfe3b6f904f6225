//! Keeps the arrows between rooms, and a few laws that a reader would otherwise have to take on trust.
//!
//! The picture is `docs/architecture.md`; the table here is its executable form.
#![allow(clippy::expect_used, reason = "what cannot go on says why")]

mod source;

use source::{Source, rust_files};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// For each room of the daemon, the rooms it may name.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "api",
            "chain",
            "config",
            "flight",
            "keeper",
            "link",
            "miner",
            "pool",
            "telemetry",
            "updates",
            "work",
        ],
    ),
    (
        "miner",
        &[
            "api",
            "chain",
            "config",
            "link",
            "pool",
            "telemetry",
            "updates",
            "work",
        ],
    ),
    ("api", &["config", "telemetry", "updates"]),
    ("telemetry", &["chain", "link", "pool", "work"]),
    ("config", &["link", "pool", "work"]),
    ("flight", &[]),
    ("keeper", &["flight", "link"]),
    ("link", &[]),
    ("updates", &["link"]),
    ("pool", &["work"]),
    ("chain", &["flight", "work"]),
    ("work", &[]),
];

/// For each crate below the daemon, the crates of the house it may depend on.
const CRATES: &[(&str, &[&str])] = &[
    ("hal", &[]),
    ("hal/emulator", &["cgminer-hal"]),
    ("board", &["cgminer-hal"]),
    ("hal/sha256", &[]),
];

/// Texts that begin like a device and open none, each with what it is for.
const NO_DEVICES: &[(&str, &str)] = &[
    // The sandbox grants what every program may open.
    ("src/miner/confine/files.rs", "/dev/null"),
    ("src/miner/confine/files.rs", "/dev/urandom"),
    // A terminal's name, by which standard output is told from a log.
    ("src/cli/split.rs", "/dev/pts"),
];

#[test]
fn rooms_name_only_rooms_below_them() {
    let mut wrong = Vec::new();
    let mut named = BTreeMap::<String, BTreeSet<String>>::new();
    for file in rust_files(Path::new("src")) {
        let source = Source::read(&file);
        let Some(room) = source.room() else {
            continue;
        };
        let Some(allowed) = allowed(&room) else {
            wrong.push(format!("{}: no room `{room}` in the table", file.display()));
            continue;
        };
        let rooms = named.entry(room.clone()).or_default();
        for (line, name) in source.names_in_the_crate() {
            if name == room || allowed.contains(&name.as_str()) {
                rooms.insert(name);
            } else if crate::allowed(&name).is_some() {
                wrong.push(format!("{}:{line}: {room} -> {name}", file.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "arrows that point the wrong way:\n{}",
        wrong.join("\n")
    );
    for (room, _) in ARROWS {
        assert!(named.contains_key(*room), "the walk found no room {room}");
    }
}

#[test]
fn no_room_stands_above_itself() {
    for (room, _) in ARROWS {
        let mut below = BTreeSet::new();
        let mut next = vec![*room];
        while let Some(at) = next.pop() {
            for name in allowed(at).expect("an arrow to a room outside of the table") {
                assert_ne!(name, room, "{room} is reached from itself, by way of {at}");
                if below.insert(*name) {
                    next.push(name);
                }
            }
        }
    }
}

#[test]
fn paths_are_found_however_they_are_written() {
    let text = r#"
        //! crate::api is only spoken of.
        use crate::{
            link::{self, Down}, // crate::api again
            pool,
            work::target::{Target, self as t},
        };
        use super::super::telemetry as other;
        use super::neighbour;
        #[cfg(test)]
        use crate::miner;
        fn f<'a>(x: &'a str) -> char { let _ = "crate::api"; crate::chain::begin(); 'c' }
        #[cfg(test)]
        mod tests { use crate::cli; fn g() { if true { crate::api::h(); } } }
        fn after() { crate::config::read(r"/sys/x", "/dev/y"); }
    "#;
    let source = Source::new(Path::new("src/keeper/guard/waiting.rs"), text);
    let names: Vec<String> = source
        .names_in_the_crate()
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    let expected = [
        "link", "link", "pool", "work", "work", "keeper", "keeper", "chain", "config",
    ];
    assert_eq!(names, expected);
    let higher = Source::new(Path::new("src/keeper/guard.rs"), text);
    assert!(
        higher
            .names_in_the_crate()
            .iter()
            .any(|(_, name)| name == "telemetry")
    );
    let texts: Vec<String> = source.texts().map(|(_, text)| text.to_owned()).collect();
    assert_eq!(texts, ["crate::api", "/sys/x", "/dev/y"]);
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
        let source = Source::read(&file);
        assert!(
            !source.code().contains("std::net"),
            "{} opens the network",
            file.display()
        );
    }
}

/// Any text that begins like a device counts, whether it stands at the call or in a constant far from it: paths of devices
/// come from the board file and go to `hal`, so no other code has a reason to spell one.
#[test]
fn nothing_but_hal_opens_devices() {
    let mut seen = BTreeSet::new();
    for folder in ["src", "board/src"] {
        for file in rust_files(Path::new(folder)) {
            let source = Source::read(&file);
            for (line, text) in source.texts() {
                if !["/dev", "/sys"].iter().any(|root| text.starts_with(root)) {
                    continue;
                }
                let known = NO_DEVICES
                    .iter()
                    .find(|(place, known)| file == Path::new(place) && text == *known);
                let known = known.unwrap_or_else(|| {
                    panic!("{}:{line} spells a device: {text:?}", file.display())
                });
                seen.insert(*known);
            }
        }
    }
    assert_eq!(
        seen.len(),
        NO_DEVICES.len(),
        "only {seen:?} are still there"
    );
}

#[test]
fn every_crate_root_forbids_unsafe_code() {
    for root in [
        "src/lib.rs",
        "src/main.rs",
        "board/src/lib.rs",
        "hal/emulator/src/lib.rs",
        "hal/sha256/src/lib.rs",
        "benches/instructions/src/main.rs",
        "tests/peers/defmt/src/main.rs",
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

fn allowed(room: &str) -> Option<&'static [&'static str]> {
    let (_, allowed) = ARROWS.iter().find(|(name, _)| *name == room)?;
    Some(allowed)
}
