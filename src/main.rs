//! The `cgminer-rs` program: picks a subcommand, nothing else.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    cgminer_rs::cli::main()
}
