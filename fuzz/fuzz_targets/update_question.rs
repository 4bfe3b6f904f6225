//! What the unprivileged miner may ask of the process that installs updates: any line is refused or means what it says, and what is
//! taken is bounded.
#![no_main]

use cgminer_rs::updates::{Ask, BUNDLE_LIMIT, question, read_answer, read_question};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = read_answer(bytes);
    let Ok(ask) = read_question(bytes) else {
        return;
    };
    if let Ask::Install(bundle) = ask {
        assert!((1..=BUNDLE_LIMIT).contains(&bundle.bytes));
    }
    let line = question(ask);
    let line = line.strip_suffix(b"\n").unwrap_or_default();
    assert_eq!(read_question(line), Ok(ask));
});
