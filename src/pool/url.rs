//! Addresses of pools, as their owners write them.

use super::authority::{AuthorityError, AuthorityKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use thiserror::Error;

/// Longest address that is looked at; a longer one is a mistake.
const LONGEST: usize = 512;
/// Longest host name that DNS can hold (RFC 1035).
const LONGEST_NAME: usize = 253;

/// How bytes reach the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Bare TCP: `stratum+tcp://`, or no scheme.
    Tcp,
    /// TLS over TCP: `stratum+tls://` and `stratum+ssl://`, the same thing under two names.
    Tls,
    /// Noise over TCP, with Stratum v2 inside: `stratum2+tcp://`.
    Noise,
}

/// Host part of an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name for the resolver, in lower case.
    Name(Box<str>),
    /// A literal address.
    Address(IpAddr),
}

/// Where a Stratum pool is, of version 1 or 2. Kept in canonical form: `Display` and parsing are inverse.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PoolUrl {
    /// Bare or encrypted.
    pub transport: Transport,
    /// Name or literal address.
    pub host: Host,
    /// TCP port, 1 to 65535.
    pub port: u16,
    /// Key that the pool proves itself by: of Stratum v2 pools, and of no others.
    pub authority: Option<AuthorityKey>,
}

/// Why a text is no pool address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Nothing but blanks.
    #[error("the pool address is empty: write stratum+tcp://host:port")]
    Empty,
    /// Longer than any real address.
    #[error("the pool address is longer than {LONGEST} bytes")]
    TooLong,
    /// A scheme that is not a Stratum one.
    #[error(
        "`{0}://` is no Stratum scheme: use stratum+tcp://, stratum+tls://, stratum+ssl:// or stratum2+tcp://"
    )]
    Scheme(String),
    /// A Stratum v2 address without the pool's key.
    #[error(
        "a Stratum v2 address ends with the pool's authority key: write stratum2+tcp://host:port/key as the pool \
         publishes it"
    )]
    NoKey,
    /// A Stratum v2 address with something else for a key.
    #[error("`{0}` is no authority key: {1}; copy it as the pool publishes it")]
    Key(String, AuthorityError),
    /// User or password inside the address.
    #[error("the pool address holds a user or password: put them into `user` and `password`")]
    Credentials,
    /// Text behind the port.
    #[error("the pool address has `{0}` behind its port: remove it")]
    Trailing(String),
    /// No port, or no number from 1 to 65535.
    #[error("the pool address needs a port from 1 to 65535, as in host:3333; found `{0}`")]
    Port(String),
    /// Neither a name nor an address.
    #[error("`{0}` is neither a host name nor an IP address (IPv6 goes in brackets)")]
    Host(String),
}

impl FromStr for PoolUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

impl PoolUrl {
    /// Reads an address. Never panics, whatever the text is.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.len() > LONGEST {
            return Err(UrlError::TooLong);
        }
        let (transport, rest) = match text.split_once("://") {
            None => (Transport::Tcp, text),
            Some((scheme, rest)) => (transport(scheme)?, rest),
        };
        let (place, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if transport != Transport::Noise && !matches!(behind, "" | "/") {
            return Err(UrlError::Trailing(shown(behind)));
        }
        if place.contains('@') {
            return Err(UrlError::Credentials);
        }
        let (host, port) = split_port(place)?;
        let authority = match transport {
            Transport::Noise => Some(key(behind)?),
            Transport::Tcp | Transport::Tls => None,
        };
        Ok(Self {
            transport,
            host,
            port,
            authority,
        })
    }

    /// The same place over bare TCP: what has to be connected to beneath any encryption.
    #[must_use]
    pub fn beneath(&self) -> Self {
        Self {
            transport: Transport::Tcp,
            authority: None,
            ..self.clone()
        }
    }
}

/// The key behind the port of a Stratum v2 address.
fn key(behind: &str) -> Result<AuthorityKey, UrlError> {
    match behind.strip_prefix('/') {
        None if !behind.is_empty() => Err(UrlError::Trailing(shown(behind))),
        None | Some("") => Err(UrlError::NoKey),
        Some(text) => text
            .parse()
            .map_err(|error| UrlError::Key(shown(text), error)),
    }
}

