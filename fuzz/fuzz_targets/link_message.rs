//! What a taken-over miner could send to the keeper, which runs as root.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = cgminer_rs::link::codec::read_down(bytes);
});
