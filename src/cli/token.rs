//! `token`: gives tokens of the running machine out and takes them back, through its local socket.

use super::options::Options;
use super::{Failure, table};
use crate::api::local::{self, ask};
use lexopt::Arg::{Long, Value};
use lexopt::ValueExt;
use serde_json::json;
use std::path::Path;

/// `token claim|create NAME|list|revoke NAME|rotate NAME`.
pub fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut options = Options::default();
    let mut words = Vec::new();
    let mut role = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("role") => role = Some(parser.value()?.string()?),
            Value(word) => words.push(word.string()?),
            other => {
                let flag = Options::flag(other)?;
                options.take(flag, parser.value()?)?;
            }
        }
    }
    let directory = options.load()?.config.api.run_directory;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (words.as_slice(), role) {
        (["claim"], None) => show(&directory, "/api/v1/tokens/claim", ""),
        (["create", name], role) => {
            let role = role.as_deref().unwrap_or("viewer");
            let body = json!({"name": name, "role": role}).to_string();
            show(&directory, "/api/v1/tokens", &body)
        }
        (["rotate", name], None) => {
            show(&directory, &format!("{}/rotate", path_of(name)?), "")
        }
        (["revoke", name], None) => {
            ask(&directory, "DELETE", &path_of(name)?, "")?;
            table::print("revoked\n")
        }
        (["list"], None) => list(&directory),
        _ => Err(Failure::Usage(
            "say `token claim`, `token create NAME --role viewer|operator|admin`, `token list`, `token revoke NAME` or \
             `token rotate NAME`"
                .into(),
        )),
    }
}

/// The token stands alone on its line, so that a script can take it.
fn show(directory: &Path, path: &str, body: &str) -> Result<(), Failure> {
    let answer: serde_json::Value = parse(&ask(directory, "POST", path, body)?)?;
    let token = answer["token"].as_str().unwrap_or_default();
    eprintln!("shown this once; send it as `Authorization: Bearer TOKEN`:");
    table::print(&format!("{token}\n"))
}

fn list(directory: &Path) -> Result<(), Failure> {
    let tokens: Vec<serde_json::Value> = parse(&local::get(directory, "/api/v1/tokens")?)?;
    let word = |token: &serde_json::Value, member: &str| {
        table::inert(token[member].as_str().unwrap_or_default())
    };
    let rows: Vec<_> = tokens
        .iter()
        .map(|token| vec![word(token, "name"), word(token, "role")])
        .collect();
    table::print(&table::columns(&rows))
}

fn path_of(name: &str) -> Result<String, Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(Failure::Usage(
            "a token's name has letters, digits, dots, dashes and underscores".into(),
        ));
    }
    Ok(format!("/api/v1/tokens/{name}"))
}

fn parse<T: serde::de::DeserializeOwned>(answer: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(answer)
        .map_err(|error| Failure::Other(format!("the machine's answer cannot be read: {error}")))
}
