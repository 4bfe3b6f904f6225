//! Any text is taken as a configuration or refused with its place; what is printed of one that was taken is taken as well, and says
//! the same. Nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(loaded) = cgminer_rs::config::parse(text).map_err(|error| error.to_string()) else {
        return;
    };
    let printed = loaded.config.text().expect("what was TOML is TOML again");
    match cgminer_rs::config::parse(&printed) {
        Ok(again) => assert_eq!(again.config.text().ok(), Some(printed)),
        Err(error) => panic!("{error}\n{printed}"),
    }
});
