//! Builds the Snapshot from what the rooms publish.

use super::from_pools;
use super::hash_rate::{HashRateMeter, WindowRate};
use super::measured::Measured;
use super::process::ProcessReader;
use super::snapshot::{HashRateReport, Keeper, Machine, MachineState, SCHEMA, Snapshot, Versions};
use crate::pool::status::PoolsStatus;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::Instant;

/// Version of the HTTP interface, as in its paths.
pub const API_VERSION: &str = "v1";
/// 2024-01-01: a clock before it was never set.
const EARLIEST_CLOCK: f64 = 1_704_067_200.0;

/// What the Snapshot is built from.
pub struct Inputs {
    /// Name of the board file.
    pub board: String,
    /// Whether chips, sensors and supply are an emulation.
    pub emulated: bool,
    /// What the pool manager publishes.
    pub pools: watch::Receiver<PoolsStatus>,
}

/// Gives Snapshots. A clone sees the same machine.
#[derive(Clone)]
pub struct SnapshotSource {
    shared: Arc<Shared>,
}

struct Shared {
    inputs: Inputs,
    started: Instant,
    host: Option<String>,
    kernel: Option<String>,
    recorded: Mutex<Recorded>,
}

/// What only shows over time.
#[derive(Default)]
struct Recorded {
    accepted: Option<HashRateMeter>,
    credited: (f64, u64),
}

impl SnapshotSource {
    /// A source that starts to count now.
    pub fn new(inputs: Inputs) -> Self {
        let kernel_word = |name: &str| {
            let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        Self {
            shared: Arc::new(Shared {
                inputs,
                started: Instant::now(),
                host: kernel_word("hostname"),
                kernel: kernel_word("osrelease"),
                recorded: Mutex::default(),
            }),
        }
    }

    /// The machine as it is now. Cheap enough for every request; waits for nobody but another reader.
    pub fn snapshot(&self) -> Snapshot {
        let shared = &*self.shared;
        let now = Instant::now();
        let uptime = now.saturating_duration_since(shared.started);
        let pools = shared.inputs.pools.borrow().clone();
        let (state, reason) = shared.state(&pools);
        Snapshot {
            schema: SCHEMA,
            unix_time: wall_clock(),
            machine: Machine {
                board: shared.inputs.board.clone(),
                host: shared.host.clone(),
                emulated: shared.inputs.emulated,
                uptime_s: uptime.as_secs_f64(),
                state,
                reason,
            },
            versions: Versions {
                daemon: env!("CARGO_PKG_VERSION"),
                api: API_VERSION,
                kernel: shared.kernel.clone(),
            },
            process: ProcessReader.read(uptime),
            keeper: Keeper {
                reason: "the keeper has not reported yet".into(),
                ..Keeper::default()
            },
            hash_rate: HashRateReport {
                windows: shared.accepted_rates(now),
                nominal: Measured::unknown("no chain has reported its chips yet"),
            },
            efficiency: Measured::unknown("the power is not known"),
            shares: from_pools::shares(&pools),
            work: from_pools::work(&pools, now),
            chains: Vec::new(),
            fans: Vec::new(),
            temperatures: Vec::new(),
            supply: None,
            pools: from_pools::pools(&pools, now),
        }
    }

    /// Credits accepted work as it comes. Run it as a task beside the pools; it ends when their manager does.
    pub async fn record(self) {
        let mut pools = self.shared.inputs.pools.clone();
        pools.mark_changed();
        while pools.changed().await.is_ok() {
            let status = pools.borrow_and_update().clone();
            self.shared.recorded().credit(&status, Instant::now());
        }
    }
}

impl Shared {
    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accepted_rates(&self, now: Instant) -> Vec<WindowRate> {
        let recorded = self.recorded();
        recorded
            .accepted
            .as_ref()
            .map(|meter| meter.read(now).to_vec())
            .unwrap_or_default()
    }

    fn state(&self, pools: &PoolsStatus) -> (MachineState, String) {
        match pools.active {
            Some(index) => (MachineState::Mining, format!("works for pool {index}")),
            None => (MachineState::WaitingForWork, pools.reason.into()),
        }
    }
}

impl Recorded {
    /// Takes the growth of the pools' counters. Nothing is credited before the first job starts the clock.
    fn credit(&mut self, status: &PoolsStatus, now: Instant) {
        if self.accepted.is_none() && status.active.is_some() {
            self.accepted = Some(HashRateMeter::new(now));
        }
        let (hashes, shares) = from_pools::credit(status);
        let (hashes_before, shares_before) =
            std::mem::replace(&mut self.credited, (hashes, shares));
        if let Some(meter) = &mut self.accepted {
            // Counters fall when pools are replaced; what is left of them was credited before.
            meter.record(
                hashes - hashes_before,
                shares.saturating_sub(shares_before),
                now,
            );
        }
    }
}

fn wall_clock() -> Option<f64> {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()?
        .as_secs_f64();
    (since_1970 > EARLIEST_CLOCK).then_some(since_1970)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::status::PoolStatus;
    use std::time::Duration;

    const DIFFICULTY_ONE: f64 = 4_294_967_296.0;

    fn ready_pool(accepted: u64) -> PoolsStatus {
        let mut pool = PoolStatus {
            difficulty: Some(1.0),
            ..PoolStatus::default()
        };
        pool.shares.accepted = accepted;
        pool.shares.accepted_hashes = accepted as f64 * DIFFICULTY_ONE;
        PoolsStatus {
            active: Some(0),
            pools: vec![pool],
            ..PoolsStatus::default()
        }
    }

    fn source(status: PoolsStatus) -> (SnapshotSource, watch::Sender<PoolsStatus>) {
        let (sender, pools) = watch::channel(status);
        let inputs = Inputs {
            board: "l7".into(),
            emulated: true,
            pools,
        };
        (SnapshotSource::new(inputs), sender)
    }

    #[tokio::test(start_paused = true)]
    async fn accepted_shares_become_hashrate_as_time_passes() {
        let (source, sender) = source(PoolsStatus::default());
        let task = tokio::spawn(source.clone().record());
        for second in 0..120 {
            sender.send_replace(ready_pool(second));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let minute = source.snapshot().hash_rate.windows[1];
        assert!(
            (minute.rate.0 / DIFFICULTY_ONE - 1.0).abs() < 0.05,
            "{minute:?}"
        );
        drop(sender);
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn before_the_first_work_there_is_no_hashrate_rather_than_zero() {
        let (source, _sender) = source(PoolsStatus::default());
        let snapshot = source.snapshot();
        assert!(snapshot.hash_rate.windows.is_empty());
        assert_eq!(snapshot.shares.rejected_percent, None);
        let json = serde_json::to_value(&snapshot).unwrap();
        assert!(json["supply"].is_null() && json["keeper"]["state"].is_null());
    }

    #[tokio::test(start_paused = true)]
    async fn replaced_pools_credit_nothing_twice() {
        let mut recorded = Recorded::default();
        let start = Instant::now();
        recorded.credit(&ready_pool(0), start);
        recorded.credit(&ready_pool(10), start + Duration::from_secs(1));
        recorded.credit(&ready_pool(0), start + Duration::from_secs(2));
        recorded.credit(&ready_pool(1), start + Duration::from_secs(3));
        let day = recorded
            .accepted
            .unwrap()
            .read(start + Duration::from_secs(4))[4];
        assert_eq!(day.shares, 11);
    }
}
