#![no_main]

use cgminer_rs::miner::mdns::packet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = packet::parse(bytes) {
        let _ = packet::parse(&message.to_bytes());
    }
});
