//! What no part may hold, whoever said it: a pool may tell a password back in the words that it refuses a worker with, and status
//! and log repeat them.

use crate::config::{Config, REDACTED};

/// Shorter ones are not looked for: every number and word would hold them. What pools, proxies and nodes say is told without even those
/// (`pool::discretion`).
pub(super) const SHORTEST: usize = 4;

/// The secrets of a configuration, in each form that they are written in.
pub(super) fn of(config: &Config) -> Vec<String> {
    let mut secrets: Vec<&str> = Vec::new();
    for pool in &config.pool {
        secrets.extend([pool.password.expose(), pool.proxy_password.expose()]);
    }
    for target in &config.alert_target {
        // The path of a webhook is what makes its address a secret.
        secrets.extend([
            target.url.expose(),
            &target.url.path,
            target.password.expose(),
        ]);
    }
    secrets.extend(config.token.iter().map(|token| token.sha256.expose()));
    secrets.retain(|secret| secret.len() >= SHORTEST);
    in_each_form(&secrets)
}

/// A part without any of these secrets, in each form that they are written in. What the fuzz target calls.
#[must_use]
pub fn scrubbed(part: Vec<u8>, secrets: &[&str]) -> Vec<u8> {
    without(part, &in_each_form(secrets))
}

/// As they stand in texts and in JSON. The longest are first, since one may hold another.
pub(super) fn in_each_form<S: AsRef<str>>(secrets: &[S]) -> Vec<String> {
    let secrets = secrets.iter().map(AsRef::as_ref);
    let quoted = secrets.clone().filter_map(in_json);
    let mut all: Vec<String> = quoted.collect();
    all.extend(secrets.map(str::to_owned));
    all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    all
}

/// As it stands in JSON, without its quotes, where that is another text.
fn in_json(secret: &str) -> Option<String> {
    let quoted = serde_json::to_string(secret).ok()?;
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    (inner != secret).then(|| inner.to_owned())
}

/// A part with a mark in the place of each secret.
pub(super) fn without(part: Vec<u8>, secrets: &[String]) -> Vec<u8> {
    secrets.iter().fold(part, |part, secret| {
        let mut rest = part.as_slice();
        let mut clean = Vec::new();
        while let Some(at) = find(rest, secret.as_bytes()) {
            let (before, found) = rest.split_at(at);
            clean.extend_from_slice(before);
            clean.extend_from_slice(REDACTED.as_bytes());
            rest = found.get(secret.len()..).unwrap_or_default();
        }
        clean.extend_from_slice(rest);
        clean
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted.first()?;
    let starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts.map(|(at, _)| at).find(|at| {
        bytes
            .get(*at..)
            .is_some_and(|rest| rest.starts_with(wanted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config() -> Config {
        let text = r#"
            [[pool]]
            url = "stratum+tcp://a:1"
            user = "me"
            password = "say \"please\""
            [[pool]]
            url = "stratum+tcp://b:1"
            user = "me"
            proxy = "socks5://c:1"
            proxy_user = "p"
            proxy_password = "please"
            [[alert_target]]
            name = "chat"
            url = "https://hooks.example/services/T0/B0"
            [[token]]
            name = "t"
            role = "admin"
            sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        "#;
        crate::config::parse(text).unwrap().config
    }

    #[test]
    fn whoever_said_it_no_secret_is_left() {
        let said = r#"{"a": "no say \"please\" here", "b": "https://hooks.example/services/T0/B0", "c": "POST /services/T0/B0",
            "d": "say "please"", "e": "x", "f": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}"#;
        let clean = without(said.into(), &of(&config()));
        let clean = String::from_utf8(clean).unwrap();
        assert_eq!(clean.matches(REDACTED).count(), 5, "{clean}");
        for secret in ["please", "services", "9f86"] {
            assert!(!clean.contains(secret), "{secret}: {clean}");
        }
        assert!(clean.contains(r#""e": "x""#));
    }

    proptest! {
        #[test]
        fn what_is_no_secret_stays_as_it_was(
            pieces in proptest::collection::vec(prop_oneof!["[a-c]{0,6}", Just("abab".to_owned())], 0..8),
        ) {
            let text = pieces.concat();
            let clean = without(text.clone().into_bytes(), &["abab".to_owned()]);
            prop_assert_eq!(String::from_utf8(clean).unwrap(), text.replace("abab", REDACTED));
        }
    }
}
