//! What the types cannot say: bounds, and fields that only make sense together.

mod alerts;

use super::address::PoolAddress;
use super::error::Finding;
use super::schema::{
    ApiSection, BoardSection, Config, CoolingMode, CoolingSection, KeeperSection, LogSection,
    PoolSection, SCHEMA,
};
use super::token::{TokenSection, is_hash};
use crate::pool::url::{Host, PoolUrl, Transport};
use cgminer_board::document::Segment;
use cgminer_board::limits::{LOWEST_LIMIT, TARGET_MAX};
use cgminer_hal::units::{DutyPercent, Megahertz, Millivolts};
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::{Component, Path};

/// Pools that may be named.
const POOLS: usize = 16;
/// Tokens that may be given out.
const TOKENS: usize = 32;
/// Letters of a token's name.
const TOKEN_NAME: RangeInclusive<usize> = 1..=32;
/// Requests that one address may send each second.
const REQUESTS: RangeInclusive<u16> = 1..=10_000;
/// Bytes of a user name, password or name: what fits a Stratum line with room to spare.
const TEXT_BYTES: usize = 512;
/// No chip that this program drives runs outside it; the board file bounds it further.
const FREQUENCY: RangeInclusive<f32> = 25.0..=1500.0;
/// No supply that this program drives goes outside it; the board file bounds it further.
const VOLTAGE: RangeInclusive<u32> = 1_000..=25_000;
/// A target outside it is a slip of the pen; the board file bounds it further.
const TARGET: RangeInclusive<f32> = LOWEST_LIMIT.0..=TARGET_MAX.0;
/// KiB of a flight record: each is memory, as its directory is.
const FLIGHT_RECORD: RangeInclusive<u32> = 16..=4096;
/// Duty below which many fans stop.
const FIXED_DUTY: RangeInclusive<f32> = 10.0..=100.0;
/// Network clients: each holds a descriptor and some KiB.
const CONNECTIONS: RangeInclusive<u16> = 1..=4096;
/// Longest path of a Unix socket on Linux, its closing zero and our file name taken off.
const RUN_DIRECTORY_BYTES: usize = 80;

/// Everything that is wrong with a configuration, as far as it can be told without the board file.
pub fn problems(config: &Config) -> Vec<Finding> {
    let mut findings = Findings::default();
    if config.schema.0 != SCHEMA {
        let message = format!(
            "{} is not the {SCHEMA} that this program knows",
            config.schema.0
        );
        let hint = if config.schema.0 > SCHEMA {
            "the file was made for a newer version: update this program"
        } else {
            "`cgminer-rs config migrate` brings it up to date"
        };
        findings.add(Segment::parse_path("schema"), message, hint);
    }
    board(&config.board, &mut findings);
    pools(&config.pool, &mut findings);
    let chains = &config.chains;
    findings.within(
        "chains",
        "frequency",
        chains.frequency.map(|Megahertz(value)| value),
        FREQUENCY,
        "MHz",
    );
    findings.within(
        "chains",
        "voltage",
        chains.voltage.map(|Millivolts(value)| value),
        VOLTAGE,
        "mV",
    );
    cooling(&config.cooling, &mut findings);
    api(&config.api, &mut findings);
    keeper(&config.keeper, &config.api, &mut findings);
    tokens(&config.token, &mut findings);
    log(&config.log, &config.api.run_directory, &mut findings);
    alerts::limits(&config.alerts, &mut findings);
    alerts::targets(&config.alert_target, &mut findings);
    findings.0
}

fn board(board: &BoardSection, findings: &mut Findings) {
    if board.name.is_some() && board.file.is_some() {
        let path = Segment::parse_path("board.file");
        findings.add(path, "`name` and `file` are both set", "keep one of them");
    }
    let named = board.file.is_some() || board.name.as_deref().is_some_and(|name| name != "auto");
    if board.ignore_model && !named {
        let path = Segment::parse_path("board.ignore_model");
        let hint = "write the board's `name` or `file`, or leave it out";
        findings.add(path, "means nothing for a board that is not named", hint);
    }
}

