//! Other programs' configurations, and our own older ones, as one of today. What has no counterpart is named with the
//! reason, never passed over.

mod bosminer;
mod cgminer;

use super::print::text_of;
use super::schema::SCHEMA;
use std::fmt;
use thiserror::Error;
use toml::{Table, Value};

/// Bytes of a file that is looked at.
const LONGEST: usize = 256 * 1024;
/// Things that are listed as left out.
const MOST_DROPPED: usize = 256;
/// Letters of a name in that list.
const LONGEST_NAME: usize = 120;

/// A configuration that was made of another one.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Which program's it was.
    pub from: &'static str,
    /// The text of a file.
    pub text: String,
    /// What was left out.
    pub dropped: Vec<Dropped>,
}

/// Something that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its name there.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Why nothing could be made of a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ImportError {
    /// Longer than any configuration.
    #[error("the file has more than {LONGEST} bytes: it is no configuration")]
    TooLong,
    /// Neither form.
    #[error(
        "the file is neither JSON as in cgminer.conf ({json}) nor TOML as in bosminer.toml ({toml}); mend it first"
    )]
    Unreadable {
        /// What the one parser said.
        json: String,
        /// What the other one said.
        toml: String,
    },
    /// Ours already.
    #[error(
        "this is a configuration of cgminer-rs; `config migrate` brings an older one up to date"
    )]
    Ours,
    /// Made by a later version.
    #[error(
        "the file has schema {0}, this program knows {SCHEMA}: it was made by a newer version; update this one"
    )]
    Newer(i64),
    /// Its schema is no number.
    #[error("`schema` has to be a whole number from 1, as in schema = {SCHEMA}")]
    NoSchema,
}

impl fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.name, self.reason)
    }
}

/// Makes a configuration of cgminer.conf or bosminer.toml. It may still need mending: what it holds is not checked here.
///
/// # Errors
/// When the file is of neither kind.
pub fn import(text: &str) -> Result<Imported, ImportError> {
    if text.len() > LONGEST {
        return Err(ImportError::TooLong);
    }
    let json = match serde_json::from_slice(text.as_bytes()) {
        Ok(serde_json::Value::Object(values)) => return Ok(cgminer::import(&values)),
        Ok(_) => "no object".to_owned(),
        Err(error) => error.to_string(),
    };
    match text.parse::<Table>() {
        Ok(values) if bosminer::is_one(&values) => Ok(bosminer::import(&values)),
        Ok(_) => Err(ImportError::Ours),
        Err(error) => Err(ImportError::Unreadable {
            json,
            toml: error.message().to_owned(),
        }),
    }
}

/// Brings a file of ours up to today's schema, comments kept.
///
/// # Errors
/// When it is no TOML, or of a newer version.
pub fn migrate(text: &str) -> Result<Imported, ImportError> {
    if text.len() > LONGEST {
        return Err(ImportError::TooLong);
    }
    let values: Table = text.parse().map_err(|error: toml::de::Error| {
        let toml = error.message().to_owned();
        let json = "not looked at".into();
        ImportError::Unreadable { json, toml }
    })?;
    let text = match values.get("schema") {
        Some(Value::Integer(schema)) if *schema == i64::from(SCHEMA) => text.to_owned(),
        Some(Value::Integer(schema)) if *schema > i64::from(SCHEMA) => {
            return Err(ImportError::Newer(*schema));
        }
        Some(_) => return Err(ImportError::NoSchema),
        // Files from before the schema had a number have today's shape.
        None => format!("schema = {SCHEMA}\n{text}"),
    };
    Ok(Imported {
        from: "cgminer-rs",
        text,
        dropped: Vec::new(),
    })
}

/// A configuration in the making.
struct Draft {
    from: &'static str,
    values: Table,
    dropped: Vec<Dropped>,
}

impl Draft {
    fn new(from: &'static str) -> Self {
        let mut values = Table::new();
        values.insert("schema".into(), Value::Integer(SCHEMA.into()));
        Self {
            from,
            values,
            dropped: Vec::new(),
        }
    }

    fn set(&mut self, section: &str, name: &str, value: impl Into<Value>) {
        let table = self
            .values
            .entry(section)
            .or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(table) = table {
            table.insert(name.into(), value.into());
        }
    }

    fn pool(&mut self, pool: Table) {
        let pools = self
            .values
            .entry("pool")
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(pools) = pools {
            pools.push(Value::Table(pool));
        }
    }

    fn drop(&mut self, name: impl AsRef<str>, reason: impl Into<String>) {
        if self.dropped.len() < MOST_DROPPED {
            self.dropped.push(Dropped {
                name: name.as_ref().chars().take(LONGEST_NAME).collect(),
                reason: reason.into(),
            });
        }
    }

    fn finish(self) -> Imported {
        Imported {
            from: self.from,
            text: text_of(&self.values),
            dropped: self.dropped,
        }
    }
}

/// A pool of another program, as far as it can be one here.
fn pool(url: &str, user: &str, password: Option<&str>) -> Result<Table, String> {
    let address: super::PoolAddress = url
        .parse()
        .map_err(|error: crate::pool::url::UrlError| error.to_string())?;
    if matches!(address, super::PoolAddress::Node { .. }) {
        return Err("a node needs `payout_address` here: write it by hand".into());
    }
    let mut pool = Table::new();
    pool.insert("url".into(), address.to_string().into());
    pool.insert("user".into(), user.into());
    if let Some(password) = password {
        pool.insert("password".into(), password.into());
    }
    Ok(pool)
}

const NO_COUNTERPART: &str = "has no counterpart here";
const BOARDS_LIMITS: &str =
    "limits of temperature are the board file's and stand above every setting";

#[cfg(test)]
mod tests;
