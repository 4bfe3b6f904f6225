//! Any text may stand in a configuration that is broken, and a secret anywhere in it. What the support archive shows of it has the
//! secret only where a field holds none; nothing panics.
#![no_main]

use cgminer_rs::cli::support::broken;
use cgminer_rs::config::FIELDS;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "S3CR3T";

fuzz_target!(|text: &str| {
    let (shown, withheld) = broken::shown(text);
    assert!(withheld.iter().all(|piece| !piece.is_empty()));
    if !text.lines().any(may_show) {
        assert!(!shown.contains(SECRET), "{shown}");
    }
});

/// Whether the line may show the secret, or a sign behind a backslash that would make one.
fn may_show(line: &str) -> bool {
    let line = line.trim().trim_start_matches(['#', ' ']);
    let Some((name, value)) = line.split_once('=') else {
        return false;
    };
    let name = name.trim();
    let has = |text: &str| text.contains(SECRET) || text.contains('\\');
    if has(name) {
        return true;
    }
    if ["url", "proxy"].contains(&name) {
        // A host is none.
        let rest = value.split_once("://").map_or("", |(_, rest)| rest);
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        return value.contains('\\') || host.split(['/', '?', '#']).next().is_some_and(has);
    }
    let mut fields = FIELDS.iter().filter(|field| field.name == name).peekable();
    fields.peek().is_some() && fields.all(|field| !field.secret) && has(value)
}
