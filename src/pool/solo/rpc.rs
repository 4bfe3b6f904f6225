//! JSON-RPC calls to the owner's node: one HTTP connection each, with a deadline and a bound on what comes back.

use super::auth::CookieError;
pub use super::auth::RpcAuth;
use super::http::{HttpError, ResponseDecoder};
use crate::pool::connection::Connector;
use crate::pool::discretion::discreet;
use crate::pool::reject::bounded;
use crate::pool::settings::Deadlines;
use crate::pool::url::{Host, PoolUrl, Transport};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Most bytes of an answer that is not a template.
pub const SMALL_ANSWER: usize = 1024 * 1024;

/// Why a call gave no result.
#[derive(Debug, Error)]
pub enum RpcError {
    /// No connection.
    #[error(
        "node {node}: cannot connect: {reason}; check that it runs with `server=1` and listens there"
    )]
    Connect {
        /// Address and port.
        node: String,
        /// What the system said.
        reason: String,
    },
    /// Too slow.
    #[error("node {node}: no answer to {method} within {} s", .deadline.as_secs_f64())]
    Deadline {
        /// Address and port.
        node: String,
        /// Method called.
        method: &'static str,
        /// How long was waited.
        deadline: Duration,
    },
    /// The connection broke.
    #[error("node {node}: {method}: the connection broke: {reason}")]
    Io {
        /// Address and port.
        node: String,
        /// Method called.
        method: &'static str,
        /// What the system said.
        reason: String,
    },
    /// The answer is no HTTP, or too long.
    #[error("node {node}: {method}: {source}")]
    Http {
        /// Address and port.
        node: String,
        /// Method called.
        method: &'static str,
        /// What is wrong with it.
        source: HttpError,
    },
    /// The cookie file cannot be used.
    #[error(transparent)]
    Cookie(#[from] CookieError),
    /// 401.
    #[error("node {node}: user or password refused (401); check them, or the cookie file's path")]
    Unauthorized {
        /// Address and port.
        node: String,
    },
    /// 403.
    #[error(
        "node {node}: this machine is not allowed (403); add its address to the node's `rpcallowip`"
    )]
    Forbidden {
        /// Address and port.
        node: String,
    },
    /// RPC error -28: the node is starting.
    #[error("node {node}: still starting: {message}")]
    WarmingUp {
        /// Address and port.
        node: String,
        /// What it is doing.
        message: String,
    },
    /// RPC errors -9 and -10: no peers, or the first download of the chain.
    #[error("node {node}: not ready to mine: {message}")]
    NotSynced {
        /// Address and port.
        node: String,
        /// What it said.
        message: String,
    },
    /// Any other error of the node.
    #[error("node {node}: {method}: {message} ({code})")]
    Node {
        /// Address and port.
        node: String,
        /// Method called.
        method: &'static str,
        /// RPC error code.
        code: i64,
        /// What it said.
        message: String,
    },
    /// HTTP with a status and body that no node gives.
    #[error("node {node}: {method}: HTTP status {status}, {reason}")]
    Answer {
        /// Address and port.
        node: String,
        /// Method called.
        method: &'static str,
        /// HTTP status.
        status: u16,
        /// What is wrong.
        reason: String,
    },
}

/// A node's RPC service.
#[derive(Clone)]
pub struct RpcClient {
    address: PoolUrl,
    auth: RpcAuth,
    connector: Arc<dyn Connector>,
    deadlines: Deadlines,
}

#[derive(Serialize)]
struct Request<'a, P> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: P,
}

/// A node's answer. `result` stays null where the node says null, which `submitblock` means well.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct Answer<T> {
    #[serde(default = "none")]
    result: Option<T>,
    #[serde(default)]
    error: Option<NodeError>,
    #[serde(default)]
    id: Option<u64>,
}

fn none<T>() -> Option<T> {
    None
}

#[derive(Deserialize)]
struct NodeError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl RpcClient {
    /// A client that connects through `connector`.
    pub fn new(host: Host, port: u16, auth: RpcAuth, connector: Arc<dyn Connector>) -> Self {
        Self {
            address: PoolUrl {
                transport: Transport::Tcp,
                host,
                port,
                authority: None,
            },
            auth,
            connector,
            deadlines: Deadlines::default(),
        }
    }

    /// The node's address for messages.
    pub fn node(&self) -> String {
        format!("{}:{}", self.address.host, self.address.port)
    }

    /// Whether the password stays on this machine: RPC is not encrypted.
    pub fn is_loopback(&self) -> bool {
        match &self.address.host {
            Host::Address(IpAddr::V4(address)) => address.is_loopback(),
            Host::Address(IpAddr::V6(address)) => address.is_loopback(),
            Host::Name(name) => &**name == "localhost",
        }
    }

