//! The directories of keeper and miner, and who may look into which.
//!
//! ```text
//!   RUN            the miner's: sockets of the API, the way to the configuration
//!   RUN-keeper     the keeper's alone: its operator's socket
//!   state          the keeper's alone: what outlives a reboot
//! ```

use super::Failure;
use crate::config::{Config, KeeperSection};
use std::fmt::Display;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What outlives a reboot, in the state directory.
const KEPT: &str = "keeper.json";
/// Socket for an operator's tool, in the keeper's own directory.
const OPERATOR: &str = "keeper.sock";

/// The keeper's socket for an operator's tool.
#[must_use]
pub fn operator_socket(run_directory: &Path) -> PathBuf {
    keeper_directory(run_directory).join(OPERATOR)
}

/// The directory of the keeper's socket: beside the run directory, not in it.
#[must_use]
pub fn keeper_directory(run_directory: &Path) -> PathBuf {
    let mut name = run_directory.as_os_str().to_owned();
    name.push("-keeper");
    name.into()
}

/// The file that outlives a reboot. An emulated machine has its own, so that its faults do not latch the real one.
#[must_use]
pub fn kept(config: &Config, emulated: bool) -> PathBuf {
    let named = &config.keeper.state_directory;
    let unnamed = *named == KeeperSection::default().state_directory;
    if emulated && unnamed {
        keeper_directory(&config.api.run_directory).join(KEPT)
    } else {
        named.join(KEPT)
    }
}

/// Makes the keeper's directories, so that nobody else can look into them or take anything away. The run directory has
/// to be there.
///
/// # Errors
/// When that cannot be done, with the directory.
pub fn prepare(config: &Config, emulated: bool) -> Result<(), Failure> {
    let run = &config.api.run_directory;
    make_private(&keeper_directory(run))?;
    let kept = kept(config, emulated);
    let state = kept.parent().unwrap_or(Path::new("/"));
    make_private(state)?;
    // The configuration's check compares names; a symbolic link can lead anywhere.
    let real = |path: &Path| path.canonicalize().map_err(|error| failed(path, &error));
    let (state, run) = (real(state)?, real(run)?);
    if state.starts_with(&run) || run.starts_with(&state) {
        return Err(failed(
            &state,
            &"is not apart from the run directory, which belongs to the unprivileged miner; set \
              keeper.state_directory to a directory elsewhere",
        ));
    }
    Ok(())
}

fn make_private(directory: &Path) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        let hint =
            "name one on a disk that can be written in keeper.state_directory or api.run_directory";
        failed(directory, &format_args!("{error}; {hint}"))
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(cannot)?;
    let found = fs::metadata(directory).map_err(cannot)?;
    let (owner, ours) = (found.uid(), nix::unistd::geteuid().as_raw());
    if owner != ours {
        return Err(failed(
            directory,
            &format_args!(
                "belongs to user {owner}, who could take away what the keeper keeps; give it to user {ours}, or name \
                 another one"
            ),
        ));
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(directory, Permissions::from_mode(0o700)).map_err(cannot)?;
    }
    Ok(())
}

fn failed(directory: &Path, what: &dyn Display) -> Failure {
    Failure::Other(format!(
        "keeper's directory {}: {what}",
        directory.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ApiSection;

    fn config(run: &Path, state: &Path) -> Config {
        Config {
            api: ApiSection {
                run_directory: run.into(),
                ..ApiSection::default()
            },
            keeper: KeeperSection {
                state_directory: state.into(),
            },
            ..Config::default()
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn the_keepers_directories_are_its_own_whatever_they_were_before() {
        let root = tempfile::tempdir().unwrap();
        let (run, state) = (root.path().join("run"), root.path().join("a/state"));
        fs::create_dir(&run).unwrap();
        let config = config(&run, &state);
        prepare(&config, false).unwrap();
        assert_eq!(mode(&state), 0o700);
        assert_eq!(mode(&root.path().join("run-keeper")), 0o700);
        fs::set_permissions(&state, Permissions::from_mode(0o777)).unwrap();
        prepare(&config, false).unwrap();
        assert_eq!(mode(&state), 0o700);
        assert_eq!(kept(&config, true), state.join(KEPT));
    }

    #[test]
    fn a_link_into_the_run_directory_is_seen_through() {
        let root = tempfile::tempdir().unwrap();
        let (run, state) = (root.path().join("run"), root.path().join("state"));
        fs::create_dir_all(run.join("inside")).unwrap();
        std::os::unix::fs::symlink(run.join("inside"), &state).unwrap();
        let failure = prepare(&config(&run, &state), false).unwrap_err();
        assert!(failure.to_string().contains("is not apart"), "{failure}");
    }

    #[test]
    fn a_disk_that_cannot_be_written_is_told_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let failure = prepare(&config(root.path(), Path::new("/proc/state")), false).unwrap_err();
        let text = failure.to_string();
        assert!(
            text.contains("/proc/state") && text.contains("keeper.state_directory"),
            "{text}"
        );
    }

    #[test]
    fn an_emulated_machine_leaves_the_real_ones_state_alone() {
        let emulated = Config::default();
        assert_eq!(
            kept(&emulated, true),
            Path::new("/run/cgminer-rs-keeper/keeper.json")
        );
        assert_eq!(
            kept(&emulated, false),
            Path::new("/var/lib/cgminer-rs/keeper.json")
        );
    }
}
