//! A node's HTTP answer, in pieces as small as they can come.
#![no_main]

use cgminer_rs::pool::solo::http::ResponseDecoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pieces: Vec<&[u8]>| {
    let mut decoder = ResponseDecoder::new(64 * 1024);
    for piece in pieces {
        if !matches!(decoder.push(piece), Ok(false)) {
            break;
        }
    }
    let _ = decoder.finish();
});
