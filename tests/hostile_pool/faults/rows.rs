//! The faults: what the primary does, what is stated about it, and how it is played.

use super::super::miner::{source, source_with};
use super::super::net::{Lookup, Net, Reach};
use super::super::server::{Fault, Server};
use super::{BEGIN, PRIMARY, PROXY};
use cgminer_rs::pool::manager::ConfiguredSource;
use cgminer_rs::pool::proxy::ProxySettings;
use cgminer_rs::pool::settings::Place;
use std::time::Duration;

/// A fault of the primary.
pub struct Row {
    pub name: &'static str,
    /// What ends it, for the reader of the table.
    pub deadline: &'static str,
    /// Seconds within which the reserve must be worked for; `None`: it must not be at all.
    pub within: Option<usize>,
    /// Seconds of work that may be lost in all.
    pub loss: f64,
    /// From the start, or in the middle of work.
    pub at_boot: bool,
    /// What the clock jumps by when the fault begins.
    pub jump: Duration,
    /// Where the primary, or its proxy, is connected to.
    pub at: &'static str,
    pub pool: fn(&Net) -> ConfiguredSource,
    pub reach: fn(&Server, Duration) -> Reach,
    pub lookup: fn(Duration) -> Lookup,
}

pub fn found(_: Duration) -> Lookup {
    Lookup::Found(vec![PRIMARY.parse().unwrap()])
}

fn primary(net: &Net) -> ConfiguredSource {
    source(net, "a.example.com:3333", Place::default())
}

fn primary_over_tls(net: &Net) -> ConfiguredSource {
    source(net, "stratum+tls://a.example.com:3333", Place::default())
}

fn primary_by_proxy(net: &Net) -> ConfiguredSource {
    source_with(net, "a.example.com:3333", Place::default(), |settings| {
        settings.proxy = Some(ProxySettings {
            url: format!("socks5://{PROXY}").parse().unwrap(),
            credentials: None,
        });
    })
}

const fn at_boot(
    name: &'static str,
    reach: fn(&Server, Duration) -> Reach,
    lookup: fn(Duration) -> Lookup,
) -> Row {
    let deadline = "no need: the reserve connects too";
    Row {
        name,
        deadline,
        within: Some(1),
        loss: 2.0,
        at_boot: true,
        jump: Duration::ZERO,
        at: PRIMARY,
        pool: primary,
        reach,
        lookup,
    }
}

const fn running(
    name: &'static str,
    deadline: &'static str,
    within: usize,
    loss: f64,
    reach: fn(&Server, Duration) -> Reach,
) -> Row {
    Row {
        name,
        deadline,
        within: Some(within),
        loss,
        at_boot: false,
        jump: Duration::ZERO,
        at: PRIMARY,
        pool: primary,
        reach,
        lookup: found,
    }
}

fn addresses() -> Vec<std::net::SocketAddr> {
    vec![PRIMARY.parse().unwrap()]
}

/// What the resolver says while the pool restarts, and well before and after.
fn restarting(now: Duration, meanwhile: Lookup) -> Lookup {
    let minutes = Duration::from_secs(300);
    if (BEGIN..BEGIN + minutes).contains(&now) {
        meanwhile
    } else {
        found(now)
    }
}

/// A pool that closes, and is back ten seconds later.
fn restarted(server: &Server, now: Duration) -> Reach {
    match now {
        now if now < BEGIN => until_fault(server, Fault::Closes),
        now if now < BEGIN + Duration::from_secs(10) => Reach::Refused,
        _ => server.take(Fault::None, Duration::ZERO),
    }
}

/// A connection as before the fault, and one that meets it.
fn until_fault(server: &Server, fault: Fault) -> Reach {
    server.take(fault, BEGIN)
}

