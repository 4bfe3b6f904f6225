//! `check`: tells what is wrong with a configuration.

use super::options::Options;
use super::{Failure, table};
use lexopt::Arg::{Long, Value};

/// Reads the configuration as `run` would, and stops there.
pub fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut options = Options::default();
    let mut print = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("print") => print = true,
            Value(path) => options.name_file(path.into())?,
            other => {
                let flag = Options::flag(other)?;
                options.take(flag, parser.value()?)?;
            }
        }
    }
    let loaded = options.load()?;
    if print {
        let text = toml::to_string(&loaded.config).map_err(|error| {
            Failure::Other(format!("the configuration cannot be printed: {error}"))
        })?;
        return table::print(&text);
    }
    let pools = loaded
        .config
        .pool
        .iter()
        .filter(|pool| pool.enabled)
        .count();
    table::print(&format!("nothing is wrong; {pools} pools in use\n"))
}
