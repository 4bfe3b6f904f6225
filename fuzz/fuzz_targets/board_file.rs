//! Any text is taken as a board file or refused with its place; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = cgminer_board::file::BoardFile::parse(text, "fuzz").map_err(|error| error.to_string());
});
