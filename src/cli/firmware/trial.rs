//! What is known of the last update, in a file that outlives the reboot between installing and confirming.

use crate::cli::Failure;
use crate::config::write_atomically;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;

/// The file's content. Unknown members are an error: a newer version wrote them, and what they mean decides what may be
/// written over.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// An image that was installed and has not proven itself.
    #[serde(default)]
    pub trial: Option<Trial>,
    /// How the update before ended.
    #[serde(default)]
    pub last: Option<Ended>,
}

/// An image that has not proven itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Where it lies, by the boot loader's name.
    pub slot: String,
    /// The slot that runs when it fails.
    pub from: String,
    /// Its version.
    pub version: String,
}

/// An update that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// The version that it brought.
    pub version: String,
    /// Whether that one runs now; otherwise the boot loader fell back.
    pub confirmed: bool,
    /// Why, in words.
    pub reason: String,
}

impl Record {
    /// Reads the file; one that is not there stands for no update yet.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let told = |what: String| Failure::Other(format!("{}: {what}", path.display()));
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                told(format!(
                    "the record of updates cannot be understood: {error}; remove it if the running version is the wanted one"
                ))
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(told(format!("cannot be read: {error}"))),
        }
    }

    /// Writes the file; when this returns it is on the medium.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::Other(format!(
                "{}: the record of updates cannot be written: {error}; is the data partition full or missing?",
                path.display()
            ))
        };
        let text = serde_json::to_string(self).map_err(|error| failed(&error))?;
        write_atomically(path, &text).map_err(|error| failed(&error))
    }

    /// The trial, if it is the running slot's.
    pub fn trial_in(&self, booted: &str) -> Option<&Trial> {
        self.trial.as_ref().filter(|trial| trial.slot == booted)
    }

    /// The record once a trial has ended.
    pub fn ended(trial: &Trial, confirmed: bool, reason: &str) -> Self {
        Self {
            trial: None,
            last: Some(Ended {
                version: trial.version.clone(),
                confirmed,
                reason: reason.into(),
            }),
        }
    }

    /// For people, a line or two.
    pub fn describe(&self) -> String {
        let mut lines = Vec::new();
        if let Some(trial) = &self.trial {
            lines.push(format!(
                "trial      version {} in slot {}",
                trial.version, trial.slot
            ));
        }
        if let Some(last) = &self.last {
            let outcome = if last.confirmed {
                "confirmed"
            } else {
                "rolled back"
            };
            lines.push(format!(
                "last       version {} {outcome}: {}",
                last.version, last.reason
            ));
        }
        if lines.is_empty() {
            lines.push("last       no update yet".into());
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial() -> Trial {
        Trial {
            slot: "B".into(),
            from: "A".into(),
            version: "1.3.0".into(),
        }
    }

    #[test]
    fn a_record_outlives_the_program() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("firmware.json");
        assert_eq!(Record::read(&path).unwrap(), Record::default());
        let record = Record {
            trial: Some(trial()),
            last: None,
        };
        record.write(&path).unwrap();
        assert_eq!(Record::read(&path).unwrap(), record);
    }

    #[test]
    fn a_record_that_is_not_understood_is_told_and_not_taken_for_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("firmware.json");
        for text in ["", "{", "7", r#"{"trail": null}"#] {
            std::fs::write(&path, text).unwrap();
            let failure = Record::read(&path).unwrap_err().to_string();
            assert!(failure.contains("firmware.json"), "{failure}");
        }
    }

    #[test]
    fn only_the_running_slot_is_on_trial() {
        let record = Record {
            trial: Some(trial()),
            last: None,
        };
        assert!(record.trial_in("B").is_some());
        assert!(record.trial_in("A").is_none(), "the boot loader fell back");
    }
}
