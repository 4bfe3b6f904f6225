//! The configuration file to take away and bring back, without its secrets.

use super::settings::Settings;
use crate::api::orders::Outcome;
use crate::api::{BACKUP_SCHEMA, Failure};
use crate::config::{Edit, FIELDS, REDACTED, Secret, TargetUrl, edit};
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
        for (section, index, name) in secrets(&values, is_left_out) {
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
                // Another server gets neither the path nor the password of this one.
                let same = same.filter(|target| {
                    let url = field("url").filter(|url| *url != REDACTED);
                    let url = url.map(|url| TargetUrl::try_from(url.to_owned()));
                    url.is_none_or(|url| url.is_ok_and(|url| url.is_at(&target.url)))
                });
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

/// A text with [`REDACTED`] in the place of each secret, of those too that somebody commented out, and of what may be meant for one in a text
/// that is wrong. One whose secrets cannot be found is not shown at all. What a fuzz target calls.
#[must_use]
pub fn without_secrets(text: &str) -> Option<String> {
    let values = text.parse::<toml::Table>().ok()?;
    let known = secrets(&values, |_| true).into_iter();
    let known = known.map(|(section, index, name)| (section, index, name.to_owned()));
    let edits: Vec<Edit> = known
        .chain(misplaced(&values))
        .map(|(section, index, name)| Edit::Set {
            section,
            index: Some(index),
            name,
            value: REDACTED.into(),
        })
        .collect();
    let text = edit(text, &edits).ok()?;
    let values = text.parse::<toml::Table>().ok()?;
    let clean: String = text.split_inclusive('\n').map(without_commented).collect();
    // What looks like a comment may be the inside of a text; that says something else without it.
    let same = clean.parse::<toml::Table>().ok()? == values;
    let whole = same && !holds_secret("", &toml::Value::Table(values));
    whole.then_some(clean)
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

/// Fields of a wrong text that may hold a secret: ones that there are not, and addresses with a user in them.
fn misplaced(values: &toml::Table) -> Vec<(&'static str, usize, String)> {
    let mut sections: Vec<&str> = FIELDS.iter().map(|field| field.section).collect();
    sections.dedup();
    let mut found = Vec::new();
    for section in sections {
        let list = values.get(section).and_then(toml::Value::as_array);
        for (index, entry) in list.into_iter().flatten().enumerate() {
            for (name, value) in entry.as_table().into_iter().flatten() {
                let mut fields = FIELDS.iter().filter(|field| field.section == section);
                let known = fields.find(|field| field.name == name);
                let has_user = || value.as_str().is_some_and(|text| text.contains('@'));
                let may = known.is_none_or(|field| {
                    !field.secret && ["url", "proxy"].contains(&field.name) && has_user()
                });
                if may {
                    found.push((section, index, name.clone()));
                }
            }
        }
    }
    found
}

/// Whether a secret stands where none belongs, as in `[pool]` for `[[pool]]`.
fn holds_secret(path: &str, value: &toml::Value) -> bool {
    match value {
        toml::Value::Table(table) => table.iter().any(|(name, value)| {
            let is_secret = FIELDS
                .iter()
                .any(|field| field.secret && field.name == name);
            let is_address = path == "pool" && name == "url";
            let hidden = value.as_str() == Some(REDACTED);
            (is_secret && !is_address && !hidden) || holds_secret(name, value)
        }),
        toml::Value::Array(list) => list.iter().any(|value| holds_secret(path, value)),
        _ => false,
    }
}

/// Whether a text was left out: by a backup as a whole, of an address by a print its path alone.
fn is_left_out(value: &str) -> bool {
    let address = || TargetUrl::try_from(value.to_owned());
    value == REDACTED || address().is_ok_and(|address| address.is_left_out())
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

    #[test]
    fn a_secret_in_a_wrong_place_is_not_shown() {
        let pool = "[[pool]]\nurl = \"a:1\"\n";
        for (field, shown) in [
            ("pasword = \"hidden\"", "pasword = \"<redacted>\""),
            ("password = [\"hidden\"]", "password = \"<redacted>\""),
            (
                "proxy = \"socks5://me:hidden@p:1\"",
                "proxy = \"<redacted>\"",
            ),
        ] {
            let text = without_secrets(&format!("{pool}{field}\n")).unwrap();
            assert_eq!(text, format!("{pool}{shown}\n"));
        }
        let with_user = pool.replace("a:1", "stratum+tcp://me:hidden@a:1");
        assert!(!without_secrets(&with_user).unwrap().contains("hidden"));
        for text in [
            "[pool]\npassword = \"hidden\"\n",
            "[[nowhere]]\npassword = \"hidden\"\n",
            "[[alert]]\nurl = \"https://hooks.example/hidden\"\n",
            "password = \"hidden\"\n",
        ] {
            assert_eq!(without_secrets(text), None, "{text}");
        }
        // What is wrong in another way is shown, to be mended.
        let wrong = "[lgo]\nlevel = 3\n[pool]\nurl = \"a:1\"\n";
        assert_eq!(without_secrets(wrong).as_deref(), Some(wrong));
    }
}
