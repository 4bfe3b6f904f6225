//! The owner's configuration: what may be said, where it came from, and whether it makes sense.
//!
//! Layers, each over the one before: built-in values, the file, `conf.d/*.toml` beside it, `CGMINER_*` variables,
//! flags. Tables are merged key by key, anything else is replaced whole. Every value keeps its origin, so an error names
//! file, line and column whichever layer it came from.

mod address;
mod alerts;
mod atomic;
mod check;
mod edit;
mod error;
mod fields;
mod import;
mod layers;
mod left_out;
mod network;
mod print;
mod recipe;
mod schema;
pub mod scribe;
mod secret;
mod syslog_server;
mod target;
mod token;

pub use address::PoolAddress;
pub use alerts::{AlertLevel, AlertTargetSection, AlertsSection, ReportTime};
pub use atomic::write_atomically;
pub use edit::{Edit, EditError, edit};
pub use error::{ConfigError, Problem};
pub use fields::{FIELDS, Field, Kind};
pub use import::{Dropped, ImportError, Imported, import, migrate};
pub use layers::{Node, Origin, Position, SourceFile};
pub use network::Network;
pub use recipe::Recipe;
pub use schema::{
    ApiSection, BoardSection, ChainsSection, Config, CoolingMode, CoolingSection, FleetSection,
    KeeperSection, Listen, LogFormat, LogLevel, LogSection, PoolSection, PoolsSection, RpcSection,
    SCHEMA,
};
pub use secret::{REDACTED, Secret};
pub use syslog_server::SyslogServer;
pub use target::{TargetKind, TargetUrl};
pub use token::{FreshToken, Role, TokenSection, hash, is_hash};

use cgminer_board::document::{self, Segment};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a configuration is read from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files, the lowest first. Each later one is laid over the earlier ones.
    pub files: Vec<SourceFile>,
    /// Environment; names that do not start with `CGMINER_` are ignored.
    pub environment: Vec<(String, String)>,
    /// Flags as `path=value`, as in `api.listen=off`.
    pub flags: Vec<String>,
}

/// A configuration that passed every check that needs no board file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    tree: Node,
}

impl Sources {
    /// Reads `file` and, in the order of their names, `conf.d/*.toml` in the same directory.
    ///
    /// # Errors
    /// When a file or the directory exists and cannot be read, or `file` does not exist.
    pub fn read_files(file: &Path) -> Result<Vec<SourceFile>, ConfigError> {
        let mut files = vec![SourceFile::read(file)?];
        for path in snippets(file)? {
            files.push(SourceFile::read(&path)?);
        }
        Ok(files)
    }

    /// Merges the layers, takes the values out and checks them.
    ///
    /// # Errors
    /// Every problem that could be told apart, each with its place and a hint.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let mut tree = Node::empty();
        for file in &self.files {
            tree.lay_over(Node::from_file(&Arc::new(file.clone()))?);
        }
        for (name, value) in &self.environment {
            layers::set_from_environment(&mut tree, name, value)?;
        }
        for flag in &self.flags {
            layers::set_from_flag(&mut tree, flag)?;
        }
        let config: Config = document::take(&tree.to_toml())
            .map_err(|refusal| ConfigError::from_refusal(&refusal, &tree))?;
        let problems = check::problems(&config);
        if problems.is_empty() {
            Ok(Loaded { config, tree })
        } else {
            Err(ConfigError::from_findings(problems, &tree))
        }
    }
}

impl Loaded {
    /// Where the value at a path such as `pool[0].url` came from; [`Origin::Default`] when no layer set it.
    pub fn origin_of(&self, path: &str) -> Origin {
        Segment::parse_path(path)
            .and_then(|segments| self.tree.find(&segments).map(|node| node.origin.clone()))
            .unwrap_or(Origin::Default)
    }

    /// As [`Loaded::origin_of`], for a path in its parts.
    pub fn origin_at(&self, path: &[Segment]) -> Origin {
        let node = self.tree.find(path);
        node.map_or(Origin::Default, |node| node.origin.clone())
    }

    /// Every field with where its value came from; of lists, every entry.
    pub fn origins(&self) -> Vec<(String, Origin)> {
        let mut origins = Vec::new();
        for field in FIELDS {
            let entries = match field.section {
                fields::POOL => Some(self.config.pool.len()),
                fields::TOKEN => Some(self.config.token.len()),
                fields::ALERT_TARGET => Some(self.config.alert_target.len()),
                _ => None,
            };
            let paths: Vec<String> = match entries {
                None => vec![format!("{}.{}", field.section, field.name)],
                Some(count) => (0..count)
                    .map(|index| format!("{}[{index}].{}", field.section, field.name))
                    .collect(),
            };
            origins.extend(paths.into_iter().map(|path| {
                let origin = self.origin_of(&path);
                (path, origin)
            }));
        }
        origins
    }
}

/// Reads one TOML text as a whole configuration. What the fuzz target `config` calls.
///
/// # Errors
/// As [`Sources::load`].
pub fn parse(text: &str) -> Result<Loaded, ConfigError> {
    let file = SourceFile {
        path: PathBuf::from("<text>"),
        text: text.into(),
    };
    Sources {
        files: vec![file],
        ..Sources::default()
    }
    .load()
}

fn snippets(file: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let directory = file.parent().unwrap_or(Path::new(".")).join("conf.d");
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(ConfigError::Read {
                path: directory,
                source,
            });
        }
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| ConfigError::Read {
            path: directory.clone(),
            source,
        })?;
        let path = entry.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod print_tests;
#[cfg(test)]
mod tests;
