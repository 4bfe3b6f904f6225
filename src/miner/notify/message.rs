//! What is sent: one line for people, and the same as JSON for programs.

use crate::telemetry::{Notice, Severity, Snapshot};
use serde_json::{Value, json};

/// Version of the JSON's shape. Grows when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// Something to be sent.
#[derive(Clone, Debug)]
pub struct Message {
    /// How much it matters.
    pub severity: Severity,
    /// Whether it is the daily report.
    pub is_report: bool,
    /// Wall clock in seconds since 1970; none while it was never set.
    pub unix_time: Option<f64>,
    /// This machine's name.
    pub host: Option<String>,
    /// One line.
    pub text: String,
    /// All of it.
    pub json: String,
}

impl Message {
    /// An alert that begins or is over.
    pub fn of_notice(notice: &Notice, snapshot: &Snapshot) -> Self {
        let alert = &notice.alert;
        let (kind, word) = if notice.raised {
            ("raised", name(&alert.severity))
        } else {
            ("resolved", "over".into())
        };
        let rule = name(&alert.rule).replace('_', " ");
        let text = format!("{word}: {rule}, {}: {}", alert.source, alert.message);
        Self::new(
            kind,
            alert.severity,
            &text,
            &json!({ "alert": alert }),
            snapshot,
        )
    }

    /// Any message. `more` are further members of the JSON.
    pub fn new(
        kind: &str,
        severity: Severity,
        text: &str,
        more: &Value,
        snapshot: &Snapshot,
    ) -> Self {
        let machine = &snapshot.machine;
        let host = machine.host.as_deref().unwrap_or("a miner");
        let emulated = if machine.emulated { " (emulated)" } else { "" };
        let text = format!("{host}{emulated}: {text}");
        let mut body = json!({
            "schema": SCHEMA,
            "kind": kind,
            "severity": severity,
            "unix_time": snapshot.unix_time,
            "machine": {
                "host": machine.host,
                "board": machine.board,
                "emulated": machine.emulated,
                "uptime_s": machine.uptime_s,
            },
            // Chats that take JSON show the one or the other.
            "text": text,
            "content": text,
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        Self {
            severity,
            is_report: kind == "report",
            unix_time: snapshot.unix_time,
            host: machine.host.clone(),
            text,
            json: body.to_string(),
        }
    }

    /// Tells it to the log of this program, which is the one target that is always there.
    pub fn tell_log(&self) {
        let text = &self.text;
        match self.severity {
            Severity::Info => tracing::info!("alert: {text}"),
            Severity::Warning => tracing::warn!("alert: {text}"),
            Severity::Error => tracing::error!("alert: {text}"),
        }
    }
}

fn name(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}
