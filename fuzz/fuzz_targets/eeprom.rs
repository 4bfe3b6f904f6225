//! Any bytes are a hash board's EEPROM or refused with the reason; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = cgminer_board::parts::eeprom::decode(bytes).map_err(|error| error.to_string());
});
