//! A file that is either the old one or the new one, whatever happens in between.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Mode of a file that was not there: it may hold pool passwords.
const PRIVATE: u32 = 0o600;

/// Replaces a file's content: a new file beside it is written and synced, then takes its name. Mode and owner stay.
///
/// # Errors
/// What the system said; the old file is untouched then.
pub fn write_atomically(path: &Path, text: &str) -> io::Result<()> {
    // A link stays a link: what it leads to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = match fs::symlink_metadata(&path) {
        Ok(old) if old.is_file() => Some(old),
        Ok(_) => {
            return Err(io::Error::other(
                "is no plain file, so it cannot be replaced; name a file with --config",
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let beside = beside(&path).ok_or(io::ErrorKind::InvalidInput)?;
    // Left by a write that was cut off.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(&beside)?;
    if let Some(old) = old {
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o777))?;
        // Who is not root can only keep what is its own already.
        let _ = chown(&beside, Some(old.uid()), Some(old.gid()));
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, &path)?;
    File::open(directory)?.sync_all()
}

fn beside(path: &Path) -> Option<PathBuf> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name()?);
    name.push(".new");
    Some(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_and_link_stay_and_nothing_is_left_beside() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("a"), directory.path().join("b"));
        write_atomically(&file, "one").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, PRIVATE);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        fs::write(beside(&file).unwrap(), "torn").unwrap();
        write_atomically(&link, "two").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o644);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_device_is_not_replaced() {
        assert!(write_atomically(Path::new("/dev/null"), "x").is_err());
    }
}
