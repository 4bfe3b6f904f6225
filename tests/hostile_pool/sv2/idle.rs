//! A reserve that is not worked for may have nothing to say, and is left as soon as it owes something and does not give it.

use super::edge_cases::{Pool, url};
use super::wire;
use crate::miner::{Miner, source};
use crate::net::{Lookup, Net, Reach};
use crate::server::{self, Fault};
use crate::stage::played;
use cgminer_rs::pool::settings::{Place, StrategyKind};
use cgminer_rs::pool::status::PoolStatus;
use std::time::Duration;
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);
/// The primary is good for so long.
const GOOD: Duration = Duration::from_secs(3000);

fn reserve(miner: &Miner) -> PoolStatus {
    miner.status.borrow().pools[1].clone()
}

#[tokio::test(start_paused = true)]
async fn a_silent_reserve_is_kept_until_it_is_worked_for() {
    let net = Net::new();
    let primary = server::Server::new("a");
    net.name("a.example.net", |_| {
        Lookup::Found(vec!["198.51.100.1:3333".parse().unwrap()])
    });
    net.host("198.51.100.1:3333", move |now| {
        if now < GOOD {
            primary.take(Fault::Closes, GOOD)
        } else {
            Reach::Refused
        }
    });
    let mut connections = played(&net, "b.example.com", "192.0.2.1:3333");
    let pools = vec![
        source(&net, "a.example.net:3333", Place::default()),
        source(&net, &url("b.example.com"), Place::default()),
    ];
    let mut miner = Miner::start(pools, StrategyKind::Failover);
    let connection = timeout(5 * SECOND, connections.recv()).await.unwrap();
    let (reader, writer) = wire::accept(connection.unwrap(), super::NOW).await.unwrap();
    let mut pool = Pool { reader, writer };
    pool.set_up(0).await;
    pool.open().await;
    pool.job(1, None).await;
    pool.previous(1, 1).await;

    // Fifty minutes without a word: no share was sent to it, and no block came.
    miner.hash(GOOD.saturating_sub(2 * SECOND)).await;
    assert!(
        !miner.seconds[2..].contains(['1', ' ']),
        "{}",
        miner.seconds
    );
    let status = reserve(&miner);
    assert_eq!((status.failures, status.connection_attempts), (0, 1));
    assert!(status.ready_since.is_some());

    // Its job is at hand when the primary is gone, and its share is answered.
    let before = miner.seconds.len();
    miner.hash(10 * SECOND).await;
    assert!(miner.seconds[before + 4..].bytes().all(|id| id == b'1'));
    let (sequence, job, _) = pool.share().await;
    assert_eq!(job, 1);
    pool.accept(sequence, 1).await;
    assert_eq!(reserve(&miner).failures, 0);

    // From now on it owes something: without an answer it is left within half a minute.
    miner.hash(36 * SECOND).await;
    let status = reserve(&miner);
    assert_eq!(status.failures, 1, "{:?}", status.last_error);
    let error = status.last_error.unwrap();
    assert!(error.contains("submitted shares get no answer"), "{error}");
}
