//! Which bundle may be installed: the rules that RAUC leaves to the system.

use super::rauc::{Bundle, Slots};
use super::trial::Record;
use super::version::Version;
use std::path::PathBuf;
use thiserror::Error;

/// What the owner asks for beyond the ordinary.
#[derive(Debug, Default, Clone, Copy)]
pub struct Wishes {
    /// An older version than the one that runs.
    pub downgrade: bool,
    /// The version that runs, once more.
    pub again: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// The slot that is written, by the boot loader's name.
    pub bootname: String,
    /// Where it lies.
    pub device: PathBuf,
    /// The slot that runs, and stays whole.
    pub from: String,
    /// What will run.
    pub version: Version,
    /// Bytes of the image, and their SHA-256 in hex, which are read back.
    pub size: u64,
    /// See `size`.
    pub sha256: String,
}

/// Why a bundle is not installed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// Made for another board.
    #[error(
        "the bundle is for `{bundle}` and this machine is `{machine}`; take the one for this machine"
    )]
    Incompatible {
        /// Whom it is for.
        bundle: String,
        /// Who this is.
        machine: String,
    },
    /// The version that runs.
    #[error("version {0} runs already; --again installs it once more")]
    Same(Version),
    /// Older than what runs.
    #[error(
        "version {bundle} is older than {running}, which runs; --allow-downgrade installs it all the same"
    )]
    Older {
        /// Of the bundle.
        bundle: Version,
        /// Of the machine.
        running: Version,
    },
    /// The running image has not proven itself, so the other slot holds the only good one.
    #[error(
        "version {0} is on trial: the other slot is the only one that is known to be good, and is not written over; wait until \
         `firmware status` says that it is confirmed"
    )]
    OnTrial(Version),
    /// No slot to write to.
    #[error("{0}; this machine cannot update itself")]
    Slots(&'static str),
}

/// Decides what to do with a bundle whose signature is good.
pub fn decide(
    bundle: &Bundle,
    running: &Version,
    slots: &Slots,
    record: &Record,
    wishes: Wishes,
) -> Result<Plan, Refused> {
    if bundle.compatible != slots.compatible {
        return Err(Refused::Incompatible {
            bundle: bundle.compatible.clone(),
            machine: slots.compatible.clone(),
        });
    }
    let booted = slots
        .booted()
        .ok_or(Refused::Slots("no slot is known to be the running one"))?;
    let idle = slots
        .idle()
        .ok_or(Refused::Slots("there is no idle slot"))?;
    if record.trial_in(&booted.bootname).is_some() {
        return Err(Refused::OnTrial(running.clone()));
    }
    if bundle.version < *running && !wishes.downgrade {
        return Err(Refused::Older {
            bundle: bundle.version.clone(),
            running: running.clone(),
        });
    }
    if bundle.version == *running && !wishes.again {
        return Err(Refused::Same(running.clone()));
    }
    Ok(Plan {
        bootname: idle.bootname.clone(),
        device: idle.device.clone(),
        from: booted.bootname.clone(),
        version: bundle.version.clone(),
        size: bundle.size,
        sha256: bundle.sha256.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::rauc::Slot;
    use super::super::trial::Trial;
    use super::*;

    fn bundle(version: &str) -> Bundle {
        Bundle {
            compatible: "cgminer-rs-am335x".into(),
            version: version.parse().unwrap(),
            size: 1000,
            sha256: "ab".repeat(32),
        }
    }

    fn slots() -> Slots {
        let slot = |name: &str, part: u8, booted| Slot {
            bootname: name.into(),
            device: format!("/dev/mmcblk0p{part}").into(),
            booted,
            good: true,
        };
        Slots::new(
            "cgminer-rs-am335x".into(),
            vec![slot("A", 2, false), slot("B", 3, true)],
        )
    }

    fn decided(version: &str, wishes: Wishes) -> Result<Plan, Refused> {
        let running = "1.2.0".parse().unwrap();
        decide(
            &bundle(version),
            &running,
            &slots(),
            &Record::default(),
            wishes,
        )
    }

    #[test]
    fn a_newer_version_goes_into_the_idle_slot() {
        let plan = decided("1.3.0", Wishes::default()).unwrap();
        assert_eq!((plan.bootname.as_str(), plan.from.as_str()), ("A", "B"));
        assert_eq!(plan.device, PathBuf::from("/dev/mmcblk0p2"));
    }

    #[test]
    fn older_and_equal_versions_must_be_asked_for_by_name() {
        let older = Wishes {
            downgrade: true,
            again: false,
        };
        let again = Wishes {
            downgrade: false,
            again: true,
        };
        assert!(matches!(
            decided("1.1.9", Wishes::default()),
            Err(Refused::Older { .. })
        ));
        assert!(matches!(
            decided("1.1.9", again),
            Err(Refused::Older { .. })
        ));
        assert!(decided("1.1.9", older).is_ok());
        assert!(matches!(
            decided("1.2.0", Wishes::default()),
            Err(Refused::Same(_))
        ));
        assert!(matches!(decided("1.2.0", older), Err(Refused::Same(_))));
        assert!(decided("1.2.0", again).is_ok());
    }

    #[test]
    fn another_boards_bundle_is_refused_whatever_is_asked() {
        let mut other = bundle("1.3.0");
        other.compatible = "cgminer-rs-a113d".into();
        let all = Wishes {
            downgrade: true,
            again: true,
        };
        let running = "1.2.0".parse().unwrap();
        let decided = decide(&other, &running, &slots(), &Record::default(), all);
        assert!(matches!(decided, Err(Refused::Incompatible { .. })));
    }

    #[test]
    fn the_only_good_slot_is_not_written_over_while_the_other_is_on_trial() {
        let record = Record {
            trial: Some(Trial {
                slot: "B".into(),
                from: "A".into(),
                version: "1.2.0".into(),
            }),
            last: None,
        };
        let running = "1.2.0".parse().unwrap();
        let all = Wishes {
            downgrade: true,
            again: true,
        };
        let decided = decide(&bundle("1.3.0"), &running, &slots(), &record, all);
        assert!(matches!(decided, Err(Refused::OnTrial(_))));
    }
}
