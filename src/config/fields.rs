//! The list of all fields: how a variable or flag spells a value, and what a mistyped name may have meant.

use cgminer_board::document::Segment;

/// How the text of a variable or flag becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Taken as it is.
    Text,
    /// A number without unit.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Texts parted by commas.
    List,
}

/// One field of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Section it stands in.
    pub section: &'static str,
    /// Its own name.
    pub name: &'static str,
    /// How its text is read.
    pub kind: Kind,
    /// Whether no message may show its value.
    pub secret: bool,
}

/// Section of the pools: `[[pool]]`.
pub const POOL: &str = "pool";
/// Section of the tokens: `[[token]]`.
pub const TOKEN: &str = "token";
/// Section of where alerts are sent: `[[alert_target]]`.
pub const ALERT_TARGET: &str = "alert_target";
/// Sections that are lists.
pub const LISTS: [&str; 3] = [POOL, TOKEN, ALERT_TARGET];

/// Every field. A test holds it to the schema, another holds the document to it.
pub const FIELDS: &[Field] = &[
    field("board", "name", Kind::Text),
    field("board", "file", Kind::Text),
    field("board", "ignore_model", Kind::Boolean),
    field(POOL, "name", Kind::Text),
    field(POOL, "url", Kind::Text),
    field(POOL, "user", Kind::Text),
    secret(POOL, "password"),
    field(POOL, "enabled", Kind::Boolean),
    field(POOL, "quota", Kind::Number),
    field(POOL, "group", Kind::Number),
    field(POOL, "suggest_difficulty", Kind::Number),
    field(POOL, "extranonce_subscribe", Kind::Boolean),
    field(POOL, "version_rolling", Kind::Boolean),
    field(POOL, "sv2_channel", Kind::Text),
    field(POOL, "ca_file", Kind::Text),
    field(POOL, "tls_pin", Kind::Text),
    field(POOL, "proxy", Kind::Text),
    field(POOL, "proxy_user", Kind::Text),
    secret(POOL, "proxy_password"),
    field(POOL, "payout_address", Kind::Text),
    field(POOL, "cookie_file", Kind::Text),
    field("pools", "strategy", Kind::Text),
    field("chains", "frequency", Kind::Number),
    field("chains", "voltage", Kind::Number),
    field("cooling", "mode", Kind::Text),
    field("cooling", "target", Kind::Number),
    field("cooling", "duty", Kind::Number),
    field("cooling", "minimum_fans", Kind::Number),
    field("keeper", "state_directory", Kind::Text),
    field("api", "listen", Kind::Text),
    field("api", "run_directory", Kind::Text),
    field("api", "hosts", Kind::List),
    field("api", "origins", Kind::List),
    field("api", "tls_certificate", Kind::Text),
    field("api", "tls_key", Kind::Text),
    field("api", "maximum_connections", Kind::Number),
    field("api", "requests_per_second", Kind::Number),
    field("api", "read_without_token", Kind::Boolean),
    field("api", "mdns", Kind::Boolean),
    field(TOKEN, "name", Kind::Text),
    field(TOKEN, "role", Kind::Text),
    secret(TOKEN, "sha256"),
    field("rpc", "listen", Kind::Text),
    field("rpc", "writers", Kind::List),
    field("fleet", "enabled", Kind::Boolean),
    field("fleet", "model", Kind::Text),
    field("log", "format", Kind::Text),
    field("log", "level", Kind::Text),
    field("log", "file", Kind::Text),
    field("log", "file_size", Kind::Number),
    field("log", "files", Kind::Number),
    field("log", "file_budget", Kind::Number),
    field("log", "syslog", Kind::Text),
    field("log", "flight_recorder", Kind::Number),
    field("alerts", "hold", Kind::Number),
    field("alerts", "repeat", Kind::Number),
    field("alerts", "temperature", Kind::Number),
    field("alerts", "voltage", Kind::Number),
    field("alerts", "hash_rate", Kind::Number),
    field("alerts", "no_share", Kind::Number),
    field("alerts", "rejects", Kind::Number),
    field("alerts", "restarts", Kind::Number),
    field("alerts", "chip_health", Kind::Number),
    field("alerts", "disk", Kind::Number),
    field("alerts", "report", Kind::Text),
    field(ALERT_TARGET, "name", Kind::Text),
    secret(ALERT_TARGET, "url"),
    field(ALERT_TARGET, "user", Kind::Text),
    secret(ALERT_TARGET, "password"),
    field(ALERT_TARGET, "ca_file", Kind::Text),
    field(ALERT_TARGET, "tls_pin", Kind::Text),
    field(ALERT_TARGET, "minimum", Kind::Text),
    field(ALERT_TARGET, "report", Kind::Boolean),
    field(ALERT_TARGET, "qos", Kind::Number),
];

/// The field of that section and name.
pub fn find(section: &str, name: &str) -> Option<&'static Field> {
    FIELDS
        .iter()
        .find(|field| field.section == section && field.name == name)
}

/// Whether a path leads into a field that is a list.
pub fn is_list(section: &str, path: &[Segment]) -> bool {
    let name = path.iter().rev().find_map(|segment| match segment {
        Segment::Key(name) => Some(name.as_str()),
        Segment::Index(_) => None,
    });
    name.and_then(|name| find(section, name))
        .is_some_and(|field| field.kind == Kind::List)
}

/// What a name that does not exist may have meant: a name at most two letters away, else all that there are.
pub fn suggestion(section: Option<&str>, wrong: &str) -> String {
    let mut names: Vec<&str> = match section {
        Some(section) => FIELDS
            .iter()
            .filter(|field| field.section == section)
            .map(|field| field.name)
            .collect(),
        None => FIELDS.iter().map(|field| field.section).collect(),
    };
    names.dedup();
    let nearest = names.iter().map(|name| (edits(wrong, name), *name)).min();
    match nearest {
        Some((distance, name)) if distance <= 2 => format!("did you mean `{name}`?"),
        _ => format!("known here: {}", names.join(", ")),
    }
}

/// Letters to add, drop or change to get from one name to the other.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    // Names longer than any field are far from all of them.
    for (index, letter) in left.chars().take(64).enumerate() {
        let mut next = vec![index + 1];
        for ((&other, &diagonal), &above) in right.iter().zip(&row).zip(row.iter().skip(1)) {
            let before = next.last().copied().unwrap_or(0);
            next.push(
                (above + 1)
                    .min(before + 1)
                    .min(diagonal + usize::from(letter != other)),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

const fn field(section: &'static str, name: &'static str, kind: Kind) -> Field {
    Field {
        section,
        name,
        kind,
        secret: false,
    }
}

const fn secret(section: &'static str, name: &'static str) -> Field {
    Field {
        secret: true,
        ..field(section, name, Kind::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_answered_with_the_right_name() {
        assert_eq!(
            suggestion(Some("chains"), "frequncy"),
            "did you mean `frequency`?"
        );
        assert_eq!(suggestion(None, "pol"), "did you mean `pool`?");
        assert_eq!(
            suggestion(Some("log"), "colour"),
            "known here: format, level, file, file_size, files, file_budget, syslog, flight_recorder"
        );
    }
}
