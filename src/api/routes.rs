//! What is answered at which path.

use super::failure::Failure;
use crate::telemetry::{Snapshot, SnapshotSource};
use serde::Serialize;
use std::borrow::Cow;

const JSON: Cow<'static, str> = Cow::Borrowed("application/json");

/// One path of the interface.
pub struct Route {
    /// Path; `{index}` stands for one segment.
    pub path: &'static str,
    handler: fn(&Snapshot) -> Result<Answer, Failure>,
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

/// Every path that can be asked with GET.
pub const ROUTES: &[Route] = &[
    Route {
        path: "/api/v1/status",
        handler: |snapshot| Answer::json(snapshot),
    },
    Route {
        path: "/api/v1/version",
        handler: |snapshot| Answer::json(&snapshot.versions),
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
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let found = ROUTES.iter().find(|route| route.path == path);
    let result = match (found, method) {
        (Some(route), "GET") => (route.handler)(&source.snapshot()),
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
            "GET /api/v1/status tells about the machine",
        )),
    };
    result.unwrap_or_else(Answer::from)
}
