//! Every way in which a primary pool fails, with a good reserve behind it: how soon the chains work
//! for the reserve, and what work is lost. The table in `docs/pools.md` is made by this test and
//! held to it.

use super::miner::{Miner, RATE, source};
use super::net::{Lookup, Net, Reach};
use super::server::{Fault, Server};
use cgminer_rs::pool::settings::{Place, StrategyKind};
use std::fmt::Write;
use std::time::Duration;

const PRIMARY: &str = "192.0.2.1:3333";
const RESERVE: &str = "198.51.100.1:3333";
/// Faults of a running pool begin here, in the middle of a block.
const BEGIN: Duration = Duration::from_secs(900);
/// The last second before, so that no share is on its way.
const JUST_BEFORE: Duration = Duration::from_millis(899_500);
/// How long is looked on from there.
const WATCHED: Duration = Duration::from_secs(900);

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
    let deadline = "no need: the reserve connects too";
    Row {
        name,
        deadline,
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
        "closed, then reset on connecting",
        "at once",
        1,
        2.0,
        |server, _| until_fault(server, Fault::Closes),
    ),
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

/// What came of a row.
struct Outcome {
    failover: Option<usize>,
    lost: f64,
}

async fn play(row: &Row) -> Outcome {
    let net = Net::new();
    let (primary, reserve) = (Server::new("a"), Server::new("b"));
    net.name("a.example.com", row.lookup);
    net.name("b.example.net", |_| {
        Lookup::Found(vec![RESERVE.parse().unwrap()])
    });
    let (reach, server) = (row.reach, primary.clone());
    net.host(PRIMARY, move |now| reach(&server, now));
    let server = reserve.clone();
    net.host(RESERVE, move |_| server.take(Fault::None, Duration::ZERO));
    let place = Place::default();
    let pools = vec![
        source(&net, "a.example.com:3333", place),
        source(&net, "b.example.net:3333", place),
    ];
    let mut miner = Miner::start(pools, StrategyKind::Failover);
    let mut begin = 0;
    let mut before = 0.0;
    if !row.at_boot {
        miner.hash(JUST_BEFORE).await;
        begin = miner.seconds.len();
        before = miner.credited();
        assert!(
            !miner.seconds[2..].contains(['b', ' ']),
            "{}: the primary is good till then",
            row.name
        );
    }
    miner.hash(WATCHED).await;
    let watched = &miner.seconds[begin..];
    let lost = watched.len() as f64 - (miner.credited() - before) / RATE;
    for server in [&primary, &reserve] {
        assert_eq!(
            server.log.lock().unwrap().foreign,
            Vec::<String>::new(),
            "{}",
            row.name
        );
    }
    assert_eq!(
        miner.status.borrow().shares_without_session,
        0,
        "{}",
        row.name
    );
    Outcome {
        failover: watched.find('b'),
        lost,
    }
}

fn table(rows: &[(&Row, Outcome)]) -> String {
    let mut table = String::from(
        "| the primary | found out by | deadline | reserve worked for after | work lost |\n\
         |---|---|---|---|---|\n",
    );
    for (row, Outcome { failover, lost }) in rows {
        let when = if row.at_boot {
            "at start"
        } else {
            "while mining"
        };
        let failover = failover.map_or("never".to_owned(), |seconds| format!("{seconds} s"));
        // Work is counted in whole shares, one a second here; less than one is none.
        let lost = lost.max(0.0).round();
        let lost = match lost * RATE {
            0.0 => "none".to_owned(),
            hashes => format!("{lost:.0} s ({hashes:.1e} hashes)"),
        };
        let Row {
            name,
            deadline,
            within,
            ..
        } = row;
        let _ = writeln!(
            table,
            "| {when}: {name} | {deadline} | {within} s | {failover} | {lost} |"
        );
    }
    table
}

