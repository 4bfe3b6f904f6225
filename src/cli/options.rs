//! The options that choose and change a configuration, the same for every command.

use super::Failure;
use crate::config::{Loaded, Recipe};
use lexopt::ValueExt;
use std::ffi::OsString;
use std::path::PathBuf;

/// File that is read when none is named.
pub const DEFAULT_CONFIG: &str = "/etc/cgminer-rs/cgminer-rs.toml";

/// Flags that stand for one field each.
const FIELD_FLAGS: &[(&str, &str)] = &[
    ("board", "board.name"),
    ("listen", "api.listen"),
    ("run-directory", "api.run_directory"),
    ("log-level", "log.level"),
    ("log-format", "log.format"),
];

/// An option with a value.
#[derive(Clone, Copy, Debug)]
pub enum Flag {
    /// Names the file.
    Config,
    /// Sets any field.
    Set,
    /// Sets one field.
    Field(&'static str),
}

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    config: Option<PathBuf>,
    sets: Vec<String>,
}

impl Options {
    /// Which of these options an argument is.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn flag(argument: lexopt::Arg<'_>) -> Result<Flag, Failure> {
        use lexopt::Arg::{Long, Short};
        match argument {
            Short('c') | Long("config") => Ok(Flag::Config),
            Short('s') | Long("set") => Ok(Flag::Set),
            Long(name) => match FIELD_FLAGS.iter().find(|(flag, _)| *flag == name) {
                Some((_, field)) => Ok(Flag::Field(field)),
                None => Err(argument.unexpected().into()),
            },
            _ => Err(argument.unexpected().into()),
        }
    }

    /// Takes an option's value.
    ///
    /// # Errors
    /// When it is no text.
    pub fn take(&mut self, flag: Flag, value: OsString) -> Result<(), Failure> {
        match flag {
            Flag::Config => self.config = Some(value.into()),
            Flag::Set => self.sets.push(value.string()?),
            Flag::Field(field) => self.sets.push(format!("{field}={}", value.string()?)),
        }
        Ok(())
    }

    /// Sets a field over file and environment, unless the command line sets it too.
    pub fn prefer(&mut self, set: &str) {
        self.sets.insert(0, set.to_owned());
    }

    /// The arguments that say the same again, for another process of this program.
    pub fn arguments(&self) -> Vec<OsString> {
        let file = self
            .config
            .iter()
            .flat_map(|path| ["--config".into(), path.clone().into()]);
        let sets = self
            .sets
            .iter()
            .flat_map(|set| ["--set".into(), set.into()]);
        file.chain(sets).collect()
    }

    /// Names the file, as a bare argument does.
    ///
    /// # Errors
    /// When one was named before.
    pub fn name_file(&mut self, path: PathBuf) -> Result<(), Failure> {
        if self.config.is_some() {
            return Err(Failure::Usage(
                "more than one configuration file is named".into(),
            ));
        }
        self.config = Some(path);
        Ok(())
    }

    /// Sets one more field, over all that was said before.
    pub fn set(&mut self, field: &str, value: &str) {
        self.sets.push(format!("{field}={value}"));
    }

    /// Where the configuration comes from. A file that was not named may be missing.
    pub fn recipe(&self) -> Recipe {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let named = self.config.clone().or_else(|| variable("CGMINER_CONFIG"));
        // A name or value that is no text cannot be one of ours.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("CGMINER_"))
            .collect();
        Recipe {
            named: named.is_some(),
            file: named.unwrap_or_else(|| DEFAULT_CONFIG.into()),
            environment,
            flags: self.sets.clone(),
        }
    }

    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// When a file cannot be read or the configuration is wrong.
    pub fn load(&self) -> Result<Loaded, Failure> {
        Ok(self.recipe().load()?)
    }
}
