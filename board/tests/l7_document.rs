//! `docs/l7.md` tells where every value of the L7's board file comes from.

use std::collections::{BTreeMap, BTreeSet};

const BOARD: &str = include_str!("../boards/l7.toml");
const DOCUMENT: &str = include_str!("../../docs/l7.md");

/// Every value of the file by its field, list positions left out, written as the document writes it.
fn values(field: &str, value: &toml::Value, found: &mut BTreeMap<String, BTreeSet<String>>) {
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                let dot = if field.is_empty() { "" } else { "." };
                values(&format!("{field}{dot}{name}"), value, found);
            }
        }
        toml::Value::Array(items) => items.iter().for_each(|item| values(field, item, found)),
        scalar => {
            let text = match scalar {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number)
                    if field.ends_with("address") || field.ends_with("deny_writes") =>
                {
                    format!("{number:#04x}")
                }
                other => other.to_string(),
            };
            found.entry(field.to_owned()).or_default().insert(text);
        }
    }
}

/// The rows of the table of fields: their values and their sources.
fn rows() -> BTreeMap<String, (BTreeSet<String>, String)> {
    DOCUMENT
        .lines()
        .filter_map(|line| {
            let (field, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
            let (values, source) = rest.trim_end_matches(" |").rsplit_once(" | ")?;
            let values = values
                .split(", `")
                .map(|value| value.trim_matches('`').to_owned());
            Some((field.to_owned(), (values.collect(), source.to_owned())))
        })
        .collect()
}

#[test]
fn every_value_of_the_board_file_is_in_the_document_with_its_source() {
    let file: toml::Value = toml::from_str(BOARD).unwrap();
    let mut found = BTreeMap::new();
    values("", &file, &mut found);
    let rows = rows();
    for (field, values) in &found {
        let (told, source) = rows
            .get(field)
            .unwrap_or_else(|| panic!("docs/l7.md has no row for `{field}`: {values:?}"));
        assert_eq!(told, values, "`{field}` in docs/l7.md");
        assert!(!source.is_empty(), "`{field}` has no source");
    }
    for field in rows.keys() {
        assert!(found.contains_key(field), "the board file has no `{field}`");
    }
}
