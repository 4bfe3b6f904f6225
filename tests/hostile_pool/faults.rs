//! Every way in which a primary pool fails, with a good reserve behind it: how soon the chains work
//! for the reserve, and what work is lost. The table in `docs/pools.md` is made by this test and
//! held to it.

mod rows;

use super::miner::{Miner, RATE, source};
use super::net::{Lookup, Net, Reach};
use super::server::{Fault, Server};
use cgminer_rs::pool::settings::{Place, StrategyKind};
use rows::{ROWS, Row, found};
use std::path::Path;
use std::time::Duration;

pub const PRIMARY: &str = "192.0.2.1:3333";
/// Where the primary's proxy is, if it has one.
const PROXY: &str = "203.0.113.1:1080";
pub const RESERVE: &str = "198.51.100.1:3333";
/// Faults of a running pool begin here, in the middle of a block.
pub const BEGIN: Duration = Duration::from_secs(900);
/// The last second before, so that no share is on its way.
const JUST_BEFORE: Duration = Duration::from_millis(899_500);
/// How long is looked on from there.
const WATCHED: Duration = Duration::from_secs(900);

/// What came of a row.
pub struct Outcome {
    failover: Option<usize>,
    lost: f64,
}

impl Outcome {
    /// Mines until the fault if there was none from the start, and then through it.
    pub async fn of(miner: &mut Miner, name: &str, at_boot: bool, jump: Duration) -> Self {
        let (mut begin, mut before) = (0, 0.0);
        if !at_boot {
            miner.hash(JUST_BEFORE).await;
            begin = miner.seconds.len();
            before = miner.credited();
            let is_good = !miner.seconds[2..].contains(['b', ' ']);
            assert!(is_good, "{name}: the primary is good till then");
            tokio::time::advance(jump).await;
        }
        miner.hash(WATCHED).await;
        let strangers = miner.status.borrow().shares_without_session;
        assert_eq!(strangers, 0, "{name}");
        let watched = &miner.seconds[begin..];
        Self {
            failover: watched.find('b'),
            lost: watched.len() as f64 - (miner.credited() - before) / RATE,
        }
    }

    /// Whether the reserve was worked for within so many seconds, or never, and no more was lost.
    pub fn is_held(&self, within: Option<usize>, loss: f64) -> bool {
        let is_as_stated = match (within, self.failover) {
            (Some(within), Some(seconds)) => seconds <= within,
            (within, seconds) => within.is_none() && seconds.is_none(),
        };
        is_as_stated && self.lost <= loss
    }

    /// A line of the table.
    pub fn line(&self, name: &str, at_boot: bool, deadline: &str, within: Option<usize>) -> String {
        let when = if at_boot { "at start" } else { "while mining" };
        let seconds = |seconds: usize| format!("{seconds} s");
        let failover = self.failover.map_or("never".to_owned(), seconds);
        let within = within.map_or("-".to_owned(), seconds);
        // Work is counted in whole shares, one a second here; less than one is none.
        let lost = match self.lost.max(0.0).round() {
            0.0 => "none".to_owned(),
            lost => format!("{lost:.0} s ({:.1e} hashes)", lost * RATE),
        };
        format!("| {when}: {name} | {deadline} | {within} | {failover} | {lost} |\n")
    }
}

/// The table's head, for the primaries of one kind.
pub fn head(primary: &str) -> String {
    format!(
        "| {primary} | found out by | deadline | reserve worked for after | work lost |\n\
         |---|---|---|---|---|\n"
    )
}

/// The document holds this table.
pub fn is_published(table: &str) {
    assert!(
        include_str!("../../docs/pools.md").contains(table),
        "docs/pools.md should hold this table:\n{table}"
    );
}

async fn play(row: &Row) -> Outcome {
    let net = Net::new();
    let (primary, reserve) = (Server::new("a"), Server::new("b"));
    net.name("a.example.com", row.lookup);
    net.name("b.example.net", |_| {
        Lookup::Found(vec![RESERVE.parse().unwrap()])
    });
    let (reach, server) = (row.reach, primary.clone());
    net.host(row.at, move |now| reach(&server, now));
    let server = reserve.clone();
    net.host(RESERVE, move |_| server.take(Fault::None, Duration::ZERO));
    let place = Place::default();
    let pools = vec![(row.pool)(&net), source(&net, "b.example.net:3333", place)];
    let mut miner = Miner::start(pools, StrategyKind::Failover);
    let outcome = Outcome::of(&mut miner, row.name, row.at_boot, row.jump).await;
    for server in [&primary, &reserve] {
        assert_eq!(
            server.log.lock().unwrap().foreign,
            Vec::<String>::new(),
            "{}",
            row.name
        );
    }
    outcome
}

#[tokio::test(start_paused = true)]
async fn every_fault_of_the_primary_is_left_within_its_deadline() {
    let (mut table, mut all_held) = (head("the primary"), true);
    for row in ROWS {
        let outcome = play(row).await;
        all_held &= outcome.is_held(row.within, row.loss);
        table += &outcome.line(row.name, row.at_boot, row.deadline, row.within);
    }
    assert!(all_held, "{table}");
    is_published(&table);
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

/// Whatever the wall clock says, and however it jumps, no wait and no decision of the pool room knows: only dates of
/// certificates are held against it.
#[test]
fn the_wall_clock_is_read_for_certificates_alone() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pool");
    let mut rooms = vec![room.clone()];
    let mut readers = Vec::new();
    while let Some(directory) = rooms.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rooms.push(path);
            } else if std::fs::read_to_string(&path)
                .unwrap()
                .contains("SystemTime")
            {
                readers.push(path.strip_prefix(&room).unwrap().to_owned());
            }
        }
    }
    // Whose clock is judged before it is believed.
    readers.retain(|reader| reader != Path::new("clock.rs"));
    assert_eq!(readers, Vec::<std::path::PathBuf>::new());
}
