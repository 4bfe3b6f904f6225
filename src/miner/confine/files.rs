//! Landlock: the part of the file system that the miner keeps.

use super::Plan;
use landlock::{
    ABI, Access, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use std::path::{Path, PathBuf};

/// Rights that are known here; a kernel that knows fewer enforces fewer.
const KNOWN: ABI = ABI::V6;

/// What every program needs to read: libraries, names of hosts, roots of trust, time zones.
const SYSTEM: [&str; 5] = ["/usr", "/lib", "/lib64", "/etc", "/proc/self"];
/// Where `/etc/resolv.conf` leads to on systems that make it anew at every start.
const RESOLVERS: [&str; 3] = [
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/tmp/resolv.conf",
];
/// What telemetry reads of the machine.
const MACHINE: [&str; 6] = [
    "/proc/meminfo",
    "/proc/stat",
    "/proc/loadavg",
    "/proc/uptime",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/osrelease",
];
/// Devices that have no power over anything.
const HARMLESS: [&str; 2] = ["/dev/null", "/dev/urandom"];

/// Gives up everything but what the plan names.
pub(super) fn restrict(plan: &Plan) -> Result<String, String> {
    let status = rules(plan).and_then(RulesetCreated::restrict_self);
    match status.map_err(|error| error.to_string())?.ruleset {
        RulesetStatus::FullyEnforced => Ok("fully enforced".into()),
        RulesetStatus::PartiallyEnforced => Ok("enforced as far as this kernel knows it".into()),
        RulesetStatus::NotEnforced => {
            Err("the kernel has it not, or it is off; see CONFIG_SECURITY_LANDLOCK and lsm=".into())
        }
    }
}

fn rules(plan: &Plan) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let run = read | AccessFs::Execute;
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let write = AccessFs::from_all(KNOWN) & !AccessFs::Execute & !AccessFs::IoctlDev;
    let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    for (paths, access) in [
        (paths(&SYSTEM), run),
        (paths(&RESOLVERS), read),
        (paths(&MACHINE), read),
        (paths(&HARMLESS), device),
        (plan.read.clone(), read),
        (plan.write.clone(), write),
        (plan.devices.clone(), device),
    ] {
        for path in paths {
            rules = keep(rules, &path, access)?;
        }
    }
    Ok(rules)
}

/// Keeps what is there; what is not there cannot be used anyway.
fn keep(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(opened) = PathFd::new(path) else {
        return Ok(rules);
    };
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(KNOWN)
    };
    rules.add_rule(PathBeneath::new(opened, access))
}
