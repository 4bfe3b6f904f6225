//! A configuration as a text.

use super::fields::{FIELDS, Field};
use super::schema::Config;
use serde_json::Value;
use std::fmt::Write as _;
use toml::Table;

impl Config {
    /// Its text as a file would have it, secrets left out.
    // By way of a JSON value, which the HTTP interface makes of it anyhow: a serializer is compiled for each type that it meets, and TOML's
    // own would be 25 KB of firmware.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        Ok(match as_toml(serde_json::to_value(self)?) {
            Some(toml::Value::Table(values)) => text_of(&values),
            _ => String::new(),
        })
    }
}

/// The text of a file that says that: the schema's version, and the fields in the order of [`FIELDS`].
pub(super) fn text_of(values: &Table) -> String {
    let mut text = String::new();
    if let Some(schema) = values.get("schema") {
        text = format!("schema = {schema}\n");
    }
    for fields in FIELDS.chunk_by(|one, next| one.section == next.section) {
        let section = fields.first().map_or("", |field| field.section);
        let (head, tables) = match values.get(section) {
            Some(toml::Value::Array(entries)) => (format!("[[{section}]]"), entries.as_slice()),
            Some(entry) => (format!("[{section}]"), std::slice::from_ref(entry)),
            None => continue,
        };
        for table in tables.iter().filter_map(toml::Value::as_table) {
            // A text takes all that is written to it.
            let _ = writeln!(text, "\n{head}");
            for Field { name, .. } in fields {
                if let Some(value) = table.get(*name) {
                    let _ = writeln!(text, "{name} = {value}");
                }
            }
        }
    }
    text
}

/// None for null, which TOML says by leaving a key out.
fn as_toml(value: Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => value.into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => shortest(number.as_f64()?).into(),
        },
        Value::String(text) => text.into(),
        Value::Array(items) => toml::Value::Array(items.into_iter().filter_map(as_toml).collect()),
        Value::Object(entries) => toml::Value::Table(
            entries
                .into_iter()
                .filter_map(|(key, value)| Some((key, as_toml(value)?)))
                .collect(),
        ),
    })
}

/// JSON values hold doubles alone. A quantity that was a single before has the digits that it was written with.
fn shortest(value: f64) -> f64 {
    let single = value as f32;
    if f64::from(single).to_bits() == value.to_bits() {
        single.to_string().parse().unwrap_or(value)
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    #[test]
    fn the_text_is_the_one_of_tomls_own_serializer() {
        // An entry in each list, since it would say of an empty one that it is.
        let config = parse(&format!(
            "[[pool]]\nurl = \"a:1\"\nuser = \"u\\\"\"\nsuggest_difficulty = 1024.1\n\
             [[pool]]\nurl = \"b:1\"\nuser = \"u\"\n\
             [api]\nlisten = \"0.0.0.0:80\"\nhosts = [\"a\", \"b\"]\n\
             [[token]]\nname = \"me\"\nrole = \"admin\"\nsha256 = \"{}\"\n\
             [alerts]\ntemperature = 85.3\n\
             [[alert_target]]\nname = \"x\"\nurl = \"https://example.org/hook\"\n",
            "0".repeat(64)
        ))
        .unwrap()
        .config;
        assert_eq!(config.text().unwrap(), toml::to_string(&config).unwrap());
    }
}
