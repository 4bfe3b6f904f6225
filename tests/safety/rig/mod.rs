//! An emulated L7 on virtual time with its keeper and a miner that can be made to fail.

mod miner;
mod plan;

pub use plan::{Kind, Plan};

use cgminer_emulator::clock::Clock;
use cgminer_emulator::fault::Fault;
use cgminer_emulator::machine::{Control, Machine, Truth};
use cgminer_hal::emulated::Wiring;
use cgminer_rs::chain::ChainStatus;
use cgminer_rs::keeper::hardware;
use cgminer_rs::keeper::host::TaskHost;
use cgminer_rs::keeper::operator;
use cgminer_rs::keeper::worker::{Placement, Worker};
use cgminer_rs::keeper::{self, KeeperStatus, Setup, State};
use cgminer_rs::link::{LinkError, Loop, MinerEnd, Request};
use cgminer_rs::pool::status::PoolsStatus;
use cgminer_rs::telemetry::{ChainInput, Inputs, Snapshot, SnapshotSource};
pub use miner::whole_miner;
use miner::{Hanging, draw_power, miner, start_chains};
use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

/// What is wrong with the miner or the keeper's own loops, as opposed to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sick {
    /// The miner returns.
    MinerEnds,
    /// The miner panics.
    MinerPanics,
    /// A loop of the miner reports no more.
    LoopSilent(Loop),
    /// The miner asks for more volts than the board allows, again and again.
    AsksForTooMuch,
    /// The miner asks for the least air, again and again.
    AsksForNoAir,
    /// A loop of the keeper hangs for ever, by the beginning of its name.
    Hangs(&'static str),
}

/// What a miner says that panics on purpose.
pub const PANIC: &str = "a miner that panics on purpose";

/// What is shared between the rig and what runs in it.
#[derive(Default)]
pub struct Shared {
    sick: Mutex<BTreeSet<Sick>>,
    refusals: Mutex<Vec<LinkError>>,
    chains: Mutex<Vec<watch::Receiver<ChainStatus>>>,
    /// What a whole miner's API reads.
    source: Mutex<Option<SnapshotSource>>,
}

impl Shared {
    fn is(&self, sick: Sick) -> bool {
        self.sick
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&sick)
    }
}

/// The machine, its keeper, its miner, and what was seen of them.
pub struct Rig {
    pub control: Control,
    pub wiring: Wiring,
    pub status: watch::Receiver<Option<Arc<KeeperStatus>>>,
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
    machine: JoinHandle<()>,
    kept: tempfile::TempDir,
    plan: Plan,
    /// Hottest chip that was.
    pub hottest: f32,
    /// How often the machine is looked at.
    pub look: Duration,
}

impl Rig {
    /// Switches the machine on and starts its keeper.
    pub fn start(plan: Plan) -> Self {
        let mut settings = plan.machine.clone();
        if !plan.hashing {
            settings.chains.iter_mut().for_each(|chain| chain.chips = 1);
        }
        let machine = Machine::new(settings, plan.seed, Clock::tokio());
        let wiring = machine.devices();
        let control = machine.control();
        let mut rig = Self {
            control,
            wiring,
            status: watch::channel(None).1,
            shared: Arc::default(),
            keeper: None,
            stop: None,
            machine: tokio::spawn(live(machine, plan.hashing)),
            kept: tempfile::tempdir().unwrap(),
            plan,
            hottest: 0.0,
            look: Duration::from_millis(250),
        };
        rig.start_keeper();
        rig
    }

