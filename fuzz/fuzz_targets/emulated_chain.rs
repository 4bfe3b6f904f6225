//! An emulated chain takes any bytes from the host.
#![no_main]

use cgminer_emulator::chain::{Chain, ChainSettings, ChipType};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|bytes: &[u8]| {
    let settings = ChainSettings {
        chip: ChipType::Bm1362,
        chips: 4,
        hardwired_zero_bits: 8,
        hashes_per_second: 1000.0,
    };
    let mut chain = Chain::new(settings, 1);
    chain.receive(bytes, Duration::ZERO);
    chain.advance(Duration::from_secs(2));
    chain.transmit(Duration::from_secs(2), &mut Vec::new());
});
