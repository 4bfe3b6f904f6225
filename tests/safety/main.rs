//! The fault table: a whole emulated machine, its keeper and its chains on virtual time, one fault at a time.
//!
//! What comes of it is `docs/safety.md`, which these tests hold against what they saw; `UPDATE_DOCS=1` writes it anew.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of a type with a lifetime is no closure for all lifetimes"
)]

mod boards;
mod cases;
mod chip_health;
mod document;
mod log;
mod rig;
mod sign;
mod soak;
mod stopping;
mod table;
mod unknown_board;

/// Runs a group of the table and holds its section of the document against what was seen.
fn group(section: document::Section, cases: Vec<table::Case>) {
    let count = cases.len();
    let rows: Vec<_> = cases
        .into_iter()
        // A case that fails has said so; the others are to be seen, too.
        .filter_map(|case| std::panic::catch_unwind(|| case.run()).ok())
        .collect();
    assert!(
        rows.len() == count,
        "{} of {count} cases failed",
        count - rows.len()
    );
    document::check(section, &rows);
}

#[test]
fn sensors_that_lie_or_fall_silent() {
    group(document::Section::Sensors, cases::sensors());
}

#[test]
fn fans_that_stop_or_whose_tachs_lie() {
    group(document::Section::Fans, cases::fans());
}

#[test]
fn a_supply_that_does_not_do_as_told() {
    group(document::Section::Supply, cases::supply());
}

#[test]
fn voltage_controllers_of_boards_that_fail() {
    group(document::Section::Controllers, cases::controllers());
}

#[test]
fn chains_that_fail_while_the_rail_is_on() {
    group(document::Section::Chains, cases::chains());
}

#[test]
fn heat_from_outside() {
    group(document::Section::Heat, cases::heat());
}

#[test]
fn a_miner_or_a_keeper_that_dies_hangs_or_misbehaves() {
    group(document::Section::Processes, cases::processes());
}

#[test]
fn the_table_has_at_least_eighty_cases() {
    assert!(cases::all().count() >= 80, "{}", cases::all().count());
}
