//! Any bytes are frames, a piece of one, or refused; nothing panics, and no message grows beyond its bound.
#![no_main]

use cgminer_rs::api::gateway::websocket::{MESSAGE_LIMIT, Messages, Said, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let mut messages = Messages::default();
    while let Ok(Some((frame, used))) = parse(rest) {
        rest = &rest[used..];
        match messages.take(frame) {
            Ok(Some(Said::Text(text))) => assert!(text.len() <= MESSAGE_LIMIT),
            Ok(_) => {}
            Err(_) => break,
        }
    }
});
