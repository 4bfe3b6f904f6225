//! Any bytes as the front of a coinbase have a height or none; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = cgminer_rs::pool::record::block_height(bytes);
});