fn transport(scheme: &str) -> Result<Transport, UrlError> {
    const KNOWN: [(&str, Transport); 5] = [
        ("stratum+tcp", Transport::Tcp),
        ("stratum", Transport::Tcp),
        ("stratum+tls", Transport::Tls),
        ("stratum+ssl", Transport::Tls),
        ("stratum2+tcp", Transport::Noise),
    ];
    KNOWN
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(scheme))
        .map(|(_, transport)| *transport)
        .ok_or_else(|| UrlError::Scheme(shown(scheme)))
}

fn split_port(place: &str) -> Result<(Host, u16), UrlError> {
    let (host, port) = if let Some(bracketed) = place.strip_prefix('[') {
        let (literal, behind) = bracketed
            .split_once(']')
            .ok_or_else(|| UrlError::Host(shown(place)))?;
        let address: Ipv6Addr = literal
            .parse()
            .map_err(|_| UrlError::Host(shown(literal)))?;
        let port = behind
            .strip_prefix(':')
            .ok_or_else(|| UrlError::Port(shown(behind)))?;
        (Host::Address(IpAddr::V6(address)), port)
    } else {
        let (host, port) = place
            .rsplit_once(':')
            .ok_or_else(|| UrlError::Port(String::new()))?;
        (plain_host(host)?, port)
    };
    // `u16::from_str` would take a leading plus.
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number) if digits && number > 0 => Ok((host, number)),
        _ => Err(UrlError::Port(shown(port))),
    }
}

fn plain_host(text: &str) -> Result<Host, UrlError> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    // One dot at the end marks a complete name; resolvers take it either way.
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits alone is a mistyped IPv4 address, never a top-level domain.
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if name.len() > LONGEST_NAME || numeric || !name.split('.').all(label) {
        return Err(UrlError::Host(shown(text)));
    }
    Ok(Host::Name(name.to_ascii_lowercase().into()))
}

/// A piece of bad input for an error text: bounded, and without control characters.
fn shown(text: &str) -> String {
    text.chars()
        .take(60)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

impl fmt::Display for PoolUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.transport {
            Transport::Tcp => "stratum+tcp",
            Transport::Tls => "stratum+tls",
            Transport::Noise => "stratum2+tcp",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)?;
        match &self.authority {
            Some(key) => write!(f, "/{key}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl Host {
    /// Takes a bare host, as `client.reconnect` names one: a name or an address without brackets or
    /// port.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Address(IpAddr::V6(address)));
        }
        plain_host(text)
    }
}

impl From<PoolUrl> for String {
    fn from(url: PoolUrl) -> Self {
        url.to_string()
    }
}

