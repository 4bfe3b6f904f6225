//! Packs the board files that are compiled in: together they are a seventh of their size so, and a control board's flash is small.
//! `src/file/catalog.rs` unpacks them.

use miniz_oxide::deflate::compress_to_vec;
use std::io::{Error, Result};
use std::path::Path;
use std::{env, fs};

/// What deflate takes for its best.
const LEVEL: u8 = 10;

fn main() -> Result<()> {
    let output = env::var_os("OUT_DIR").ok_or_else(|| Error::other("cargo names no OUT_DIR"))?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=boards");
    let mut paths = fs::read_dir("boards")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "toml"));
    paths.sort();
    // Name and text in turn, each ended by a zero, which no TOML has.
    let mut all = Vec::new();
    for path in paths {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        for part in [name.as_bytes(), &fs::read(&path)?] {
            if part.contains(&0) {
                return Err(Error::other(format!("{} has a zero", path.display())));
            }
            all.extend_from_slice(part);
            all.push(0);
        }
    }
    fs::write(
        Path::new(&output).join("boards"),
        compress_to_vec(&all, LEVEL),
    )
}
