//! Any bytes are a line from a pool or refused with words; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let _ = cgminer_rs::pool::message::Message::parse(line).map_err(|error| error.to_string());
});
