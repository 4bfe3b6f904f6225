//! The address that alerts are sent to. Many webhooks hold their secret in its path, so no message and no print shows that.

use super::secret::REDACTED;
use crate::pool::url::{Host, PoolUrl, Transport};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// Longest address; a longer one is a mistake.
const LONGEST: usize = 1024;
/// Topic of an MQTT message when the address names none.
const TOPIC: &str = "cgminer-rs/alerts";

/// How messages are sent there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// HTTP `POST` of JSON.
    Webhook,
    /// RFC 5424 in datagrams.
    SyslogUdp,
    /// RFC 5424 over a connection.
    SyslogTcp,
    /// MQTT 3.1.1.
    Mqtt,
}

/// Where alerts are sent.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TargetUrl {
    /// How.
    pub kind: TargetKind,
    /// Host, port, and whether TLS is spoken.
    pub server: PoolUrl,
    /// Path and query of a webhook, topic at a broker; empty for syslog.
    pub path: String,
    text: String,
}

impl TargetUrl {
    /// The text as it was written, for the one place that writes it back.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The address with a mark in the place of its path. It is an address again, of the same kind and server, so that what is printed
    /// can be read back.
    pub fn without_path(&self) -> String {
        let scheme = match (self.kind, self.server.transport) {
            (TargetKind::Webhook, Transport::Tls) => "https",
            (TargetKind::Webhook, _) => "http",
            (TargetKind::SyslogUdp, _) => "syslog+udp",
            (TargetKind::SyslogTcp, Transport::Tls) => "syslog+tls",
            (TargetKind::SyslogTcp, _) => "syslog+tcp",
            (TargetKind::Mqtt, Transport::Tls) => "mqtts",
            (TargetKind::Mqtt, _) => "mqtt",
        };
        let PoolUrl { host, port, .. } = &self.server;
        match self.path.as_str() {
            "" | "/" | TOPIC => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}:{port}/{REDACTED}"),
        }
    }

    /// Whether a print has left the path out.
    pub fn is_left_out(&self) -> bool {
        self.path.trim_start_matches('/') == REDACTED
    }

    /// Whether both name the same server, spoken to in the same way.
    pub fn is_at(&self, other: &Self) -> bool {
        (self.kind, &self.server) == (other.kind, &other.server)
    }
}

impl TryFrom<String> for TargetUrl {
    type Error = &'static str;

    /// Errors never hold the text.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        const SCHEMES: [(&str, TargetKind, Transport, u16); 8] = [
            ("http", TargetKind::Webhook, Transport::Tcp, 80),
            ("https", TargetKind::Webhook, Transport::Tls, 443),
            ("syslog", TargetKind::SyslogUdp, Transport::Tcp, 514),
            ("syslog+udp", TargetKind::SyslogUdp, Transport::Tcp, 514),
            ("syslog+tcp", TargetKind::SyslogTcp, Transport::Tcp, 514),
            ("syslog+tls", TargetKind::SyslogTcp, Transport::Tls, 6514),
            ("mqtt", TargetKind::Mqtt, Transport::Tcp, 1883),
            ("mqtts", TargetKind::Mqtt, Transport::Tls, 8883),
        ];
        if text.len() > LONGEST {
            return Err("is longer than 1024 bytes");
        }
        let (scheme, rest) = text.split_once("://").unwrap_or((&text, ""));
        let (_, kind, transport, port) = *SCHEMES
            .iter()
            .find(|(name, ..)| *name == scheme && !rest.is_empty())
            .ok_or(
                "is no address for alerts: write http://, https://, syslog+udp://, syslog+tcp://, syslog+tls://, \
                 mqtt:// or mqtts:// and a host",
            )?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("holds a user or password: put them into `user` and `password`");
        }
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, behind)| !behind.ends_with(']'));
        let authority = if has_port {
            authority.to_owned()
        } else {
            format!("{authority}:{port}")
        };
        let server: PoolUrl = authority
            .parse()
            .map_err(|_| "names no host that can be, or no port from 1 to 65535")?;
        let path = match kind {
            TargetKind::Webhook if path.is_empty() => "/",
            TargetKind::Webhook if path.starts_with('/') => path,
            TargetKind::Mqtt => match path.trim_start_matches('/') {
                "" => TOPIC,
                topic if topic.contains(['+', '#']) => {
                    return Err("names a topic with `+` or `#`, which are for readers alone");
                }
                topic => topic,
            },
            TargetKind::SyslogUdp | TargetKind::SyslogTcp if matches!(path, "" | "/") => "",
            _ => return Err("has something behind its port that means nothing here"),
        };
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("holds letters that have to be written with %");
        }
        Ok(Self {
            kind,
            server: PoolUrl {
                transport,
                ..server
            },
            path: path.to_owned(),
            text,
        })
    }
}

