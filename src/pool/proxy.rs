//! Proxies: a connection to a pool through somebody else, by SOCKS5 or HTTP CONNECT.
//!
//! The pool's name is never looked up here: the proxy does that, so that nobody on the way learns
//! it, and so that `.onion` names work.

pub mod http;
pub mod socks5;

use super::connection::{Boxed, ConnectError, Connection, Connector};
use super::settings::Deadlines;
use super::url::{Host, PoolUrl, Transport, UrlError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How a proxy is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// RFC 1928, with user and password by RFC 1929: `socks5://`, or `socks5h://`.
    Socks5,
    /// `CONNECT` of RFC 9110: `http://`.
    HttpConnect,
}

/// Where a proxy is. `Display` and parsing are inverse.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ProxyUrl {
    /// How it is talked to.
    pub protocol: Protocol,
    /// Name or literal address.
    pub host: Host,
    /// TCP port.
    pub port: u16,
}

/// A text that is no proxy address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProxyUrlError {
    /// Neither of the two schemes.
    #[error("is no proxy address: write socks5://host:port or http://host:port")]
    Scheme,
    /// The rest of it is wrong.
    #[error("in the proxy's address: {0}")]
    Authority(#[from] UrlError),
}

/// A proxy, and how it knows us.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxySettings {
    /// Where it is.
    pub url: ProxyUrl,
    /// User and password, where it wants them.
    pub credentials: Option<Credentials>,
}

/// User and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
}

/// Why a proxy gave no connection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProxyError {
    /// What it says cannot be understood.
    #[error("it does not speak {0}: {1}")]
    Protocol(&'static str, String),
    /// User or password are wrong, or needed.
    #[error("it refuses us: {0}; check `proxy_user` and `proxy_password`")]
    Unauthorized(&'static str),
    /// It cannot or will not reach the pool.
    #[error("it does not reach the pool: {0}")]
    Refused(String),
    /// Our request has no form in this protocol.
    #[error("{0}")]
    Unaskable(&'static str),
}

/// What a proxy's conversation wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send these bytes, then go on reading.
    Send(Vec<u8>),
    /// Give it so many bytes, no more.
    Read(usize),
    /// The pool is at the other end.
    Through,
}

/// One conversation with a proxy, without I/O. It wants exactly the bytes of the proxy's answers, so
/// that none of the pool's are ever taken for the proxy's.
pub trait Conversation: Send {
    /// What it wants next.
    fn next(&mut self) -> Next;

    /// Takes what was read, as many bytes as were wanted.
    fn take(&mut self, bytes: &[u8]) -> Result<(), ProxyError>;
}

/// Connects through a proxy.
pub struct ProxyConnector {
    inner: Arc<dyn Connector>,
    proxy: ProxySettings,
}

impl ProxyConnector {
    /// Reaches the proxy itself through `inner`.
    pub fn new(inner: Arc<dyn Connector>, proxy: ProxySettings) -> Self {
        Self { inner, proxy }
    }

    fn conversation(&self, pool: &PoolUrl) -> Result<Box<dyn Conversation>, ProxyError> {
        let credentials = self.proxy.credentials.as_ref();
        Ok(match self.proxy.url.protocol {
            Protocol::Socks5 => Box::new(socks5::Socks5::new(&pool.host, pool.port, credentials)?),
            Protocol::HttpConnect => {
                Box::new(http::HttpConnect::new(&pool.host, pool.port, credentials))
            }
        })
    }

    fn failed(&self, error: impl fmt::Display) -> ConnectError {
        ConnectError::Proxy {
            proxy: self.proxy.url.clone(),
            error: error.to_string(),
        }
    }
}

impl Connector for ProxyConnector {
    fn connect<'a>(
        &'a self,
        url: &'a PoolUrl,
        deadlines: &'a Deadlines,
    ) -> Boxed<'a, Result<Connection, ConnectError>> {
        Box::pin(async move {
            ConnectError::unless_bare(url)?;
            let mut conversation = self.conversation(url).map_err(|error| self.failed(error))?;
            let proxy = PoolUrl {
                transport: Transport::Tcp,
                host: self.proxy.url.host.clone(),
                port: self.proxy.url.port,
                authority: None,
            };
            let connecting = self.inner.connect(&proxy, deadlines).await;
            let mut connection = connecting.map_err(|error| self.failed(error))?;
            let talk = converse(&mut *conversation, &mut connection);
            match timeout(deadlines.proxy, talk).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(self.failed(error)),
                Err(_) => {
                    let within = deadlines.proxy.as_secs();
                    return Err(self.failed(format!("no answer within {within} s")));
                }
            }
            connection.peer = format!("{}:{} by {}", url.host, url.port, connection.peer);
            Ok(connection)
        })
    }
}

async fn converse(
    conversation: &mut dyn Conversation,
    connection: &mut Connection,
) -> Result<(), String> {
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "it hung up".to_owned(),
        _ => error.to_string(),
    };
    loop {
        match conversation.next() {
            Next::Through => return Ok(()),
            Next::Send(bytes) => connection.stream.write_all(&bytes).await.map_err(broken)?,
            Next::Read(length) => {
                let mut bytes = vec![0; length];
                connection
                    .stream
                    .read_exact(&mut bytes)
                    .await
                    .map_err(broken)?;
                conversation
                    .take(&bytes)
                    .map_err(|error| error.to_string())?;
            }
        }
    }
}

impl FromStr for ProxyUrl {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        const KNOWN: [(&str, Protocol); 3] = [
            ("socks5", Protocol::Socks5),
            ("socks5h", Protocol::Socks5),
            ("http", Protocol::HttpConnect),
        ];
        let (scheme, rest) = text.trim().split_once("://").ok_or(ProxyUrlError::Scheme)?;
        let known = KNOWN
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(scheme));
        let (_, protocol) = known.ok_or(ProxyUrlError::Scheme)?;
        if rest.contains("://") {
            return Err(ProxyUrlError::Scheme);
        }
        let PoolUrl { host, port, .. } = rest.parse()?;
        Ok(Self {
            protocol: *protocol,
            host,
            port,
        })
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            Protocol::Socks5 => "socks5",
            Protocol::HttpConnect => "http",
        };
        write!(formatter, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl TryFrom<String> for ProxyUrl {
    type Error = ProxyUrlError;

    fn try_from(text: String) -> Result<Self, ProxyUrlError> {
        text.parse()
    }
}

impl From<ProxyUrl> for String {
    fn from(url: ProxyUrl) -> Self {
        url.to_string()
    }
}

/// Without the password, for logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ProxySettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}", self.url, self.credentials)
    }
}

#[cfg(test)]
mod tests;
