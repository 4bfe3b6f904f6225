//! Attributes of sysfs: small text files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The attribute's text without the newline that the kernel adds.
pub(super) fn read(path: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.trim_end().to_owned())
}

/// The attribute as a number; text that is none is `InvalidData` with the text.
pub(super) fn read_number<T: FromStr>(path: &Path) -> io::Result<T> {
    let text = read(path)?;
    text.trim().parse().map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} reads {text:?}", path.display()),
        )
    })
}

/// Writes an attribute. It must exist: sysfs makes none, and a typing error must not make a file elsewhere.
pub(super) fn write(path: &Path, value: impl ToString + Copy) -> io::Result<()> {
    use std::io::Write;
    fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)?
        .write_all(value.to_string().as_bytes())
}

/// The one directory under `class/hwmon` whose `name` attribute is `device`; else a sentence saying what was seen.
pub(super) fn hwmon(sys: &Path, device: &str) -> Result<PathBuf, String> {
    let class = sys.join("class/hwmon");
    let entries = fs::read_dir(&class).map_err(|error| format!("{}: {error}", class.display()))?;
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for directory in entries.flatten().map(|entry| entry.path()) {
        match read(&directory.join("name")) {
            Ok(name) if name == device => found.push(directory),
            Ok(name) => seen.push(name),
            Err(_) => {}
        }
    }
    found.sort();
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(format!(
            "{} has several devices named {device:?}",
            class.display()
        )),
        (None, _) => Err(format!("{} has only {seen:?}", class.display())),
    }
}
