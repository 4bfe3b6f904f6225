//! The rules: what of a Snapshot is bad, what is good, and what lies between and changes nothing.

use super::trends::Trends;
use super::{AlertLimits, Rule};
use crate::chain::status::ChainPhase;
use crate::pool::status::HASHES_PER_DIFFICULTY;
use crate::telemetry::Severity;
use crate::telemetry::snapshot::{Chain, MachineState, Snapshot, Supply};
use std::time::Duration;
use tokio::time::Instant;

/// A hot chain has cooled when it is this much below the limit.
const COOLER: f32 = 5.0;
/// Window that hashrate is judged by.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Per cent above its limit at which the hashrate is well again.
const RECOVERED: f64 = 5.0;
/// Silence of this many mean times between shares is no chance: it happens once in 22,000 times.
const MEAN_TIMES: f64 = 10.0;
/// Answers that a share of refused ones is told from.
const LEAST_ANSWERS: u64 = 20;
/// Silence of the keeper in seconds that is an alert.
const KEEPER_SILENT: f64 = 10.0;

/// How long a jump of the clock is told of, besides the time that anything has to hold.
const JUMP_TOLD: Duration = Duration::from_secs(10 * 60);

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Well; ends an alert.
    Good,
    /// Neither, or nobody knows: leaves things as they are.
    Between,
    /// To be told of.
    Bad,
}

/// One thing that a rule has looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// By which rule.
    pub rule: Rule,
    /// Where.
    pub source: String,
    /// How it stands.
    pub level: Level,
    /// How much it matters when bad.
    pub severity: Severity,
    /// In words.
    pub message: String,
}

/// Everything that can be found.
pub fn judge(
    snapshot: &Snapshot,
    trends: &Trends,
    limits: &AlertLimits,
    now: Instant,
) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    halted(snapshot, &mut findings);
    temperatures(snapshot, limits, &mut findings);
    fans(snapshot, &mut findings);
    if let Some(supply) = &snapshot.supply {
        self::supply(snapshot, supply, limits, &mut findings);
    }
    for chain in &snapshot.chains {
        board(chain, limits, &mut findings);
    }
    hash_rate(snapshot, trends, limits, now, &mut findings);
    no_share(snapshot, trends, limits, now, &mut findings);
    rejects(trends, limits, &mut findings);
    pools(snapshot, &mut findings);
    restarts(trends, limits, &mut findings);
    storage(snapshot, limits, &mut findings);
    let (level, message) = match snapshot.unix_time {
        Some(_) => (Level::Good, "the clock is set"),
        None => (
            Level::Bad,
            "the clock was never set; see to NTP, or certificates cannot be judged",
        ),
    };
    findings.add(
        Rule::Clock,
        "clock",
        level,
        Severity::Warning,
        message.into(),
    );
    clock_jump(trends, limits, now, &mut findings);
    findings.0
}

/// A jump is over as soon as it was made; it is told for as long as it takes to be heard.
fn clock_jump(trends: &Trends, limits: &AlertLimits, now: Instant, findings: &mut Findings) {
    let (level, message) = match trends.clock_jump {
        Some((at, _)) if now - at > limits.hold + JUMP_TOLD => (Level::Good, String::new()),
        Some((_, jump)) => {
            let way = if jump < 0.0 { "back" } else { "forward" };
            let message = format!(
                "the clock jumped {way} by {:.0} s; see to NTP and to the battery of the clock, as certificates and \
                 the times of work depend on it",
                jump.abs()
            );
            (Level::Bad, message)
        }
        None => (Level::Good, String::new()),
    };
    findings.add(Rule::Clock, "clock jump", level, Severity::Warning, message);
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        rule: Rule,
        source: impl Into<String>,
        level: Level,
        severity: Severity,
        message: String,
    ) {
        self.0.push(Finding {
            rule,
            source: source.into(),
            level,
            severity,
            message,
        });
    }
}

