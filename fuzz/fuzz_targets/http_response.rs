//! A node's HTTP answer, in pieces of any size.
#![no_main]

use cgminer_rs::pool::solo::http::ResponseDecoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [piece, bytes @ ..] = input else {
        return;
    };
    let mut decoder = ResponseDecoder::new(64 * 1024);
    for piece in bytes.chunks(usize::from(*piece).max(1)) {
        if !matches!(decoder.push(piece), Ok(false)) {
            break;
        }
    }
    let _ = decoder.finish();
});
