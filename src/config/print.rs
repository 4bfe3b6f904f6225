//! The configuration in force as a text.

use super::fields::{FIELDS, Field, LISTS};
use super::schema::Config;
use serde_json::Value;
use std::fmt::Write as _;

impl Config {
    /// Its text as a file would have it, in the order of [`FIELDS`], secrets left out.
    // By way of a JSON value, which the HTTP interface makes of it anyhow: a serializer is compiled for each type that it meets, and TOML's
    // own would be 25 KB of firmware.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let value = serde_json::to_value(self)?;
        let mut text = format!("schema = {}\n", self.schema.0);
        for fields in FIELDS.chunk_by(|one, next| one.section == next.section) {
            let section = fields.first().map_or("", |field| field.section);
            let head = if LISTS.contains(&section) {
                format!("\n[[{section}]]\n")
            } else {
                format!("\n[{section}]\n")
            };
            match value.get(section) {
                Some(Value::Array(entries)) => {
                    for entry in entries {
                        text += &head;
                        write(&mut text, fields, entry);
                    }
                }
                Some(entry) => {
                    text += &head;
                    write(&mut text, fields, entry);
                }
                None => {}
            }
        }
        Ok(text)
    }
}

/// Writes what a section holds.
fn write(text: &mut String, fields: &[Field], section: &Value) {
    for field in fields {
        if let Some(value) = section.get(field.name).and_then(as_toml) {
            // A text takes all that is written to it.
            let _ = writeln!(text, "{} = {value}", field.name);
        }
    }
}

/// None for null, which TOML says by leaving a key out, and for tables, which no section holds.
fn as_toml(value: &Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null | Value::Object(_) => return None,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => shortest(number.as_f64()?).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => toml::Value::Array(items.iter().filter_map(as_toml).collect()),
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
        let given = "[[pool]]\nurl = \"a:1\"\nuser = \"u\\\"\"\nsuggest_difficulty = 1024.1\n\
             [[pool]]\nurl = \"b:1\"\nuser = \"u\"\n\
             [api]\nlisten = \"0.0.0.0:80\"\nhosts = [\"a\", \"b\"]\n\
             [alerts]\ntemperature = 85.3\n\
             [[alert_target]]\nname = \"x\"\nurl = \"https://example.org/hook\"\n";
        for given in [given, ""] {
            let config = parse(given).unwrap().config;
            assert_eq!(config.text().unwrap(), toml::to_string(&config).unwrap());
        }
    }
}
