//! The compiled-in board files, and what the reader says of broken ones.

#![allow(clippy::unwrap_used)]

use cgminer_board::file::{self, BoardFile, BoardFileError, Catalog};

fn built_in(name: &str) -> String {
    let files = file::built_in().unwrap();
    let Some((_, text)) = files.into_iter().find(|(known, _)| known == name) else {
        panic!("no board {name}");
    };
    text
}

/// The findings of the L7 file after one replacement, as text.
fn broken(from: &str, to: &str) -> String {
    let text = built_in("l7");
    assert!(text.contains(from), "the L7 file no longer says {from:?}");
    match BoardFile::parse(&text.replacen(from, to, 1), "test") {
        Ok(_) => panic!("{from} -> {to} is taken for good"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_compiled_in_file_keeps_every_rule_and_bears_its_own_name() {
    let files = file::built_in().unwrap();
    for (name, text) in &files {
        let file = BoardFile::parse(text, name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(&file.name, name);
        assert!(
            file.ran_on_hardware.is_empty(),
            "{name}: nothing has run on hardware"
        );
        assert!(!file.sources.is_empty(), "{name} names no source");
    }
    assert_eq!(Catalog::load(None).unwrap().iter().count(), files.len());
}

#[test]
fn the_emulated_board_is_the_l7_but_for_how_it_is_recognised() {
    let l7 = BoardFile::parse(&built_in("l7"), "l7").unwrap();
    let mut emulated = BoardFile::parse(&built_in("emulated"), "emulated").unwrap();
    assert_ne!(emulated.detect, l7.detect);
    emulated.name.clone_from(&l7.name);
    emulated.title.clone_from(&l7.title);
    emulated.detect = l7.detect.clone();
    assert_eq!(emulated, l7);
}

#[test]
fn every_hash_board_eeprom_is_on_a_deny_list() {
    for board in Catalog::load(None).unwrap().iter() {
        for eeprom in board
            .chains
            .iter()
            .filter_map(|chain| chain.eeprom.as_ref())
        {
            let bus = board.bus(&eeprom.bus).unwrap();
            assert!(
                bus.deny_writes.contains(&eeprom.address),
                "{}: {eeprom:?}",
                board.name
            );
        }
    }
}

#[test]
fn an_unknown_field_is_named_with_its_place() {
    let error = broken("fans_required = 3", "fans_required = 3\nfan_required = 2");
    assert!(
        error.contains("thermal") && error.contains("fan_required"),
        "{error}"
    );
}

#[test]
fn a_wrong_type_is_named_with_its_place() {
    let error = broken("address = 0x48", "address = \"0x48\"");
    assert!(error.contains("sensors[0].address"), "{error}");
}

#[test]
fn each_rule_reports_field_value_limit_and_hint() {
    for (from, to, said) in [
        ("schema = 1", "schema = 2", "schema is 2, must be 1"),
        (
            "name = \"l7\"",
            "name = \"L 7\"",
            "name is \"L 7\", must be lower-case",
        ),
        (
            "chips = 126",
            "chips = 300",
            "layout.chips is 300, must be 1 to 256",
        ),
        (
            "domains = 42",
            "domains = 40",
            "layout.domains is 40, must be a divisor of layout.chips = 126",
        ),
        (
            "max_mhz = 800.0",
            "max_mhz = 1200.0",
            "layout.frequency.max_mhz is 1200 MHz, must be 50 MHz to 1000 MHz",
        ),
        (
            "default_mhz = 525.0",
            "default_mhz = 300.0",
            "layout.frequency.default_mhz is 300 MHz",
        ),
        (
            "default_mhz = 525.0",
            "default_mhz = nan",
            "layout.frequency.default_mhz is NaN MHz",
        ),
        (
            "max_mv = 15000",
            "max_mv = 16000",
            "layout.voltage.max_mv is 16000 mV, must be 12000 mV to 15010 mV",
        ),
        ("baud = 3125000", "baud = 9600", "layout.baud is 9600 baud"),
        (
            "/dev/ttyS2",
            "/dev/ttyS1",
            "chains[1].uart.device is /dev/ttyS1, must be named once",
        ),
        (
            "\"HB1_RESET\"",
            "\"HB0_RESET\"",
            "chains[1].reset.line is GPIO \"HB0_RESET\", must be used once",
        ),
        (
            "[0x50, 0x51,",
            "[0x51,",
            "chains[0].eeprom.address is 0x50, must be in deny_writes of bus i2c-0",
        ),
        (
            "deny_writes = [",
            "deny_writes = [0x00, ",
            "i2c[0].deny_writes[0] is 0x00, must be 0x08 to 0x77",
        ),
        (
            "bus = \"i2c-1\"",
            "bus = \"../i2c\"",
            "must be the name of a device file",
        ),
        (
            "address = 0x4c",
            "address = 0x48",
            "sensors[1].address is 0x48 on i2c-0, must be taken by one part",
        ),
        (
            "address = 0x4c",
            "address = 0x98",
            "sensors[1].address is 0x98, must be 0x08 to 0x77",
        ),
        (
            "role = \"pcb\"",
            "role = \"inlet\"",
            "thermal.inlet is missing",
        ),
        (
            "role = \"pcb\"",
            "role = \"pcb\"\nremotes = [\"chip\"]",
            "sensors[0].remotes is 1 diodes, must be at most 0",
        ),
        (
            "board 0 inlet side",
            "board 0 outlet side",
            "sensors[1].name is \"board 0 outlet side\", must be not empty and unique",
        ),
        (
            "chain = 2",
            "chain = 3",
            "sensors[4].chain is 3, must be below the number of chains, 3",
        ),
        (
            "stall_rpm = 600",
            "stall_rpm = 6000",
            "fans[0].stall_rpm is 6000 rpm",
        ),
        (
            "pulses_per_turn = 2",
            "pulses_per_turn = 0",
            "fans[0].tach.pulses_per_turn is 0, must be 1 to 4",
        ),
        (
            "address = 0x10",
            "address = 0x48\nbus = \"i2c-0\"",
            "duplicate key",
        ),
        ("enable = {", "#", "supply.enable is missing, must be given"),
        (
            "rated_w = 3600.0",
            "rated_w = 3000.0",
            "power.limit_w is 3500 W, must be at most supply.rated_w = 3000 W",
        ),
        (
            "timeout_s = 15",
            "timeout_s = 600",
            "watchdog.timeout_s is 600, must be 5 to 60",
        ),
        (
            "dangerous_c = 80.0",
            "dangerous_c = 120.0",
            "thermal.pcb.dangerous_c is 120 C, must be 20 C to 95 C",
        ),
        (
            "hot_c = 72.0",
            "hot_c = 85.0",
            "thermal.pcb.hot_c is 85 C, must be below 80 C",
        ),
        (
            "target_c = 60.0",
            "target_c = 75.0",
            "thermal.pcb.target_c is 75 C, must be below 72 C",
        ),
        (
            "resume_below_c = 45.0",
            "resume_below_c = 70.0",
            "thermal.resume_below_c is 70 C, must be 20 C to 60 C",
        ),
        (
            "unseen_rise_c_per_s = 0.5",
            "unseen_rise_c_per_s = 0.0",
            "thermal.unseen_rise_c_per_s is 0",
        ),
        (
            "fans_required = 3",
            "fans_required = 5",
            "thermal.fans_required is 5, must be at most the number of fans, 4",
        ),
        (
            "fans_required = 3",
            "fans_required = 0",
            "thermal.fans_required is 0, must be 1 or more",
        ),
        (
            "limit_w = 3500.0",
            "limit_w = 9000.0",
            "power.limit_w is 9000 W, must be 50 W to 3840 W",
        ),
    ] {
        let error = broken(from, to);
        assert!(
            error.contains(said),
            "{from} -> {to} gives:\n{error}\nwithout: {said}"
        );
    }
}

#[test]
fn a_chain_that_no_sensor_watches_is_refused() {
    let text = built_in("l7").replace("chain = 2", "chain = 1");
    let error = BoardFile::parse(&text, "test").unwrap_err().to_string();
    assert!(
        error.contains("chains[2] is without a temperature sensor"),
        "{error}"
    );
}

#[test]
fn all_broken_rules_are_reported_at_once() {
    let text = built_in("l7")
        .replace("chips = 126", "chips = 0")
        .replace("fans_required = 3", "fans_required = 9");
    let Err(BoardFileError::Invalid { findings, .. }) = BoardFile::parse(&text, "test") else {
        panic!("taken for good");
    };
    let paths: Vec<_> = findings
        .iter()
        .map(|finding| finding.path.as_str())
        .collect();
    assert!(
        paths.contains(&"layout.chips") && paths.contains(&"thermal.fans_required"),
        "{paths:?}"
    );
}

#[test]
fn a_file_in_the_directory_replaces_the_compiled_in_one_and_a_broken_one_stops_all() {
    let directory = tempfile::tempdir().unwrap();
    let narrower = built_in("l7").replace("limit_w = 3500.0", "limit_w = 1200.0");
    std::fs::write(directory.path().join("mine.toml"), narrower).unwrap();
    std::fs::write(directory.path().join("README"), "no board file").unwrap();
    let catalog = Catalog::load(Some(directory.path())).unwrap();
    assert!((catalog.get("l7").unwrap().power.limit_w.0 - 1200.0).abs() < f32::EPSILON);
    std::fs::write(directory.path().join("mine.toml"), "schema = 1").unwrap();
    let error = Catalog::load(Some(directory.path()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("mine.toml"), "{error}");
    assert!(Catalog::load(Some(&directory.path().join("absent"))).is_ok());
}

#[test]
fn an_unknown_board_is_answered_with_the_known_names() {
    let error = Catalog::load(None)
        .unwrap()
        .get("l8")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("l8") && error.contains("am335x-s19jpro"),
        "{error}"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,400}") {
        let _ = BoardFile::parse(&text, "test");
    }

    #[test]
    fn no_damage_to_a_real_file_makes_the_reader_panic(at: proptest::sample::Index, with in ".{0,12}", length in 0..40_usize) {
        let text: Vec<char> = built_in("l7").chars().collect();
        let at = at.index(text.len());
        let end = (at + length).min(text.len());
        let damaged: String = text[..at].iter().copied().chain(with.chars()).chain(text[end..].iter().copied()).collect();
        let _ = BoardFile::parse(&damaged, "test");
    }
}

/// The example of the documentation.
fn documented() -> &'static str {
    let text = include_str!("../../docs/boards.md");
    let Some((_, example)) = text.split_once("```toml\n") else {
        panic!("docs/boards.md has no example")
    };
    let Some((example, _)) = example.split_once("```") else {
        panic!("the example has no end")
    };
    example
}

#[test]
fn the_example_of_the_documentation_is_a_good_board_file() {
    BoardFile::parse(documented(), "docs/boards.md").unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_example_of_the_documentation_leaves_no_field_out() {
    // What a file means is written out whole, its defaults too; the example must name each of its keys.
    let file = BoardFile::parse(documented(), "docs/boards.md").unwrap();
    let whole = toml::Value::try_from(&file).unwrap();
    let example: toml::Value = toml::from_str(documented()).unwrap();
    let mut missing = keys(&whole);
    missing.retain(|key| !keys(&example).contains(key));
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_board_is_listed_in_the_documentation() {
    for (name, _) in file::built_in().unwrap() {
        let row = format!("| `{name}` |");
        assert!(
            include_str!("../../docs/boards.md").contains(&row),
            "{name}"
        );
    }
}

/// Every key of every table.
fn keys(value: &toml::Value) -> std::collections::BTreeSet<String> {
    match value {
        toml::Value::Table(table) => table
            .iter()
            .flat_map(|(key, value)| keys(value).into_iter().chain([key.clone()]))
            .collect(),
        toml::Value::Array(items) => items.iter().flat_map(keys).collect(),
        _ => std::collections::BTreeSet::new(),
    }
}
