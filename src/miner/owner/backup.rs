//! The configuration file to take away and bring back, without its secrets.

use super::settings::Settings;
use crate::api::orders::Outcome;
use crate::api::{BACKUP_SCHEMA, Failure};
use crate::config::{Edit, FIELDS, REDACTED, Secret, edit};
use serde_json::json;

impl Settings {
    /// The main file without its secrets, and what made it.
    pub(super) async fn backup(&mut self) -> Outcome {
        let text = self.main_file().await?;
        Ok(json!({
            "schema": BACKUP_SCHEMA,
            "made_by": concat!("cgminer-rs ", env!("CARGO_PKG_VERSION")),
            "text": without_secrets(&text),
        }))
    }

    /// The same text with the present secrets where it leaves them out.
    pub(super) fn with_secrets(&self, text: String) -> Result<String, Failure> {
        let Ok(values) = text.parse::<toml::Table>() else {
            // What is wrong with it is told when it is checked.
            return Ok(text);
        };
        let mut edits = Vec::new();
        for (section, index, name) in secrets(&values, |value| value == REDACTED) {
            let entry = values.get(section).and_then(|list| list.get(index));
            let field = |name: &str| entry?.get(name)?.as_str();
            let config = self.config();
            let secret = if section == "pool" {
                let same = config.pool.iter().find(|pool| {
                    let url = field("url").and_then(|url| url.parse().ok());
                    url == Some(pool.url.clone()) && field("user") == Some(&pool.user)
                });
                same.map(|pool| match name {
                    "proxy_password" => pool.proxy_password.clone(),
                    _ => pool.password.clone(),
                })
            } else if section == "alert_target" {
                let mut targets = config.alert_target.iter();
                let same = targets.find(|target| field("name") == Some(&target.name));
                same.map(|target| match name {
                    "url" => Secret::new(target.url.expose()),
                    _ => target.password.clone(),
                })
            } else {
                let same = config.token.iter();
                same.into_iter()
                    .find(|token| field("name") == Some(&token.name))
                    .map(|token| token.sha256.clone())
            };
            let secret = secret.ok_or_else(|| missing(section, index, name))?;
            edits.push(Edit::Set {
                section,
                index: Some(index),
                name: name.into(),
                value: secret.expose().into(),
            });
        }
        edit(&text, &edits).map_err(|error| {
            Failure::told(
                409,
                "cannot_edit",
                error.to_string(),
                "write the secrets into the text",
            )
        })
    }
}

/// A text with [`REDACTED`] in the place of each secret. One whose secrets cannot be found is not shown at all.
pub fn without_secrets(text: &str) -> Option<String> {
    let values = text.parse::<toml::Table>().ok()?;
    let edits: Vec<Edit> = secrets(&values, |_| true)
        .into_iter()
        .map(|(section, index, name)| Edit::Set {
            section,
            index: Some(index),
            name: name.into(),
            value: REDACTED.into(),
        })
        .collect();
    edit(text, &edits).ok()
}

/// Section, number of the entry, and name of each secret whose value is of that kind.
fn secrets(
    values: &toml::Table,
    is: impl Fn(&str) -> bool,
) -> Vec<(&'static str, usize, &'static str)> {
    let mut found = Vec::new();
    for field in FIELDS.iter().filter(|field| field.secret) {
        let list = values.get(field.section).and_then(toml::Value::as_array);
        for (index, entry) in list.into_iter().flatten().enumerate() {
            // A secret of a wrong type is a secret all the same.
            let value = entry
                .get(field.name)
                .map(|value| value.as_str().unwrap_or(""));
            if value.is_some_and(&is) {
                found.push((field.section, index, field.name));
            }
        }
    }
    found
}

fn missing(section: &str, index: usize, name: &str) -> Failure {
    let message =
        format!("{section}[{index}].{name} is left out, and this machine does not know it");
    Failure::told(
        422,
        "wrong_configuration",
        message,
        "write it into the text",
    )
}
