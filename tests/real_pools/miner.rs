//! The miner's pool side, with a test in the place of the chains.

use super::PATIENCE;
use super::independent::{assert_pool_agrees, pool_view};
use bitcoin::hex::DisplayHex;
use cgminer_rs::pool::manager::{self, ConfiguredSource, ManagerPorts};
use cgminer_rs::pool::settings::{Place, StrategyKind};
use cgminer_rs::pool::source::JobSource;
use cgminer_rs::pool::status::{PoolStatus, PoolsStatus};
use cgminer_rs::work::{ChainIndex, Extranonce2, Job, Share};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

/// The miner's pool side, with this test in the place of the chains.
pub struct Miner {
    pub jobs: watch::Receiver<Option<Arc<Job>>>,
    shares: mpsc::Sender<Share>,
    pub status: watch::Receiver<PoolsStatus>,
    _hashes: watch::Sender<f64>,
    nonce: u32,
}

impl Miner {
    /// Works for these, the first if it can be had.
    pub fn start(sources: Vec<Box<dyn JobSource>>) -> Self {
        let sources = sources.into_iter().map(|source| ConfiguredSource {
            source,
            place: Place::default(),
            name: None,
        });
        let (job_sender, jobs) = watch::channel(None);
        let (shares, found) = mpsc::channel(16);
        let (status_sender, status) = watch::channel(PoolsStatus::default());
        let (hashes, hashes_done) = watch::channel(0.0);
        let ports = ManagerPorts {
            jobs: job_sender,
            shares: found,
            status: status_sender,
            hashes_done,
            commands: mpsc::channel(1).1,
        };
        tokio::spawn(manager::run(
            sources.collect(),
            StrategyKind::Failover,
            ports,
        ));
        Self {
            jobs,
            shares,
            status,
            _hashes: hashes,
            nonce: 0,
        }
    }

    /// The first pool's newest job on this block.
    pub async fn job_on(&mut self, previous: &str) -> Arc<Job> {
        let active = |status: &PoolsStatus| status.active == Some(0);
        timeout(PATIENCE, self.status.wait_for(active))
            .await
            .unwrap_or_else(|_| panic!("the pool is not worked for"))
            .unwrap();
        let builds = |job: &Option<Arc<Job>>| {
            job.as_ref()
                .is_some_and(|job| displayed(&job.previous_hash) == previous)
        };
        let waited = timeout(PATIENCE, self.jobs.wait_for(builds)).await;
        let job = waited.unwrap_or_else(|_| panic!("no job on {previous}"));
        job.unwrap().clone().unwrap()
    }

    /// Finds a share of this job that is a block, or one that is none, and sends it.
    pub async fn find(&mut self, job: &Arc<Job>, is_block: bool) {
        let chain = ChainIndex(0);
        let job = job.for_chain(chain).expect("work for the only chain");
        loop {
            self.nonce += 1;
            // Each in a version of its own, so that rolling is judged, too.
            let version_bits = (self.nonce << 13) & job.version_mask;
            let mut share = Share {
                job: Arc::clone(&job),
                extranonce2: Extranonce2 {
                    value: u64::from(self.nonce % 251),
                    size: job.extranonce2_size,
                },
                ntime: job.ntime,
                nonce: self.nonce,
                version_bits,
                hash: [0; 32],
                is_block: false,
                chain,
                found_at: Instant::now(),
            };
            let view = pool_view(&share);
            if view.is_block == is_block {
                share.hash = *view.hash.as_ref();
                share.is_block = is_block;
                assert_pool_agrees(&share);
                return self.shares.send(share).await.unwrap();
            }
        }
    }

    pub fn pool(&self, index: usize) -> PoolStatus {
        self.status.borrow().pools[index].clone()
    }

    /// Waits for the verdict on everything sent to a pool, which must be good.
    pub async fn all_accepted(&mut self, index: usize, count: u64) {
        let judged = |status: &PoolsStatus| {
            let shares = &status.pools[index].shares;
            shares.accepted + shares.rejected.total >= count
        };
        let waited = timeout(PATIENCE, self.status.wait_for(judged))
            .await
            .map(|_| ());
        let shares = self.pool(index).shares;
        assert!(
            waited.is_ok() && shares.accepted == count && shares.rejected.total == 0,
            "{count} shares: {shares:?}"
        );
    }
}

fn displayed(hash: &[u8; 32]) -> String {
    let mut displayed = *hash;
    displayed.reverse();
    displayed.to_lower_hex_string()
}
