//! A pool is tried for its owner: beside all other orders, one at a time, and never for long.

use super::settings::wrong;
use crate::api::Failure;
use crate::api::orders::{Fields, Given, Outcome};
use crate::config::{PoolAddress, PoolSection, SourceFile, Sources};
use crate::miner::sources::stratum_settings;
use crate::pool::connection::DirectConnector;
use crate::pool::probe::{ExtranonceSubscribe, Findings, probe_into};
use crate::pool::route;
use crate::pool::settings::{Deadlines, StratumSettings};
use cgminer_hal::task::boxed;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a try may take; whoever asked waits a little longer.
const WITHIN: Duration = Duration::from_secs(12);
/// Who we say that we are when the owner does not say it.
const NOBODY: &str = "test";

/// The place for the one try at a time.
pub struct Trials(Arc<Semaphore>);

impl Default for Trials {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Trials {
    /// Tries a pool and answers whoever asked for it.
    pub fn begin(&self, pool: Result<PoolSection, Failure>, given: Given) {
        let Given { by, reply, .. } = given;
        let settings = pool.and_then(|pool| settings(&pool));
        let place = Arc::clone(&self.0).try_acquire_owned();
        let (settings, place) = match (settings, place) {
            (Ok(settings), Ok(place)) => (settings, place),
            (Err(failure), _) => {
                let _ = reply.send(Err(failure));
                return;
            }
            (Ok(_), Err(_)) => {
                let _ = reply.send(Err(BUSY));
                return;
            }
        };
        tracing::info!(by, pool = %settings.url, "a pool is tried");
        tokio::spawn(boxed(async move {
            // Who asked may have gone.
            let _ = reply.send(attempt(&settings).await);
            drop(place);
        }));
    }
}

/// The pool that a request describes, in the fields of the configuration.
///
/// # Errors
/// As the configuration would have them.
pub fn described(fields: &Fields) -> Result<PoolSection, Failure> {
    let mut pool: toml::Table = fields
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
        .collect();
    pool.entry("user").or_insert_with(|| NOBODY.into());
    let mut table = toml::Table::new();
    table.insert("pool".into(), vec![toml::Value::from(pool)].into());
    let file = SourceFile {
        path: "request".into(),
        text: table.to_string(),
    };
    let sources = Sources {
        files: vec![file],
        ..Sources::default()
    };
    let loaded = sources.load().map_err(|error| wrong(&error))?;
    loaded
        .config
        .pool
        .into_iter()
        .next()
        .ok_or(crate::api::NO_POOL)
}

fn settings(pool: &PoolSection) -> Result<StratumSettings, Failure> {
    let PoolAddress::Stratum(url) = &pool.url else {
        return Err(NODE);
    };
    let seconds = Duration::from_secs;
    Ok(StratumSettings {
        deadlines: Deadlines {
            resolve: seconds(3),
            connect: seconds(3),
            connect_all: seconds(5),
            proxy: seconds(4),
            tls: seconds(4),
            ..Deadlines::default()
        },
        ..stratum_settings(pool, url)
    })
}

async fn attempt(settings: &StratumSettings) -> Outcome {
    let connector = route::connector(Arc::new(DirectConnector::system()), settings);
    let mut findings = Findings::default();
    let outcome = timeout(WITHIN, probe_into(settings, &*connector, &mut findings)).await;
    let error = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no job within {} s", WITHIN.as_secs())),
    };
    Ok(told(&settings.url.to_string(), &findings, error.as_deref()))
}

fn told(url: &str, findings: &Findings, error: Option<&str>) -> Value {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let connected = findings
        .connected
        .as_ref()
        .map(|(peer, time)| json!({"peer": peer, "ms": milliseconds(*time)}));
    let tls = findings.secured.as_ref().map(|secured| {
        json!({
            "protocol": secured.protocol,
            "cipher": secured.cipher,
            "certificate": secured.certificate.map(|pin| pin.to_string()),
            "dates_checked": secured.dates_checked,
        })
    });
    let extranonce = findings.extranonce.as_ref().map(|extranonce| {
        json!({
            "extranonce1_bytes": extranonce.extranonce1.len(),
            "extranonce2_bytes": extranonce.extranonce2_size,
        })
    });
    let job = findings.job.as_ref().map(|(time, job)| {
        json!({"ms": milliseconds(*time), "difficulty": job.share_target.difficulty()})
    });
    let subscribe = findings.extranonce_subscribe.as_ref();
    json!({
        "url": url,
        "works": error.is_none(),
        "error": error,
        "connected": connected,
        "tls": tls,
        "first_line_ms": findings.first_line.map(milliseconds),
        "authorized_ms": findings.authorized.map(milliseconds),
        "extranonce": extranonce,
        "job": job,
        "version_mask": findings.version_mask,
        "extranonce_subscribe": subscribe.map(|answer| match answer {
            ExtranonceSubscribe::Supported => "supported",
            ExtranonceSubscribe::Refused(_) => "refused",
            ExtranonceSubscribe::NoAnswer => "no_answer",
            ExtranonceSubscribe::HangsUp => "hangs_up",
        }),
        "message": findings.message,
        "bad_lines": findings.bad_lines,
    })
}

/// There is a try already.
pub const BUSY: Failure = Failure::new(
    503,
    "busy",
    "another pool is being tried",
    "ask again in a few seconds",
);

const NODE: Failure = Failure::new(
    422,
    "wrong_configuration",
    "a node cannot be tried, only a Stratum pool",
    "add it: the log tells what is wrong with a node",
);