/// Host and port, as a `Host` header names them.
impl fmt::Display for TargetUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PoolUrl { host, port, .. } = &self.server;
        match (self.kind, self.server.transport, port) {
            (TargetKind::Webhook, Transport::Tcp, 80)
            | (TargetKind::Webhook, Transport::Tls, 443) => write!(formatter, "{host}"),
            _ => write!(formatter, "{host}:{port}"),
        }
    }
}

impl fmt::Debug for TargetUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

impl Serialize for TargetUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.without_path())
    }
}

impl TargetUrl {
    /// The host alone.
    pub fn host(&self) -> &Host {
        &self.server.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> TargetUrl {
        TargetUrl::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn each_scheme_has_its_kind_its_port_and_its_path() {
        for (text, kind, server, path) in [
            ("http://a", TargetKind::Webhook, "stratum+tcp://a:80", "/"),
            (
                "https://hooks.example/T/x?y=1",
                TargetKind::Webhook,
                "stratum+tls://hooks.example:443",
                "/T/x?y=1",
            ),
            (
                "syslog+udp://[2001:db8::1]",
                TargetKind::SyslogUdp,
                "stratum+tcp://[2001:db8::1]:514",
                "",
            ),
            (
                "syslog+tls://log.example:7000/",
                TargetKind::SyslogTcp,
                "stratum+tls://log.example:7000",
                "",
            ),
            (
                "mqtt://192.0.2.1/farm/7",
                TargetKind::Mqtt,
                "stratum+tcp://192.0.2.1:1883",
                "farm/7",
            ),
            (
                "mqtts://broker.example",
                TargetKind::Mqtt,
                "stratum+tls://broker.example:8883",
                TOPIC,
            ),
        ] {
            let url = parsed(text);
            assert_eq!(url.kind, kind, "{text}");
            assert_eq!(url.server.to_string(), server, "{text}");
            assert_eq!(url.path, path, "{text}");
            assert_eq!(url.expose(), text);
        }
        assert_eq!(parsed("https://a.example/x").to_string(), "a.example");
        assert_eq!(
            parsed("https://a.example:8443/x").to_string(),
            "a.example:8443"
        );
    }

    #[test]
    fn what_is_no_target_is_refused_without_showing_it() {
        for text in [
            "",
            "http://",
            "ftp://hidden",
            "hidden:80",
            "http://hidden@host",
            "mqtt://host/hidden/#",
            "syslog://host/hidden",
            "http://host?hidden",
            "http://host/hid den",
            "http://host:0/hidden",
        ] {
            let refusal = TargetUrl::try_from(text.to_owned()).unwrap_err();
            assert!(!refusal.contains("hidden"), "{refusal}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_gives_a_path_that_ends_no_line(
            text in "(https?|mqtts?|syslog(\\+(udp|tcp|tls))?)://\\PC{0,80}"
        ) {
            if let Ok(url) = TargetUrl::try_from(text) {
                prop_assert!(url.path.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert_eq!(format!("{:?}", url), REDACTED);
                let again = TargetUrl::try_from(url.without_path()).unwrap();
                prop_assert!(again.is_at(&url));
                prop_assert!(again.is_left_out() || again.path == url.path);
            }
        }
    }
}
