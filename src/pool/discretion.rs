//! The words of a pool, proxy or node without the password that it was given. Status, page and logs repeat them to whoever may read, which is
//! more people than may know the password.

/// Stands where the password was.
pub const HIDDEN: &str = "<our password>";
/// A shorter one is looked for as a word of its own, since its letters may stand in any other.
pub const SHORT: usize = 4;
/// What pools that want no password are given. It is no secret, and stands in words that tell something.
const NO_SECRET: &str = "x";

/// The same words with a mark in the place of the password.
#[must_use]
pub fn discreet(words: &str, password: &str) -> String {
    if password.is_empty() || password == NO_SECRET {
        return words.to_owned();
    }
    let mut clean = String::with_capacity(words.len());
    let mut rest = 0;
    for (at, found) in words.match_indices(password) {
        let end = at + found.len();
        let before = words.get(..at).and_then(|text| text.chars().next_back());
        let behind = words.get(end..).and_then(|text| text.chars().next());
        let inside = [before, behind]
            .into_iter()
            .flatten()
            .any(char::is_alphanumeric);
        if password.len() < SHORT && inside {
            continue;
        }
        clean.push_str(words.get(rest..at).unwrap_or_default());
        clean.push_str(HIDDEN);
        rest = end;
    }
    clean.push_str(words.get(rest..).unwrap_or_default());
    // Words are cut off somewhere, and half a password is one, too.
    let mut beginnings = (SHORT..password.len())
        .rev()
        .filter_map(|length| password.get(..length));
    if let Some(begun) = beginnings.find(|beginning| clean.ends_with(beginning)) {
        clean.truncate(clean.len() - begun.len());
        clean.push_str(HIDDEN);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_password_is_hidden_and_no_other_word() {
        for (words, password, clean) in [
            (
                "\"geheim\" is wrong",
                "geheim",
                "\"<our password>\" is wrong",
            ),
            ("geheimgeheim", "geheim", "<our password><our password>"),
            (
                "the password is gehe",
                "geheim",
                "the password is <our password>",
            ),
            ("the password is geh", "geheim", "the password is geh"),
            (
                "no abc in abcd, abc",
                "abc",
                "no <our password> in abcd, <our password>",
            ),
            ("x is extra", "x", "x is extra"),
            (
                "'7' is not the password of 7.7, 17",
                "7",
                "'<our password>' is not the password of <our password>.<our password>, 17",
            ),
            ("ä is wrong", "ä", "<our password> is wrong"),
            ("welcome", "", "welcome"),
            ("nichts für ungut", "für", "nichts <our password> ungut"),
        ] {
            assert_eq!(discreet(words, password), clean);
        }
    }

    proptest! {
        #[test]
        fn no_words_keep_a_long_password(words in "[a-c]{0,9}", password in "[a-c]{4,5}", more in "\\PC{0,9}") {
            let clean = discreet(&format!("{words}{password}{more}"), &password);
            prop_assert!(!clean.contains(&password), "{}", clean);
            prop_assert_eq!(discreet(&more, &password), more);
        }

        #[test]
        fn a_short_password_does_not_stand_as_a_word(words in "[ab7\".]{0,9}", password in "[b7]{1,3}", more in "[ab7'.]{0,9}") {
            let clean = discreet(&format!("{words} '{password}' {more}"), &password);
            let mut shown = clean.split(|letter: char| !letter.is_alphanumeric());
            prop_assert!(shown.all(|word| word != password), "{}", clean);
        }
    }
}
