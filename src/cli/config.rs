//! `config`: what a configuration says, where from, and what is wrong with it.

use super::options::Options;
use super::{Failure, table};
use crate::api::local;
use crate::config::Loaded;
use lexopt::Arg::{Long, Value};
use std::fmt::Write;

/// What to tell of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Check,
    Print,
    Sources,
    Export,
}

/// `config check|print|sources|export [FILE]`.
pub fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let what = match parser.next()? {
        Some(Value(word)) => match word.to_string_lossy().as_ref() {
            "check" => What::Check,
            "print" => What::Print,
            "sources" => What::Sources,
            "export" => What::Export,
            _ => return Err(usage()),
        },
        _ => return Err(usage()),
    };
    tell(what, parser)
}

/// `check [--print] [FILE]`, the short form of `config check` and `config print`.
pub fn check(parser: lexopt::Parser) -> Result<(), Failure> {
    tell(What::Check, parser)
}

fn tell(mut what: What, mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut options = Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("print") if what == What::Check => what = What::Print,
            Value(path) if what != What::Export => options.name_file(path.into())?,
            other => {
                let flag = Options::flag(other)?;
                options.take(flag, parser.value()?)?;
            }
        }
    }
    let loaded = options.load()?;
    match what {
        What::Check => {
            let pools = loaded.config.pool.iter();
            let used = pools.filter(|pool| pool.enabled).count();
            table::print(&format!("nothing is wrong; {used} pools in use\n"))
        }
        What::Print => {
            let text = toml::to_string(&loaded.config).map_err(|error| {
                Failure::Other(format!("the configuration cannot be printed: {error}"))
            })?;
            table::print(&text)
        }
        What::Sources => table::print(&sources(&loaded)),
        What::Export => export(&loaded),
    }
}

fn sources(loaded: &Loaded) -> String {
    let origins = loaded.origins().into_iter();
    let rows: Vec<_> = origins
        .map(|(path, origin)| vec![path, table::inert(&origin.to_string())])
        .collect();
    table::columns(&rows)
}

/// The main file of the running machine, as it can be brought back.
fn export(loaded: &Loaded) -> Result<(), Failure> {
    let directory = &loaded.config.api.run_directory;
    let answer = local::get(directory, "/api/v1/backup")?;
    let answer: serde_json::Value = serde_json::from_slice(&answer)
        .map_err(|error| Failure::Other(format!("the machine's answer is no JSON: {error}")))?;
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = write!(text, "{}", answer["text"].as_str().unwrap_or_default());
    table::print(&text)
}

fn usage() -> Failure {
    Failure::Usage("say `config check`, `config print`, `config sources` or `config export`".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn every_field_is_listed_with_its_source() {
        let loaded =
            parse("[log]\nlevel = \"debug\"\n[[pool]]\nurl = \"a:1\"\nuser = \"u\"\n").unwrap();
        let text = sources(&loaded);
        let line = |field: &str| {
            let found = text.lines().find(|line| line.starts_with(field));
            found.unwrap_or_else(|| panic!("{text}")).to_owned()
        };
        assert!(line("log.level").ends_with("<text>:2:9"));
        assert!(line("log.format").ends_with("built-in value"));
        assert!(line("pool[0].url").ends_with("<text>:4:7"));
    }
}
