//! Builds the Snapshot from what the rooms publish.

use super::from_chains::{self, ChainInput};
use super::hash_rate::{HashRateMeter, WINDOWS, WindowRate};
use super::measured::Measured;
use super::process::ProcessReader;
use super::snapshot::{
    HashRateReport, JoulesPerTerahash, Machine, SCHEMA, Snapshot, Supply, Versions,
};
use super::{from_keeper, from_pools, state};
use crate::chain::status::ChainStatus;
use crate::keeper::KeeperStatus;
use crate::pool::status::PoolsStatus;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Version of the HTTP interface, as in its paths.
pub const API_VERSION: &str = "v1";
/// 2024-01-01: a clock before it was never set.
const EARLIEST_CLOCK: f64 = 1_704_067_200.0;
/// How often the counters of the chains are looked at. Pools are looked at whenever they change.
const LOOK: Duration = Duration::from_millis(500);
/// Window whose rate is set against the power.
const EFFICIENCY_WINDOW: Duration = Duration::from_secs(15 * 60);

/// What the Snapshot is built from.
pub struct Inputs {
    /// Name of the board file.
    pub board: String,
    /// Whether chips, sensors and supply are an emulation.
    pub emulated: bool,
    /// What the pool manager publishes.
    pub pools: watch::Receiver<PoolsStatus>,
    /// What the chain tasks publish, in the order of their index.
    pub chains: Vec<ChainInput>,
    /// The keeper's latest status; `None` until the first.
    pub keeper: watch::Receiver<Option<Arc<KeeperStatus>>>,
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
    chains: Vec<RecordedChain>,
    /// Number of the keeper's latest status, and when it was first seen.
    keeper: Option<(u64, Instant)>,
}

#[derive(Default)]
struct RecordedChain {
    meter: Option<HashRateMeter>,
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
        let inputs = &shared.inputs;
        let pools = inputs.pools.borrow().clone();
        let keeper = inputs.keeper.borrow().clone();
        let chains: Vec<_> = inputs
            .chains
            .iter()
            .map(|chain| (chain.domains, chain.status.borrow().clone()))
            .collect();
        let (accepted, chain_rates, heard) = shared.rates(keeper.as_deref(), now);
        let statuses: Vec<_> = chains.iter().map(|(_, status)| status).collect();
        let (state, reason) = state::of(keeper.as_deref(), heard, &statuses, &pools);
        let supply = keeper
            .as_deref()
            .map(|keeper| from_keeper::supply(keeper, heard));
        Snapshot {
            schema: SCHEMA,
            unix_time: wall_clock(),
            machine: Machine {
                board: inputs.board.clone(),
                host: shared.host.clone(),
                emulated: inputs.emulated,
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
            keeper: from_keeper::keeper(keeper.as_deref(), heard),
            efficiency: efficiency(supply.as_ref(), &accepted),
            hash_rate: HashRateReport {
                windows: accepted,
                nominal: from_chains::nominal(&statuses),
            },
            shares: from_pools::shares(&pools),
            work: from_pools::work(&pools, now),
            chains: chains
                .iter()
                .zip(chain_rates)
                .map(|((domains, status), rates)| {
                    from_chains::chain(status, *domains, rates, keeper.as_deref())
                })
                .collect(),
            fans: from_keeper::fans(keeper.as_deref(), heard),
            temperatures: from_keeper::temperatures(keeper.as_deref(), heard),
            supply,
            pools: from_pools::pools(&pools, now),
        }
    }

    /// Credits work as it is done. Run it as a task beside the rooms; it ends when the pools' manager does.
    pub async fn record(self) {
        let mut pools = self.shared.inputs.pools.clone();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pools.mark_changed();
        loop {
            tokio::select! {
                changed = pools.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let status = pools.borrow_and_update().clone();
                    self.shared.recorded().credit(&status, Instant::now());
                }
                now = look.tick() => self.shared.look(now),
            }
        }
    }
}

impl Shared {
    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Credits what the chains have done, and notes when the keeper was heard.
    fn look(&self, now: Instant) {
        let mut recorded = self.recorded();
        recorded
            .chains
            .resize_with(self.inputs.chains.len(), RecordedChain::default);
        for (chain, input) in recorded.chains.iter_mut().zip(&self.inputs.chains) {
            chain.credit(&input.status.borrow(), now);
        }
        if let Some(keeper) = &*self.inputs.keeper.borrow() {
            recorded.hear(keeper.sequence, now);
        }
    }

    /// Hashrate that pools credited, that of each chain, and how long ago the keeper was heard.
    fn rates(
        &self,
        keeper: Option<&KeeperStatus>,
        now: Instant,
    ) -> (Vec<WindowRate>, Vec<Vec<WindowRate>>, Duration) {
        let read = |meter: &Option<HashRateMeter>| {
            meter
                .as_ref()
                .map(|meter| meter.read(now).to_vec())
                .unwrap_or_default()
        };
        let mut recorded = self.recorded();
        recorded
            .chains
            .resize_with(self.inputs.chains.len(), RecordedChain::default);
        if let Some(keeper) = keeper {
            recorded.hear(keeper.sequence, now);
        }
        let heard = recorded.keeper.map_or(now, |(_, at)| at);
        let chains = recorded
            .chains
            .iter()
            .map(|chain| read(&chain.meter))
            .collect();
        (
            read(&recorded.accepted),
            chains,
            now.saturating_duration_since(heard),
        )
    }
}

impl Recorded {
    fn hear(&mut self, sequence: u64, now: Instant) {
        if self.keeper.is_none_or(|(known, _)| known != sequence) {
            self.keeper = Some((sequence, now));
        }
    }

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

impl RecordedChain {
    /// Takes the growth of a chain's counters, from its first nonce on.
    fn credit(&mut self, status: &ChainStatus, now: Instant) {
        let counted = (status.counters.hashes, status.counters.nonces);
        let before = std::mem::replace(&mut self.credited, counted);
        if self.meter.is_none() && status.frequency.is_some() && counted.1 > 0 {
            self.meter = Some(HashRateMeter::new(now));
            return;
        }
        if let Some(meter) = &mut self.meter {
            meter.record(
                counted.0 - before.0,
                counted.1.saturating_sub(before.1),
                now,
            );
        }
    }
}

/// Power measured against work credited; unknown unless both are known over a time that makes sense.
fn efficiency(supply: Option<&Supply>, accepted: &[WindowRate]) -> Measured<JoulesPerTerahash> {
    let Some(power) = supply.map(|supply| &supply.power) else {
        return Measured::unknown("the keeper has not reported yet");
    };
    let (Some(watts), Some(age)) = (power.value(), power.age()) else {
        return Measured::unknown("the power is not measured");
    };
    let window = WINDOWS
        .iter()
        .zip(accepted)
        .find(|(length, _)| **length == EFFICIENCY_WINDOW);
    match window {
        Some((_, rate)) if rate.settling => {
            Measured::unknown("the hashrate of 15 minutes is settling")
        }
        Some((_, rate)) if rate.rate.0 > 0.0 => Measured::known(
            JoulesPerTerahash(f64::from(watts.0) / (rate.rate.0 / 1e12)),
            age,
        ),
        _ => Measured::unknown("no work was credited in 15 minutes"),
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
        let (_, keeper) = watch::channel(None);
        let inputs = Inputs {
            board: "l7".into(),
            emulated: true,
            pools,
            chains: Vec::new(),
            keeper,
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
