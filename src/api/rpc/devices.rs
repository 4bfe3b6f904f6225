//! The commands of the cgminer API that tell of devices, which here are chains.

use super::figures::{
    DIFFICULTY_ONE, HASHES_PER_MEGAHASH, ago, megahashes, per_minute, percent, text,
};
use super::reply::{Members, Reply, Value};
use crate::telemetry::{Chain, ChainPhase, Snapshot};
use Value::{Fixed, Truth, Unknown, Whole};

/// `devs`: every chain.
pub fn devices(snapshot: &Snapshot) -> Reply {
    if snapshot.chains.is_empty() {
        return no_devices();
    }
    let objects = snapshot
        .chains
        .iter()
        .map(|chain| chain_members(snapshot, chain))
        .collect();
    Reply::with(
        9,
        format!("{} ASC(s)", snapshot.chains.len()),
        "DEVS",
        objects,
    )
}

/// There is not one.
fn no_devices() -> Reply {
    Reply::bare('E', 10, "No ASCs/PGAs")
}

/// `asc`: one chain.
pub fn device(snapshot: &Snapshot, parameter: Option<&str>) -> Reply {
    let last = snapshot.chains.len().saturating_sub(1);
    let Some(parameter) = parameter else {
        return Reply::bare('E', 15, "Missing device id parameter");
    };
    if snapshot.chains.is_empty() {
        return Reply::bare('E', 105, "No ASCs");
    }
    let chain = parameter
        .parse()
        .ok()
        .and_then(|index: usize| snapshot.chains.get(index));
    if let Some(chain) = chain {
        let members = chain_members(snapshot, chain);
        return Reply::with(106, format!("ASC{}", chain.index), "ASC", vec![members]);
    }
    let shown: String = parameter.chars().take(20).collect();
    Reply::bare(
        'E',
        107,
        format!("Invalid ASC id {shown} - range is 0 - {last}"),
    )
}

/// `devdetails`: what the chains are.
pub fn device_details(snapshot: &Snapshot) -> Reply {
    if snapshot.chains.is_empty() {
        return no_devices();
    }
    let details = |chain: &Chain| {
        vec![
            ("DEVDETAILS", Whole(chain.index.into())),
            ("Name", text(&chain.model)),
            ("ID", Whole(chain.index.into())),
            ("Driver", text("cgminer-rs")),
            ("Kernel", text("")),
            ("Model", text(&chain.model)),
            ("Device Path", text("")),
        ]
    };
    Reply::with(
        69,
        "Device Details",
        "DEVDETAILS",
        snapshot.chains.iter().map(details).collect(),
    )
}

/// `notify`: why a chain is not well.
pub fn notify(snapshot: &Snapshot) -> Reply {
    if snapshot.chains.is_empty() {
        return no_devices();
    }
    let notes = |chain: &Chain| {
        vec![
            ("NOTIFY", Whole(chain.index.into())),
            ("Name", text(&chain.model)),
            ("ID", Whole(chain.index.into())),
            ("Last Well", ago(snapshot, chain.last_well_age_s)),
            ("Last Not Well", ago(snapshot, chain.last_ill_age_s)),
            (
                "Reason Not Well",
                text(chain.reason.as_deref().unwrap_or("None")),
            ),
            // There are no such threads here, so that none ever fails.
            ("*Thread Fail Init", Whole(0)),
            ("*Thread Zero Hash", Whole(0)),
            ("*Thread Fail Queue", Whole(0)),
            // Failures are counted all together: "Failures" in `stats`.
            ("*Dev Sick Idle 60s", Unknown),
            ("*Dev Dead Idle 600s", Unknown),
            ("*Dev Nostart", Unknown),
            // Heat is judged for the machine as a whole.
            ("*Dev Over Heat", Unknown),
            ("*Dev Thermal Cutoff", Unknown),
            ("*Dev Comms Error", Whole(chain.counters.crc_errors)),
            ("*Dev Throttle", Unknown),
        ]
    };
    Reply::with(
        60,
        "Notify",
        "NOTIFY",
        snapshot.chains.iter().map(notes).collect(),
    )
}

/// The phase in cgminer's words for the life of a device.
fn standing(phase: ChainPhase) -> &'static str {
    match phase {
        ChainPhase::Idle | ChainPhase::Hashing => "Alive",
        ChainPhase::BringUp => "Initialising",
        ChainPhase::BackOff => "Sick",
        ChainPhase::Failed => "Dead",
        ChainPhase::Waiting | ChainPhase::Stopped => "NoStart",
    }
}

fn chain_members(snapshot: &Snapshot, chain: &Chain) -> Members {
    let counters = &chain.counters;
    let shares = &chain.shares;
    let elapsed = snapshot.machine.uptime_s;
    let work = counters.hashes / DIFFICULTY_ONE;
    let index = u64::from(chain.index);
    let mut members = vec![
        ("ASC", Whole(index)),
        ("Name", text(&chain.model)),
        ("ID", Whole(index)),
        ("Enabled", text(if chain.enabled { "Y" } else { "N" })),
        ("Status", text(standing(chain.phase))),
        (
            "Temperature",
            chain
                .temperature
                .value()
                .map_or(Unknown, |celsius| Fixed(celsius.0.into(), 2)),
        ),
    ];
    members.extend(megahashes(&[chain], elapsed));
    members.extend([
        ("Accepted", Whole(shares.accepted)),
        ("Rejected", Whole(shares.rejected)),
        ("Hardware Errors", Whole(counters.mismatches)),
        ("Utility", per_minute(shares.accepted as f64, elapsed)),
        (
            "Last Share Pool",
            // In cgminer -1 is no pool.
            shares
                .last_pool
                .map_or(Fixed(-1.0, 0), |pool| Whole(pool as u64)),
        ),
        ("Last Share Time", ago(snapshot, shares.last_accepted_age_s)),
        ("Total MH", Fixed(counters.hashes / HASHES_PER_MEGAHASH, 4)),
        ("Diff1 Work", Whole(work as u64)),
        ("Difficulty Accepted", Fixed(shares.accepted_difficulty, 8)),
        ("Difficulty Rejected", Fixed(shares.rejected_difficulty, 8)),
        (
            "Last Share Difficulty",
            Fixed(shares.last_difficulty.unwrap_or(0.0), 8),
        ),
        ("No Device", Truth(chain.present == Some(false))),
        ("Last Valid Work", ago(snapshot, chain.last_nonce_age_s)),
        (
            "Device Hardware%",
            percent(
                counters.mismatches as f64,
                counters.mismatches as f64 + work,
            ),
        ),
        (
            "Device Rejected%",
            percent(shares.rejected_difficulty, work),
        ),
        ("Device Elapsed", Whole(elapsed as u64)),
    ]);
    members
}
