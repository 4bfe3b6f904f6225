//! Values with their origins, and how one layer is laid over another.

use super::error::ConfigError;
use super::fields::{self, Field, Kind, LISTS};
use cgminer_board::document::Segment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Variables that choose files or belong to the program as a whole, and are no fields.
const RESERVED_VARIABLES: &[&str] = &["CGMINER_CONFIG"];

/// A file's text, as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Where it was.
    pub path: PathBuf,
    /// What it held.
    pub text: String,
}

/// A place in a text, both counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything; the built-in value holds.
    Default,
    /// A file.
    File(Arc<SourceFile>, Position),
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(String),
}

/// A value of the merged tree.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where the value came from.
    pub origin: Origin,
    key_origin: Origin,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Scalar(toml::Value),
    Array(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl SourceFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        Ok(Self {
            path: path.into(),
            text,
        })
    }

    fn position(&self, offset: usize) -> Position {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before
            .get(line_start..)
            .map_or(0, |line| line.chars().count());
        Position {
            line: before.matches('\n').count() + 1,
            column: column + 1,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("built-in value"),
            Self::File(file, at) => {
                write!(
                    formatter,
                    "{}:{}:{}",
                    file.path.display(),
                    at.line,
                    at.column
                )
            }
            Self::Environment(variable) => write!(formatter, "variable {variable}"),
            Self::Flag(flag) => write!(formatter, "flag {flag}"),
        }
    }
}

impl Node {
    /// A table without entries.
    pub fn empty() -> Self {
        Self::made(Origin::Default, Content::Table(BTreeMap::new()))
    }

    /// Parses a file.
    ///
    /// # Errors
    /// When it is no TOML.
    pub fn from_file(file: &Arc<SourceFile>) -> Result<Self, ConfigError> {
        match DeTable::parse(&file.text) {
            Ok(table) => {
                let start = Origin::File(file.clone(), Position { line: 1, column: 1 });
                Ok(Self::made(
                    start,
                    Content::Table(table_content(table.get_ref(), file)),
                ))
            }
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                let origin = Origin::File(file.clone(), file.position(offset));
                let message = format!("not TOML: {}", error.message());
                Err(ConfigError::one(origin, "", message, None))
            }
        }
    }

    /// Lays another tree over this one: tables key by key, anything else whole.
    pub fn lay_over(&mut self, upper: Self) {
        match (&mut self.content, upper.content) {
            (Content::Table(lower), Content::Table(entries)) => {
                for (key, node) in entries {
                    match lower.get_mut(&key) {
                        Some(present) => present.lay_over(node),
                        None => {
                            lower.insert(key, node);
                        }
                    }
                }
            }
            (_, content) => {
                *self = Self {
                    origin: upper.origin,
                    key_origin: upper.key_origin,
                    content,
                };
            }
        }
    }

    /// The plain value.
    pub fn to_toml(&self) -> toml::Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::Array(nodes) => nodes.iter().map(Self::to_toml).collect::<Vec<_>>().into(),
            Content::Table(entries) => toml::Value::Table(
                entries
                    .iter()
                    .map(|(key, node)| (key.clone(), node.to_toml()))
                    .collect(),
            ),
        }
    }

    /// The node at a path.
    pub fn find(&self, path: &[Segment]) -> Option<&Self> {
        path.iter().try_fold(self, Self::step)
    }

    /// Origin of the node at a path, or of the deepest one that exists; of its name when `of_key`.
    pub fn nearest(&self, path: &[Segment], of_key: bool) -> Origin {
        let mut node = self;
        for segment in path {
            match node.step(segment) {
                Some(next) => node = next,
                None => break,
            }
        }
        if of_key {
            node.key_origin.clone()
        } else {
            node.origin.clone()
        }
    }

    fn step(&self, segment: &Segment) -> Option<&Self> {
        match (&self.content, segment) {
            (Content::Table(entries), Segment::Key(key)) => entries.get(key),
            (Content::Array(nodes), Segment::Index(index)) => nodes.get(*index),
            _ => None,
        }
    }

    /// Puts a value at `section.name`, or at `pool[index].name`; `None` when the one before it is missing.
    fn put(
        &mut self,
        field: &Field,
        index: Option<usize>,
        value: toml::Value,
        origin: &Origin,
    ) -> Option<()> {
        let leaf = Self::made(origin.clone(), Content::Scalar(value));
        let mut table = self.child(field.section, origin)?;
        if let Some(index) = index {
            if !matches!(table.content, Content::Array(_)) {
                table.content = Content::Array(Vec::new());
            }
            let Content::Array(nodes) = &mut table.content else {
                return None;
            };
            if index == nodes.len() {
                nodes.push(Self::made(origin.clone(), Content::Table(BTreeMap::new())));
            }
            table = nodes.get_mut(index)?;
        }
        *table.child(field.name, origin)? = leaf;
        Some(())
    }

    /// The entry of that name, made when absent. A node that is no table becomes one.
    fn child(&mut self, key: &str, origin: &Origin) -> Option<&mut Self> {
        let table = || Content::Table(BTreeMap::new());
        if !matches!(self.content, Content::Table(_)) {
            self.content = table();
        }
        let Content::Table(entries) = &mut self.content else {
            return None;
        };
        Some(
            entries
                .entry(key.into())
                .or_insert_with(|| Self::made(origin.clone(), table())),
        )
    }

    fn made(origin: Origin, content: Content) -> Self {
        Self {
            key_origin: origin.clone(),
            origin,
            content,
        }
    }
}

