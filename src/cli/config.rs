//! `config`: what a configuration says, where from, and what is wrong with it.

use super::machine::configured_board;
use super::options::Options;
use super::{Failure, table};
use crate::api::local;
use crate::config::{self, Config, Loaded, SourceFile};
use crate::miner::ChipTraits;
use crate::miner::chains::chain_settings;
use lexopt::Arg::{Long, Value};
use std::fmt::Write;
use std::path::PathBuf;

/// What to tell of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Check,
    Print,
    Sources,
    Export,
    Import,
    Migrate,
}

/// `config check|print|sources|export [FILE]`.
pub fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let what = match parser.next()? {
        Some(Value(word)) => match word.to_string_lossy().as_ref() {
            "check" => What::Check,
            "print" => What::Print,
            "sources" => What::Sources,
            "export" => What::Export,
            "import" => What::Import,
            "migrate" => What::Migrate,
            _ => return Err(usage()),
        },
        _ => return Err(usage()),
    };
    match what {
        What::Import | What::Migrate => carry_over(what, parser),
        _ => tell(what, parser),
    }
}

/// `config import FILE` and `config migrate [--write] FILE`: the new text to standard output or into the file, what was
/// left out and what is still wrong to standard error.
fn carry_over(what: What, mut parser: lexopt::Parser) -> Result<(), Failure> {
    let (mut file, mut write) = (None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("write") if what == What::Migrate => write = true,
            Value(path) if file.is_none() => file = Some(PathBuf::from(path)),
            other => return Err(other.unexpected().into()),
        }
    }
    let file = file.ok_or_else(|| Failure::Usage("name the file".into()))?;
    let text = SourceFile::read(&file)?.text;
    let made = match what {
        What::Import => config::import(&text),
        _ => config::migrate(&text),
    };
    let made = made.map_err(|error| Failure::Other(format!("{}: {error}", file.display())))?;
    for dropped in &made.dropped {
        eprintln!("left out: {}", table::inert(&dropped.to_string()));
    }
    if let Err(error) = config::parse(&made.text) {
        for line in error.to_string().lines() {
            eprintln!("to be mended: {}", table::inert(line));
        }
    }
    eprintln!("read as a configuration of {}", made.from);
    if write {
        if made.text != text {
            config::write_atomically(&file, &made.text)
                .map_err(|error| Failure::Other(format!("{}: {error}", file.display())))?;
        }
        return Ok(());
    }
    table::print(&made.text)
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
            let board = board(&loaded.config)?;
            let mut told = format!("nothing is wrong; {board}, {used} pools in use\n");
            for path in loaded.config.left_out() {
                let _ = writeln!(
                    told,
                    "{path}: a print has left the secret out; write it before a machine runs with this"
                );
            }
            table::print(&told)
        }
        What::Print => {
            let text = loaded.config.text().map_err(|error| {
                Failure::Other(format!("the configuration cannot be printed: {error}"))
            })?;
            table::print(&text)
        }
        What::Sources => table::print(&sources(&loaded)),
        What::Export => export(&loaded),
        // These make a configuration and read none.
        What::Import | What::Migrate => Err(usage()),
    }
}

/// Holds the board files, and the configuration against the board that it names.
fn board(config: &Config) -> Result<String, Failure> {
    let Some(board) = configured_board(config)? else {
        return Ok("the board is detected".into());
    };
    let failed = |what: String| Failure::Other(format!("board {}: {what}", board.name));
    chain_settings(&board, &config.chains, ChipTraits::SILICON)
        .map_err(|error| Failure::Other(error.to_string()))?;
    let range = board.layout.voltage;
    if let Some(voltage) = config.chains.voltage {
        if !(range.min_mv.0..=range.max_mv.0).contains(&voltage.0) {
            return Err(failed(format!(
                "chains.voltage is {voltage}; it allows {} to {}",
                range.min_mv, range.max_mv
            )));
        }
    }
    let needed = config.cooling.minimum_fans.unwrap_or(0);
    if usize::from(needed) > board.fans.len() {
        return Err(failed(format!(
            "cooling.minimum_fans is {needed}; it has {} fans",
            board.fans.len()
        )));
    }
    Ok(format!("board {}", table::inert(&board.name)))
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
    let words = "say `config check`, `print`, `sources`, `export`, `import` or `migrate`";
    Failure::Usage(words.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn the_board_is_checked_with_its_file_and_what_is_asked_of_it() {
        let of =
            |text: &str| board(&parse(text).unwrap().config).map_err(|error| error.to_string());
        assert_eq!(of(""), Ok("the board is detected".into()));
        assert_eq!(of("[board]\nname = \"l7\"\n"), Ok("board l7".into()));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("mine.toml");
        std::fs::write(&file, "schema = 1\nname = 3\n").unwrap();
        for (text, why) in [
            ("[board]\nname = \"l8\"\n", "no board named \"l8\""),
            (
                "[board]\nname = \"l7\"\n[chains]\nfrequency = 1200\n",
                "board l7",
            ),
            (
                "[board]\nname = \"l7\"\n[chains]\nvoltage = 20000\n",
                "chains.voltage",
            ),
            (
                "[board]\nname = \"l7\"\n[cooling]\nminimum_fans = 9\n",
                "it has 4 fans",
            ),
            (
                &format!("[board]\nfile = \"{}\"\n", file.display()),
                "mine.toml",
            ),
        ] {
            let told = of(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }

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

    #[test]
    fn a_file_of_ours_is_brought_up_to_date_in_place() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.toml");
        std::fs::write(&file, "[log]\nlevel = \"debug\"\n").unwrap();
        let path = file.to_str().unwrap();
        for _ in 0..2 {
            run(lexopt::Parser::from_args(["migrate", "--write", path])).unwrap();
            let text = std::fs::read_to_string(&file).unwrap();
            assert_eq!(text, "schema = 1\n[log]\nlevel = \"debug\"\n");
        }
        assert!(run(lexopt::Parser::from_args(["import", path])).is_err());
    }
}
