#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some((_, length))) = cgminer_rs::miner::notify::mqtt::parse(bytes) {
        assert!(length <= bytes.len());
    }
});
