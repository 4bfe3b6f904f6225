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

/// A text with [`REDACTED`] in the place of each secret, of those too that somebody commented out. One whose secrets cannot be
/// found is not shown at all.
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
    let text = edit(text, &edits).ok()?;
    Some(text.split_inclusive('\n').map(without_commented).collect())
}

/// A line whose comment keeps no value of a field that holds a secret.
fn without_commented(line: &str) -> String {
    let secret = |at: usize| {
        let (before, value) = (line.get(..at)?, line.get(at + 1..)?.trim_start());
        let is_comment = before.contains('#');
        let name = before.trim_end();
        let is_secret = FIELDS.iter().any(|field| {
            let before = name.strip_suffix(field.name);
            let whole = before.is_some_and(|before| {
                !before.ends_with(|last: char| last == '_' || last.is_alphanumeric())
            });
            field.secret && whole
        });
        // The address of a pool is none, unlike that of a webhook.
        let is_pool = name.ends_with("url")
            && value.trim_start_matches(['"', '\'']).starts_with("stratum")
            && !value.contains('@');
        (is_comment && is_secret && !is_pool).then_some(at)
    };
    let found = line.match_indices('=').find_map(|(at, _)| secret(at));
    found.and_then(|at| line.get(..at)).map_or_else(
        || line.into(),
        |kept| {
            let end = if line.ends_with('\n') { "\n" } else { "" };
            format!("{kept}= \"{REDACTED}\"{end}")
        },
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_was_commented_out_is_not_shown() {
        let text = "# url = \"stratum+tcp://pool.example:3333\" \n\
                    [[pool]] # password = \"old\"\n\
                    url = \"stratum+tcp://pool.example:3333\"\n\
                    user = \"a=b#c\"\n\
                    password = \"present\" # proxy_password='older'\n\
                    #password=\"oldest\"\n\
                    #  # my password is a good one\n\
                    # url = \"https://hooks.example/token\"";
        let shown = without_secrets(text).unwrap();
        let expected = "# url = \"stratum+tcp://pool.example:3333\" \n\
                        [[pool]] # password = \"<redacted>\"\n\
                        url = \"stratum+tcp://pool.example:3333\"\n\
                        user = \"a=b#c\"\n\
                        password = \"<redacted>\" # proxy_password= \"<redacted>\"\n\
                        #password= \"<redacted>\"\n\
                        #  # my password is a good one\n\
                        # url = \"<redacted>\"";
        assert_eq!(shown, expected);
    }
}
