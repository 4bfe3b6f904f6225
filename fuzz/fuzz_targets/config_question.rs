//! What a taken-over miner could ask about the configuration: the keeper's process reads it as root.
#![no_main]

use cgminer_rs::config::parse;
use cgminer_rs::config::scribe::{Ask, read_question};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(Ask::Write { text, .. }) = read_question(bytes) {
        let _ = parse(&text);
    }
});
