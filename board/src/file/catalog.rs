//! Where board files come from: compiled in, and from a directory that overrides them.

use super::{BoardFile, BoardFileError};
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The files of `boards/`, as `build.rs` has packed them.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/boards"));

/// All of them together are no longer.
const LONGEST: usize = 256 * 1024;

/// Names and texts of the compiled-in board files.
///
/// # Errors
/// When they are damaged inside the program.
pub fn built_in() -> Result<Vec<(String, String)>, BoardFileError> {
    let damaged = || BoardFileError::Io {
        origin: "of those compiled in".into(),
        source: io::Error::other("they are damaged inside the program; install it anew"),
    };
    let bytes = decompress_to_vec_with_limit(PACKED, LONGEST).map_err(|_| damaged())?;
    let text = String::from_utf8(bytes).map_err(|_| damaged())?;
    let mut parts = text.split_terminator('\0');
    let mut files = Vec::new();
    while let Some(name) = parts.next() {
        let text = parts.next().ok_or_else(damaged)?;
        files.push((name.to_owned(), text.to_owned()));
    }
    Ok(files)
}

/// All boards that this machine could be.
#[derive(Clone, Debug)]
pub struct Catalog {
    boards: BTreeMap<String, BoardFile>,
}

impl Catalog {
    /// The compiled-in boards, and those of `directory` (`*.toml`), which replace compiled-in ones of the same name.
    ///
    /// # Errors
    /// When any file is at fault: a broken file that was meant to narrow a limit must not fall back to wider ones.
    pub fn load(directory: Option<&Path>) -> Result<Self, BoardFileError> {
        let mut boards = BTreeMap::new();
        for (name, text) in built_in()? {
            let board = BoardFile::parse(&text, &format!("{name} (compiled in)"))?;
            boards.insert(name, board);
        }
        for path in directory.map(files).transpose()?.unwrap_or_default() {
            let origin = path.display().to_string();
            let text = std::fs::read_to_string(&path).map_err(|source| BoardFileError::Io {
                origin: origin.clone(),
                source,
            })?;
            let board = BoardFile::parse(&text, &origin)?;
            boards.insert(board.name.clone(), board);
        }
        Ok(Self { boards })
    }

    /// The board of that name.
    ///
    /// # Errors
    /// [`BoardFileError::Unknown`], with the names that there are.
    pub fn get(&self, name: &str) -> Result<&BoardFile, BoardFileError> {
        self.boards
            .get(name)
            .ok_or_else(|| BoardFileError::Unknown {
                name: name.to_owned(),
                known: self.boards.keys().cloned().collect::<Vec<_>>().join(", "),
            })
    }

    /// All boards, by name.
    pub fn iter(&self) -> impl Iterator<Item = &BoardFile> {
        self.boards.values()
    }
}

/// The directory's board files, sorted by name. A directory that is not there has none.
fn files(directory: &Path) -> Result<Vec<std::path::PathBuf>, BoardFileError> {
    let failed = |source| BoardFileError::Io {
        origin: directory.display().to_string(),
        source,
    };
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    paths.sort();
    Ok(paths)
}