fn halted(snapshot: &Snapshot, findings: &mut Findings) {
    let keeper = &snapshot.keeper;
    let state = keeper.state.as_deref();
    let silent = keeper.heard_s.filter(|heard| *heard > KEEPER_SILENT);
    let level = match (silent, state) {
        (Some(_), _) | (_, Some("dangerous" | "cool_down" | "fan_only" | "latched")) => Level::Bad,
        (_, None | Some("boot" | "power_up")) => Level::Between,
        _ => Level::Good,
    };
    let message = match (silent, &keeper.latched) {
        (Some(seconds), _) => format!("the keeper has been silent for {seconds:.0} s"),
        (None, Some(latched)) => {
            format!("stays off until an operator clears it: {}", latched.cause)
        }
        (None, None) => keeper.reason.clone(),
    };
    findings.add(Rule::Halted, "keeper", level, Severity::Error, message);
}

fn temperatures(snapshot: &Snapshot, limits: &AlertLimits, findings: &mut Findings) {
    let dangerous = snapshot.keeper.tier.as_deref() == Some("dangerous");
    let severity = if dangerous {
        Severity::Error
    } else {
        Severity::Warning
    };
    if let Some(limit) = limits.temperature {
        for chain in &snapshot.chains {
            let level = match chain.temperature.value() {
                Some(at) if *at >= limit => Level::Bad,
                Some(at) if at.0 < limit.0 - COOLER => Level::Good,
                _ => Level::Between,
            };
            let at = chain.temperature.value();
            let at = at.map_or("unknown".into(), |at| format!("{:.1} C", at.0));
            let message = format!("{at}, the limit is {limit}");
            let source = format!("chain {}", chain.index);
            findings.add(Rule::Temperature, source, level, severity, message);
        }
    } else {
        let level = match snapshot.keeper.tier.as_deref() {
            Some("hot" | "dangerous") => Level::Bad,
            Some(_) => Level::Good,
            None => Level::Between,
        };
        let hottest = snapshot
            .chains
            .iter()
            .filter_map(|chain| Some((chain.temperature.value()?.0, chain.index)))
            .max_by(|one, other| one.0.total_cmp(&other.0));
        let which = hottest.map_or(String::new(), |(at, index)| {
            format!(": chain {index} at {at:.1} C")
        });
        let tier = snapshot.keeper.tier.as_deref().unwrap_or("unknown");
        let message = format!("the tier is {tier}{which}");
        findings.add(Rule::Temperature, "machine", level, severity, message);
    }
    for sensor in &snapshot.temperatures {
        let level = if sensor.fault.is_some() {
            Level::Bad
        } else {
            Level::Good
        };
        let message = sensor.fault.clone().unwrap_or_default();
        findings.add(
            Rule::Temperature,
            &sensor.name,
            level,
            Severity::Warning,
            message,
        );
    }
}

fn fans(snapshot: &Snapshot, findings: &mut Findings) {
    for fan in &snapshot.fans {
        let level = match fan.condition.as_str() {
            "turning" | "off" => Level::Good,
            "spinning_up" => Level::Between,
            _ => Level::Bad,
        };
        let speed = fan
            .speed
            .value()
            .map_or(String::new(), |speed| format!(", its tach says {speed}"));
        let message = format!("the fan is {}{speed}", fan.condition.replace('_', " "));
        findings.add(Rule::Fan, &fan.name, level, Severity::Error, message);
    }
}

fn supply(snapshot: &Snapshot, supply: &Supply, limits: &AlertLimits, findings: &mut Findings) {
    let level = if supply.fault.is_some() {
        Level::Bad
    } else {
        Level::Good
    };
    let message = supply.fault.clone().unwrap_or_default();
    findings.add(Rule::Supply, &supply.part, level, Severity::Error, message);
    // While it ramps it is off its setting by design.
    let steady = matches!(snapshot.keeper.state.as_deref(), Some("running" | "hot"));
    let off_by = supply.voltage.value().map(|measured| {
        let wanted = f64::from(supply.wanted.0);
        100.0 * (f64::from(measured.0) - wanted).abs() / wanted.max(1.0)
    });
    let level = match off_by {
        Some(off_by) if steady && off_by > limits.voltage_percent => Level::Bad,
        Some(off_by) if steady && off_by > limits.voltage_percent / 2.0 => Level::Between,
        Some(_) => Level::Good,
        None => Level::Between,
    };
    let message = match supply.voltage.value() {
        Some(measured) => format!("the rail is at {measured}, it should be {}", supply.wanted),
        None => String::new(),
    };
    let source = format!("{} rail", supply.part);
    findings.add(Rule::Supply, source, level, Severity::Warning, message);
}