    /// Starts the keeper, the first or after it was killed.
    pub fn start_keeper(&mut self) {
        let mut machine = hardware::open(
            &self.plan.board,
            &mut self.wiring.clone(),
            &self.plan.choices,
        )
        .unwrap();
        let control = self.control.clone();
        machine.hashes_due = Some(Arc::new(move |chain| control.hashes_due(chain.into())));
        machine.settings.emulated = true;
        machine.workers = machine
            .workers
            .into_iter()
            .map(|worker| {
                let shared = Arc::clone(&self.shared);
                Box::new(Hanging { worker, shared }) as Box<dyn Worker>
            })
            .collect();
        let (status, seen) = watch::channel(None);
        let setup = Setup {
            kept: self.kept(),
            boot: None,
            socket: Some(self.socket()),
            placement: Placement::Task,
            status,
            owners_fans: tokio::sync::watch::channel(None).1,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let host = TaskHost::new(self.miner());
        self.status = seen;
        self.stop = Some(stop);
        self.keeper = Some(tokio::spawn(async move {
            let stop = async {
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            keeper::run(machine, Box::new(host), setup, stop)
                .await
                .unwrap();
        }));
    }

    /// Ends the keeper as SIGKILL does: nothing of it does anything any more.
    pub async fn kill_keeper(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.abort();
            let _ = keeper.await;
        }
    }

    /// The file that outlives the keeper.
    pub fn kept(&self) -> PathBuf {
        self.kept.path().join("keeper.json")
    }

    /// Clears a latched cause as an operator's tool does.
    pub async fn clear_latch(&self) {
        let tool = operator::connect(&self.socket()).await.unwrap();
        tool.request(Request::ClearLatch).await.unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.kept.path().join("keeper.sock")
    }

    /// Whether it was killed and not started again.
    pub fn has_been_killed(&self) -> bool {
        self.keeper.is_none()
    }

    /// Asks for a wanted stop.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Whether the keeper has ended by itself.
    pub fn has_stopped(&self) -> bool {
        self.keeper.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Makes something go wrong in the machine; it lasts until cleared.
    pub fn inject(&self, fault: Fault) -> u64 {
        self.control.inject(fault, None).unwrap()
    }

    /// Makes miner or keeper sick.
    pub fn sicken(&self, sick: Sick) {
        self.shared.sick.lock().unwrap().insert(sick);
    }

    /// Makes them well again.
    pub fn heal(&self) {
        self.shared.sick.lock().unwrap().clear();
    }

    /// Whether anything is wrong with miner or keeper.
    pub fn is_any_sick(&self) -> bool {
        !self.shared.sick.lock().unwrap().is_empty()
    }

    /// What the keeper refused.
    pub fn refusals(&self) -> Vec<LinkError> {
        self.shared.refusals.lock().unwrap().clone()
    }

    /// What the miner's telemetry says of the machine.
    pub fn telemetry(&self) -> Snapshot {
        self.telemetry_source().snapshot()
    }

    /// The same, for a look while the rig is at work.
    pub fn telemetry_source(&self) -> Telemetry {
        Telemetry {
            shared: Arc::clone(&self.shared),
            keeper: self.status.clone(),
        }
    }

    /// The keeper's latest snapshot.
    pub fn snapshot(&self) -> Option<Arc<KeeperStatus>> {
        self.status.borrow().clone()
    }

    /// Where the keeper stands.
    pub fn state(&self) -> Option<State> {
        self.snapshot().map(|snapshot| snapshot.state)
    }

    /// Lets time pass.
    pub async fn run(&mut self, time: Duration) {
        self.wait(time, |_| false).await;
    }

    /// Lets time pass until something is so; gives how long that took.
    pub async fn wait(
        &mut self,
        most: Duration,
        until: impl Fn(&Seen<'_>) -> bool,
    ) -> Option<Duration> {
        let began = Instant::now();
        loop {
            let truth = self.control.truth();
            let hottest = truth
                .boards
                .iter()
                .map(|board| board.chip_c)
                .fold(0.0, f32::max);
            self.hottest = self.hottest.max(hottest);
            let snapshot = self.snapshot();
            let seen = Seen {
                truth: &truth,
                snapshot: snapshot.as_deref(),
                stopped: self.has_stopped(),
            };
            if until(&seen) {
                return Some(began.elapsed());
            }
            if began.elapsed() >= most {
                return None;
            }
            sleep(self.look).await;
        }
    }

    fn miner(
        &self,
    ) -> impl FnMut(MinerEnd) -> Pin<Box<dyn Future<Output = String> + Send>> + use<> {
        let shared = Arc::clone(&self.shared);
        let wiring = self.wiring.clone();
        let board = self.plan.board.clone();
        let hashing = self.plan.hashing;
        let whole = self.plan.whole.clone();
        let control = self.control.clone();
        move |keeper| {
            let (shared, wiring, board) = (Arc::clone(&shared), wiring.clone(), board.clone());
            let (control, whole) = (control.clone(), whole.clone());
            Box::pin(async move {
                if let Some(recipe) = whole {
                    return whole_miner(keeper, board, &wiring, recipe, &shared).await;
                }
                let mut chains = JoinSet::new();
                if hashing {
                    start_chains(&mut chains, &keeper, &board, &wiring, &shared);
                } else {
                    for chain in 0..board.chains.len() {
                        chains.spawn(draw_power(chain, keeper.clone(), control.clone()));
                    }
                }
                miner(keeper, &shared).await
            })
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.machine.abort();
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
    }
}

/// What the miner's telemetry is made of.
pub struct Telemetry {
    shared: Arc<Shared>,
    keeper: watch::Receiver<Option<Arc<KeeperStatus>>>,
}

impl Telemetry {
    /// The Snapshot, as HTTP and the command line get it.
    pub fn snapshot(&self) -> Snapshot {
        if let Some(source) = &*self.shared.source.lock().unwrap() {
            return source.snapshot();
        }
        self.source(watch::channel(PoolsStatus::default()).1)
            .snapshot()
    }

    /// A source of it that has seen nothing yet.
    pub fn source(&self, pools: watch::Receiver<PoolsStatus>) -> SnapshotSource {
        let chains = self.shared.chains.lock().unwrap().clone();
        let input = |status| ChainInput { domains: 4, status };
        SnapshotSource::new(Inputs {
            board: "emulated".into(),
            emulated: true,
            board_file: None,
            pools,
            chains: chains.into_iter().map(input).collect(),
            keeper: self.keeper.clone(),
            directories: Vec::new(),
        })
    }
}

/// What is seen at one look.
pub struct Seen<'a> {
    pub truth: &'a Truth,
    pub snapshot: Option<&'a KeeperStatus>,
    pub stopped: bool,
}

impl Seen<'_> {
    /// Whether no chip gets anything that it could run on.
    pub fn is_rail_off(&self) -> bool {
        let boards = &self.truth.boards;
        self.truth.rail.output_mv < 3_000.0 || boards.iter().all(|board| board.rail_mv < 3_000.0)
    }

    /// Where the keeper stands.
    pub fn is(&self, state: State) -> bool {
        self.snapshot
            .is_some_and(|snapshot| snapshot.state == state)
    }
}

/// The machine's life. One whose chains say nothing is looked at rarely; its parts and its heat are exact all the same.
async fn live(mut machine: Machine, hashing: bool) {
    if hashing {
        return machine.run().await;
    }
    loop {
        machine.step();
        sleep(Duration::from_millis(250)).await;
    }
}
