#![no_main]

use cgminer_rs::config::{import, migrate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for made in [import(text), migrate(text)].into_iter().flatten() {
        assert!(made.text.parse::<toml::Table>().is_ok());
    }
});
