//! Several pools at once: parts of the work, switches, changes while running.

use super::miner::{Miner, share, source};
use super::net::{Lookup, Net};
use super::server::{Fault, Server};
use cgminer_rs::pool::manager::{Command, ConfiguredSource};
use cgminer_rs::pool::settings::{Place, StrategyKind};
use std::time::Duration;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Good pools, each at its own address.
fn good_pools(net: &Net, count: usize) -> Vec<Server> {
    NAMES[..count]
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let address = format!("192.0.2.{}:3333", index + 1);
            let server = Server::new(name);
            let (found, pool) = (address.parse().unwrap(), server.clone());
            net.name(&url(index)[..13], move |_| Lookup::Found(vec![found]));
            net.host(&address, move |_| pool.take(Fault::None, Duration::ZERO));
            server
        })
        .collect()
}

fn url(index: usize) -> String {
    format!("{}.example.com:3333", NAMES[index])
}

fn sources(net: &Net, places: &[Place]) -> Vec<ConfiguredSource> {
    places
        .iter()
        .enumerate()
        .map(|(index, place)| source(net, &url(index), *place))
        .collect()
}

fn quota(quota: u32) -> Place {
    Place {
        quota,
        ..Place::default()
    }
}

fn no_share_went_astray(servers: &[Server]) {
    for server in servers {
        assert_eq!(server.log.lock().unwrap().foreign, Vec::<String>::new());
    }
}