#[tokio::test(start_paused = true)]
async fn every_fault_of_the_primary_is_left_within_its_deadline() {
    let mut rows = Vec::new();
    for row in ROWS {
        let outcome = play(row).await;
        rows.push((row, outcome));
    }
    let table = table(&rows);
    for (row, Outcome { failover, lost }) in &rows {
        assert!(
            failover.is_some_and(|seconds| seconds <= row.within),
            "{}\n{table}",
            row.name
        );
        assert!(
            *lost <= row.loss,
            "{}: {lost} s of work lost\n{table}",
            row.name
        );
    }
    let document = include_str!("../../docs/pools.md");
    assert!(
        document.contains(&table),
        "docs/pools.md should hold this table:\n{table}"
    );
}

#[tokio::test(start_paused = true)]
async fn lines_of_a_hundred_kilobytes_are_no_fault() {
    let net = Net::new();
    let server = Server::new("a");
    net.name("a.example.com", found);
    let pool = server.clone();
    net.host(PRIMARY, move |_| {
        pool.take(Fault::LongLines, Duration::ZERO)
    });
    let pools = vec![source(&net, "a.example.com:3333", Place::default())];
    let mut miner = Miner::start(pools, StrategyKind::Failover);
    miner.hash(WATCHED).await;
    assert_eq!(
        miner.seconds.trim_start_matches(' ').len(),
        miner.seconds.trim().len()
    );
    let status = miner.status.borrow().pools[0].clone();
    let rejected = &status.shares.rejected;
    assert_eq!((status.failures, rejected.total), (0, rejected.stale));
    assert!(rejected.stale <= 2, "one share at each new block");
    assert!(status.lines.over_long >= 30, "{:?}", status.lines);
}

#[tokio::test(start_paused = true)]
async fn a_jump_of_the_clock_costs_seconds() {
    let net = Net::new();
    let server = Server::new("a");
    net.name("a.example.com", found);
    let pool = server.clone();
    net.host(PRIMARY, move |_| pool.take(Fault::None, Duration::ZERO));
    let pools = vec![source(&net, "a.example.com:3333", Place::default())];
    let mut miner = Miner::start(pools, StrategyKind::Failover);
    miner.hash(Duration::from_secs(60)).await;
    tokio::time::advance(Duration::from_secs(3600)).await;
    let begin = miner.seconds.len();
    miner.hash(Duration::from_secs(120)).await;
    let idle = miner.seconds[begin..].matches(' ').count();
    assert!(idle <= 5, "{idle} s idle after the jump");
    assert!(server.log.lock().unwrap().foreign.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_single_pool_that_restarts_is_mined_again_within_seconds() {
    let net = Net::new();
    let server = Server::new("a");
    net.name("a.example.com", found);
    let pool = server.clone();
    let back = BEGIN + Duration::from_secs(10);
    net.host(PRIMARY, move |now| match now {
        now if now < BEGIN => pool.take(Fault::Closes, BEGIN),
        now if now < back => Reach::Refused,
        _ => pool.take(Fault::None, BEGIN),
    });
    let pools = vec![source(&net, "a.example.com:3333", Place::default())];
    let mut miner = Miner::start(pools, StrategyKind::Failover);
    miner.hash(BEGIN + WATCHED).await;
    let idle = miner.seconds[2..].matches(' ').count();
    assert!(
        (10..=26).contains(&idle),
        "{idle} s idle for 10 s of outage"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_down_for_a_day_is_tried_no_more_than_ten_times_a_minute_and_looked_up_anew()
{
    let net = Net::new();
    net.name("a.example.com", found);
    net.host(PRIMARY, |_| Reach::Refused);
    let pools = vec![source(&net, "a.example.com:3333", Place::default())];
    let mut miner = Miner::start(pools, StrategyKind::Failover);
    miner.hash(Duration::from_secs(86_400)).await;
    let dials = net.dials();
    assert_eq!(
        dials.len(),
        net.lookups().len(),
        "an address may change at any time"
    );
    assert!(
        (1400..6000).contains(&dials.len()),
        "{} tries a day",
        dials.len()
    );
    assert!(
        dials
            .windows(11)
            .all(|window| window[10].0 >= window[0].0 + Duration::from_secs(60))
    );
    let longest = dials
        .windows(2)
        .map(|pair| pair[1].0.abs_diff(pair[0].0))
        .max()
        .unwrap();
    assert!(longest <= Duration::from_secs(61), "{longest:?}");
}
