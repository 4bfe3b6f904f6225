//! The read commands of the cgminer API, answered from the Snapshot.
//!
//! Members, order and digits are those of cgminer 4.11.1 (API 3.7). A member that has no counterpart in this program is
//! unknown, never a made-up number. Hashrates are those that the chips' nonces prove, as in cgminer.

use super::devices::{device, device_details, devices, notify};
use super::figures::{
    DIFFICULTY_ONE, HASHES_PER_MEGAHASH, ago, megahashes, per_minute, percent, rate_over,
    share_time, text,
};
use super::reply::{Members, Reply, Value};
use super::request::invalid_command;
use super::writes::CARRIED_OUT;
use crate::telemetry::{Chain, Pool, Snapshot};
use Value::{Fixed, Truth, Unknown, Whole};

/// Commands that can be asked, and whether they may be joined.
const READ: [(&str, bool); 18] = [
    ("version", true),
    ("config", true),
    ("summary", true),
    ("pools", true),
    ("devs", true),
    ("edevs", true),
    ("devdetails", true),
    ("stats", true),
    ("estats", true),
    ("dbgstats", true),
    ("notify", true),
    ("coin", true),
    ("lcd", true),
    ("usbstats", true),
    ("asccount", true),
    ("pgacount", true),
    ("asc", false),
    ("check", false),
];
/// Commands that change something.
const WRITE: [&str; 25] = [
    "switchpool",
    "addpool",
    "poolpriority",
    "poolquota",
    "enablepool",
    "disablepool",
    "removepool",
    "save",
    "quit",
    "privileged",
    "restart",
    "failover-only",
    "debug",
    "setconfig",
    "zero",
    "hotplug",
    "lockstats",
    "ascenable",
    "ascdisable",
    "ascidentify",
    "ascset",
    "pgaenable",
    "pgadisable",
    "pgaidentify",
    "pgaset",
];

/// Answers one command that reads. `joined` when it is one of several; `may_write` when the client may change something.
pub fn answer(
    command: &str,
    parameter: Option<&str>,
    (joined, may_write): (bool, bool),
    snapshot: &Snapshot,
) -> Reply {
    if WRITE.contains(&command) {
        return denied(command);
    }
    match READ.iter().find(|(name, _)| *name == command) {
        None if command != "pga" => return invalid_command(),
        Some((_, false)) | None if joined => return denied(command),
        _ => {}
    }
    match command {
        "version" => version(),
        "config" => config(snapshot),
        "summary" => Reply::with(11, "Summary", "SUMMARY", vec![summary(snapshot)]),
        "pools" => pools(snapshot),
        "devs" | "edevs" => devices(snapshot),
        "devdetails" => device_details(snapshot),
        "stats" | "estats" | "dbgstats" => stats(snapshot),
        "notify" => notify(snapshot),
        "coin" => coin(),
        "lcd" => Reply::with(125, "LCD", "LCD", vec![lcd(snapshot)]),
        "usbstats" => Reply::bare('I', 88, "No USB Statistics"),
        "asccount" => count(104, "ASC count", "ASCS", snapshot.chains.len()),
        "pgacount" => count(59, "PGA count", "PGAS", 0),
        "asc" => device(snapshot, parameter),
        "pga" => Reply::bare('E', 56, "No PGAs"),
        "check" => check(parameter, may_write),
        _ => invalid_command(),
    }
}

fn denied(command: &str) -> Reply {
    Reply::bare('E', 45, format!("Access denied to '{command}' command"))
}

fn version() -> Reply {
    let members = vec![
        ("CGMiner", text(env!("CARGO_PKG_VERSION"))),
        ("API", text("3.7")),
    ];
    Reply::with(22, "CGMiner versions", "VERSION", vec![members])
}

fn config(snapshot: &Snapshot) -> Reply {
    let strategy = match snapshot.pools.strategy.as_str() {
        "failover" => "Failover",
        "round-robin" => "Round Robin",
        "load-balance" => "Load Balance",
        other => other,
    };
    let members = vec![
        ("ASC Count", Whole(snapshot.chains.len() as u64)),
        ("PGA Count", Whole(0)),
        ("Pool Count", Whole(snapshot.pools.list.len() as u64)),
        ("Strategy", text(strategy)),
        ("Log Interval", Unknown),
        ("Device Code", text("")),
        ("OS", text("Linux")),
        ("Hotplug", text("None")),
    ];
    Reply::with(33, "CGMiner config", "CONFIG", vec![members])
}