fn board(chain: &Chain, limits: &AlertLimits, findings: &mut Findings) {
    let lost = chain.chips_found.map_or(0, |found| {
        usize::from(chain.chips_expected.saturating_sub(found))
    });
    let below = |limit: f64| {
        let ill = |chip: &&crate::telemetry::Chip| chip.health.is_below(limit);
        chain.chips.iter().filter(ill).count()
    };
    let weak = below(limits.chip_health_percent);
    let nearly = below(limits.chip_health_percent * 1.2);
    let reason = || chain.reason.clone().unwrap_or_else(|| "it failed".into());
    let (level, severity, message) = match chain.phase {
        ChainPhase::Failed => (Level::Bad, Severity::Error, reason()),
        ChainPhase::BackOff => (Level::Bad, Severity::Warning, reason()),
        ChainPhase::Waiting | ChainPhase::BringUp => {
            (Level::Between, Severity::Warning, String::new())
        }
        ChainPhase::Stopped => (Level::Good, Severity::Warning, String::new()),
        ChainPhase::Idle | ChainPhase::Hashing if lost > 0 => (
            Level::Bad,
            Severity::Warning,
            format!("{lost} of {} chips did not answer", chain.chips_expected),
        ),
        ChainPhase::Idle | ChainPhase::Hashing if weak > 0 => (
            Level::Bad,
            Severity::Warning,
            format!(
                "{weak} of {} chips find less than {} % of what they should",
                chain.chips_expected, limits.chip_health_percent
            ),
        ),
        ChainPhase::Idle | ChainPhase::Hashing => {
            let level = if nearly > 0 {
                Level::Between
            } else {
                Level::Good
            };
            (level, Severity::Warning, String::new())
        }
    };
    let source = format!("chain {}", chain.index);
    findings.add(Rule::DegradedBoard, source, level, severity, message);
}

fn hash_rate(
    snapshot: &Snapshot,
    trends: &Trends,
    limits: &AlertLimits,
    now: Instant,
    findings: &mut Findings,
) {
    let window = snapshot
        .hash_rate
        .windows
        .iter()
        .find(|window| window.window_s == WINDOW.as_secs());
    // Time without work, in a pause or while the power was off, is nobody's fault.
    let full = trends
        .mining_since
        .is_some_and(|since| now - since >= WINDOW);
    let (level, message) = match (window, snapshot.hash_rate.nominal) {
        (Some(window), Some(nominal)) if full && !window.settling && nominal.0 > 0.0 => {
            let percent = |rate: f64| 100.0 * rate / nominal.0;
            let surely_below = window
                .upper
                .is_some_and(|upper| percent(upper.0) < limits.hash_rate_percent);
            let level = if surely_below {
                Level::Bad
            } else if percent(window.rate.0) >= limits.hash_rate_percent + RECOVERED {
                Level::Good
            } else {
                Level::Between
            };
            let message = format!(
                "{:.1} TH/s credited over 15 minutes, {:.0} % of what the chips should give",
                window.rate.0 / 1e12,
                percent(window.rate.0)
            );
            (level, message)
        }
        _ if snapshot.machine.state == MachineState::Stopped => (Level::Good, String::new()),
        _ => (Level::Between, String::new()),
    };
    findings.add(Rule::HashRate, "machine", level, Severity::Warning, message);
}

