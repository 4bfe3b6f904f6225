//! Any text is a pool's address or refused with words; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = cgminer_rs::pool::url::PoolUrl::parse(text).map_err(|error| error.to_string());
});
