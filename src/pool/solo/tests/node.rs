//! A node in memory, whose every answer the test decides.

use crate::pool::connection::{Boxed, ConnectError, Connection, Connector};
use crate::pool::settings::Deadlines;
use crate::pool::url::PoolUrl;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;

/// A node whose every answer the test decides.
pub(super) struct FakeNode {
    pub(super) state: Mutex<State>,
    /// Counts templates, for those who long-poll.
    pub(super) templates: watch::Sender<u64>,
}

pub(super) struct State {
    pub(super) template: Value,
    /// Refuses connections.
    pub(super) is_down: bool,
    /// Connections that were.
    pub(super) refused: u32,
    /// Answered to every call instead of a result.
    pub(super) failure: Option<(u16, Value)>,
    pub(super) proposal: Value,
    pub(super) verdicts: VecDeque<Value>,
    pub(super) calls: Vec<String>,
    pub(super) submitted: Vec<String>,
}

impl FakeNode {
    pub(super) fn new() -> Arc<Self> {
        let text = include_str!("../../../../tests/data/gbt/regtest-1-transaction.json");
        Arc::new(Self {
            state: Mutex::new(State {
                template: serde_json::from_str(text).unwrap(),
                is_down: false,
                refused: 0,
                failure: None,
                proposal: Value::Null,
                verdicts: VecDeque::new(),
                calls: Vec::new(),
                submitted: Vec::new(),
            }),
            templates: watch::channel(0).0,
        })
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    pub(super) fn new_template(&self, change: impl FnOnce(&mut Value)) {
        self.templates.send_modify(|count| *count += 1);
        let id = format!("id{}", *self.templates.borrow());
        self.with(|state| {
            change(&mut state.template);
            if state.template.get("longpollid").is_some() {
                state.template["longpollid"] = json!(id);
            }
        });
    }

    /// Somebody found a block.
    pub(super) fn new_block(&self, digit: char) {
        self.new_template(|template| {
            template["previousblockhash"] = json!(digit.to_string().repeat(64));
            template["height"] = json!(template["height"].as_u64().unwrap() + 1);
        });
    }

    pub(super) fn calls(&self, method: &str) -> usize {
        self.with(|state| state.calls.iter().filter(|call| *call == method).count())
    }

    pub(super) fn submitted(&self) -> Vec<String> {
        self.with(|state| state.submitted.clone())
    }

    pub(super) async fn answer(&self, call: &Value) -> Value {
        let method = call["method"].as_str().unwrap();
        let request = &call["params"][0];
        let long_poll_id = request["longpollid"].as_str();
        let name = match (long_poll_id, request["mode"].as_str()) {
            (Some(_), _) => "longpoll",
            (_, Some(_)) => "proposal",
            _ => method,
        };
        self.with(|state| state.calls.push(name.to_owned()));
        if let Some(id) = long_poll_id {
            let mut templates = self.templates.subscribe();
            while self.with(|state| state.template["longpollid"] == id) {
                templates.changed().await.unwrap();
            }
        }
        self.with(|state| match name {
            "getblockchaininfo" => json!({"chain": "regtest"}),
            "getbestblockhash" => state.template["previousblockhash"].clone(),
            "proposal" => state.proposal.clone(),
            "submitblock" => {
                state.submitted.push(request.as_str().unwrap().to_owned());
                state.verdicts.pop_front().unwrap_or_default()
            }
            _ => state.template.clone(),
        })
    }

    pub(super) async fn serve(self: Arc<Self>, mut stream: DuplexStream) {
        let mut request = Vec::new();
        let call: Value = loop {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).await.unwrap_or(0);
            if count == 0 {
                return;
            }
            request.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&request);
            let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            if let Ok(call) = serde_json::from_str(body) {
                break call;
            }
        };
        let (status, mut answer) = match self.with(|state| state.failure.clone()) {
            Some((status, error)) => (status, json!({"result": null, "error": error})),
            None => (
                200,
                json!({"result": self.answer(&call).await, "error": null}),
            ),
        };
        answer["id"] = call["id"].clone();
        let answer = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n{answer}");
        // The caller may have hung up.
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

pub(super) struct ToFakeNode(pub(super) Arc<FakeNode>);

impl Connector for ToFakeNode {
    fn connect<'a>(
        &'a self,
        _: &'a PoolUrl,
        _: &'a Deadlines,
    ) -> Boxed<'a, Result<Connection, ConnectError>> {
        Box::pin(async {
            if self.0.with(|state| state.is_down) {
                self.0.with(|state| state.refused += 1);
                return Err(ConnectError::Unreachable {
                    address: ([127, 0, 0, 1], 1).into(),
                    tried: 1,
                    error: std::io::ErrorKind::ConnectionRefused.into(),
                });
            }
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            tokio::spawn(Arc::clone(&self.0).serve(theirs));
            Ok(Connection {
                stream: Box::new(ours),
                peer: "127.0.0.1:1".into(),
                secured: None,
            })
        })
    }
}
