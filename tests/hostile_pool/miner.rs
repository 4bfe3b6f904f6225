//! The miner around the pool room: chains that do 100 TH/s and find a share each second, whatever
//! they work for.

use super::net::Net;
use cgminer_rs::pool::manager::{self, Command, ConfiguredSource, ManagerPorts};
use cgminer_rs::pool::route;
use cgminer_rs::pool::settings::{Place, StrategyKind, StratumSettings};
use cgminer_rs::pool::status::PoolsStatus;
use cgminer_rs::pool::stratum::StratumSource;
use cgminer_rs::work::{ChainIndex, Extranonce2, Job, Share};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Hashes a second.
pub const RATE: f64 = 1e14;

/// The miner.
pub struct Miner {
    pub jobs: watch::Receiver<Option<Arc<Job>>>,
    pub status: watch::Receiver<PoolsStatus>,
    pub commands: mpsc::Sender<Command>,
    pub shares: mpsc::Sender<Share>,
    hashes: watch::Sender<f64>,
    began: Instant,
    nonce: u32,
    /// What the chains worked on in each second: the first letter of the job's id, or a blank.
    pub seconds: String,
    pub manager: JoinHandle<()>,
}

/// A Stratum source over this network.
pub fn source(net: &Net, url: &str, place: Place) -> ConfiguredSource {
    source_with(net, url, place, |_| ())
}

/// The same, with some setting changed.
pub fn source_with(
    net: &Net,
    url: &str,
    place: Place,
    change: impl FnOnce(&mut StratumSettings),
) -> ConfiguredSource {
    let mut settings = StratumSettings::new(url.parse().unwrap(), "user.worker", "x");
    change(&mut settings);
    let seed = url.bytes().map(u64::from).sum();
    #[cfg(feature = "sv2")]
    if url.starts_with("stratum2") {
        return super::sv2::source(net, settings, place, seed);
    }
    let connector = route::connector(net.connector(), &settings);
    let source = Box::new(StratumSource::new(settings, connector, seed));
    ConfiguredSource {
        source,
        place,
        name: None,
    }
}

impl Miner {
    pub fn start(sources: Vec<ConfiguredSource>, strategy: StrategyKind) -> Self {
        let (jobs_sender, jobs) = watch::channel(None);
        let (shares, shares_receiver) = mpsc::channel(64);
        let (status_sender, status) = watch::channel(PoolsStatus::default());
        let (hashes, hashes_done) = watch::channel(0.0);
        let (commands, commands_receiver) = mpsc::channel(4);
        let ports = ManagerPorts {
            jobs: jobs_sender,
            shares: shares_receiver,
            status: status_sender,
            hashes_done,
            commands: commands_receiver,
        };
        let manager = tokio::spawn(manager::run(sources, strategy, ports));
        Self {
            jobs,
            status,
            commands,
            shares,
            hashes,
            began: Instant::now(),
            nonce: 0,
            seconds: String::new(),
            manager,
        }
    }

    /// Other pools from now on, in failover.
    pub async fn replace(&self, pools: Vec<ConfiguredSource>) {
        let command = Command::Replace(pools, StrategyKind::Failover);
        assert!(self.commands.send(command).await.is_ok());
    }

    /// Hashes for whatever job is there, a share each second.
    pub async fn hash(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            sleep(Duration::from_secs(1)).await;
            let job = self.jobs.borrow_and_update().clone();
            let pool = job.as_ref().and_then(|job| job.id.0.chars().next());
            self.seconds.push(pool.unwrap_or(' '));
            if let Some(job) = job {
                self.hashes.send_modify(|hashes| *hashes += RATE);
                job.counted.one_sent();
                self.nonce += 1;
                self.shares.send(share(&job, self.nonce)).await.unwrap();
            }
        }
        // Verdicts on their way.
        sleep(Duration::from_millis(200)).await;
    }

    /// The next job, which must come within the given time.
    pub async fn next_job(&mut self, within: Duration) -> Arc<Job> {
        let wait = self.jobs.wait_for(|job| {
            job.as_ref()
                .is_some_and(|job| job.received_at >= self.began)
        });
        let job = timeout(within, wait)
            .await
            .expect("no job in time")
            .unwrap()
            .clone();
        self.jobs.mark_unchanged();
        job.unwrap()
    }

    /// Hashes that pools have credited.
    pub fn credited(&self) -> f64 {
        self.status
            .borrow()
            .pools
            .iter()
            .map(|pool| pool.shares.accepted_hashes)
            .sum()
    }
}

/// A share for a job. Its hash is made up: sessions send what chains have checked.
pub fn share(job: &Arc<Job>, nonce: u32) -> Share {
    Share {
        job: Arc::clone(job),
        extranonce2: Extranonce2 {
            value: u64::from(nonce),
            size: job.extranonce2_size,
        },
        ntime: job.ntime,
        nonce,
        version_bits: 0,
        hash: [0xff; 32],
        is_block: false,
        chain: ChainIndex(0),
        found_at: Instant::now(),
    }
}
