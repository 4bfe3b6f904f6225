//! The user that the miner becomes.

use nix::unistd::{Gid, Uid, User, getuid, setgid, setgroups, setuid};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The user that miners run as, where the system has it.
const NAME: &str = "cgminer";
/// Every system's user without rights, where it has not.
const NOBODY: u32 = 65_534;

/// A user and the groups that its devices need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// User.
    pub user: u32,
    /// Its own group.
    pub group: u32,
    /// Further groups: those of the serial lines.
    pub groups: Vec<u32>,
    /// How it was found, in words.
    pub found: String,
}

/// The account for a miner with these devices; none when this process is not root and so stays who it is.
#[must_use]
pub fn account(devices: &[PathBuf]) -> Option<Account> {
    if !getuid().is_root() {
        return None;
    }
    let (user, group, found) = match User::from_name(NAME) {
        Ok(Some(user)) => (user.uid.as_raw(), user.gid.as_raw(), format!("user {NAME}")),
        _ => (
            NOBODY,
            NOBODY,
            format!("nobody, as there is no user {NAME}"),
        ),
    };
    // Root's own group opens too much to be given away with a device.
    let groups: BTreeSet<_> = devices
        .iter()
        .filter_map(|device| fs::metadata(device).ok())
        .map(|device| device.gid())
        .filter(|group| *group != 0)
        .collect();
    Some(Account {
        user,
        group,
        groups: groups.into_iter().collect(),
        found,
    })
}

/// Becomes that user for good.
pub(super) fn become_user(account: Option<&Account>) -> Result<String, String> {
    let Some(account) = account else {
        return if getuid().is_root() {
            Err("no user to become was given".into())
        } else {
            Ok(format!("stays user {}", getuid()))
        };
    };
    let groups: Vec<_> = account.groups.iter().copied().map(Gid::from_raw).collect();
    let become_it = || {
        setgroups(&groups)?;
        setgid(Gid::from_raw(account.group))?;
        setuid(Uid::from_raw(account.user))
    };
    become_it().map_err(|error| error.to_string())?;
    if setuid(Uid::from_raw(0)).is_ok() {
        return Err("root could be had back".into());
    }
    Ok(account.found.clone())
}

/// Sees to it that no capability is left; the change of user takes them.
pub(super) fn no_capabilities() -> Result<String, String> {
    let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    for set in ["CapPrm", "CapEff", "CapAmb"] {
        let held = status
            .lines()
            .find_map(|line| line.strip_prefix(set)?.strip_prefix(':'))
            .ok_or_else(|| format!("/proc/self/status has no {set}"))?
            .trim();
        if held.chars().any(|digit| digit != '0') {
            return Err(format!(
                "{set} is {held}; start the keeper as root so that it can change the user"
            ));
        }
    }
    Ok("none left".into())
}
