//! A scenario file is read without a panic, whatever it holds.
#![no_main]

use cgminer_emulator::scenario::Scenario;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Scenario::from_toml(text);
});
