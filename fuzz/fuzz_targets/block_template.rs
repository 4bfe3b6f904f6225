//! A node's block template, whatever its bytes.
#![no_main]

use cgminer_rs::pool::solo::template::BlockTemplate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = BlockTemplate::parse(bytes);
});
