//! What is wrong with a configuration, where, and what to write instead.

use super::fields::{self, Kind, LISTS};
use super::layers::{Node, Origin};
use cgminer_board::document::{Refusal, Segment};
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

    /// Places what the schema refused.
    pub fn from_refusal(refusal: &Refusal, tree: &Node) -> Self {
        let Refusal {
            path,
            message: said,
        } = refusal;
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
                if said.starts_with("invalid type")
                    && fields::find(section, name).is_some_and(|field| field.secret) =>
            {
                (
                    "has the wrong type".into(),
                    Some("write a text in quotes".into()),
                )
            }
            _ => (said.clone(), hint_for(path, said)),
        };
        let origin = tree.nearest(path, unknown);
        Self::one(origin, &Segment::display_path(path), message, hint)
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

/// What to write where the schema took nothing, as far as its words tell.
fn hint_for(path: &[Segment], said: &str) -> Option<String> {
    if said.starts_with("missing field") {
        return Some("add it".into());
    }
    let of_value = said.starts_with("invalid value");
    if !of_value && !said.starts_with("invalid type") {
        return None;
    }
    match path {
        [Segment::Key(section)] if LISTS.contains(&section.as_str()) => {
            Some(format!("write each as a section of its own, [[{section}]]"))
        }
        [Segment::Key(name)] if name == "schema" => Some("write a whole number".into()),
        [Segment::Key(section)] => Some(format!("write it as a section, [{section}]")),
        [Segment::Key(section), .., Segment::Key(name)] => {
            let field = fields::find(section, name)?;
            let hint = match field.kind {
                Kind::Number if of_value => {
                    "write a whole number that is not below 0 and not as great"
                }
                Kind::Number => {
                    "write a number, without quotes, unit or fraction where none is meant"
                }
                Kind::Boolean => "write true or false, without quotes",
                Kind::Text => "write a text in quotes",
                Kind::List => "write texts in brackets, as in [\"a\", \"b\"]",
            };
            Some(hint.into())
        }
        [Segment::Key(section), .., Segment::Index(_)] if fields::is_list(section, path) => {
            Some("write texts in quotes between the brackets".into())
        }
        _ => None,
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
