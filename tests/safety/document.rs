//! `docs/safety.md`: its tables are what the tests saw.

use nix::fcntl::{Flock, FlockArg};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// What was seen of a case: a row of the document.
pub struct Row {
    pub fault: String,
    pub expected: String,
    pub seen: String,
    pub hottest: String,
    pub reason: String,
}

/// A table of the document.
#[derive(Clone, Copy, Debug)]
#[allow(
    dead_code,
    reason = "two test programs share this, each with tables of its own"
)]
pub enum Section {
    Sensors,
    Fans,
    Supply,
    Controllers,
    Chains,
    Heat,
    Processes,
    Deaths,
}

/// Holds the rows against the document, or writes them into it when `UPDATE_DOCS` is set.
pub fn check(section: Section, rows: &[Row]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/safety.md");
    let name = format!("{section:?}").to_lowercase();
    let (begin, end) = (
        format!("<!-- begin {name} -->\n"),
        format!("<!-- end {name} -->"),
    );
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    // Sections may be written by processes of their own.
    let file = fs::File::open(&path).unwrap();
    let _turn = update.then(|| Flock::lock(file, FlockArg::LockExclusive).unwrap());
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text
        .split_once(&begin)
        .unwrap_or_else(|| panic!("no {begin}"));
    let (written, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    let seen = table(rows);
    if update {
        fs::write(&path, format!("{before}{begin}{seen}{end}{after}")).unwrap();
        return;
    }
    assert!(
        without_times(written) == without_times(&seen),
        "docs/safety.md does not tell what was seen; run the tests with UPDATE_DOCS=1\n{seen}"
    );
}

/// All but how long it took: that is bounded by each case itself, and within its bound it is a matter of rounding.
fn without_times(table: &str) -> String {
    table
        .lines()
        .map(|line| {
            let mut words: Vec<_> = line.split(' ').collect();
            for at in 3..words.len() {
                if words[at] == "s" && words[at - 3..at - 1] == ["off", "in"] {
                    words[at - 1] = "some";
                }
            }
            words.join(" ")
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "\n| fault | what has to happen | seen | hottest chip | cause |\n| --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let Row {
            fault,
            expected,
            seen,
            hottest,
            reason,
        } = row;
        writeln!(
            text,
            "| {fault} | {expected} | {seen} | {hottest} | {reason} |"
        )
        .unwrap();
    }
    text.push('\n');
    text
}