    /// Calls a method that always has a result.
    pub async fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &'static str,
        params: impl Serialize,
        deadline: Duration,
    ) -> Result<T, RpcError> {
        let answer = self
            .call_nullable(method, params, deadline, SMALL_ANSWER)
            .await?;
        answer.ok_or_else(|| self.bad_answer(method, 200, "no result".into()))
    }

    /// Calls a method whose result may be null, taking at most `limit` bytes of answer.
    pub async fn call_nullable<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &'static str,
        params: impl Serialize,
        deadline: Duration,
        limit: usize,
    ) -> Result<Option<T>, RpcError> {
        let id = fastrand::u64(..1 << 53);
        let request = Request {
            jsonrpc: "1.0",
            id,
            method,
            params,
        };
        let body = serde_json::to_vec(&request)
            .map_err(|error| self.bad_answer(method, 0, error.to_string()))?;
        let exchange = self.exchange(method, &body, limit);
        let response = timeout(deadline, exchange)
            .await
            .map_err(|_| RpcError::Deadline {
                node: self.node(),
                method,
                deadline,
            })??;

        match response.status {
            401 => return Err(RpcError::Unauthorized { node: self.node() }),
            403 => return Err(RpcError::Forbidden { node: self.node() }),
            _ => {}
        }
        let parsed = parse(response.body).await;
        let answer: Answer<T> =
            parsed.map_err(|reason| self.bad_answer(method, response.status, reason))?;
        if let Some(error) = answer.error {
            return Err(self.node_error(method, &error));
        }
        if answer.id != Some(id) {
            return Err(self.bad_answer(
                method,
                response.status,
                "an answer to another call".into(),
            ));
        }
        if response.status != 200 {
            return Err(self.bad_answer(method, response.status, "no error in it".into()));
        }
        Ok(answer.result)
    }

    async fn exchange(
        &self,
        method: &'static str,
        body: &[u8],
        limit: usize,
    ) -> Result<super::http::Response, RpcError> {
        let request = self.request_bytes(body)?;
        let connecting = self.connector.connect(&self.address, &self.deadlines);
        let mut stream = match timeout(self.deadlines.connect_all, connecting).await {
            Ok(Ok(connection)) => connection.stream,
            Ok(Err(error)) => return Err(self.cannot_connect(error.to_string())),
            Err(_) => {
                return Err(self.cannot_connect("none of its addresses answered in time".into()));
            }
        };
        let broken = |error: std::io::Error| RpcError::Io {
            node: self.node(),
            method,
            reason: error.to_string(),
        };
        let bad_http = |source| RpcError::Http {
            node: self.node(),
            method,
            source,
        };
        stream.write_all(&request).await.map_err(broken)?;

        let mut decoder = ResponseDecoder::new(limit);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = stream.read(&mut buffer).await.map_err(broken)?;
            let bytes = buffer.get(..count).unwrap_or_default();
            if count == 0 || decoder.push(bytes).map_err(bad_http)? {
                return decoder.finish().map_err(bad_http);
            }
        }
    }

    fn request_bytes(&self, body: &[u8]) -> Result<Vec<u8>, RpcError> {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.node(),
            self.auth.header()?,
            body.len()
        );
        Ok([head.as_bytes(), body].concat())
    }

    fn cannot_connect(&self, reason: String) -> RpcError {
        RpcError::Connect {
            node: self.node(),
            reason,
        }
    }

    fn bad_answer(&self, method: &'static str, status: u16, reason: String) -> RpcError {
        RpcError::Answer {
            node: self.node(),
            method,
            status,
            reason,
        }
    }

    /// Codes are those of Bitcoin Core's `rpc/protocol.h`.
    fn node_error(&self, method: &'static str, error: &NodeError) -> RpcError {
        let node = self.node();
        let message = bounded(&discreet(&error.message, self.auth.password()));
        match error.code {
            -28 => RpcError::WarmingUp { node, message },
            -9 | -10 => RpcError::NotSynced { node, message },
            code => RpcError::Node {
                node,
                method,
                code,
                message,
            },
        }
    }
}

