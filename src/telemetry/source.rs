//! Builds the Snapshot from what the rooms publish.

use super::alerts::{Alert, AlertLimits, Alerts, Notice};
use super::events::{Event, Seen};
use super::from_chains::{self, ChainInput};
use super::hash_rate::{WINDOWS, WindowRate};
use super::health::{Health, Heartbeat};
use super::history::{History, Moment};
use super::measured::Measured;
use super::recorder::Recorder;
use super::snapshot::{
    HashRateReport, JoulesPerTerahash, Machine, SCHEMA, Snapshot, Supply, Versions,
};
use super::tuner::{OperatingPoint, Tuner};
use super::{from_keeper, from_pools, state, storage};
use crate::chain::status::ChainStatus;
use crate::link::KeeperStatus;
use crate::link::process::ProcessReader;
use crate::pool::status::PoolsStatus;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Version of the HTTP interface, as in its paths.
pub const API_VERSION: &str = "v1";
/// 2024-01-01: a clock before it was never set.
const EARLIEST_CLOCK: f64 = 1_704_067_200.0;
/// How often all rooms are looked at. Pools are looked at whenever they change, too.
const LOOK: Duration = Duration::from_millis(500);
/// Window whose rate is set against the power.
const EFFICIENCY_WINDOW: Duration = Duration::from_secs(15 * 60);

/// What the Snapshot is built from.
pub struct Inputs {
    /// Name of the board file.
    pub board: String,
    /// Whether chips, sensors and supply are an emulation.
    pub emulated: bool,
    /// What the board file sets when the owner sets nothing; none for a board that nobody knows.
    pub board_file: Option<OperatingPoint>,
    /// What the pool manager publishes.
    pub pools: watch::Receiver<PoolsStatus>,
    /// What the chain tasks publish, in the order of their index.
    pub chains: Vec<ChainInput>,
    /// The keeper's latest status; `None` until the first.
    pub keeper: watch::Receiver<Option<Arc<KeeperStatus>>>,
    /// Directories whose file systems are watched.
    pub directories: Vec<PathBuf>,
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
    recorder: Mutex<Recorder>,
    heartbeat: Mutex<Heartbeat>,
    history: Mutex<History>,
    alerts: Mutex<Alerts>,
}

