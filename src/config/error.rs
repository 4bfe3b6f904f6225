//! What is wrong with a configuration, where, and what to write instead.

use super::fields;
use super::layers::{Node, Origin};
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// A configuration that was not taken. Nothing of it is in force.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file or directory cannot be read.
    #[error("{}: cannot be read: {source}; check that it exists and may be read", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Values that cannot be taken.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Where the value came from.
    pub origin: Origin,
    /// Which field, as in `pool[0].url`; empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A finding of the checks, not yet placed.
pub struct Finding {
    /// Path of the field.
    pub path: Vec<Segment>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Key of a table.
    Key(String),
    /// Place in an array.
    Index(usize),
}

impl ConfigError {
    /// A single problem.
    pub fn one(
        origin: Origin,
        path: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Self {
        Self::Invalid(vec![Problem {
            origin,
            path: path.into(),
            message: message.into(),
            hint,
        }])
    }

    /// The problems, when values are wrong; empty when a file cannot be read.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Read { .. } => &[],
            Self::Invalid(problems) => problems,
        }
    }

    /// Places what serde found.
    pub fn from_serde(error: &serde_path_to_error::Error<toml::de::Error>, tree: &Node) -> Self {
        let path = Segment::from_serde(error.path());
        let said = error.inner().message();
        let unknown = said.starts_with("unknown field");
        let (message, hint) = match path.as_slice() {
            [Segment::Key(wrong)] if unknown => (
                format!("there is no section `{wrong}`"),
                Some(fields::suggestion(None, wrong)),
            ),
            [Segment::Key(section), .., Segment::Key(wrong)] if unknown => {
                let hint = fields::suggestion(Some(section), wrong);
                (
                    format!("there is no field `{wrong}` in `{section}`"),
                    Some(hint),
                )
            }
            // The text of serde would show the value.
            [Segment::Key(section), .., Segment::Key(name)]
                if fields::find(section, name).is_some_and(|field| field.secret) =>
            {
                (
                    "has the wrong type".into(),
                    Some("write a text in quotes".into()),
                )
            }
            _ => (said.to_owned(), None),
        };
        let origin = tree.nearest(&path, unknown);
        Self::one(origin, &Segment::display_path(&path), message, hint)
    }

    /// Places what the checks found.
    pub fn from_findings(findings: Vec<Finding>, tree: &Node) -> Self {
        let place = |finding: Finding| Problem {
            origin: tree.nearest(&finding.path, false),
            path: Segment::display_path(&finding.path),
            message: finding.message,
            hint: Some(finding.hint),
        };
        Self::Invalid(findings.into_iter().map(place).collect())
    }
}

impl Segment {
    /// Reads `pool[0].url`; `None` when it is no path.
    pub fn parse_path(text: &str) -> Option<Vec<Self>> {
        let mut segments = Vec::new();
        for part in text.split('.') {
            let (key, rest) = part
                .split_once('[')
                .map_or((part, None), |(key, rest)| (key, Some(rest)));
            if key.is_empty() {
                return None;
            }
            segments.push(Self::Key(key.into()));
            if let Some(rest) = rest {
                segments.push(Self::Index(rest.strip_suffix(']')?.parse().ok()?));
            }
        }
        Some(segments)
    }

    /// Writes `pool[0].url`.
    pub fn display_path(path: &[Self]) -> String {
        let mut text = String::new();
        for segment in path {
            match segment {
                Self::Key(key) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(key);
                }
                Self::Index(index) => {
                    text.push('[');
                    text.push_str(&index.to_string());
                    text.push(']');
                }
            }
        }
        text
    }

    fn from_serde(path: &serde_path_to_error::Path) -> Vec<Self> {
        use serde_path_to_error::Segment as Serde;
        path.iter()
            .filter_map(|segment| match segment {
                Serde::Seq { index } => Some(Self::Index(*index)),
                Serde::Map { key } => Some(Self::Key(key.clone())),
                Serde::Enum { .. } | Serde::Unknown => None,
            })
            .collect()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.origin)?;
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(formatter, "; {hint}")?;
        }
        Ok(())
    }
}

fn lines(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(Problem::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
