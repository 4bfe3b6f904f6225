//! Packs the texts that the program carries for its HTTP interface: they are a third of their size so, and a control board's flash
//! is small. `src/api/packed.rs` unpacks them.

use miniz_oxide::deflate::compress_to_vec;
use std::io::{Error, Result};
use std::path::Path;
use std::{env, fs};

/// What deflate takes for its best.
const LEVEL: u8 = 10;

fn main() -> Result<()> {
    let output = env::var_os("OUT_DIR").ok_or_else(|| Error::other("cargo names no OUT_DIR"))?;
    let output = Path::new(&output);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/api/page");
    for entry in fs::read_dir("src/api/page")? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind != "rs") {
            pack(&path, output)?;
        }
    }
    pack(Path::new("docs/openapi.json"), output)
}

fn pack(path: &Path, output: &Path) -> Result<()> {
    println!("cargo::rerun-if-changed={}", path.display());
    let name = path
        .file_name()
        .ok_or_else(|| Error::other(format!("{} is no file", path.display())))?;
    let text = fs::read(path)?;
    fs::write(output.join(name), compress_to_vec(&text, LEVEL))
}