impl TryFrom<String> for PoolUrl {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_as_owners_write_them_are_understood() {
        for (text, canonical) in [
            (
                "stratum+tcp://pool.example.com:3333",
                "stratum+tcp://pool.example.com:3333",
            ),
            (
                "  pool.example.com:3333\n",
                "stratum+tcp://pool.example.com:3333",
            ),
            (
                "stratum://pool.example.com:3333/",
                "stratum+tcp://pool.example.com:3333",
            ),
            (
                "STRATUM+TCP://Pool.Example.COM:1",
                "stratum+tcp://pool.example.com:1",
            ),
            (
                "stratum+tls://pool.example.com:443",
                "stratum+tls://pool.example.com:443",
            ),
            (
                "stratum+ssl://pool.example.com:65535",
                "stratum+tls://pool.example.com:65535",
            ),
            (
                "stratum+tcp://192.0.2.7:3333",
                "stratum+tcp://192.0.2.7:3333",
            ),
            (
                "stratum+tcp://[2001:db8::7]:3333",
                "stratum+tcp://[2001:db8::7]:3333",
            ),
            ("[::1]:3333", "stratum+tcp://[::1]:3333"),
            ("localhost:3333", "stratum+tcp://localhost:3333"),
            ("my_pool.lan.:3333", "stratum+tcp://my_pool.lan:3333"),
            (
                "Stratum2+TCP://Pool.Example.com:34254/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
                "stratum2+tcp://pool.example.com:34254/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
            ),
        ] {
            let url: PoolUrl = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.to_string(), canonical);
        }
    }

    #[test]
    fn mistakes_are_named() {
        type Check = fn(&UrlError) -> bool;
        let rows: [(&str, Check); 29] = [
            ("", |e| *e == UrlError::Empty),
            (" \t\n", |e| *e == UrlError::Empty),
            (&"a".repeat(513), |e| *e == UrlError::TooLong),
            (
                "http://pool.example.com:3333",
                |e| matches!(e, UrlError::Scheme(s) if s == "http"),
            ),
            ("stratum2+tls://pool.example.com:3333/key", |e| {
                matches!(e, UrlError::Scheme(_))
            }),
            (
                "stratum2+tcp://pool.example.com:3333/key",
                |e| matches!(e, UrlError::Key(key, _) if key == "key"),
            ),
            ("stratum2+tcp://pool.example.com:3333", |e| {
                *e == UrlError::NoKey
            }),
            ("stratum2+tcp://pool.example.com:3333/", |e| {
                *e == UrlError::NoKey
            }),
            ("stratum2+tcp://pool.example.com:3333?x", |e| {
                matches!(e, UrlError::Trailing(_))
            }),
            (
                "stratum2+tcp://pool.example.com:3333/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72/",
                |e| matches!(e, UrlError::Key(..)),
            ),
            ("://pool:1", |e| matches!(e, UrlError::Scheme(_))),
            ("stratum+tcp://user:pw@pool.example.com:1", |e| {
                *e == UrlError::Credentials
            }),
            ("stratum+tcp://pool.example.com:1/path", |e| {
                matches!(e, UrlError::Trailing(_))
            }),
            ("pool.example.com:1?x", |e| {
                matches!(e, UrlError::Trailing(_))
            }),
            ("pool.example.com:1#xnsub", |e| {
                matches!(e, UrlError::Trailing(_))
            }),
            ("pool.example.com", |e| matches!(e, UrlError::Port(_))),
            ("pool.example.com:", |e| matches!(e, UrlError::Port(_))),
            ("pool.example.com:0", |e| matches!(e, UrlError::Port(_))),
            ("pool.example.com:65536", |e| matches!(e, UrlError::Port(_))),
            ("pool.example.com:+80", |e| matches!(e, UrlError::Port(_))),
            ("pool.example.com:-1", |e| matches!(e, UrlError::Port(_))),
            ("[::1]", |e| matches!(e, UrlError::Port(_))),
            ("[::1:3333", |e| matches!(e, UrlError::Host(_))),
            ("::1:3333", |e| matches!(e, UrlError::Host(_))),
            (":3333", |e| matches!(e, UrlError::Host(_))),
            ("pool..com:1", |e| matches!(e, UrlError::Host(_))),
            ("-pool.com:1", |e| matches!(e, UrlError::Host(_))),
            ("192.0.2.300:1", |e| matches!(e, UrlError::Host(_))),
            ("po ol.com:1", |e| matches!(e, UrlError::Host(_))),
        ];
        for (text, is_right) in rows {
            let error = text.parse::<PoolUrl>().expect_err(text);
            assert!(is_right(&error), "{text}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn every_key_reads_back_with_its_address(key: [u8; 32], port in 1..=u16::MAX) {
            let text = format!("stratum2+tcp://pool.example.com:{port}/{}", AuthorityKey(key));
            let url: PoolUrl = text.parse().unwrap();
            prop_assert_eq!(url.authority, Some(AuthorityKey(key)));
            prop_assert_eq!(url.to_string(), text);
        }

        #[test]
        fn any_text_is_parsed_or_refused_and_what_parses_round_trips(text in ".{0,80}") {
            if let Ok(url) = text.parse::<PoolUrl>() {
                prop_assert_eq!(url.to_string().parse::<PoolUrl>(), Ok(url));
            }
        }

        #[test]
        fn likely_texts_never_panic(text in "(stratum2?\\+(tcp|tls|ssl)://)?[\\[\\]a-z0-9.:@/#-]{0,40}") {
            if let Ok(url) = text.parse::<PoolUrl>() {
                prop_assert_eq!(url.to_string().parse::<PoolUrl>(), Ok(url));
            }
        }
    }
}
