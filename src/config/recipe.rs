//! Where a configuration comes from, so that it can be read again.

use super::layers::SourceFile;
use super::{ConfigError, Loaded, Sources};
use std::io::ErrorKind;
use std::path::PathBuf;

/// The files, variables and flags that a configuration is made of.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    /// The main file.
    pub file: PathBuf,
    /// Whether it was named, and so has to be there.
    pub named: bool,
    /// Environment.
    pub environment: Vec<(String, String)>,
    /// Flags as `path=value`.
    pub flags: Vec<String>,
}

impl Recipe {
    /// Reads all files.
    ///
    /// # Errors
    /// When one cannot be read; a main file that was not named may be missing.
    pub fn read(&self) -> Result<Sources, ConfigError> {
        let files = match Sources::read_files(&self.file) {
            Err(ConfigError::Read { source, .. })
                if source.kind() == ErrorKind::NotFound && !self.named =>
            {
                Vec::new()
            }
            read => read?,
        };
        Ok(self.with_files(files))
    }

    /// The files that there are to read, as far as their names can be had.
    pub fn files(&self) -> Vec<PathBuf> {
        let more = super::snippets(&self.file).unwrap_or_default();
        std::iter::once(self.file.clone()).chain(more).collect()
    }

    /// These files with the recipe's variables and flags.
    pub fn with_files(&self, files: Vec<SourceFile>) -> Sources {
        Sources {
            files,
            environment: self.environment.clone(),
            flags: self.flags.clone(),
        }
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// When a file cannot be read or the configuration is wrong.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        self.read()?.load()
    }
}