fn summary(snapshot: &Snapshot) -> Members {
    let shares = &snapshot.shares;
    let elapsed = snapshot.machine.uptime_s;
    let sum = |value: fn(&Chain) -> u64| snapshot.chains.iter().map(value).sum::<u64>();
    let hashes: f64 = snapshot
        .chains
        .iter()
        .map(|chain| chain.counters.hashes)
        .sum();
    let errors = sum(|chain| chain.counters.mismatches);
    let all = snapshot.chains.iter().collect::<Vec<_>>();
    let mut members = vec![("Elapsed", Whole(elapsed as u64))];
    members.extend(megahashes(&all, elapsed));
    members.extend([
        ("Found Blocks", Whole(shares.blocks_found)),
        ("Getworks", Whole(snapshot.work.jobs)),
        ("Accepted", Whole(shares.accepted)),
        ("Rejected", Whole(shares.rejected.total)),
        ("Hardware Errors", Whole(errors)),
        ("Utility", per_minute(shares.accepted as f64, elapsed)),
        ("Discarded", Unknown),
        ("Stale", Whole(shares.stale)),
        (
            "Get Failures",
            Whole(snapshot.pools.list.iter().map(|pool| pool.failures).sum()),
        ),
        ("Local Work", Whole(sum(|chain| chain.counters.work))),
        ("Remote Failures", Whole(shares.unanswered)),
        ("Network Blocks", Unknown),
        ("Total MH", Fixed(hashes / HASHES_PER_MEGAHASH, 4)),
        ("Work Utility", per_minute(hashes / DIFFICULTY_ONE, elapsed)),
        ("Difficulty Accepted", Fixed(shares.accepted_difficulty, 8)),
        ("Difficulty Rejected", Fixed(shares.rejected_difficulty, 8)),
        ("Difficulty Stale", Unknown),
        ("Best Share", Unknown),
        (
            "Device Hardware%",
            percent(errors as f64, errors as f64 + hashes / DIFFICULTY_ONE),
        ),
        (
            "Device Rejected%",
            percent(shares.rejected_difficulty, hashes / DIFFICULTY_ONE),
        ),
        (
            "Pool Rejected%",
            percent(
                shares.rejected_difficulty,
                shares.accepted_difficulty + shares.rejected_difficulty,
            ),
        ),
        ("Pool Stale%", Unknown),
        ("Last getwork", ago(snapshot, snapshot.work.job_age_s)),
    ]);
    members
}

fn pools(snapshot: &Snapshot) -> Reply {
    let list = &snapshot.pools.list;
    if list.is_empty() {
        return Reply::bare('E', 8, "No pools");
    }
    let objects = list.iter().map(|each| pool(snapshot, each)).collect();
    Reply::with(7, format!("{} Pool(s)", list.len()), "POOLS", objects)
}

fn pool(snapshot: &Snapshot, pool: &Pool) -> Members {
    let shares = &pool.shares;
    let stratum = pool.kind == "stratum_v1";
    let ready = pool.phase == "ready";
    let difficulty = pool.difficulty.map_or(Unknown, |value| Fixed(value, 8));
    let host = pool
        .peer
        .as_deref()
        .and_then(|peer| peer.rsplit_once(':'))
        .map_or("", |(host, _)| host);
    vec![
        ("POOL", Whole(pool.index as u64)),
        ("URL", text(&pool.url)),
        ("Status", standing(pool)),
        ("Priority", Whole(pool.index as u64)),
        ("Quota", Whole(pool.quota.into())),
        ("Long Poll", text("N")),
        ("Getworks", Whole(pool.jobs)),
        ("Accepted", Whole(shares.accepted)),
        ("Rejected", Whole(shares.rejected.total)),
        ("Works", Unknown),
        ("Discarded", Unknown),
        ("Stale", Whole(shares.stale)),
        ("Get Failures", Whole(pool.failures)),
        ("Remote Failures", Whole(shares.unanswered)),
        ("User", text(&pool.user)),
        ("Last Share Time", share_time(snapshot, pool)),
        ("Diff1 Shares", Unknown),
        ("Proxy Type", text("")),
        ("Proxy", text("")),
        ("Difficulty Accepted", Fixed(shares.accepted_difficulty, 8)),
        ("Difficulty Rejected", Fixed(shares.rejected_difficulty, 8)),
        ("Difficulty Stale", Unknown),
        ("Last Share Difficulty", Unknown),
        ("Work Difficulty", difficulty.clone()),
        ("Has Stratum", Truth(stratum)),
        ("Stratum Active", Truth(stratum && ready)),
        (
            "Stratum URL",
            text(if stratum && ready { host } else { "" }),
        ),
        (
            "Stratum Difficulty",
            if stratum { difficulty } else { Unknown },
        ),
        (
            "Has Vmask",
            Truth(pool.version_mask.is_some_and(|mask| mask != 0)),
        ),
        ("Has GBT", Truth(!stratum)),
        ("Best Share", Unknown),
        (
            "Pool Rejected%",
            percent(
                shares.rejected_difficulty,
                shares.accepted_difficulty + shares.rejected_difficulty,
            ),
        ),
        ("Pool Stale%", Unknown),
        ("Bad Work", Unknown),
        ("Current Block Height", Unknown),
        ("Current Block Version", Unknown),
    ]
}