fn pools(pools: &[PoolSection], findings: &mut Findings) {
    if pools.len() > POOLS {
        let message = format!("{} pools are named", pools.len());
        findings.add(
            Segment::parse_path("pool"),
            message,
            format!("name at most {POOLS}"),
        );
    }
    let mut names = HashSet::new();
    for (index, pool) in pools.iter().enumerate() {
        let path = |name: &str| {
            Some(vec![
                Segment::Key("pool".into()),
                Segment::Index(index),
                Segment::Key(name.into()),
            ])
        };
        let texts = [
            ("name", pool.name.as_deref().unwrap_or_default()),
            ("user", &pool.user),
            ("password", pool.password.expose()),
            ("proxy_user", &pool.proxy_user),
            ("proxy_password", pool.proxy_password.expose()),
            (
                "payout_address",
                pool.payout_address.as_deref().unwrap_or_default(),
            ),
        ];
        for (name, text) in texts {
            if text.len() > TEXT_BYTES || text.chars().any(char::is_control) {
                let hint = format!("write at most {TEXT_BYTES} bytes on one line");
                findings.add(path(name), "too long, or holds control characters", hint);
            }
        }
        if let Some(name) = &pool.name {
            if !names.insert(name) {
                let hint = "give each pool its own name";
                findings.add(path("name"), format!("`{name}` is used twice"), hint);
            }
        }
        if pool
            .suggest_difficulty
            .is_some_and(|value| !(value.is_finite() && value > 0.0))
        {
            let hint = "write a number above 0, or leave it out";
            findings.add(path("suggest_difficulty"), "is no difficulty", hint);
        }
        match &pool.url {
            PoolAddress::Stratum(url) => {
                if url.transport == Transport::Noise && pool.extranonce_subscribe {
                    let hint = "leave it out: a pool tells of another extranonce by itself";
                    findings.add(
                        path("extranonce_subscribe"),
                        "means nothing to Stratum v2",
                        hint,
                    );
                }
                tls(pool, url, &path, findings);
                proxy(pool, url, &path, findings);
                if url.transport != Transport::Noise && pool.sv2_channel.is_some() {
                    let hint = "leave it out, or write the address as stratum2+tcp://host:port/key";
                    findings.add(
                        path("sv2_channel"),
                        "means nothing without Stratum v2",
                        hint,
                    );
                }
                if pool.user.is_empty() {
                    let hint = "write the worker's name as the pool knows it";
                    findings.add(path("user"), "is missing", hint);
                }
                if pool.payout_address.is_some() || pool.cookie_file.is_some() {
                    findings.add(
                        path("url"),
                        "`payout_address` and `cookie_file` are for one's own node only",
                        "leave them out, or write the node's address as http://host:port",
                    );
                }
            }
            PoolAddress::Node { .. } => {
                if pool.sv2_channel.is_some() {
                    let hint = "leave it out";
                    findings.add(path("sv2_channel"), "is for pools of Stratum v2 only", hint);
                }
                if pool.ca_file.is_some() || pool.tls_pin.is_some() {
                    findings.add(
                        path("url"),
                        "`ca_file` and `tls_pin` are for pools over TLS only",
                        "leave them out",
                    );
                }
                if pool.proxy.is_some() {
                    let hint = "leave it out: a node is best reached directly";
                    findings.add(path("proxy"), "proxies are for pools only", hint);
                }
                if pool.payout_address.is_none() {
                    let hint = "write the address that the block reward goes to";
                    findings.add(path("payout_address"), "is missing", hint);
                }
                if pool.cookie_file.is_some() != pool.user.is_empty() {
                    let hint = "write either `cookie_file`, or `user` and `password`";
                    findings.add(
                        path("cookie_file"),
                        "the node's access is missing or given twice",
                        hint,
                    );
                }
            }
        }
    }
}

