//! Any text is taken as a configuration or refused with its place; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = cgminer_rs::config::parse(text).map_err(|error| error.to_string());
});
