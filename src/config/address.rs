//! The address of a pool or of the owner's own node.

use crate::pool::url::{Host, PoolUrl, UrlError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where work comes from. Credentials never stand in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PoolAddress {
    /// A Stratum v1 pool.
    Stratum(PoolUrl),
    /// JSON-RPC of a Bitcoin node, as `http://host:port`: solo mining.
    Node {
        /// Name or address.
        host: Host,
        /// TCP port.
        port: u16,
    },
}

impl FromStr for PoolAddress {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().strip_prefix("http://") {
            None => text.parse().map(Self::Stratum),
            Some(rest) if rest.contains("://") => {
                Err(UrlError::Host(rest.chars().take(60).collect()))
            }
            Some(rest) => {
                let PoolUrl { host, port, .. } = rest.parse()?;
                Ok(Self::Node { host, port })
            }
        }
    }
}

impl TryFrom<String> for PoolAddress {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PoolAddress> for String {
    fn from(address: PoolAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for PoolAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stratum(url) => url.fmt(formatter),
            Self::Node { host, port } => write!(formatter, "http://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn http_is_a_node_and_anything_else_a_pool() {
        let node: PoolAddress = "http://[::1]:8332/".parse().unwrap();
        assert!(matches!(node, PoolAddress::Node { port: 8332, .. }));
        assert_eq!(node.to_string(), "http://[::1]:8332");
        let pool: PoolAddress = "pool.example.com:3333".parse().unwrap();
        assert_eq!(pool.to_string(), "stratum+tcp://pool.example.com:3333");
    }

    #[test]
    fn a_node_is_named_by_host_and_port_alone() {
        for text in [
            "http://user:secret@node:8332",
            "http://node",
            "http://node:8332/wallet",
            "http://stratum+tcp://node:1",
            "https://node:8332",
        ] {
            assert!(text.parse::<PoolAddress>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_printed_so_that_it_reads_back_the_same(
            text in "(http://)?(stratum\\+tcp://)?\\PC{0,60}"
        ) {
            if let Ok(address) = text.parse::<PoolAddress>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }
}
