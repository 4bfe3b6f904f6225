//! Where log lines are sent to.

use crate::pool::url::{Host, PoolUrl};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A syslog server: a name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SyslogServer {
    /// Name or literal address.
    pub host: Host,
    /// UDP port.
    pub port: u16,
}

/// A text that names no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "is no syslog server: write host:port, as in \"log.example:514\", \"192.0.2.5:514\" or \"[2001:db8::5]:514\""
)]
pub struct NoServer;

impl FromStr for SyslogServer {
    type Err = NoServer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The same hosts and ports as everywhere else, without a scheme and what could come with one.
        if text.contains('/') {
            return Err(NoServer);
        }
        let PoolUrl { host, port, .. } = text.parse().map_err(|_| NoServer)?;
        Ok(Self { host, port })
    }
}

impl TryFrom<String> for SyslogServer {
    type Error = NoServer;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SyslogServer> for String {
    fn from(server: SyslogServer) -> Self {
        server.to_string()
    }
}

impl fmt::Display for SyslogServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_addresses_with_their_port_are_servers() {
        for text in ["log.example:514", "192.0.2.5:514", "[2001:db8::5]:6514"] {
            assert_eq!(text.parse::<SyslogServer>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "log.example",
            "log.example:0",
            "log.example:514/x",
            "stratum+tcp://a:1",
            "a b:1",
            "2001:db8::5",
        ] {
            assert_eq!(text.parse::<SyslogServer>(), Err(NoServer), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_printed_so_that_it_reads_back_the_same(text in "\\PC{0,40}(:[0-9]{1,5})?") {
            if let Ok(server) = text.parse::<SyslogServer>() {
                prop_assert_eq!(server.to_string().parse(), Ok(server));
            }
        }
    }
}
