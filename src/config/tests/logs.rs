//! The log's file: the keeper writes it with all its rights.

use super::*;

#[test]
fn the_logs_file_has_a_whole_path_apart_from_the_miners_and_a_budget_that_it_holds() {
    assert!(parse("[log]\nfile = \"/var/log/a.log\"\n").is_ok());
    for (text, words) in [
        ("file = \"a.log\"", "log.file: is no whole path"),
        (
            "file = \"/run/cgminer-rs/a.log\"",
            "belongs to the unprivileged miner",
        ),
        ("file_budget = 4096", "more than the files hold"),
        ("files = 1", "out of bounds"),
        (
            "syslog = \"log.example\"",
            "is no syslog server: write host:port",
        ),
    ] {
        let error = error_of(&format!("[log]\n{text}\n"));
        assert!(error.contains(words), "{error}");
    }
}