impl SnapshotSource {
    /// A source that starts to count now.
    pub fn new(inputs: Inputs) -> Self {
        let kernel_word = |name: &str| {
            let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let now = Instant::now();
        let chains = inputs
            .chains
            .iter()
            .map(|chain| chain.status.clone())
            .collect();
        let heartbeat = Heartbeat::new(inputs.pools.clone(), chains, now);
        Self {
            shared: Arc::new(Shared {
                inputs,
                started: now,
                host: kernel_word("hostname"),
                kernel: kernel_word("osrelease"),
                recorder: Mutex::new(Recorder::new(now)),
                heartbeat: Mutex::new(heartbeat),
                history: Mutex::default(),
                alerts: Mutex::default(),
            }),
        }
    }

    /// The machine as it is now. Cheap enough for every request; waits for nobody but another reader.
    pub fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        let shared = &*self.shared;
        let uptime = now.saturating_duration_since(shared.started);
        let Seen {
            keeper,
            mut chains,
            pools,
        } = shared.seen();
        let keeper = keeper.as_deref();
        let mut recorder = shared.recorder();
        if let Some(keeper) = keeper {
            recorder.hear_keeper(keeper.sequence, now);
        }
        for (index, chain) in chains.iter_mut().enumerate() {
            // Of emulated chips their clock says nothing.
            chain.nominal_hash_rate = recorder.nominal(index, chain, keeper, now);
        }
        let heard = recorder.keeper_silence(now);
        let accepted = recorder.accepted(now);
        let (state, reason) = state::of(keeper, heard, &chains, &pools);
        let supply = keeper.map(|keeper| from_keeper::supply(keeper, heard));
        let (alerts, alerts_raised) = {
            let alerts = shared.alerts();
            (alerts.active(), alerts.raised_total())
        };
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
            keeper: from_keeper::keeper(keeper, heard),
            efficiency: efficiency(supply.as_ref(), &accepted),
            hash_rate: HashRateReport {
                windows: accepted,
                nominal: from_chains::nominal(&chains),
            },
            shares: from_pools::shares(&pools),
            work: from_pools::work(&pools, now),
            chains: shared.chains(&chains, &recorder, (keeper, heard), &pools, now),
            fans: from_keeper::fans(keeper, heard),
            temperatures: from_keeper::temperatures(keeper, heard),
            analog: from_keeper::analog(keeper, heard),
            supply,
            pools: from_pools::pools(&pools, now),
            tuner: Tuner::none(shared.inputs.board_file),
            storage: storage::read(&shared.inputs.directories),
            alerts,
            alerts_raised,
            last_event: recorder.events.last_number(),
        }
    }

    /// Events with a greater number, oldest first.
    pub fn events_after(&self, number: u64) -> Vec<Event> {
        self.shared.recorder().events.after(number)
    }

    /// What was wrong before, the latest first.
    pub fn past_alerts(&self) -> Vec<Alert> {
        self.shared.alerts().past()
    }

    /// What is to be told of alerts with a greater number, oldest first.
    pub fn notices_after(&self, number: u64) -> Vec<Notice> {
        self.shared.alerts().notices_after(number)
    }

    /// Says from when on something is worth an alert.
    pub fn limit_alerts(&self, limits: AlertLimits) {
        self.shared.alerts().limit(limits);
    }

    /// The past day, a moment each [`super::HISTORY_STEP`], oldest first.
    pub fn history(&self) -> Vec<Moment> {
        self.shared.history().moments()
    }

    /// Whether somebody at the machine has just pressed its button, so that its first token may be claimed from outside.
    pub fn is_claim_open(&self) -> bool {
        let silence = self.shared.recorder().keeper_silence(Instant::now());
        let keeper = self.shared.inputs.keeper.borrow();
        let rest = keeper.as_ref().and_then(|keeper| keeper.claim_seconds);
        rest.is_some_and(|rest| silence.as_secs_f64() < rest)
    }

    /// Whether every loop does its work.
    pub fn health(&self) -> Health {
        let now = Instant::now();
        let (silence, idle) = {
            let recorder = self.shared.recorder();
            (recorder.keeper_silence(now), recorder.idle_for(now))
        };
        let keeper_spoke = self.shared.inputs.keeper.borrow().is_some();
        self.shared
            .heartbeat()
            .judge(keeper_spoke.then_some(silence), idle, now)
    }

    /// Takes in what the rooms tell, as it comes. Run it as a task beside them; it ends when the pools' manager does.
    pub async fn record(self) {
        let mut pools = self.shared.inputs.pools.clone();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = Instant::now();
            self.shared.look(now);
            if self.shared.history().is_due(now) {
                let moment = Moment::of(&self.snapshot());
                self.shared.history().add(moment);
            }
            if self.shared.alerts().is_due(now) {
                let snapshot = self.snapshot();
                self.shared.alerts().look(&snapshot, now);
            }
            tokio::select! {
                changed = pools.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    pools.mark_unchanged();
                }
                _ = look.tick() => {}
            }
        }
    }
}

