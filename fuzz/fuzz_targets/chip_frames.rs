//! Replies of chips: any bytes, in any of the three formats.
#![no_main]

use cgminer_rs::chain::frame::decode::account_for;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    assert!(account_for(bytes), "a byte is neither in a reply, nor lost, nor held");
});
