//! The address of a pool or of the owner's own node.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// What is spoken at the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolScheme {
    /// Stratum v1 over TCP.
    Stratum,
    /// JSON-RPC of a Bitcoin node: solo mining with getblocktemplate.
    Node,
}

/// `stratum+tcp://host:port` or `http://host:port`. Credentials never stand in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PoolUrl {
    /// What is spoken there.
    pub scheme: PoolScheme,
    /// Name or address, an IPv6 one without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Why an address was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PoolUrlError {
    /// A scheme that this program does not speak.
    #[error(
        "`{0}://` is not spoken here; write stratum+tcp://host:port, or http://host:port for your own node"
    )]
    Scheme(String),
    /// A user name before the host.
    #[error("the address holds credentials; write them as `user` and `password`")]
    Credentials,
    /// No port, or none that a port can be.
    #[error("the port is missing or not between 1 and 65535; write host:port")]
    Port,
    /// No host, or none that a host can be.
    #[error("the host name is empty, too long, or holds characters that no host name has")]
    Host,
    /// Something behind the port.
    #[error("nothing may follow the port; write only host:port")]
    Trailing,
}

impl FromStr for PoolUrl {
    type Err = PoolUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = match text.split_once("://") {
            None => (PoolScheme::Stratum, text),
            Some(("stratum+tcp" | "stratum" | "tcp", rest)) => (PoolScheme::Stratum, rest),
            Some(("http", rest)) => (PoolScheme::Node, rest),
            Some((other, _)) => return Err(PoolUrlError::Scheme(other.chars().take(32).collect())),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err(PoolUrlError::Credentials);
        }
        if rest.contains(['/', '?', '#']) {
            return Err(PoolUrlError::Trailing);
        }
        let (host, port) = rest.rsplit_once(':').ok_or(PoolUrlError::Port)?;
        let port = port
            .parse()
            .ok()
            .filter(|&port| port != 0)
            .ok_or(PoolUrlError::Port)?;
        Ok(Self {
            scheme,
            host: host_name(host)?.into(),
            port,
        })
    }
}

fn host_name(text: &str) -> Result<&str, PoolUrlError> {
    if let Some(address) = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return address
            .parse::<std::net::Ipv6Addr>()
            .map(|_| address)
            .map_err(|_| PoolUrlError::Host);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if text.is_empty() || text.len() > 253 || !text.bytes().all(plain) {
        return Err(PoolUrlError::Host);
    }
    Ok(text)
}

impl TryFrom<String> for PoolUrl {
    type Error = PoolUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PoolUrl> for String {
    fn from(url: PoolUrl) -> Self {
        url.to_string()
    }
}

impl fmt::Display for PoolUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            PoolScheme::Stratum => "stratum+tcp",
            PoolScheme::Node => "http",
        };
        if self.host.contains(':') {
            write!(formatter, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_ways_to_write_a_pool_mean_the_same() {
        let expected = PoolUrl {
            scheme: PoolScheme::Stratum,
            host: "pool.example.com".into(),
            port: 3333,
        };
        for text in [
            "stratum+tcp://pool.example.com:3333",
            "tcp://pool.example.com:3333/",
            "pool.example.com:3333",
        ] {
            assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
        }
    }

    #[test]
    fn an_ipv6_address_keeps_its_brackets_when_printed() {
        let url: PoolUrl = "stratum+tcp://[::1]:3333".parse().unwrap();
        assert_eq!(url.host, "::1");
        assert_eq!(url.to_string(), "stratum+tcp://[::1]:3333");
    }

    #[test]
    fn each_wrong_address_is_refused_for_its_own_reason() {
        for (text, error) in [
            ("https://node:8332", PoolUrlError::Scheme("https".into())),
            (
                "stratum+tcp://user:secret@pool:3333",
                PoolUrlError::Credentials,
            ),
            ("stratum+tcp://pool", PoolUrlError::Port),
            ("stratum+tcp://pool:0", PoolUrlError::Port),
            ("stratum+tcp://pool:99999", PoolUrlError::Port),
            ("stratum+tcp://:3333", PoolUrlError::Host),
            ("stratum+tcp://po ol:3333", PoolUrlError::Host),
            ("stratum+tcp://[::g]:3333", PoolUrlError::Host),
            ("http://node:8332/wallet", PoolUrlError::Trailing),
        ] {
            assert_eq!(text.parse::<PoolUrl>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_printed_so_that_it_reads_back_the_same(text in ".{0,80}") {
            if let Ok(url) = text.parse::<PoolUrl>() {
                prop_assert_eq!(url.to_string().parse(), Ok(url));
            }
        }
    }
}
