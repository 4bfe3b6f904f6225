//! Any bytes are a request's head, a piece of one, or refused; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = cgminer_rs::api::gateway::parse_head(bytes);
});
