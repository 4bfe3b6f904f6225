//! Any bytes are a supply's frame or refused with the reason; what is taken is written again byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = cgminer_board::parts::apw::Frame::decode(bytes) {
        assert_eq!(frame.encode().as_slice(), bytes);
    }
});
