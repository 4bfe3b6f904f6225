//! Any text is a pool's address, and prints as one that reads back the same, or is refused with words; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match cgminer_rs::pool::url::PoolUrl::parse(text) {
        Ok(url) => assert_eq!(url.to_string().parse(), Ok(url)),
        Err(error) => drop(error.to_string()),
    }
    // The key at the end of a Stratum v2 address.
    if let Ok(key) = text.parse::<cgminer_rs::pool::authority::AuthorityKey>() {
        assert_eq!(key.to_string(), text);
    }
});
