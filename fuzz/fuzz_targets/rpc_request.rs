//! Any bytes are a request of the cgminer API or refused; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = cgminer_rs::api::rpc::parse(bytes);
});
