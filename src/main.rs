//! The `cgminer-rs` program: picks a subcommand, nothing else.
#![forbid(unsafe_code)]

fn main() {}