/// Takes `CGMINER_SECTION_FIELD=value`, `CGMINER_POOL_0_FIELD=value` for lists such as pools. Other names are ignored.
///
/// # Errors
/// When there is no such field, or its text cannot be its value.
pub fn set_from_environment(tree: &mut Node, name: &str, text: &str) -> Result<(), ConfigError> {
    let Some(rest) = name.strip_prefix("CGMINER_") else {
        return Ok(());
    };
    if RESERVED_VARIABLES.contains(&name) {
        return Ok(());
    }
    let origin = Origin::Environment(name.into());
    let path = rest.to_ascii_lowercase();
    // Names of sections may hold the sign that parts them from their fields.
    let known = fields::FIELDS.iter().find_map(|field| {
        let rest = path.strip_prefix(field.section)?.strip_prefix('_')?;
        Some((field.section, rest))
    });
    let (section, rest) =
        known.unwrap_or_else(|| path.split_once('_').unwrap_or((path.as_str(), "")));
    if LISTS.contains(&section) {
        let (index, field) = rest.split_once('_').unwrap_or(("", rest));
        return set(tree, section, Some(index), field, text, &origin);
    }
    set(tree, section, None, rest, text, &origin)
}

/// Takes `section.field=value`, `pool[0].field=value` for pools.
///
/// # Errors
/// When it has no such form, there is no such field, or its text cannot be its value.
pub fn set_from_flag(tree: &mut Node, flag: &str) -> Result<(), ConfigError> {
    let (path, text) = flag.split_once('=').unwrap_or((flag, ""));
    let origin = Origin::Flag(format!("--set {path}"));
    let parts = Segment::parse_path(path);
    match parts.as_deref() {
        Some([Segment::Key(section), Segment::Key(name)]) if flag.contains('=') => {
            set(tree, section, None, name, text, &origin)
        }
        Some(
            [
                Segment::Key(section),
                Segment::Index(index),
                Segment::Key(name),
            ],
        ) if flag.contains('=') => {
            set(tree, section, Some(&index.to_string()), name, text, &origin)
        }
        _ => Err(ConfigError::one(
            origin,
            "",
            "not of the form section.field=value",
            Some("write for example --set log.level=debug or --set pool[0].user=name".into()),
        )),
    }
}

fn set(
    tree: &mut Node,
    section: &str,
    index: Option<&str>,
    name: &str,
    text: &str,
    origin: &Origin,
) -> Result<(), ConfigError> {
    let path = match index {
        Some(index) => format!("{section}[{index}].{name}"),
        None => format!("{section}.{name}"),
    };
    let refuse = |message: String, hint: String| {
        Err(ConfigError::one(origin.clone(), &path, message, Some(hint)))
    };
    if fields::FIELDS.iter().all(|field| field.section != section) {
        return refuse(
            format!("there is no section `{section}`"),
            fields::suggestion(None, section),
        );
    }
    let Some(field) = fields::find(section, name) else {
        let hint = fields::suggestion(Some(section), name);
        return refuse(format!("there is no field `{name}` in `{section}`"), hint);
    };
    let index = match (LISTS.contains(&section), index.map(str::parse)) {
        (false, None) => None,
        (true, Some(Ok(index))) => Some(index),
        _ => {
            let hint = "pools are numbered from 0, as in pool[0].url or CGMINER_POOL_0_URL, and so are tokens; \
                        other sections have no number";
            return refuse("its number is missing or wrong".into(), hint.into());
        }
    };
    let Some(value) = value_of(field.kind, text) else {
        let (kind, hint) = match field.kind {
            Kind::Boolean => ("`true` or `false`", "write true or false"),
            _ => ("a number", "write it without its unit"),
        };
        return refuse(format!("the text is not {kind}"), hint.into());
    };
    match tree.put(field, index, value, origin) {
        Some(()) => Ok(()),
        None => refuse(
            "those before it are not there".into(),
            "number them without gaps".into(),
        ),
    }
}

fn value_of(kind: Kind, text: &str) -> Option<toml::Value> {
    match kind {
        Kind::Text => Some(text.into()),
        Kind::Boolean => text.parse::<bool>().ok().map(Into::into),
        Kind::Number => match text.parse::<i64>() {
            Ok(number) => Some(number.into()),
            Err(_) => text.parse::<f64>().ok().map(Into::into),
        },
        Kind::List => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Some(items.map(Into::into).collect::<Vec<toml::Value>>().into())
        }
    }
}

fn table_content(table: &DeTable<'_>, file: &Arc<SourceFile>) -> BTreeMap<String, Node> {
    let place = |offset| Origin::File(file.clone(), file.position(offset));
    table
        .iter()
        .map(|(key, value)| {
            let node = Node {
                key_origin: place(key.span().start),
                ..node_of(value, file)
            };
            (key.get_ref().clone().into_owned(), node)
        })
        .collect()
}

fn node_of(value: &Spanned<DeValue<'_>>, file: &Arc<SourceFile>) -> Node {
    let content = match value.get_ref() {
        DeValue::Table(table) => Content::Table(table_content(table, file)),
        DeValue::Array(array) => {
            Content::Array(array.iter().map(|value| node_of(value, file)).collect())
        }
        DeValue::String(text) => Content::Scalar(text.as_ref().into()),
        DeValue::Boolean(value) => Content::Scalar((*value).into()),
        DeValue::Datetime(value) => Content::Scalar((*value).into()),
        // A number too big for its type stays a text, which serde then refuses with its place.
        DeValue::Integer(number) => Content::Scalar(
            i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| number.to_string().into(), Into::into),
        ),
        DeValue::Float(number) => Content::Scalar(
            number
                .as_str()
                .parse::<f64>()
                .map_or_else(|_| number.to_string().into(), Into::into),
        ),
    };
    let origin = Origin::File(file.clone(), file.position(value.span().start));
    Node::made(origin, content)
}