fn tls(
    pool: &PoolSection,
    url: &PoolUrl,
    path: &dyn Fn(&str) -> Option<Vec<Segment>>,
    findings: &mut Findings,
) {
    let named = match (&pool.ca_file, &pool.tls_pin) {
        (None, None) => return,
        (Some(_), Some(_)) => {
            let hint = "keep one of them: a pin needs no authority";
            return findings.add(
                path("tls_pin"),
                "`ca_file` and `tls_pin` are both set",
                hint,
            );
        }
        (Some(_), None) => "ca_file",
        (None, Some(_)) => "tls_pin",
    };
    if url.transport != Transport::Tls {
        let hint = match url.transport {
            Transport::Noise => "leave it out: the pool proves itself by the key in its address",
            _ => "write the address as stratum+tls://host:port, or leave it out",
        };
        findings.add(path(named), "means nothing without TLS", hint);
    }
}

fn proxy(
    pool: &PoolSection,
    url: &PoolUrl,
    path: &dyn Fn(&str) -> Option<Vec<Segment>>,
    findings: &mut Findings,
) {
    let is_onion = matches!(&url.host, Host::Name(name) if name.ends_with(".onion"));
    if is_onion && pool.proxy.is_none() {
        let hint = "name its SOCKS5 port in `proxy`, as in socks5://127.0.0.1:9050";
        findings.add(path("url"), "is reached through Tor alone", hint);
    }
    let hint = "add it, or leave this out";
    if pool.proxy.is_none() && !pool.proxy_user.is_empty() {
        let message = "means nothing without `proxy`";
        findings.add(path("proxy_user"), message, hint);
    }
    if pool.proxy_user.is_empty() && !pool.proxy_password.expose().is_empty() {
        let message = "means nothing without `proxy_user`";
        findings.add(path("proxy_password"), message, hint);
    }
}

fn cooling(cooling: &CoolingSection, findings: &mut Findings) {
    findings.within(
        "cooling",
        "target",
        cooling.target.map(|target| target.0),
        TARGET,
        "C",
    );
    let duty = cooling.duty.map(|DutyPercent(value)| value);
    findings.within("cooling", "duty", duty, FIXED_DUTY, "%");
    if cooling.mode == CoolingMode::Fixed && duty.is_none() {
        let hint = "write `duty` in per cent, or mode = \"automatic\"";
        findings.add(
            Segment::parse_path("cooling.mode"),
            "`fixed` needs a duty",
            hint,
        );
    }
}

fn api(api: &ApiSection, findings: &mut Findings) {
    if !api.run_directory.is_absolute() || api.run_directory.as_os_str().len() > RUN_DIRECTORY_BYTES
    {
        let hint = format!("write a path from / of at most {RUN_DIRECTORY_BYTES} bytes");
        findings.add(
            Segment::parse_path("api.run_directory"),
            "cannot hold a socket",
            hint,
        );
    }
    if api.tls_certificate.is_some() != api.tls_key.is_some() {
        let hint = "write both, or leave both out for plain HTTP";
        let path = Segment::parse_path("api.tls_certificate");
        findings.add(path, "`tls_certificate` and `tls_key` go together", hint);
    }
    let connections = Some(api.maximum_connections);
    findings.within(
        "api",
        "maximum_connections",
        connections,
        CONNECTIONS,
        "connections",
    );
    let requests = Some(api.requests_per_second);
    findings.within("api", "requests_per_second", requests, REQUESTS, "requests");
    for (index, origin) in api.origins.iter().enumerate() {
        if !is_origin(origin) {
            let path = Segment::parse_path(&format!("api.origins[{index}]"));
            let hint = "write it as the browser sends it, as in \"https://fleet.example:8443\"";
            findings.add(path, "is no origin", hint);
        }
    }
    for (index, host) in api.hosts.iter().enumerate() {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        if host.is_empty() || !host.bytes().all(plain) {
            let path = Segment::parse_path(&format!("api.hosts[{index}]"));
            findings.add(
                path,
                "is no host name",
                "write the name alone, as in \"miner.lan\"",
            );
        }
    }
}

/// The run directory is the miner's: whoever took the miner over could unlink what the keeper keeps in or below it. And
/// nobody else gets into the state directory, so the miner could not get to a run directory there.
fn keeper(keeper: &KeeperSection, api: &ApiSection, findings: &mut Findings) {
    let (state, run) = (&keeper.state_directory, &api.run_directory);
    let winds = |path: &Path| path.components().any(|part| part == Component::ParentDir);
    let (message, hint) = if !state.is_absolute() || winds(state) {
        ("is no plain path", "write a path from / without `..`")
    } else if state.starts_with(run) || run.starts_with(state) || winds(run) {
        (
            "is not apart from api.run_directory, which belongs to the unprivileged miner",
            "write two paths of which neither lies in the other, as /var/lib/cgminer-rs and /run/cgminer-rs",
        )
    } else {
        return;
    };
    findings.add(Segment::parse_path("keeper.state_directory"), message, hint);
}

