//! Installing: verified before it is written, read back after, and only then the next to boot.

use super::plan::{Plan, Wishes, decide};
use super::trial::{Record, Trial};
use super::{image_version, rauc, record_path};
use crate::cli::{Failure, table};
use crate::work::hex;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Bytes that are read back at a time.
const PIECE: usize = 256 * 1024;

/// Installs a bundle into the idle slot and makes it the next to boot.
pub(super) fn install(file: &Path, wishes: Wishes) -> Result<(), Failure> {
    let running = image_version()?;
    let slots = rauc::status()?;
    let record = Record::read(&record_path())?;
    say(&format!("verifying {}", file.display()));
    let bundle = rauc::info(file)?;
    let plan = decide(&bundle, &running, &slots, &record, wishes)
        .map_err(|refused| Failure::Other(format!("{}: {refused}", file.display())))?;

    say(&format!(
        "version {} goes into slot {}; version {running} stays in slot {}",
        plan.version, plan.bootname, plan.from
    ));
    rauc::install(file, say)?;
    say(&format!("reading slot {} back", plan.bootname));
    let sha256 = hash_of(&plan.device, plan.size)?;
    if sha256 != plan.sha256 {
        return Err(Failure::Other(format!(
            "{}: what was written reads back differently, so it will not be booted; the medium is likely worn out",
            plan.device.display()
        )));
    }
    // In this order: a trial that the boot loader does not know of is harmless, one that nobody watches over is not.
    trial_of(&plan, record).write(&record_path())?;
    rauc::mark_active()?;
    say(
        "installed: the next start is its trial, and a trial that does not mine falls back by itself",
    );
    Ok(())
}

fn trial_of(plan: &Plan, before: Record) -> Record {
    Record {
        trial: Some(Trial {
            slot: plan.bootname.clone(),
            from: plan.from.clone(),
            version: plan.version.to_string(),
        }),
        ..before
    }
}

/// SHA-256 of the first bytes of a device. Nobody else has it open, so the kernel has dropped what it had cached when RAUC closed it,
/// and the medium itself is read.
fn hash_of(device: &Path, size: u64) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::Other(format!(
            "{}: cannot be read back: {error}",
            device.display()
        ))
    };
    let mut reader = File::open(device).map_err(failed)?.take(size);
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut read = 0;
    loop {
        match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => {
                hash.update(piece.get(..count).unwrap_or_default());
                read += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    if read < size {
        return Err(failed(ErrorKind::UnexpectedEof.into()));
    }
    Ok(hex::encode(&hash.finalize()))
}

/// A line of progress. That nobody reads it is no reason to stop half-way.
fn say(line: &str) {
    let _ = table::print(&format!("{}\n", table::inert(line)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_image_is_read_back_and_all_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("slot");
        std::fs::write(&path, b"abcrest of the slot").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash_of(&path, 3).unwrap(), abc);
        assert!(
            hash_of(&path, 1000)
                .unwrap_err()
                .to_string()
                .contains("read back")
        );
    }
}
