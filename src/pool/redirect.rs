//! `client.reconnect`: where a pool may send us, so that nobody between us and the pool can sell
//! our work.

use super::message::Reconnect;
use super::url::{Host, PoolUrl};

/// The address to go to, or `None` if the pool may not send us there.
///
/// A pool may name another port, its own host, a host below its own, or one beside it:
/// `eu.example.com` for `us.example.com`. Beside `pool.example` or `pool.co.uk` anyone can register
/// a name, so there it may not. An IP address may only stay itself. The transport never changes, nor does the key by which
/// a Stratum v2 pool proves itself.
pub fn redirect(url: &PoolUrl, reconnect: &Reconnect) -> Option<PoolUrl> {
    let host = match &reconnect.host {
        None => url.host.clone(),
        Some(host) if *host == url.host => host.clone(),
        Some(Host::Name(name)) => match &url.host {
            Host::Name(own) if is_below(name, own) || is_beside(name, own) => {
                Host::Name(name.clone())
            }
            _ => return None,
        },
        Some(Host::Address(_)) => return None,
    };
    Some(PoolUrl {
        transport: url.transport,
        host,
        port: reconnect.port.unwrap_or(url.port),
        authority: url.authority,
    })
}

fn is_below(name: &str, domain: &str) -> bool {
    domain.contains('.')
        && name
            .strip_suffix(domain)
            .is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

fn is_beside(name: &str, own: &str) -> bool {
    let Some((_, domain)) = own.split_once('.') else {
        return false;
    };
    !is_public_suffix(domain) && is_below(name, domain)
}

/// Whether strangers may own names directly under this domain: a top-level domain, or the likes of
/// `co.uk` and `com.au`.
fn is_public_suffix(domain: &str) -> bool {
    match domain.rsplit_once('.') {
        None => true,
        Some((second, top)) => !second.contains('.') && second.len() <= 3 && top.len() == 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn redirected(from: &str, host: Option<&str>, port: Option<u16>) -> Option<String> {
        let url = from.parse().unwrap();
        let host = host.map(|host| Host::parse(host).unwrap());
        let reconnect = Reconnect {
            host,
            port,
            wait: Duration::ZERO,
        };
        redirect(&url, &reconnect).map(|url| url.to_string())
    }

    #[test]
    fn a_pool_may_send_us_to_itself_and_within_its_domain() {
        for (from, host, to) in [
            (
                "us.example.com:3333",
                None,
                "stratum+tcp://us.example.com:3333",
            ),
            (
                "us.example.com:3333",
                Some("US.example.com"),
                "stratum+tcp://us.example.com:3333",
            ),
            (
                "us.example.com:3333",
                Some("eu.example.com"),
                "stratum+tcp://eu.example.com:3333",
            ),
            (
                "us.example.com:3333",
                Some("a.b.example.com"),
                "stratum+tcp://a.b.example.com:3333",
            ),
            (
                "example.com:3333",
                Some("eu.example.com"),
                "stratum+tcp://eu.example.com:3333",
            ),
            (
                "pool.co.uk:3333",
                Some("eu.pool.co.uk"),
                "stratum+tcp://eu.pool.co.uk:3333",
            ),
            (
                "192.0.2.1:3333",
                Some("192.0.2.1"),
                "stratum+tcp://192.0.2.1:3333",
            ),
            (
                "localhost:3333",
                Some("localhost"),
                "stratum+tcp://localhost:3333",
            ),
        ] {
            assert_eq!(
                redirected(from, host, None).as_deref(),
                Some(to),
                "{from} {host:?}"
            );
        }
        assert_eq!(
            redirected("stratum+tls://us.example.com:3333", None, Some(443)).as_deref(),
            Some("stratum+tls://us.example.com:443")
        );
    }

    #[test]
    fn a_pool_may_not_send_us_to_strangers() {
        for (from, host) in [
            ("us.example.com:3333", "us.evil.com"),
            ("us.example.com:3333", "example.com.evil.net"),
            ("us.example.com:3333", "evilexample.com"),
            ("us.example.com:3333", "localhost"),
            ("us.example.com:3333", "192.0.2.1"),
            ("example.com:3333", "evil.com"),
            ("pool.co.uk:3333", "evil.co.uk"),
            ("localhost:3333", "evil.localhost"),
            ("192.0.2.1:3333", "192.0.2.2"),
            ("192.0.2.1:3333", "pool.example.com"),
        ] {
            assert_eq!(redirected(from, Some(host), None), None, "{from} to {host}");
        }
    }
}
