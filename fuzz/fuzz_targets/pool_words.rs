//! A pool says any words to a worker with any password. What is repeated of them holds neither the password nor a beginning of it at
//! the end, a short one not as a word of its own, and other words stay as they are; nothing panics.
#![no_main]

use cgminer_rs::pool::discretion::{HIDDEN, SHORT, discreet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((length, text)) = input.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(text);
    let Some((password, words)) = text.split_at_checked(usize::from(length % 64)) else {
        return;
    };
    let clean = discreet(words, password);
    if password.len() < SHORT {
        let is_word = !password.is_empty() && password.chars().all(char::is_alphanumeric);
        if is_word && password != "x" {
            let mut shown = clean
                .split(HIDDEN)
                .flat_map(|piece| piece.split(|letter: char| !letter.is_alphanumeric()));
            assert!(shown.all(|word| word != password), "{clean}");
        }
        if !words.contains(password) {
            assert_eq!(clean, words);
        }
        return;
    }
    let begins = |text: &str| {
        let lengths = SHORT..password.len();
        lengths
            .filter_map(|length| password.get(..length))
            .any(|begun| text.ends_with(begun))
    };
    // The mark's own letters may be a password, too.
    assert!(
        clean.split(HIDDEN).all(|piece| !piece.contains(password)),
        "{clean}"
    );
    assert!(!clean.rsplit(HIDDEN).next().is_some_and(begins), "{clean}");
    if !words.contains(password) && !begins(words) {
        assert_eq!(clean, words);
    }
});
