//! The list of all fields: how a variable or flag spells a value, and what a mistyped name may have meant.

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
/// Sections that are lists.
pub const LISTS: [&str; 2] = [POOL, TOKEN];

/// Every field. A test holds it to the schema, another holds the document to it.
pub const FIELDS: &[Field] = &[
    field("board", "name", Kind::Text),
    field("board", "file", Kind::Text),
    field("board", "ignore_model", Kind::Boolean),
    field(POOL, "name", Kind::Text),
    field(POOL, "url", Kind::Text),
    field(POOL, "user", Kind::Text),
    Field {
        section: POOL,
        name: "password",
        kind: Kind::Text,
        secret: true,
    },
    field(POOL, "enabled", Kind::Boolean),
    field(POOL, "quota", Kind::Number),
    field(POOL, "group", Kind::Number),
    field(POOL, "suggest_difficulty", Kind::Number),
    field(POOL, "extranonce_subscribe", Kind::Boolean),
    field(POOL, "version_rolling", Kind::Boolean),
    field(POOL, "ca_file", Kind::Text),
    field(POOL, "tls_pin", Kind::Text),
    field(POOL, "proxy", Kind::Text),
    field(POOL, "proxy_user", Kind::Text),
    Field {
        section: POOL,
        name: "proxy_password",
        kind: Kind::Text,
        secret: true,
    },
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
    field("api", "maximum_connections", Kind::Number),
    field("api", "requests_per_second", Kind::Number),
    field("api", "read_without_token", Kind::Boolean),
    field(TOKEN, "name", Kind::Text),
    field(TOKEN, "role", Kind::Text),
    Field {
        section: TOKEN,
        name: "sha256",
        kind: Kind::Text,
        secret: true,
    },
    field("rpc", "listen", Kind::Text),
    field("rpc", "writers", Kind::List),
    field("fleet", "enabled", Kind::Boolean),
    field("fleet", "model", Kind::Text),
    field("log", "format", Kind::Text),
    field("log", "level", Kind::Text),
];

/// The field of that section and name.
pub fn find(section: &str, name: &str) -> Option<&'static Field> {
    FIELDS
        .iter()
        .find(|field| field.section == section && field.name == name)
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
            "known here: format, level"
        );
    }
}
