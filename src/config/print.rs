//! The configuration in force as a text.

use super::schema::Config;
use serde::ser::Error as _;
use serde_json::Value;

impl Config {
    /// Its text as a file would have it, secrets left out.
    // By way of a JSON value, which the HTTP interface makes of it anyhow: a serializer is compiled for each type that it meets, and TOML's
    // own would be 25 KB of firmware.
    pub fn text(&self) -> Result<String, toml::ser::Error> {
        let value = serde_json::to_value(self).map_err(toml::ser::Error::custom)?;
        toml::to_string(&as_toml(value))
    }
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
    fn the_text_says_what_tomls_own_serializer_says() {
        let given = "[[pool]]\nurl = \"a:1\"\nuser = \"u\"\nsuggest_difficulty = 1024.1\n\
             [[pool]]\nurl = \"b:1\"\nuser = \"u\"\n\
             [alerts]\ntemperature = 85.3\n";
        let config = parse(given).unwrap().config;
        let told = config.text().unwrap();
        assert!(told.contains("temperature = 85.3\n"), "{told}");
        let own = toml::to_string(&config).unwrap();
        let read = |text: &str| toml::from_str::<toml::Value>(text).unwrap();
        assert_eq!(read(&told), read(&own));
    }
}