/// In cgminer a pool that is not disabled is alive or dead. One that waits in reserve without a connection is as it was
/// when it was last asked, and unknown before that.
fn standing(pool: &Pool) -> Value {
    match pool.phase.as_str() {
        _ if !pool.enabled => text("Disabled"),
        "ready" | "waiting_for_job" | "handshake" => text("Alive"),
        "idle" => match (pool.last_job_age_s, pool.last_error_age_s) {
            (None, None) => Unknown,
            (Some(job), Some(error)) if error <= job => text("Dead"),
            (Some(_), _) => text("Alive"),
            (None, Some(_)) => text("Dead"),
        },
        _ => text("Dead"),
    }
}

/// Only pools have statistics in cgminer's sense, and few of those exist here.
fn stats(snapshot: &Snapshot) -> Reply {
    let stats = |pool: &Pool| {
        let difficulty = pool.difficulty.map_or(Unknown, |value| Fixed(value, 8));
        let mut members = vec![
            ("STATS", Whole(pool.index as u64)),
            ("ID", text(&format!("POOL{}", pool.index))),
            ("Elapsed", Whole(snapshot.machine.uptime_s as u64)),
        ];
        let unknown = [
            "Calls",
            "Wait",
            "Max",
            "Min",
            "Pool Calls",
            "Pool Attempts",
            "Pool Wait",
            "Pool Max",
            "Pool Min",
            "Pool Av",
            "Work Had Roll Time",
            "Work Can Roll",
            "Work Had Expire",
            "Work Roll Time",
        ];
        members.extend(unknown.map(|name| (name, Unknown)));
        members.push(("Work Diff", difficulty));
        let unknown = [
            "Min Diff",
            "Max Diff",
            "Min Diff Count",
            "Max Diff Count",
            "Times Sent",
            "Bytes Sent",
            "Times Recv",
            "Bytes Recv",
            "Net Bytes Sent",
            "Net Bytes Recv",
        ];
        members.extend(unknown.map(|name| (name, Unknown)));
        members
    };
    Reply::with(
        70,
        "CGMiner stats",
        "STATS",
        snapshot.pools.list.iter().map(stats).collect(),
    )
}

fn coin() -> Reply {
    let members = vec![
        ("Hash Method", text("sha256")),
        ("Current Block Time", Unknown),
        ("Current Block Hash", Unknown),
        ("LP", Unknown),
        ("Network Difficulty", Unknown),
    ];
    Reply::with(78, "CGMiner coin", "COIN", vec![members])
}

fn lcd(snapshot: &Snapshot) -> Members {
    let chains: Vec<_> = snapshot.chains.iter().collect();
    let rate = |seconds| rate_over(&chains, seconds).map_or(Unknown, |rate| Fixed(rate / 1e9, 2));
    let active = snapshot
        .pools
        .active
        .and_then(|index| snapshot.pools.list.get(index));
    let hashes: f64 = snapshot
        .chains
        .iter()
        .map(|chain| chain.counters.hashes)
        .sum();
    let elapsed = snapshot.machine.uptime_s;
    let hottest = snapshot
        .chains
        .iter()
        .filter_map(|chain| chain.temperature.value())
        .map(|celsius| celsius.0);
    vec![
        ("Elapsed", Whole(elapsed as u64)),
        ("GHS av", Fixed(hashes / 1e9 / elapsed.max(1.0), 2)),
        ("GHS 5m", rate(300)),
        ("GHS 5s", rate(5)),
        (
            "Temperature",
            hottest
                .reduce(f32::max)
                .map_or(Unknown, |celsius| Fixed(celsius.into(), 2)),
        ),
        ("Last Share Difficulty", Unknown),
        (
            "Last Share Time",
            active.map_or(Unknown, |pool| share_time(snapshot, pool)),
        ),
        ("Best Share", Unknown),
        ("Last Valid Work", Unknown),
        ("Found Blocks", Whole(snapshot.shares.blocks_found)),
        (
            "Current Pool",
            active.map_or(Unknown, |pool| text(&pool.url)),
        ),
        ("User", active.map_or(Unknown, |pool| text(&pool.user))),
    ]
}

fn check(parameter: Option<&str>, may_write: bool) -> Reply {
    let Some(command) = parameter else {
        return Reply::bare('E', 71, "Missing check cmd");
    };
    let read = READ.iter().any(|(name, _)| *name == command) || command == "pga";
    let flag = |truth| text(if truth { "Y" } else { "N" });
    let members = vec![
        ("Exists", flag(read || WRITE.contains(&command))),
        (
            "Access",
            flag(read || may_write && CARRIED_OUT.contains(&command)),
        ),
    ];
    Reply::with(72, "Check command", "CHECK", vec![members])
}

fn count(code: u16, message: &str, name: &'static str, count: usize) -> Reply {
    Reply::with(
        code,
        message,
        name,
        vec![vec![("Count", Whole(count as u64))]],
    )
}
