//! Any text may be the configuration's file. What the interface shows of it says the same but for secrets, and no field that is for one,
//! commented out or in force, has a secret; nothing panics.
#![no_main]

use cgminer_rs::config::FIELDS;
use cgminer_rs::miner::owner::backup::without_secrets;
use libfuzzer_sys::fuzz_target;
use toml::{Table, Value};

const SECRET: &str = "S3CR3T";

fuzz_target!(|text: &str| {
    let Some(shown) = without_secrets(text) else {
        return;
    };
    let values: Table = shown.parse().expect("TOML stays TOML");
    assert!(!leaks("", &Value::Table(values)), "{shown}");
    for line in shown
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('#'))
    {
        let line = line.trim_start_matches(['#', ' ', '\t']);
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let name = name.trim();
        let secret = FIELDS
            .iter()
            .any(|field| field.secret && field.name == name);
        let is_pool = name == "url" && value.contains("stratum");
        assert!(!secret || is_pool || !value.contains(SECRET), "{shown}");
    }
});

fn leaks(path: &str, value: &Value) -> bool {
    match value {
        Value::Table(table) => table.iter().any(|(name, value)| {
            let secret = FIELDS
                .iter()
                .any(|field| field.secret && field.name == name);
            let is_pool = path == "pool" && name == "url";
            (secret && !is_pool && value.to_string().contains(SECRET)) || leaks(name, value)
        }),
        Value::Array(list) => list.iter().any(|value| leaks(path, value)),
        _ => false,
    }
}
