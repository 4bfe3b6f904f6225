//! Any text is an address or refused with words, and an address pays by a script that consensus knows.
#![no_main]

use cgminer_rs::pool::solo::address::{Network, payout_script};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for network in [
        Network::Main,
        Network::Test,
        Network::Signet,
        Network::Regtest,
    ] {
        match payout_script(text, network) {
            Ok(script) => assert!((4..=42).contains(&script.len()), "{script:x?}"),
            Err(error) => drop(error.to_string()),
        }
    }
});