/// Parses an answer away from the loop that feeds the chips where it is long: a template can hold megabytes.
async fn parse<T: DeserializeOwned + Send + 'static>(body: Vec<u8>) -> Result<Answer<T>, String> {
    const SHORT: usize = 32 * 1024;
    let is_short = body.len() <= SHORT;
    let parse = move || {
        serde_json::from_slice(&body).map_err(|error| {
            let start = String::from_utf8_lossy(body.get(..60).unwrap_or(&body)).into_owned();
            format!(
                "not the JSON that was expected: {error}; it begins `{}`",
                bounded(&start)
            )
        })
    };
    if is_short {
        return parse();
    }
    match tokio::task::spawn_blocking(parse).await {
        Ok(result) => result,
        Err(error) => Err(format!("reading it failed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::connection::DirectConnector;
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    /// For a node that answers: the machine may be busy with other things.
    const PATIENCE: Duration = Duration::from_secs(120);

    fn password() -> RpcAuth {
        RpcAuth::Password {
            user: "owner".into(),
            password: "secret".into(),
        }
    }

    fn client(port: u16, auth: RpcAuth) -> RpcClient {
        let host = Host::parse("127.0.0.1").unwrap();
        RpcClient::new(host, port, auth, Arc::new(DirectConnector::system()))
    }

    /// A node that gives `answer` to one call; `ID` in it becomes the call's id. Returns the call's bytes.
    async fn node(answer: &str) -> (RpcClient, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = answer.to_owned();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut call = Vec::new();
            let mut buffer = [0; 4096];
            while !call.ends_with(b"}") {
                let count = stream.read(&mut buffer).await.unwrap();
                call.extend_from_slice(&buffer[..count]);
            }
            let call = String::from_utf8(call).unwrap();
            let body: Value = serde_json::from_str(call.split_once("\r\n\r\n").unwrap().1).unwrap();
            let answer = answer.replace("ID", &body["id"].to_string());
            stream.write_all(answer.as_bytes()).await.unwrap();
            call
        });
        (client(port, password()), served)
    }

    fn http(status: u16, body: &str) -> String {
        format!("HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n{body}")
    }

    async fn error_of(answer: &str) -> RpcError {
        let (client, _served) = node(answer).await;
        client
            .call::<u32>("getblockcount", json!([]), PATIENCE)
            .await
            .unwrap_err()
    }

    #[tokio::test]
    async fn a_call_carries_its_credentials_and_returns_the_result() {
        let (client, served) = node(&http(200, r#"{"result":7,"error":null,"id":ID}"#)).await;
        let count: u32 = client
            .call("getblockcount", json!([]), PATIENCE)
            .await
            .unwrap();
        assert_eq!(count, 7);
        let call = served.await.unwrap();
        // base64 of `owner:secret`, by coreutils.
        assert!(
            call.contains("Authorization: Basic b3duZXI6c2VjcmV0\r\n"),
            "{call}"
        );
        assert!(
            call.contains(r#""method":"getblockcount","params":[]"#),
            "{call}"
        );
    }

    #[tokio::test]
    async fn null_is_a_result_where_it_is_asked_for() {
        let (client, _served) = node(&http(200, r#"{"result":null,"error":null,"id":ID}"#)).await;
        let result: Option<String> = client
            .call_nullable("submitblock", json!(["00"]), PATIENCE, 1000)
            .await
            .unwrap();
        assert_eq!(result, None);
        let (client, _served) =
            node(&http(200, r#"{"result":"high-hash","error":null,"id":ID}"#)).await;
        let result: Option<String> = client
            .call_nullable("submitblock", json!(["00"]), PATIENCE, 1000)
            .await
            .unwrap();
        assert_eq!(result.as_deref(), Some("high-hash"));
    }

    #[tokio::test]
    async fn each_failure_of_the_node_has_its_own_error() {
        let error = error_of(&http(401, "")).await;
        assert!(matches!(error, RpcError::Unauthorized { .. }), "{error}");
        let error = error_of(&http(403, "")).await;
        assert!(matches!(error, RpcError::Forbidden { .. }), "{error}");
        let body =
            r#"{"result":null,"error":{"code":-28,"message":"Loading block index"},"id":ID}"#;
        let error = error_of(&http(500, body)).await;
        assert!(matches!(error, RpcError::WarmingUp { .. }), "{error}");
        assert!(error.to_string().contains("Loading block index"));
        let body = r#"{"result":null,"error":{"code":-10,"message":"in initial sync"},"id":ID}"#;
        let error = error_of(&http(500, body)).await;
        assert!(matches!(error, RpcError::NotSynced { .. }), "{error}");
        let body =
            r#"{"result":null,"error":{"code":-32601,"message":"Method not found"},"id":ID}"#;
        let error = error_of(&http(404, body)).await;
        assert!(
            matches!(error, RpcError::Node { code: -32601, .. }),
            "{error}"
        );
        let error = error_of(&http(503, "Work queue depth exceeded")).await;
        assert!(
            matches!(error, RpcError::Answer { status: 503, .. }),
            "{error}"
        );
        let error = error_of(&http(200, r#"{"result":7,"error":null,"id":1.5}"#)).await;
        assert!(matches!(error, RpcError::Answer { .. }), "{error}");
        let error = error_of(&http(200, r#"{"result":7,"error":null,"id":null}"#)).await;
        assert!(error.to_string().contains("another call"), "{error}");
        let error = error_of("SSH-2.0-OpenSSH\r\n\r\n").await;
        assert!(matches!(error, RpcError::Http { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_node_that_is_not_there_or_says_nothing_is_an_error_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = client(port, password());
        let deadline = Duration::from_millis(20);
        let error = client
            .call::<u32>("getblockcount", json!([]), deadline)
            .await
            .unwrap_err();
        assert!(matches!(error, RpcError::Deadline { .. }), "{error}");
        drop(listener);
        let error = client
            .call::<u32>("getblockcount", json!([]), PATIENCE)
            .await
            .unwrap_err();
        assert!(matches!(error, RpcError::Connect { .. }), "{error}");
    }

    #[tokio::test]
    async fn an_answer_beyond_the_bound_is_refused() {
        let (client, _served) = node(&http(200, &"x".repeat(SMALL_ANSWER + 1))).await;
        let error = client
            .call::<u32>("getblockcount", json!([]), PATIENCE)
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                RpcError::Http {
                    source: HttpError::BodyTooLong { .. },
                    ..
                }
            ),
            "{error}"
        );
    }
}