fn no_share(
    snapshot: &Snapshot,
    trends: &Trends,
    limits: &AlertLimits,
    now: Instant,
    findings: &mut Findings,
) {
    let (level, message) = match (snapshot.machine.state, trends.mining_since) {
        (MachineState::Mining, Some(since)) => {
            let from = trends.accepted_at.map_or(since, |at| at.max(since));
            let idle = now - from;
            // At a high difficulty, or at one's own node, long silence is nothing unusual.
            let mean = match (snapshot.work.difficulty, snapshot.hash_rate.nominal) {
                (Some(difficulty), Some(nominal)) if nominal.0 > 0.0 => {
                    difficulty * HASHES_PER_DIFFICULTY / nominal.0
                }
                _ => 0.0,
            };
            let limit = limits.no_share.as_secs_f64().max(MEAN_TIMES * mean);
            let level = if idle.as_secs_f64() >= limit {
                Level::Bad
            } else if trends.accepted_at.is_some_and(|at| at >= since) {
                Level::Good
            } else {
                Level::Between
            };
            let minutes = idle.as_secs() / 60;
            (level, format!("no pool took a share for {minutes} minutes"))
        }
        (MachineState::Stopped, _) => (Level::Good, String::new()),
        _ => (Level::Between, String::new()),
    };
    findings.add(Rule::NoShare, "machine", level, Severity::Error, message);
}

fn rejects(trends: &Trends, limits: &AlertLimits, findings: &mut Findings) {
    let (accepted, rejected) = trends.answers();
    let answers = accepted + rejected;
    let percent = 100.0 * rejected as f64 / answers.max(1) as f64;
    let level = if answers < LEAST_ANSWERS {
        Level::Between
    } else if percent > limits.reject_percent {
        Level::Bad
    } else if percent <= limits.reject_percent / 2.0 {
        Level::Good
    } else {
        Level::Between
    };
    let message =
        format!("{rejected} of {answers} shares refused ({percent:.1} %) in half an hour");
    findings.add(Rule::Rejects, "pools", level, Severity::Warning, message);
}

fn pools(snapshot: &Snapshot, findings: &mut Findings) {
    let pools = &snapshot.pools;
    let mut tried = 0;
    for pool in &pools.list {
        let level = match pool.phase.as_str() {
            "ready" | "idle" => Level::Good,
            // It is on its way; only a try that failed is bad.
            "connecting" | "handshake" | "waiting_for_job" if pool.last_error.is_none() => {
                Level::Between
            }
            _ => Level::Bad,
        };
        tried += usize::from(level == Level::Bad);
        let reason = pool.last_error.as_deref().unwrap_or("it is out of reach");
        let message: String = reason.chars().take(200).collect();
        let source = format!("pool {} {}", pool.index, pool.url);
        findings.add(Rule::PoolLost, source, level, Severity::Warning, message);
    }
    let ready = pools.list.iter().any(|pool| pool.phase == "ready");
    let level = if ready {
        Level::Good
    } else if tried > 0 {
        Level::Bad
    } else {
        Level::Between
    };
    let message = format!("none of {} pools can be worked for", pools.list.len());
    if !pools.list.is_empty() {
        findings.add(Rule::PoolLost, "pools", level, Severity::Error, message);
    }
}

fn restarts(trends: &Trends, limits: &AlertLimits, findings: &mut Findings) {
    for (source, count) in trends.restarts() {
        let level = match count {
            0 => Level::Good,
            count if count >= limits.restarts as usize => Level::Bad,
            _ => Level::Between,
        };
        let message = format!("started anew {count} times within an hour, after faults");
        findings.add(Rule::Restart, source, level, Severity::Warning, message);
    }
}

fn storage(snapshot: &Snapshot, limits: &AlertLimits, findings: &mut Findings) {
    for storage in &snapshot.storage {
        let free = storage.free_percent;
        let level = if free < limits.disk_percent {
            Level::Bad
        } else if free >= limits.disk_percent * 1.5 {
            Level::Good
        } else {
            Level::Between
        };
        let message = format!(
            "{free:.1} % of {} MiB are free",
            storage.total_bytes / (1024 * 1024)
        );
        findings.add(Rule::Disk, &storage.path, level, Severity::Warning, message);
    }
}