impl Shared {
    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heartbeat(&self) -> MutexGuard<'_, Heartbeat> {
        self.heartbeat
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alerts(&self) -> MutexGuard<'_, Alerts> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> Seen {
        Seen {
            keeper: self.inputs.keeper.borrow().clone(),
            chains: self
                .inputs
                .chains
                .iter()
                .map(|chain| chain.status.borrow().clone())
                .collect(),
            pools: self.inputs.pools.borrow().clone(),
        }
    }

    fn look(&self, now: Instant) {
        self.heartbeat().listen(now);
        let seen = self.seen();
        self.recorder().look(seen, wall_clock(), now);
    }

    fn chains(
        &self,
        statuses: &[ChainStatus],
        recorder: &Recorder,
        keeper: (Option<&KeeperStatus>, Duration),
        pools: &PoolsStatus,
        now: Instant,
    ) -> Vec<super::Chain> {
        let both = statuses.iter().zip(&self.inputs.chains).enumerate();
        both.map(|(index, (status, input))| {
            let health = |chip| recorder.chip_health(index, chip, now);
            let rates = recorder.chain(index, now);
            let shares = from_pools::chain_shares(pools, index, now);
            let seen = recorder.last_seen(index, now);
            from_chains::chain(status, input.domains, rates, health, keeper, (shares, seen))
        })
        .collect()
    }
}

/// Power measured against work credited; unknown unless both are known over a time that makes sense.
fn efficiency(supply: Option<&Supply>, accepted: &[WindowRate]) -> Measured<JoulesPerTerahash> {
    let Some(power) = supply.map(|supply| &supply.power) else {
        return Measured::unknown(from_keeper::NOT_YET);
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
    use crate::telemetry::samples::{self, Rooms};
    use crate::telemetry::{EventKind, MachineState};
    use cgminer_hal::units::Celsius;

    #[tokio::test(start_paused = true)]
    async fn accepted_shares_become_hashrate_and_efficiency_as_time_passes() {
        let (source, rooms) = Rooms::at_work();
        let task = tokio::spawn(source.clone().record());
        for second in 0..1000_u64 {
            rooms.pools.send_modify(|pools| {
                pools.pools[0].shares.accepted = second;
                pools.pools[0].shares.accepted_hashes = second as f64 * 1e12;
            });
            rooms.keeper_speaks();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let snapshot = source.snapshot();
        let minute = snapshot.hash_rate.windows[1];
        assert!((minute.rate.0 / 1e12 - 1.0).abs() < 0.05, "{minute:?}");
        let efficiency = snapshot.efficiency.value().unwrap().0;
        assert!((efficiency / 3200.0 - 1.0).abs() < 0.05, "{efficiency}");
        drop(rooms);
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn before_the_rooms_have_spoken_everything_is_unknown_rather_than_zero() {
        let (source, _rooms) = Rooms::silent();
        let snapshot = source.snapshot();
        assert_eq!(snapshot.machine.state, MachineState::Starting);
        assert!(snapshot.hash_rate.windows.is_empty() && snapshot.chains[0].hash_rate.is_empty());
        assert_eq!(snapshot.shares.rejected_percent, None);
        assert_eq!(snapshot.efficiency.reason(), Some(from_keeper::NOT_YET));
        let json = serde_json::to_value(&snapshot).unwrap();
        assert!(json["supply"].is_null() && json["keeper"]["state"].is_null());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_dead_keeper_said_last_grows_old() {
        let (source, rooms) = Rooms::at_work();
        assert_eq!(source.snapshot().machine.state, MachineState::Mining);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let snapshot = source.snapshot();
        let reading = &snapshot.temperatures[0].reading;
        assert_eq!(reading.value(), Some(&Celsius(55.5)));
        assert_eq!(reading.age(), Some(Duration::from_millis(60_250)));
        let of_chain = &snapshot.chains[0].temperature;
        assert_eq!(of_chain.age(), Some(Duration::from_millis(60_250)));
        assert_eq!(snapshot.machine.state, MachineState::Held);
        assert!(
            snapshot.machine.reason.contains("silent for 60 s"),
            "{}",
            snapshot.machine.reason
        );
        drop(rooms);
    }

    #[tokio::test(start_paused = true)]
    async fn events_of_all_rooms_are_kept() {
        let (source, rooms) = Rooms::at_work();
        let task = tokio::spawn(source.clone().record());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let told = source.events_after(0).len() as u64;
        rooms.pools.send_replace(PoolsStatus {
            active: None,
            ..samples::pools()
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let events = source.events_after(told);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].kind, EventKind::ActivePool);
        task.abort();
    }
}