pub const ROWS: &[Row] = &[
    at_boot("refused", |_, _| Reach::Refused, found),
    at_boot(
        "black hole: no answer to TCP",
        |_, _| Reach::BlackHole,
        found,
    ),
    at_boot(
        "reset on connecting",
        |server, _| {
            server
                .take(Fault::None, Duration::ZERO)
                .reset_at(Duration::ZERO)
        },
        found,
    ),
    at_boot(
        "silent after TCP",
        |server, _| server.take(Fault::Silent, Duration::ZERO),
        found,
    ),
    at_boot(
        "silent after subscribe",
        |server, _| server.take(Fault::SilentAfterSubscribe, Duration::ZERO),
        found,
    ),
    at_boot(
        "authorize rejected",
        |server, _| server.take(Fault::AuthorizeRefused, Duration::ZERO),
        found,
    ),
    at_boot(
        "no job after the handshake",
        |server, _| server.take(Fault::NoJobs, Duration::ZERO),
        found,
    ),
    at_boot(
        "name not found",
        |server, _| server.take(Fault::None, BEGIN),
        |_| Lookup::NotFound,
    ),
    at_boot(
        "resolver answers after 30 s",
        |server, _| server.take(Fault::None, BEGIN),
        |_| Lookup::Slow(Duration::from_secs(30), vec![PRIMARY.parse().unwrap()]),
    ),
    Row {
        pool: primary_over_tls,
        ..at_boot(
            "silent in the TLS handshake",
            |server, _| server.take(Fault::Silent, Duration::ZERO),
            found,
        )
    },
    Row {
        at: PROXY,
        pool: primary_by_proxy,
        ..at_boot("its proxy is dead", |_, _| Reach::Refused, found)
    },
    Row {
        at: PROXY,
        pool: primary_by_proxy,
        ..at_boot(
            "its proxy is silent",
            |server, _| server.take(Fault::Silent, Duration::ZERO),
            found,
        )
    },
    running("closed, then refused", "at once", 1, 2.0, |server, now| {
        if now < BEGIN {
            until_fault(server, Fault::Closes)
        } else {
            Reach::Refused
        }
    }),
    running(
        "closed, then a black hole",
        "at once",
        1,
        2.0,
        |server, now| {
            if now < BEGIN {
                until_fault(server, Fault::Closes)
            } else {
                Reach::BlackHole
            }
        },
    ),
    running(
        "reset, and again on connecting",
        "at once",
        1,
        2.0,
        |server, now| until_fault(server, Fault::None).reset_at(now.max(BEGIN)),
    ),
    Row {
        at: PROXY,
        pool: primary_by_proxy,
        ..running(
            "closed, then its proxy is dead",
            "at once",
            1,
            2.0,
            |server, now| {
                if now < BEGIN {
                    until_fault(server, Fault::Closes).through_socks()
                } else {
                    Reach::Refused
                }
            },
        )
    },
    Row {
        at: PROXY,
        pool: primary_by_proxy,
        ..running(
            "closed, then its proxy is silent",
            "at once",
            1,
            2.0,
            |server, now| {
                if now < BEGIN {
                    until_fault(server, Fault::Closes).through_socks()
                } else {
                    server.take(Fault::Silent, Duration::ZERO)
                }
            },
        )
    },
    Row {
        lookup: |now| {
            if now < BEGIN {
                found(now)
            } else {
                Lookup::NotFound
            }
        },
        ..running(
            "closed, then name not found",
            "at once",
            1,
            2.0,
            |server, _| until_fault(server, Fault::Closes),
        )
    },
    Row {
        lookup: |now| restarting(now, Lookup::NotFound),
        ..running(
            "restarts, its name not found for five minutes",
            "at once",
            1,
            2.0,
            restarted,
        )
    },
    Row {
        lookup: |now| restarting(now, Lookup::Slow(Duration::from_secs(30), addresses())),
        ..running(
            "restarts, its name found after 30 s for five minutes",
            "at once",
            1,
            2.0,
            restarted,
        )
    },
    running(
        "half-open: no byte any more",
        "30 s without an answer to a share",
        32,
        34.0,
        |server, _| until_fault(server, Fault::Silent),
    ),
    running(
        "a byte every 5 s",
        "30 s without an answer to a share",
        32,
        34.0,
        |server, _| until_fault(server, Fault::SlowDrip),
    ),
    running(
        "noise instead of Stratum",
        "30 s without an answer to a share",
        32,
        34.0,
        |server, _| until_fault(server, Fault::Noise),
    ),
    running(
        "jobs, but no answer to shares",
        "10 shares unanswered for 30 s",
        41,
        73.0,
        |server, _| until_fault(server, Fault::NoVerdicts),
    ),
    running(
        "every share rejected",
        "20 rejects in a row",
        22,
        26.0,
        |server, _| until_fault(server, Fault::RejectsAll),
    ),
    running(
        "no jobs any more",
        "180 s without a job",
        181,
        24.0,
        |server, _| until_fault(server, Fault::NoJobs),
    ),
    Row {
        within: None,
        ..running(
            "jobs of 100 KB, and lines of 300 KB",
            "no fault: those are read, these skipped",
            0,
            2.0,
            |server, _| until_fault(server, Fault::LongLines),
        )
    },
    Row {
        within: None,
        jump: Duration::from_secs(3600),
        ..running(
            "the clock jumps by an hour, for both pools",
            "no fault: both sessions are renewed at once",
            0,
            2.0,
            |server, _| until_fault(server, Fault::None),
        )
    },
    running(
        "comes back for 20 s at a time",
        "at once; each return is trusted later",
        1,
        10.0,
        |server, now| {
            let end = if now < BEGIN {
                BEGIN
            } else {
                now + Duration::from_secs(20)
            };
            server.take(Fault::Closes, end)
        },
    ),
];
