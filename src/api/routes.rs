//! What is answered at which path.

use super::failure::Failure;
use super::{metrics, openapi, page};
use crate::telemetry::{Chip, Health, LOG_RING, SnapshotSource};
use serde::Serialize;
use serde_json::json;
use std::borrow::Cow;

const JSON: Cow<'static, str> = Cow::Borrowed("application/json");

/// One path of the interface.
pub struct Route {
    /// Path; `{index}` stands for one segment.
    pub path: &'static str,
    handler: fn(&Request<'_>) -> Result<Answer, Failure>,
}

/// What goes back to the client.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Kind of the body.
    pub content_type: Cow<'static, str>,
    /// The body.
    pub body: Vec<u8>,
}

/// A request as a handler sees it.
struct Request<'a> {
    source: &'a SnapshotSource,
    /// What stands at `{index}`.
    parameter: &'a str,
    query: &'a str,
}

/// Every path that can be asked with GET.
pub const ROUTES: &[Route] = &[
    Route {
        path: "/api/v1/status",
        handler: |request| Answer::json(&request.source.snapshot()),
    },
    Route {
        path: "/api/v1/stats",
        handler: stats,
    },
    Route {
        path: "/api/v1/devices",
        handler: |request| Answer::json(&request.source.snapshot().chains),
    },
    Route {
        path: "/api/v1/devices/{index}",
        handler: device,
    },
    Route {
        path: "/api/v1/chips",
        handler: chips,
    },
    Route {
        path: "/api/v1/pools",
        handler: |request| Answer::json(&request.source.snapshot().pools),
    },
    Route {
        path: "/api/v1/fans",
        handler: |request| Answer::json(&request.source.snapshot().fans),
    },
    Route {
        path: "/api/v1/temperatures",
        handler: |request| Answer::json(&request.source.snapshot().temperatures),
    },
    Route {
        path: "/api/v1/supply",
        handler: |request| Answer::json(&request.source.snapshot().supply),
    },
    Route {
        path: "/api/v1/events",
        handler: events,
    },
    Route {
        path: "/api/v1/logs",
        handler: logs,
    },
    Route {
        path: "/api/v1/health",
        handler: health,
    },
    Route {
        path: "/api/v1/version",
        handler: |request| Answer::json(&request.source.snapshot().versions),
    },
    Route {
        path: "/api/v1/openapi.json",
        handler: |_| Ok(openapi::answer()),
    },
    Route {
        path: "/metrics",
        handler: |request| Ok(metrics::answer(&request.source.snapshot())),
    },
];

impl Answer {
    /// A body as JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, Failure> {
        match serde_json::to_vec(value) {
            Ok(body) => Ok(Self {
                status: 200,
                content_type: JSON,
                body,
            }),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                let hint = "report this with the log";
                Err(Failure::new(
                    500,
                    "internal",
                    "the answer could not be written",
                    hint,
                ))
            }
        }
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self {
            status: failure.status,
            content_type: JSON,
            body: failure.to_json(),
        }
    }
}

/// Answers one request.
pub fn answer(method: &str, target: &str, source: &SnapshotSource) -> Answer {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if let ("GET", Some(answer)) = (method, page::answer(path)) {
        return answer;
    }
    let found = ROUTES
        .iter()
        .find_map(|route| Some((route, parameter(route.path, path)?)));
    let result = match (found, method) {
        (Some((route, parameter)), "GET") => (route.handler)(&Request {
            source,
            parameter,
            query,
        }),
        (Some(_), _) => Err(Failure::new(
            405,
            "method_not_allowed",
            "this path can only be read",
            "ask with GET",
        )),
        (None, _) => Err(Failure::new(
            404,
            "not_found",
            "there is nothing at this path",
            "GET /api/v1/openapi.json tells all paths",
        )),
    };
    result.unwrap_or_else(Answer::from)
}

/// What stands at `{index}`, empty when the route has none; `None` when the path is another one.
fn parameter<'a>(route: &str, path: &'a str) -> Option<&'a str> {
    match route.split_once("{index}") {
        None => (route == path).then_some(""),
        Some((before, after)) => {
            let value = path.strip_prefix(before)?.strip_suffix(after)?;
            (!value.is_empty() && !value.contains('/')).then_some(value)
        }
    }
}

impl<'a> Request<'a> {
    /// The value of a query parameter that is a plain word.
    fn query(&self, name: &str) -> Option<&'a str> {
        let pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .into_iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The number that a client has seen last; 0 when it does not say.
    fn after(&self) -> Result<u64, Failure> {
        self.query("after").map_or(Ok(0), str::parse).map_err(|_| {
            Failure::new(
                400,
                "bad_query",
                "`after` is not a number",
                "write ?after=0 or leave it out",
            )
        })
    }
}

fn stats(request: &Request<'_>) -> Result<Answer, Failure> {
    let snapshot = request.source.snapshot();
    let chains: Vec<_> = snapshot
        .chains
        .iter()
        .map(
            |chain| json!({"index": chain.index, "phase": chain.phase, "counters": chain.counters}),
        )
        .collect();
    Answer::json(&json!({
        "uptime_s": snapshot.machine.uptime_s,
        "hash_rate": snapshot.hash_rate,
        "shares": snapshot.shares,
        "work": snapshot.work,
        "chains": chains,
        "process": snapshot.process,
    }))
}

fn device(request: &Request<'_>) -> Result<Answer, Failure> {
    let snapshot = request.source.snapshot();
    let index = request.parameter.parse::<u8>().ok();
    match snapshot
        .chains
        .iter()
        .find(|chain| Some(chain.index) == index)
    {
        Some(chain) => Answer::json(chain),
        None => Err(no_device()),
    }
}

#[derive(Serialize)]
struct ChipsOfChain<'a> {
    chain: u8,
    model: &'a str,
    chips: &'a [Chip],
}

fn chips(request: &Request<'_>) -> Result<Answer, Failure> {
    let snapshot = request.source.snapshot();
    let wanted = match request.query("chain") {
        None => None,
        Some(text) => Some(text.parse::<u8>().map_err(|_| no_device())?),
    };
    let chains: Vec<_> = snapshot
        .chains
        .iter()
        .filter(|chain| wanted.is_none() || Some(chain.index) == wanted)
        .map(|chain| ChipsOfChain {
            chain: chain.index,
            model: &chain.model,
            chips: &chain.chips,
        })
        .collect();
    if wanted.is_some() && chains.is_empty() {
        return Err(no_device());
    }
    Answer::json(&chains)
}

fn events(request: &Request<'_>) -> Result<Answer, Failure> {
    Answer::json(&request.source.events_after(request.after()?))
}

fn logs(request: &Request<'_>) -> Result<Answer, Failure> {
    let level = request
        .query("level")
        .unwrap_or("trace")
        .parse()
        .map_err(|_| {
            let hint = "write error, warn, info, debug or trace";
            Failure::new(400, "bad_query", "`level` is no level", hint)
        })?;
    Answer::json(&LOG_RING.after(request.after()?, level))
}

fn health(request: &Request<'_>) -> Result<Answer, Failure> {
    let health: Health = request.source.health();
    let status = if health.healthy { 200 } else { 503 };
    Ok(Answer {
        status,
        ..Answer::json(&health)?
    })
}

fn no_device() -> Failure {
    Failure::new(
        404,
        "no_such_device",
        "there is no chain of that number",
        "GET /api/v1/devices tells all chains",
    )
}
