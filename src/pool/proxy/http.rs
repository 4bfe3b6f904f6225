//! HTTP `CONNECT` (RFC 9110, 9.3.6).

use super::{Conversation, Credentials, Next, ProxyError};
use crate::pool::basic_auth;
use crate::pool::discretion::discreet;
use crate::pool::url::Host;

const NAME: &str = "HTTP";
/// Longest head of an answer.
const LONGEST_HEAD: usize = 8 * 1024;
/// Most header lines of an answer.
const MOST_HEADERS: usize = 64;

/// A conversation that ends with a connection to one pool.
pub struct HttpConnect {
    request: Vec<u8>,
    /// What no message may repeat.
    password: String,
    /// The answer's head, as far as it has come.
    head: Vec<u8>,
    through: bool,
}

impl HttpConnect {
    /// Asks for a connection to that host, by name if it has one.
    pub fn new(host: &Host, port: u16, credentials: Option<&Credentials>) -> Self {
        let authorization = credentials.map_or(String::new(), |Credentials { user, password }| {
            let value = basic_auth::header(&format!("{user}:{password}"));
            format!("Proxy-Authorization: {value}\r\n")
        });
        let request =
            format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{authorization}\r\n");
        Self {
            request: request.into_bytes(),
            password: credentials.map_or(String::new(), |credentials| credentials.password.clone()),
            head: Vec::new(),
            through: false,
        }
    }

    fn judge(&mut self) -> Result<(), ProxyError> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&self.head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => {
                return Err(ProxyError::Protocol(NAME, "half an answer".into()));
            }
            Err(error) => return Err(ProxyError::Protocol(NAME, error.to_string())),
        }
        match response.code {
            Some(200..=299) => {
                self.through = true;
                Ok(())
            }
            Some(407) => Err(ProxyError::Unauthorized("it wants user and password")),
            Some(code) => {
                let reason = response.reason.unwrap_or_default();
                let reason = discreet(reason, &self.password);
                let reason: String = reason.chars().take(80).collect();
                Err(ProxyError::Refused(format!("HTTP {code} {reason}")))
            }
            None => Err(ProxyError::Protocol(NAME, "no status line".into())),
        }
    }
}

impl Conversation for HttpConnect {
    fn next(&mut self) -> Next {
        if !self.request.is_empty() {
            return Next::Send(std::mem::take(&mut self.request));
        }
        if self.through {
            return Next::Through;
        }
        // Only the empty line tells where the head ends, so never more is read than the least that
        // can still be missing of it.
        Next::Read(match self.head.as_slice() {
            [.., b'\n' | b'\r'] => 1,
            [] => 4,
            _ => 2,
        })
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), ProxyError> {
        self.head.extend(bytes);
        if self.head.ends_with(b"\n\r\n") || self.head.ends_with(b"\n\n") {
            return self.judge();
        }
        // Something else at this port need not send a second line.
        let begin = b"HTTP/1.";
        let length = self.head.len().min(begin.len());
        if self.head.get(..length) != begin.get(..length) {
            let shown = discreet(&String::from_utf8_lossy(&self.head), &self.password);
            let shown = shown.escape_debug().to_string();
            return Err(ProxyError::Protocol(NAME, format!("it says `{shown}`")));
        }
        if self.head.len() > LONGEST_HEAD {
            return Err(ProxyError::Protocol(
                NAME,
                format!("its answer has more than {LONGEST_HEAD} bytes"),
            ));
        }
        Ok(())
    }
}
