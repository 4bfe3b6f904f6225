//! Every way in which a primary pool of Stratum v2 fails, with a good reserve of Stratum v1 behind it. The table in
//! `docs/pools.md` is made by this test and held to it.

use super::server::{Fault, Server};
use super::wire::PUBLIC;
use crate::faults::{BEGIN, Outcome, PRIMARY, RESERVE, head, is_published};
use crate::miner::{Miner, source};
use crate::net::{Lookup, Net, Reach};
use crate::server;
use cgminer_rs::pool::settings::{Place, StrategyKind};
use std::time::Duration;

/// A fault of the primary.
struct Row {
    name: &'static str,
    /// What ends it, for the reader of the table.
    deadline: &'static str,
    /// Seconds within which the reserve must be worked for.
    within: usize,
    /// Seconds of work that may be lost in all.
    loss: f64,
    /// From the start, or in the middle of work.
    at_boot: bool,
    reach: fn(&Server, Duration) -> Reach,
    lookup: fn(Duration) -> Lookup,
}

fn found(_: Duration) -> Lookup {
    Lookup::Found(vec![PRIMARY.parse().unwrap()])
}

const fn at_boot(
    name: &'static str,
    reach: fn(&Server, Duration) -> Reach,
    lookup: fn(Duration) -> Lookup,
) -> Row {
    Row {
        name,
        deadline: "no need: the reserve connects too",
        within: 1,
        loss: 2.0,
        at_boot: true,
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
        within,
        loss,
        at_boot: false,
        reach,
        lookup: found,
    }
}

/// A connection as before the fault, and one that meets it.
fn until_fault(server: &Server, fault: Fault) -> Reach {
    server.take(fault, BEGIN)
}

const ROWS: &[Row] = &[
    at_boot("refused", |_, _| Reach::Refused, found),
    at_boot(
        "black hole: no answer to TCP",
        |_, _| Reach::BlackHole,
        found,
    ),
    at_boot(
        "reset on connecting",
        |server, _| server.take(Fault::Closes, Duration::ZERO),
        found,
    ),
    at_boot(
        "silent after TCP",
        |server, _| server.take(Fault::Silent, Duration::ZERO),
        found,
    ),
    at_boot(
        "another key than the address has",
        |server, _| server.take(Fault::WrongKey, Duration::ZERO),
        found,
    ),
    at_boot(
        "silent after the Noise handshake",
        |server, _| server.take(Fault::SilentAfterNoise, Duration::ZERO),
        found,
    ),
    at_boot(
        "connection refused by `SetupConnection.Error`",
        |server, _| server.take(Fault::SetupRefused, Duration::ZERO),
        found,
    ),
    at_boot(
        "channel refused",
        |server, _| server.take(Fault::OpenRefused, Duration::ZERO),
        found,
    ),
    at_boot(
        "no job on the channel",
        |server, _| server.take(Fault::NoJobs, Duration::ZERO),
        found,
    ),
    at_boot(
        "name not found",
        |server, _| server.take(Fault::None, BEGIN),
        |_| Lookup::NotFound,
    ),
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
        "half-open: no byte any more",
        "30 s without an answer to a share",
        32,
        34.0,
        |server, _| until_fault(server, Fault::Silent),
    ),
    running(
        "a byte every 5 s",
        "at once: it is not encrypted, or 30 s without an answer",
        32,
        34.0,
        |server, _| until_fault(server, Fault::SlowDrip),
    ),
    running(
        "bytes that are not encrypted",
        "at once",
        2,
        4.0,
        |server, _| until_fault(server, Fault::Garbage),
    ),
    running(
        "messages that cannot be read",
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
];

fn url() -> String {
    format!("stratum2+tcp://a.example.com:3333/{PUBLIC}")
}

/// Plays a row.
async fn play(row: &Row) -> Outcome {
    let net = Net::new();
    let (primary, reserve) = (Server::new(1), server::Server::new("b"));
    net.name("a.example.com", row.lookup);
    net.name("b.example.net", |_| {
        Lookup::Found(vec![RESERVE.parse().unwrap()])
    });
    let (reach, server) = (row.reach, primary.clone());
    net.host(PRIMARY, move |now| reach(&server, now));
    let server = reserve.clone();
    net.host(RESERVE, move |_| {
        server.take(server::Fault::None, Duration::ZERO)
    });
    let pools = vec![
        source(&net, &url(), Place::default()),
        source(&net, "b.example.net:3333", Place::default()),
    ];
    let mut miner = Miner::start(pools, StrategyKind::Failover);
    let outcome = Outcome::of(&mut miner, row.name, row.at_boot, Duration::ZERO).await;
    for log in [&primary.log, &reserve.log] {
        assert!(log.lock().unwrap().foreign.is_empty(), "{}", row.name);
    }
    outcome
}

#[tokio::test(start_paused = true)]
async fn every_fault_of_a_primary_of_stratum_v2_is_left_within_its_deadline() {
    let (mut table, mut all_held) = (head("the primary of Stratum v2"), true);
    for row in ROWS {
        let (outcome, within) = (play(row).await, Some(row.within));
        all_held &= outcome.is_held(within, row.loss);
        table += &outcome.line(row.name, row.at_boot, row.deadline, within);
    }
    assert!(all_held, "{table}");
    is_published(&table);
}

/// Mines at a good pool that tells of so many shares at once.
async fn mine(batch: u32, time: Duration) -> (Miner, Server) {
    let net = Net::new();
    let server = Server::new(batch);
    net.name("a.example.com", found);
    let pool = server.clone();
    net.host("192.0.2.1:3333", move |_| {
        pool.take(Fault::None, Duration::ZERO)
    });
    let pools = vec![source(&net, &url(), Place::default())];
    let mut miner = Miner::start(pools, StrategyKind::Failover);
    miner.hash(time).await;
    (miner, server)
}

#[tokio::test(start_paused = true)]
async fn an_hour_at_a_good_pool_costs_one_share_a_block_at_most() {
    for batch in [1, 10, 25] {
        let (miner, server) = mine(batch, Duration::from_secs(3600)).await;
        let status = miner.status.borrow().pools[0].clone();
        let log = server.log.lock().unwrap();
        assert_eq!(
            (status.failures, log.connections),
            (0, 1),
            "{:?}",
            status.last_error
        );
        assert!(log.foreign.is_empty());
        assert!(log.rejected <= 6 && log.accepted >= 3590, "{log:?}");
        let shares = &status.shares;
        assert_eq!(shares.rejected.total, shares.rejected.stale);
        // What is still being collected has no verdict yet.
        let waiting = log.accepted as u64 - shares.accepted;
        assert!(waiting < u64::from(batch), "{waiting}");
        assert_eq!(shares.unanswered, 0);
        assert!(!miner.seconds[2..].contains(' '));
    }
}
