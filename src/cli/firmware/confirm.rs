//! Confirming: a start counts as good when the machine answers and, on trial, when its chains have hashed.

use super::trial::Record;
use super::{rauc, record_path};
use crate::api::local;
use crate::cli::{Failure, table};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// Between two looks at the machine.
const PAUSE: Duration = Duration::from_secs(2);

/// How a start ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The boot loader has been told that this slot is good.
    Confirmed,
    /// The trial was not passed in time; the other slot is to be booted.
    Failed,
}

/// Waits until the running slot has proven itself, and says so to the boot loader.
pub(super) fn confirm(run_directory: &Path, within: Duration) -> Result<Outcome, Failure> {
    let end = Instant::now() + within;
    let mut record = Record::read(&record_path())?;
    let Some(booted) = running_slot(end)? else {
        // An updater that never answers is no good image either, if it came with the new one.
        return match &record.trial {
            Some(trial) => {
                say(&format!(
                    "version {} failed its trial: its updater does not answer",
                    trial.version
                ));
                Ok(Outcome::Failed)
            }
            None => Err(Failure::Other(
                "rauc does not tell which slot runs, so no start can be confirmed".into(),
            )),
        };
    };
    if let Some(trial) = record.trial.clone().filter(|trial| trial.slot != booted) {
        say(&format!(
            "version {} did not prove itself in slot {}",
            trial.version, trial.slot
        ));
        record = Record::ended(
            &trial,
            false,
            "the boot loader fell back to the slot before",
        );
        record.write(&record_path())?;
    }
    let trial = record.trial_in(&booted).cloned();
    let proof = if trial.is_some() {
        Proof::Hashing
    } else {
        Proof::Answer
    };

    let mut lacking = String::new();
    while let Err(lacks) = proof.look(run_directory) {
        if lacks != lacking {
            say(&format!("slot {booted} is not confirmed yet: {lacks}"));
            lacking = lacks;
        }
        if Instant::now() >= end {
            let Some(trial) = trial else {
                return Err(Failure::Other(format!(
                    "slot {booted} is not confirmed: {lacking}, for {} s; it was confirmed before, so it stays",
                    within.as_secs()
                )));
            };
            let reason = format!("{lacking}, for {} s", within.as_secs());
            // The record says why before the boot loader takes over; it tries this slot as often as it has tries left.
            say(&format!(
                "version {} failed its trial: {reason}",
                trial.version
            ));
            return Ok(Outcome::Failed);
        }
        std::thread::sleep(PAUSE);
    }
    rauc::mark_good()?;
    if let Some(trial) = trial {
        Record::ended(&trial, true, "its chains hashed and it answered").write(&record_path())?;
        say(&format!(
            "version {} is confirmed in slot {booted}",
            trial.version
        ));
    }
    Ok(Outcome::Confirmed)
}

/// The running slot by the boot loader's name, asked for until the updater answers; none when it does not in time.
fn running_slot(end: Instant) -> Result<Option<String>, Failure> {
    loop {
        match rauc::status() {
            Ok(slots) => {
                if let Some(slot) = slots.booted() {
                    return Ok(Some(slot.bootname.clone()));
                }
            }
            // It may be starting just now.
            Err(
                rauc::RaucError::Failed { .. }
                | rauc::RaucError::Answer(_)
                | rauc::RaucError::Late { .. },
            ) => {}
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        std::thread::sleep(PAUSE);
    }
}

/// What is asked of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// The machine answers.
    Answer,
    /// It answers, and at least one chain has found a nonce that is right. Not all of them: an update is not to blame for a hash
    /// board that was dead before.
    Hashing,
}

impl Proof {
    fn look(self, run_directory: &Path) -> Result<(), String> {
        let answer =
            local::get(run_directory, "/api/v1/status").map_err(|error| error.to_string())?;
        let status: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        self.of(&status)
    }

    fn of(self, status: &Value) -> Result<(), String> {
        let hashed = |chain: &Value| {
            chain["counters"]["hashes"]
                .as_f64()
                .is_some_and(|hashes| hashes > 0.0)
        };
        let chains = status["chains"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        if self == Self::Answer || chains.iter().any(hashed) {
            return Ok(());
        }
        let reason = status["machine"]["reason"]
            .as_str()
            .unwrap_or("no reason given");
        Err(format!("no chain has hashed ({reason})"))
    }
}

fn say(line: &str) {
    let _ = table::print(&format!("firmware: {}\n", table::inert(line)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_trial_is_passed_by_hashing_alone() {
        let idle =
            json!({"machine": {"reason": "no pool"}, "chains": [{"counters": {"hashes": 0.0}}]});
        let lacks = Proof::Hashing.of(&idle).unwrap_err();
        assert!(lacks.contains("no pool"), "{lacks}");
        assert!(
            Proof::Hashing.of(&json!({})).is_err(),
            "an empty answer proves nothing"
        );
        let one =
            json!({"chains": [{"counters": {"hashes": 0.0}}, {"counters": {"hashes": 4.3e9}}]});
        assert_eq!(Proof::Hashing.of(&one), Ok(()));
    }

    #[test]
    fn a_slot_that_was_confirmed_before_needs_but_to_answer() {
        assert_eq!(Proof::Answer.of(&json!({"chains": []})), Ok(()));
    }
}