fn log(log: &LogSection, run_directory: &Path, findings: &mut Findings) {
    if log.file.as_ref().is_some_and(|path| !path.is_absolute()) {
        let hint = "write a path from /, as in \"/var/log/cgminer-rs.log\"";
        findings.add(Segment::parse_path("log.file"), "is no whole path", hint);
    }
    if log
        .file
        .as_ref()
        .is_some_and(|path| path.starts_with(run_directory))
    {
        let message = "lies in api.run_directory, which belongs to the unprivileged miner";
        let hint = "write a path elsewhere, as in \"/var/log/cgminer-rs.log\"";
        findings.add(Segment::parse_path("log.file"), message, hint);
    }
    findings.within("log", "file_size", Some(log.file_size), 16..=65_536, "KiB");
    findings.within("log", "files", Some(log.files), 2..=16, "files");
    findings.within(
        "log",
        "file_budget",
        Some(log.file_budget),
        16..=1_048_576,
        "KiB",
    );
    if log.flight_recorder != 0 {
        let size = Some(log.flight_recorder);
        findings.within("log", "flight_recorder", size, FLIGHT_RECORD, "KiB");
    }
    // What was written today is read off the files when the program starts; more than they hold could be forgotten.
    if log.file_budget > log.file_size.saturating_mul(log.files.into()) {
        let hint = "write no more than `file_size` times `files`";
        let message = "is more than the files hold";
        findings.add(Segment::parse_path("log.file_budget"), message, hint);
    }
}

/// Scheme, name and, where it is not the scheme's own, port: all in small letters, without a path.
fn is_origin(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let plain = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'.' | b'-' | b':' | b'[' | b']')
    };
    rest.is_some_and(|rest| !rest.is_empty() && rest.len() <= 255 && rest.bytes().all(plain))
}

fn tokens(tokens: &[TokenSection], findings: &mut Findings) {
    if tokens.len() > TOKENS {
        let hint = format!("keep at most {TOKENS}");
        let message = format!("{} tokens are given out", tokens.len());
        findings.add(Segment::parse_path("token"), message, hint);
    }
    let mut names = HashSet::new();
    for (index, token) in tokens.iter().enumerate() {
        let path = |name: &str| Segment::parse_path(&format!("token[{index}].{name}"));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if !TOKEN_NAME.contains(&token.name.len()) || !token.name.bytes().all(plain) {
            let hint = "write 1 to 32 letters, digits, dots, dashes and underscores";
            findings.add(path("name"), "is no name for a token", hint);
        }
        if !names.insert(&token.name) {
            let hint = "give each token its own name";
            findings.add(
                path("name"),
                format!("`{}` is used twice", token.name),
                hint,
            );
        }
        // What a print leaves out lets nobody in.
        if !is_hash(token.sha256.expose()) && !token.sha256.is_left_out() {
            let hint = "write the SHA-256 of the token as 64 digits, or make one with `cgminer-rs token create`";
            findings.add(path("sha256"), "is no hash", hint);
        }
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        path: Option<Vec<Segment>>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let path = path.unwrap_or_default();
        self.0.push(Finding {
            path,
            message: message.into(),
            hint: hint.into(),
        });
    }

    fn within<T: PartialOrd + std::fmt::Display>(
        &mut self,
        section: &str,
        name: &str,
        value: Option<T>,
        range: RangeInclusive<T>,
        unit: &str,
    ) {
        if let Some(value) = value {
            if !range.contains(&value) {
                let path = vec![Segment::Key(section.into()), Segment::Key(name.into())];
                let hint = format!("write {} to {} {unit}", range.start(), range.end());
                self.add(Some(path), format!("{value} {unit} is out of bounds"), hint);
            }
        }
    }
}
