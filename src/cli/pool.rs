//! `pool test`: tries a pool and tells what it supports.

use super::Failure;
use super::table::{inert, print};
use crate::config::{FIELDS, PoolAddress, PoolSection, Sources};
use crate::miner::sources::stratum_settings;
use crate::pool::connection::{Connector, DirectConnector};
use crate::pool::probe::{ExtranonceSubscribe, Findings, ProbeError, probe};
use crate::pool::route;
use crate::pool::session::EndReason;
use crate::pool::settings::StratumSettings;
use crate::pool::url::Transport;
use lexopt::Arg::{Long, Value};
use lexopt::ValueExt;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// Who we say that we are when the owner does not say it.
const NOBODY: &str = "test";
/// Variables of the daemon that hold what `pool test` may need and a command line should not show.
const VARIABLES: &str = "CGMINER_POOL_0_";

const NODE: &str =
    "pool test tries Stratum pools; a node is tried by `run`, which tells what is wrong with it";

/// Does `pool test URL`.
pub fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    match parser.next()? {
        Some(Value(word)) if word == "test" => test(parser),
        Some(other) => Err(other.unexpected().into()),
        None => Err(Failure::Usage(
            "pool does what? write `pool test URL`".into(),
        )),
    }
}

fn test(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut url = None;
    let mut flags = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(text) if url.is_none() => url = Some(text.string()?),
            Long(name) => {
                let flag = name.replace('-', "_");
                let is_field = |field: &&crate::config::Field| {
                    field.section == "pool" && field.name == flag && field.name != "url"
                };
                let Some(field) = FIELDS.iter().find(is_field) else {
                    return Err(argument.unexpected().into());
                };
                let value = parser.value()?.string()?;
                flags.push(format!("pool[0].{}={value}", field.name));
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let Some(url) = url else {
        return Err(Failure::Usage("pool test needs the pool's address".into()));
    };
    // Told before anything else can be wrong with what only a node needs.
    if url.starts_with("http://") {
        return Err(Failure::Usage(NODE.into()));
    }
    let environment: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(VARIABLES) && name != "CGMINER_POOL_0_URL")
        .collect();
    let names_user = flags.iter().any(|flag| flag.starts_with("pool[0].user="))
        || environment
            .iter()
            .any(|(name, _)| name == "CGMINER_POOL_0_USER");
    flags.push(format!("pool[0].url={url}"));
    if !names_user {
        flags.push(format!("pool[0].user={NOBODY}"));
    }
    let sources = Sources {
        files: Vec::new(),
        environment,
        flags,
    };
    let config = sources.load()?.config;
    let Some(pool) = config.pool.first() else {
        return Err(Failure::Other("there is no pool to try".into()));
    };
    let PoolAddress::Stratum(address) = &pool.url else {
        return Err(Failure::Usage(NODE.into()));
    };
    let settings = stratum_settings(pool, address);
    let connector = route::connector(Arc::new(DirectConnector::system()), &settings);
    let runtime = super::run::runtime()?;
    let (findings, outcome) = runtime.block_on(tried(pool, &settings, &*connector));
    // A look-up that hangs in the system's resolver must not hold up the end.
    runtime.shutdown_background();
    print(&describe(&settings, &findings))?;
    outcome.map_err(|error| Failure::Other(advice(&error, names_user)))
}

/// The try that fits what the pool speaks.
#[cfg_attr(
    not(feature = "sv2"),
    expect(unused_variables, reason = "Stratum v2 alone has more settings")
)]
async fn tried(
    pool: &PoolSection,
    settings: &StratumSettings,
    connector: &dyn Connector,
) -> (Findings, Result<(), ProbeError>) {
    #[cfg(feature = "sv2")]
    if settings.url.transport == Transport::Noise {
        use crate::miner::sources::{Machine, sv2_settings};
        /// Hashes a second: a pool may refuse a machine that does none.
        const CLAIMED: f64 = 1e12;
        let settings = sv2_settings(pool, settings.clone(), &Machine::of_one_chain(CLAIMED));
        return crate::pool::sv2::probe::probe(settings, connector).await;
    }
    probe(settings, connector).await
}

fn advice(error: &ProbeError, names_user: bool) -> String {
    let text = inert(&error.to_string());
    match error {
        ProbeError::Ended(EndReason::AuthorizeRefused(_) | EndReason::ChannelRefused(_))
            if !names_user =>
        {
            format!("{text}; name a user of this pool with --user")
        }
        ProbeError::Broken(_) if !names_user => {
            format!("{text}; some pools hang up on unknown users: name one with --user")
        }
        _ => text,
    }
}

fn describe(settings: &StratumSettings, findings: &Findings) -> String {
    let mut text = String::new();
    let mut line = |label: &str, content: String| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{label:<22}{}", inert(&content));
    };
    line("address", settings.url.to_string());
    if let Some(proxy) = &settings.proxy {
        line("proxy", proxy.url.to_string());
    }
    if let Some((peer, time)) = &findings.connected {
        line("connected", format!("to {peer} within {}", shown(*time)));
    }
    if let Some(secured) = &findings.secured {
        let label = match settings.url.transport {
            Transport::Noise => "noise",
            _ => "tls",
        };
        line(label, format!("{}, {}", secured.protocol, secured.cipher));
        if let Some(pin) = secured.certificate {
            let dates = if secured.dates_checked {
                "dates checked"
            } else {
                "dates not checked"
            };
            line("certificate", format!("{pin}, {dates}"));
        }
    }
    if let Some(time) = findings.first_line {
        line("first answer", format!("after {}", shown(time)));
    }
    if let Some(time) = findings.authorized {
        let user = &settings.user;
        line("authorized", format!("as {user} after {}", shown(time)));
    }
    if let Some(extranonce) = &findings.extranonce {
        let bytes = extranonce.extranonce1.len();
        line("extranonce1", format!("{bytes} bytes"));
        line(
            "extranonce2",
            format!("{} bytes", extranonce.extranonce2_size),
        );
    }
    if let Some(mask) = findings.version_mask {
        line(
            "version rolling",
            match mask.count_ones() {
                0 => "no".into(),
                bits => format!("{mask:08x}, {bits} bits"),
            },
        );
    }
    if let Some((time, job)) = &findings.job {
        line("difficulty", format!("{}", job.share_target.difficulty()));
        let branches = job.merkle_branches.len();
        let coinbase = job.coinbase_prefix.len()
            + usize::from(job.extranonce2_size)
            + job.coinbase_suffix.len();
        let content = format!(
            "{} after {}: {branches} merkle branches, coinbase of {coinbase} bytes",
            job.id.0,
            shown(*time)
        );
        line("first job", content);
    }
    if let Some(answer) = &findings.extranonce_subscribe {
        line(
            "extranonce.subscribe",
            match answer {
                ExtranonceSubscribe::Supported => "yes".into(),
                ExtranonceSubscribe::Refused(words) => format!("refused: {words}"),
                ExtranonceSubscribe::NoAnswer => "no answer".into(),
                ExtranonceSubscribe::HangsUp => {
                    "hangs up on it: leave `extranonce_subscribe` off".into()
                }
            },
        );
    }
    if let Some(message) = &findings.message {
        line("the pool says", message.clone());
    }
    if findings.bad_lines > 0 {
        line("lines not understood", findings.bad_lines.to_string());
    }
    text
}

fn shown(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}
