//! The read commands of the cgminer API, answered from the Snapshot.
//!
//! Members, order and digits are those of cgminer 4.11.1 (API 3.7). A member that has no counterpart in this program is
//! unknown, never a made-up number. Hashrates are those that the chips' nonces prove, as in cgminer.

use super::devices::{device, device_details, devices, notify};
use super::figures::{
    DIFFICULTY_ONE, HASHES_PER_MEGAHASH, ago, difficulty, megahashes, per_minute, percent,
    rate_over, share_time, text, whole_difficulty,
};
use super::fleet;
use super::reply::{Members, Reply, Value};
use super::request::invalid_command;
use super::stats::stats;
use super::writes::is_carried_out;
use crate::telemetry::{Chain, Pool, Shares, Snapshot};
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

/// On which terms a command is answered.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// It is one of several.
    pub joined: bool,
    /// The client may change something.
    pub may_write: bool,
    /// The kind of machine that programs for fleets are told of.
    pub fleet: Option<&'a str>,
}

/// Answers one command that reads.
pub fn answer(
    command: &str,
    parameter: Option<&str>,
    terms: Terms<'_>,
    snapshot: &Snapshot,
) -> Reply {
    let Terms {
        joined,
        may_write,
        fleet,
    } = terms;
    if WRITE.contains(&command) {
        return denied(command);
    }
    match READ.iter().find(|(name, _)| *name == command) {
        None if command != "pga" => return invalid_command(),
        Some((_, false)) | None if joined => return denied(command),
        _ => {}
    }
    match (command, fleet) {
        ("version", Some(model)) => return fleet::version(model),
        ("stats", Some(model)) => return fleet::stats(model, snapshot),
        _ => {}
    }
    match command {
        "version" => version(),
        "config" => config(snapshot),
        "summary" => {
            let mut members = summary(snapshot);
            if fleet.is_some() {
                members.extend(fleet::summary(snapshot));
            }
            Reply::with(11, "Summary", "SUMMARY", vec![members])
        }
        "pools" => pools(snapshot),
        "devs" | "edevs" => devices(snapshot),
        "devdetails" => device_details(snapshot),
        "stats" | "estats" | "dbgstats" => stats(snapshot),
        "notify" => notify(snapshot),
        "coin" => coin(snapshot),
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
        // Nothing is logged at intervals.
        ("Log Interval", Whole(0)),
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
        // Work is made when a chain takes it: none is ever thrown away before.
        ("Discarded", Whole(0)),
        ("Stale", Whole(shares.stale)),
        ("Get Failures", Whole(snapshot.pools.failures)),
        ("Local Work", Whole(sum(|chain| chain.counters.work))),
        ("Remote Failures", Whole(shares.unanswered)),
        ("Network Blocks", Whole(snapshot.work.blocks)),
        ("Total MH", Fixed(hashes / HASHES_PER_MEGAHASH, 4)),
        ("Work Utility", per_minute(hashes / DIFFICULTY_ONE, elapsed)),
        ("Difficulty Accepted", Fixed(shares.accepted_difficulty, 8)),
        ("Difficulty Rejected", Fixed(shares.rejected_difficulty, 8)),
        ("Difficulty Stale", Fixed(shares.stale_difficulty, 8)),
        ("Best Share", whole_difficulty(shares.best_difficulty)),
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
        ("Pool Stale%", stale_percent(shares)),
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
    let stratum = pool.kind != "solo";
    let ready = pool.phase == "ready";
    let block = pool.block.as_ref();
    let diff1 = shares.accepted_difficulty + shares.rejected_difficulty + shares.lost_difficulty;
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
        ("Works", Whole(pool.units)),
        ("Discarded", Whole(0)),
        ("Stale", Whole(shares.stale)),
        ("Get Failures", Whole(pool.failures)),
        ("Remote Failures", Whole(shares.unanswered)),
        ("User", text(&pool.user)),
        ("Last Share Time", share_time(snapshot, pool)),
        // So many of difficulty 1 do the shares found for it stand for.
        ("Diff1 Shares", Whole(diff1 as u64)),
        ("Proxy Type", text("")),
        ("Proxy", text("")),
        ("Difficulty Accepted", Fixed(shares.accepted_difficulty, 8)),
        ("Difficulty Rejected", Fixed(shares.rejected_difficulty, 8)),
        ("Difficulty Stale", Fixed(shares.stale_difficulty, 8)),
        (
            "Last Share Difficulty",
            Fixed(shares.last_difficulty.unwrap_or(0.0), 8),
        ),
        ("Work Difficulty", difficulty(pool)),
        ("Has Stratum", Truth(stratum)),
        ("Stratum Active", Truth(stratum && ready)),
        (
            "Stratum URL",
            text(if stratum && ready { host } else { "" }),
        ),
        (
            "Stratum Difficulty",
            if stratum {
                difficulty(pool)
            } else {
                Fixed(0.0, 8)
            },
        ),
        (
            "Has Vmask",
            Truth(pool.version_mask.is_some_and(|mask| mask != 0)),
        ),
        ("Has GBT", Truth(!stratum)),
        ("Best Share", whole_difficulty(shares.best_difficulty)),
        (
            "Pool Rejected%",
            percent(
                shares.rejected_difficulty,
                shares.accepted_difficulty + shares.rejected_difficulty,
            ),
        ),
        ("Pool Stale%", stale_percent(shares)),
        // cgminer counts jobs with fewer than two merkle branches here, and templates with fewer than three transactions.
        ("Bad Work", pool.nearly_empty_jobs.map_or(Unknown, Whole)),
        (
            "Current Block Height",
            block.map_or(Whole(0), |block| {
                block.height.map_or(Unknown, |height| Whole(height.into()))
            }),
        ),
        (
            "Current Block Version",
            Whole(block.map_or(0, |block| block.version.into())),
        ),
    ]
}

/// Stale of all that were found, as in cgminer.
fn stale_percent(shares: &Shares) -> Value {
    let all = shares.accepted_difficulty + shares.rejected_difficulty + shares.stale_difficulty;
    percent(shares.stale_difficulty, all)
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

fn coin(snapshot: &Snapshot) -> Reply {
    let block = snapshot.work.block.as_ref();
    let since = match (block, snapshot.unix_time) {
        (None, _) => Fixed(0.0, 6),
        (Some(_), None) => Unknown,
        (Some(block), Some(now)) => Fixed((now - block.age_s).max(0.0), 6),
    };
    let members = vec![
        ("Hash Method", text("sha256")),
        ("Current Block Time", since),
        (
            "Current Block Hash",
            text(block.map_or("", |block| &block.previous_hash)),
        ),
        // New blocks are told as they come, by Stratum as by a node.
        ("LP", Truth(true)),
        (
            "Network Difficulty",
            Fixed(block.map_or(0.0, |block| block.network_difficulty), 8),
        ),
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
    let last_nonce = chains.iter().filter_map(|chain| chain.last_nonce_age_s);
    let last_nonce = last_nonce.reduce(f64::min);
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
        (
            "Last Share Difficulty",
            Fixed(snapshot.shares.last_difficulty.unwrap_or(0.0), 8),
        ),
        (
            "Last Share Time",
            active.map_or(Unknown, |pool| share_time(snapshot, pool)),
        ),
        (
            "Best Share",
            whole_difficulty(snapshot.shares.best_difficulty),
        ),
        ("Last Valid Work", ago(snapshot, last_nonce)),
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
        ("Access", flag(read || may_write && is_carried_out(command))),
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
