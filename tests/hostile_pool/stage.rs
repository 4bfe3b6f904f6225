//! A miner with one pool, which a test plays.

use super::miner::{Miner, share, source_with};
use super::net::{Lookup, Net, Reach};
use cgminer_rs::pool::settings::{Place, StrategyKind, StratumSettings};
use cgminer_rs::pool::status::PoolStatus;
use cgminer_rs::work::{Job, Share};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Nothing in a test comes later than this, deadlines that are waited for aside.
pub const SOON: Duration = Duration::from_secs(5);

/// The miner, and what the pool can see of it.
pub struct Stage {
    pub net: Net,
    pub miner: Miner,
    connections: mpsc::UnboundedReceiver<DuplexStream>,
    nonce: u32,
}

impl Stage {
    /// A miner with the pool of this URL, which is at this host, with some setting changed.
    pub fn new(host: &str, url: &str, change: impl FnOnce(&mut StratumSettings)) -> Self {
        let net = Net::new();
        let connections = played(&net, host, "192.0.2.1:3333");
        let pool = source_with(&net, url, Place::default(), change);
        let miner = Miner::start(vec![pool], StrategyKind::Failover);
        Self {
            net,
            miner,
            connections,
            nonce: 0,
        }
    }

    /// The next connection, after whatever back-off.
    pub async fn connection(&mut self) -> DuplexStream {
        let wait = timeout(Duration::from_secs(200), self.connections.recv());
        wait.await.expect("no connection").unwrap()
    }

    pub async fn job(&mut self) -> Arc<Job> {
        let mut jobs = self.miner.jobs.clone();
        timeout(SOON, jobs.changed()).await.ok();
        self.miner.next_job(SOON).await
    }

    /// No other job comes within a while.
    pub async fn no_other_job(&mut self, than: &Arc<Job>) {
        sleep(Duration::from_secs(1)).await;
        let job = self.miner.jobs.borrow().clone();
        assert!(job.is_some_and(|job| job.sequence == than.sequence));
    }

    pub async fn find(&mut self, job: &Arc<Job>) {
        self.find_with(job, |_| ()).await;
    }

    pub async fn find_with(&mut self, job: &Arc<Job>, change: impl FnOnce(&mut Share)) {
        self.nonce += 1;
        let mut share = share(job, self.nonce);
        change(&mut share);
        self.miner.shares.send(share).await.unwrap();
    }

    pub async fn status(&self) -> PoolStatus {
        sleep(Duration::from_millis(10)).await;
        self.miner.status.borrow().pools[0].clone()
    }
}

/// Puts a pool that the test plays at this host and address; gives its connections.
pub fn played(net: &Net, host: &str, address: &str) -> mpsc::UnboundedReceiver<DuplexStream> {
    let (sender, connections) = mpsc::unbounded_channel();
    let found = address.parse().unwrap();
    net.name(host, move |_| Lookup::Found(vec![found]));
    net.host(address, move |_| {
        let sender = sender.clone();
        Reach::Taken(Box::new(move |stream| drop(sender.send(stream))))
    });
    connections
}
