//! What is answered at which path.

use super::access::Need;
use super::failure::Failure;
use super::orders::Order;
use super::writes::{NO_DEVICE, ORDERS};
use super::{fleet, metrics, openapi, page};
use crate::config::Role;
use crate::telemetry::{Chip, HISTORY_STEP, Health, LOG_RING, SnapshotSource};
use serde::Serialize;
use serde_json::json;
use std::borrow::Cow;

const JSON: Cow<'static, str> = Cow::Borrowed("application/json");

/// One method at one path of the interface.
pub struct Route {
    /// Method.
    pub method: &'static str,
    /// Path; `{index}` or `{name}` stands for one segment.
    pub path: &'static str,
    /// Role that is needed; none: everybody may.
    pub needs: Option<Role>,
    handler: Handler,
}

/// Who answers.
enum Handler {
    /// This room, from the Snapshot.
    Read(fn(&Request<'_>) -> Result<Answer, Failure>),
    /// Whoever carries the order out.
    Order(fn(&Asked<'_>) -> Result<Order, Failure>),
}

impl Route {
    /// What its callers need; none: everybody may.
    pub fn need(&self) -> Option<Need> {
        let role = self.needs?;
        Some(match self.handler {
            Handler::Read(_) => Need::to_read(role),
            // The configuration tells of users, proxies and paths: no matter for everybody who may read.
            Handler::Order(_) => Need::of_token(role),
        })
    }
}

/// What an order is read from.
pub struct Asked<'a> {
    /// What stands in the place of the path's variable.
    pub parameter: &'a str,
    /// The body.
    pub body: &'a [u8],
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

/// Every path that is read from the Snapshot.
pub const READS: &[Route] = &[
    read("/api/v1/status", |request| {
        Answer::json(&request.source.snapshot())
    }),
    read("/api/v1/stats", stats),
    read("/api/v1/devices", |request| {
        Answer::json(&request.source.snapshot().chains)
    }),
    read("/api/v1/devices/{index}", device),
    read("/api/v1/chips", chips),
    read("/api/v1/pools", |request| {
        Answer::json(&request.source.snapshot().pools)
    }),
    read("/api/v1/fans", |request| {
        Answer::json(&request.source.snapshot().fans)
    }),
    read("/api/v1/temperatures", |request| {
        Answer::json(&request.source.snapshot().temperatures)
    }),
    read("/api/v1/supply", |request| {
        Answer::json(&request.source.snapshot().supply)
    }),
    read("/api/v1/events", events),
    read("/api/v1/alerts", |request| {
        let active = request.source.snapshot().alerts;
        Answer::json(&json!({"active": active, "past": request.source.past_alerts()}))
    }),
    read("/api/v1/logs", logs),
    read("/api/v1/history", |request| {
        Answer::json(&json!({
            "step_s": HISTORY_STEP.as_secs(),
            "moments": request.source.history(),
        }))
    }),
    open("/api/v1/health", health),
    open("/api/v1/version", |request| {
        Answer::json(&request.source.snapshot().versions)
    }),
    open("/api/v1/openapi.json", |_| Ok(openapi::answer())),
    read("/api/v1/metrics", |request| Ok(metrics(request))),
    read("/metrics", |request| Ok(metrics(request))),
];

/// Every path of the interface.
pub fn all() -> impl Iterator<Item = &'static Route> {
    READS.iter().chain(ORDERS)
}

/// What may be read by who may read at all.
const fn read(path: &'static str, handler: fn(&Request<'_>) -> Result<Answer, Failure>) -> Route {
    Route {
        method: "GET",
        path,
        needs: Some(Role::Viewer),
        handler: Handler::Read(handler),
    }
}

/// What everybody may read.
const fn open(path: &'static str, handler: fn(&Request<'_>) -> Result<Answer, Failure>) -> Route {
    Route {
        needs: None,
        ..read(path, handler)
    }
}

/// What is asked of whoever carries orders out.
pub const fn order(
    method: &'static str,
    path: &'static str,
    needs: Role,
    handler: fn(&Asked<'_>) -> Result<Order, Failure>,
) -> Route {
    Route {
        method,
        path,
        needs: Some(needs),
        handler: Handler::Order(handler),
    }
}

/// What a request needs; `None` when everybody may ask it, or there is nothing to be asked.
pub fn needed(method: &str, path: &str) -> Option<Need> {
    if path.starts_with(fleet::PREFIX) {
        return Some(Need::to_read(Role::Viewer));
    }
    find(method, path)?.0.need()
}

/// The order that a request is; `None` when it is none.
pub fn order_of(method: &str, path: &str, body: &[u8]) -> Option<Result<Order, Failure>> {
    let (route, parameter) = find(method, path)?;
    match route.handler {
        Handler::Read(_) => None,
        Handler::Order(handler) => Some(handler(&Asked { parameter, body })),
    }
}

/// A fixed path goes before one with a variable.
fn find<'a>(method: &str, path: &'a str) -> Option<(&'static Route, &'a str)> {
    let fits = |route: &'static Route| Some((route, parameter(route.path, path)?));
    let of_method = || all().filter(|route| route.method == method);
    of_method()
        .find(|route| route.path == path)
        .map(|route| (route, ""))
        .or_else(|| of_method().find_map(fits))
}

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
    let result = match find(method, path) {
        Some((
            Route {
                handler: Handler::Read(handler),
                ..
            },
            parameter,
        )) => handler(&Request {
            source,
            parameter,
            query,
        }),
        _ if all().any(|route| parameter(route.path, path).is_some()) => Err(Failure::new(
            405,
            "method_not_allowed",
            "this path does not take this method",
            "GET /api/v1/openapi.json tells what each path takes",
        )),
        _ => Err(Failure::new(
            404,
            "not_found",
            "there is nothing at this path",
            "GET /api/v1/openapi.json tells all paths",
        )),
    };
    result.unwrap_or_else(Answer::from)
}

/// What stands in the place of the route's variable, empty when it has none; `None` when the path is another one.
fn parameter<'a>(route: &str, path: &'a str) -> Option<&'a str> {
    let variable = route
        .split_once('{')
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?.1)));
    match variable {
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

fn metrics(request: &Request<'_>) -> Answer {
    metrics::answer(&request.source.snapshot())
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
        None => Err(NO_DEVICE),
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
        Some(text) => Some(text.parse::<u8>().map_err(|_| NO_DEVICE)?),
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
        return Err(NO_DEVICE);
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