/// Parts of the accepted shares in percent.
fn parts(servers: &[Server]) -> Vec<f64> {
    let accepted: Vec<f64> = servers
        .iter()
        .map(|server| server.log.lock().unwrap().accepted as f64)
        .collect();
    let total: f64 = accepted.iter().sum();
    accepted
        .iter()
        .map(|accepted| 100.0 * accepted / total)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn pools_credit_work_by_quota_within_one_percent_and_no_second_is_idle() {
    let net = Net::new();
    let servers = good_pools(&net, 3);
    let pools = sources(&net, &[quota(1), quota(2), quota(5)]);
    let mut miner = Miner::start(pools, StrategyKind::Quota);
    miner.hash(Duration::from_secs(7200)).await;
    let parts = parts(&servers);
    for (part, wanted) in parts.iter().zip([12.5, 25.0, 62.5]) {
        assert!((part - wanted).abs() < 1.0, "{parts:?}");
    }
    assert!(!miner.seconds[2..].contains(' '), "a switch is no pause");
    no_share_went_astray(&servers);
    let status = miner.status.borrow().clone();
    assert!(status.switches > 100, "{}", status.switches);
    for (pool, name) in status.pools.iter().zip(NAMES) {
        let worked = miner.seconds.matches(name).count();
        assert_eq!(pool.units, worked as u64, "{name}");
    }
    let rejected: u64 = status
        .pools
        .iter()
        .map(|pool| pool.shares.rejected.total)
        .sum();
    assert!(
        rejected <= 12,
        "{rejected} shares rejected: more than one at each new block"
    );
}

#[tokio::test(start_paused = true)]
async fn load_is_balanced_within_one_percent() {
    let net = Net::new();
    let servers = good_pools(&net, 4);
    let pools = sources(&net, &[Place::default(); 4]);
    let mut miner = Miner::start(pools, StrategyKind::LoadBalance);
    miner.hash(Duration::from_secs(7200)).await;
    let parts = parts(&servers);
    assert!(
        parts.iter().all(|part| (part - 25.0).abs() < 1.0),
        "{parts:?}"
    );
    no_share_went_astray(&servers);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_restarts_again_and_again_holds_out_longer_each_time_before_it_has_its_part() {
    for strategy in [StrategyKind::LoadBalance, StrategyKind::Quota] {
        let net = Net::new();
        let servers = good_pools(&net, 2);
        let pool = servers[1].clone();
        // Up for 99 seconds of each hundred, and within seconds there again.
        net.host("192.0.2.2:3333", move |now| {
            let next = Duration::from_secs((now.as_secs() / 100 + 1) * 100);
            pool.take(Fault::Closes, next)
        });
        let mut miner = Miner::start(sources(&net, &[quota(1); 2]), strategy);
        miner.hash(Duration::from_secs(1000)).await;
        let worked = |from: usize, to: usize| miner.seconds[from..to].matches('b').count();
        assert!(worked(2, 100) >= 30, "its part before the first restart");
        // It has failed soon after its begin: two minutes are asked of it now, and it is never there for as long.
        assert_eq!(worked(101, 1000), 0, "{strategy:?}: {}", miner.seconds);
        assert!(!miner.seconds[2..].contains(' '));
        no_share_went_astray(&servers);
    }
}

#[tokio::test(start_paused = true)]
async fn groups_keep_their_quota_when_a_pool_inside_fails() {
    let net = Net::new();
    let servers = good_pools(&net, 4);
    let died = servers[0].clone();
    net.host("192.0.2.1:3333", move |now| match now {
        now if now < Duration::from_secs(1800) => {
            died.take(Fault::Closes, Duration::from_secs(1800))
        }
        _ => super::net::Reach::Refused,
    });
    let in_group = |group, quota| Place {
        group,
        quota,
        ..Place::default()
    };
    let places = [
        in_group(0, 3),
        in_group(0, 3),
        in_group(1, 1),
        in_group(1, 1),
    ];
    let mut miner = Miner::start(sources(&net, &places), StrategyKind::Groups);
    miner.hash(Duration::from_secs(7200)).await;
    let parts = parts(&servers);
    assert!((parts[0] + parts[1] - 75.0).abs() < 1.0, "{parts:?}");
    assert!(
        parts[0] > 15.0 && parts[1] > 50.0 && parts[3] == 0.0,
        "{parts:?}"
    );
    assert!(!miner.seconds[2..].contains(' '));
    no_share_went_astray(&servers);
}

#[tokio::test(start_paused = true)]
async fn pools_are_changed_while_mining_and_unchanged_ones_keep_their_session() {
    let net = Net::new();
    let servers = good_pools(&net, 3);
    let mut miner = Miner::start(sources(&net, &[quota(1), quota(1)]), StrategyKind::Failover);
    miner.hash(Duration::from_secs(60)).await;
    let session = miner.status.borrow().pools[0].session;
    let place = Place::default();
    let replaced = vec![source(&net, &url(2), place), source(&net, &url(0), place)];
    miner.replace(replaced).await;
    miner.hash(Duration::from_secs(60)).await;
    let status = miner.status.borrow().clone();
    assert_eq!(
        (status.pools.len(), status.pools[1].session, status.active),
        (2, session, Some(0))
    );
    assert_eq!(servers[0].log.lock().unwrap().connections, 1);
    assert!(!miner.seconds[2..].contains(' '), "{:?}", miner.seconds);
    assert!(miner.seconds.ends_with("cccc"));
    no_share_went_astray(&servers);
}

#[tokio::test(start_paused = true)]
async fn a_pool_is_chosen_and_switched_off_by_hand() {
    let net = Net::new();
    let servers = good_pools(&net, 2);
    let mut miner = Miner::start(sources(&net, &[quota(1), quota(1)]), StrategyKind::Failover);
    miner.hash(Duration::from_secs(10)).await;
    assert!(miner.commands.send(Command::Prefer(1)).await.is_ok());
    miner.hash(Duration::from_secs(10)).await;
    assert!(miner.seconds.ends_with("bbbbbbbb"));
    let off = Place {
        enabled: false,
        ..quota(1)
    };
    miner.replace(sources(&net, &[quota(1), off])).await;
    miner.hash(Duration::from_secs(10)).await;
    assert!(miner.seconds.ends_with("aaaaaaaa"));
    no_share_went_astray(&servers);
}

#[tokio::test(start_paused = true)]
async fn a_job_given_out_at_a_switch_is_newer_than_the_one_before_and_clean_only_if_that_pool_died()
{
    let net = Net::new();
    let servers = good_pools(&net, 2);
    let mut miner = Miner::start(sources(&net, &[quota(1), quota(1)]), StrategyKind::Failover);
    miner.hash(Duration::from_secs(10)).await;
    let before = miner.jobs.borrow().clone().unwrap();
    assert!(miner.commands.send(Command::Prefer(1)).await.is_ok());
    tokio::time::sleep(Duration::from_millis(10)).await;
    let after = miner.jobs.borrow().clone().unwrap();
    assert_ne!(after.session, before.session);
    assert!(after.sequence > before.sequence && !after.clean);
    // A late share of the pool before still reaches it.
    let accepted = servers[0].log.lock().unwrap().accepted;
    assert!(miner.shares.send(share(&before, 77_777)).await.is_ok());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(servers[0].log.lock().unwrap().accepted, accepted + 1);
    no_share_went_astray(&servers);
}

#[tokio::test(start_paused = true)]
async fn a_pool_taken_out_or_switched_off_still_gets_its_last_shares_for_five_seconds() {
    let off = Place {
        enabled: false,
        ..quota(1)
    };
    for keeps_its_place in [false, true] {
        let net = Net::new();
        let servers = good_pools(&net, 2);
        let mut miner = Miner::start(sources(&net, &[quota(1), quota(1)]), StrategyKind::Failover);
        miner.hash(Duration::from_secs(10)).await;
        let last = miner.jobs.borrow().clone().unwrap();
        let accepted = servers[0].log.lock().unwrap().accepted;
        if keeps_its_place {
            miner.replace(sources(&net, &[off, quota(1)])).await;
        } else {
            miner.replace(vec![source(&net, &url(1), quota(1))]).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = miner.jobs.borrow().clone().unwrap();
        assert!(now.session != last.session && !now.clean);
        for nonce in 0..3 {
            assert!(
                miner
                    .shares
                    .send(share(&last, 80_000 + nonce))
                    .await
                    .is_ok()
            );
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(servers[0].log.lock().unwrap().accepted, accepted + 3);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(miner.shares.send(share(&last, 90_000)).await.is_ok());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(servers[0].log.lock().unwrap().accepted, accepted + 3);
        let status = miner.status.borrow().clone();
        let late = if keeps_its_place {
            status.pools[0].shares.session_gone
        } else {
            status.shares_without_session
        };
        assert_eq!((late, servers[0].log.lock().unwrap().connections), (1, 1));
        no_share_went_astray(&servers);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pool_put_back_within_its_grace_has_kept_its_session() {
    let net = Net::new();
    let servers = good_pools(&net, 2);
    let both = || sources(&net, &[quota(1), quota(1)]);
    let mut miner = Miner::start(both(), StrategyKind::Failover);
    miner.hash(Duration::from_secs(10)).await;
    miner.replace(vec![source(&net, &url(1), quota(1))]).await;
    miner.hash(Duration::from_secs(2)).await;
    miner.replace(both()).await;
    miner.hash(Duration::from_secs(20)).await;
    assert!(
        miner.seconds.ends_with("aaaaaaaaaaaaaaaa"),
        "{}",
        miner.seconds
    );
    assert!(
        servers
            .iter()
            .all(|server| server.log.lock().unwrap().connections == 1)
    );
    no_share_went_astray(&servers);
}

#[tokio::test(start_paused = true)]
async fn the_status_tells_what_each_pool_was_given() {
    let net = Net::new();
    let _servers = good_pools(&net, 2);
    let pools = sources(&net, &[quota(3), quota(1)]);
    let mut miner = Miner::start(pools, StrategyKind::Quota);
    miner.hash(Duration::from_secs(4000)).await;
    let given: Vec<f64> = miner
        .status
        .borrow()
        .pools
        .iter()
        .map(|pool| pool.hashes_given)
        .collect();
    let total: f64 = given.iter().sum();
    assert!(
        (total / super::miner::RATE - 4000.0).abs() < 5.0,
        "{given:?}"
    );
    assert!((given[0] / total - 0.75).abs() < 0.01, "{given:?}");
}

#[tokio::test(start_paused = true)]
async fn the_manager_ends_with_the_chains_and_leaves_no_job_behind() {
    let net = Net::new();
    let _servers = good_pools(&net, 2);
    let mut miner = Miner::start(sources(&net, &[quota(1), quota(1)]), StrategyKind::Failover);
    miner.hash(Duration::from_secs(5)).await;
    let Miner {
        shares,
        manager,
        jobs,
        ..
    } = miner;
    drop(shares);
    tokio::time::timeout(Duration::from_secs(5), manager)
        .await
        .unwrap()
        .unwrap();
    assert!(jobs.borrow().is_none());
}
