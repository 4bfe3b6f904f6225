//! Any secrets stand anywhere in a part of a support archive. None is left, as it is and as JSON writes it, and a part without any stays
//! as it was; nothing panics.
#![no_main]

use cgminer_rs::cli::support::secrets::scrubbed;
use cgminer_rs::config::REDACTED;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [first, second, rest @ ..] = input else {
        return;
    };
    let text = String::from_utf8_lossy(rest);
    let split = |text: &str, length: u8| {
        let parts = text.split_at_checked(usize::from(length % 32));
        parts.map(|(secret, rest)| (secret.to_owned(), rest.to_owned()))
    };
    let Some((one, text)) = split(&text, *first) else {
        return;
    };
    let Some((other, part)) = split(&text, *second) else {
        return;
    };
    // Shorter ones are not looked for, and one that holds letters of the mark is found in every mark.
    let fits = |secret: &str| {
        let marks = REDACTED.as_bytes().windows(2);
        secret.len() >= 4
            && !marks
                .into_iter()
                .any(|mark| secret.as_bytes().windows(2).any(|pair| pair == mark))
    };
    let secrets: Vec<&str> = [one.as_str(), other.as_str()]
        .into_iter()
        .filter(|secret| fits(secret))
        .collect();
    let clean = scrubbed(part.clone().into_bytes(), &secrets);
    let clean = String::from_utf8(clean).expect("secrets are whole letters");
    let forms: Vec<String> = secrets
        .iter()
        .flat_map(|secret| {
            let quoted = serde_json::to_string(secret).expect("text");
            [(*secret).to_owned(), quoted[1..quoted.len() - 1].to_owned()]
        })
        .collect();
    for piece in clean.split(REDACTED) {
        assert!(forms.iter().all(|form| !piece.contains(form)), "{clean}");
    }
    if forms.iter().all(|form| !part.contains(form)) {
        assert_eq!(clean, part);
    }
});
