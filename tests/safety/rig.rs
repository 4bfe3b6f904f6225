//! An emulated L7 on virtual time with its keeper and a miner that can be made to fail.

use crate::table::Kind;
use cgminer_board::file::BoardFile;
use cgminer_emulator::clock::Clock;
use cgminer_emulator::fault::Fault;
use cgminer_emulator::machine::{Control, Load, Machine, MachineSettings, Place, Truth};
use cgminer_hal::devices::Devices;
use cgminer_hal::emulated::Wiring;
use cgminer_rs::chain::{ChainStatus, Pacing, TicketMask};
use cgminer_rs::config::ChainsSection;
use cgminer_rs::keeper::hardware::{self, Choices};
use cgminer_rs::keeper::host::TaskHost;
use cgminer_rs::keeper::operator;
use cgminer_rs::keeper::proofs::LoopRule;
use cgminer_rs::keeper::worker::{Orders, Placement, Reports, Round, Worker};
use cgminer_rs::keeper::{self, KeeperStatus, Setup, State};
use cgminer_rs::link::{LinkError, Loop, MinerEnd, Request};
use cgminer_rs::miner::chain::{ChainWiring, supervise};
use cgminer_rs::miner::chains::{ChipTraits, chain_settings};
use cgminer_rs::miner::owner::ChainWish;
use cgminer_rs::work::{Job, JobId, SessionId, Target};
use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval, sleep};

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
struct Shared {
    sick: Mutex<BTreeSet<Sick>>,
    refusals: Mutex<Vec<LinkError>>,
    chains: Mutex<Vec<watch::Receiver<ChainStatus>>>,
}

impl Shared {
    fn is(&self, sick: Sick) -> bool {
        self.sick
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&sick)
    }
}

/// How a rig is built.
pub struct Plan {
    pub seed: u64,
    pub choices: Choices,
    pub machine: MachineSettings,
    pub board: BoardFile,
    /// Whether the chains are brought up and get work. Without, they only draw the power of it, and a run is far faster.
    pub hashing: bool,
}

impl Plan {
    /// The machine of a case.
    pub fn of(kind: Kind) -> Self {
        let plan = Self::l7();
        match kind {
            Kind::L7 => plan,
            Kind::Hashing => plan.with_few_chips(),
            Kind::Diodes => plan.with_diodes(),
        }
    }

    /// The same machine with chains that are short enough to be brought up and to hash in a test.
    fn with_few_chips(mut self) -> Self {
        (self.board.layout.chips, self.board.layout.domains) = (12, 4);
        self.machine
            .chains
            .iter_mut()
            .for_each(|chain| chain.chips = 12);
        Self {
            hashing: true,
            ..self
        }
    }

    /// The same machine with TMP451 sensors on the boards, their diodes in chips.
    fn with_diodes(mut self) -> Self {
        for sensor in &mut self.board.sensors {
            sensor.part = cgminer_board::file::SensorPart::Tmp451;
            sensor.remotes = vec![cgminer_board::file::Role::Chip];
        }
        for sensor in &mut self.machine.sensors {
            sensor.part = cgminer_emulator::machine::SensorPart::Tmp451;
            let (Place::BoardInlet { chain } | Place::BoardOutlet { chain }) = sensor.at else {
                continue;
            };
            sensor.remotes = vec![Place::Chip { chain }];
        }
        self
    }

    /// The L7 as its board file and the emulator have it.
    pub fn l7() -> Self {
        let mut machine = MachineSettings::l7().unwrap();
        // Little search: what counts here is what chips draw, not what they find.
        machine.search.hashes_per_second = 30_000.0;
        Self {
            seed: 1,
            choices: Choices::default(),
            machine,
            board: BoardFile::parse(include_str!("../../board/boards/emulated.toml"), "emulated")
                .unwrap(),
            hashing: false,
        }
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
            socket: Some(self.socket()),
            placement: Placement::Task,
            status,
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

    /// What each chain says of itself.
    pub fn chains(&self) -> Vec<ChainStatus> {
        let chains = self.shared.chains.lock().unwrap();
        chains.iter().map(|chain| chain.borrow().clone()).collect()
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
        let control = self.control.clone();
        move |keeper| {
            let (shared, wiring, board) = (Arc::clone(&shared), wiring.clone(), board.clone());
            let control = control.clone();
            Box::pin(async move {
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

/// What is seen at one look.
pub struct Seen<'a> {
    pub truth: &'a Truth,
    pub snapshot: Option<&'a KeeperStatus>,
    pub stopped: bool,
}

impl Seen<'_> {
    /// Whether the supply gives nothing that a chip could run on.
    pub fn is_rail_off(&self) -> bool {
        self.truth.rail.output_mv < 3_000.0
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

/// A chain that only draws its power: out of reset while it may be, as fast as it may.
async fn draw_power(chain: usize, keeper: MinerEnd, control: Control) {
    let mut status = keeper.status();
    let mut released = false;
    loop {
        let (may, throttle) = match &*status.borrow_and_update() {
            Some(status) => (
                status.state.may_hash(),
                f32::from(status.throttle.0) / 100.0,
            ),
            None => (false, 1.0),
        };
        let share = throttle * 525.0 / 545.0;
        let load = Load {
            clocked: share,
            hashing: share,
        };
        control.pretend_load(chain, Some(load));
        if may && !released {
            let request = Request::ReleaseReset { chain: chain as u8 };
            released = keeper.request(request).await.is_ok();
        }
        released &= may;
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// What a miner does that matters to the keeper.
async fn miner(keeper: MinerEnd, shared: &Shared) -> String {
    let mut stop = keeper.stop();
    let mut tick = interval(Duration::from_secs(2));
    let asker = keeper.clone();
    // A keeper may be busy with its own start; a miner asks until it is heard.
    let asking = async move {
        while asker.request(Request::SetPower { on: true }).await.is_err() {
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::pin!(asking);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return "was asked to end".into(),
            () = &mut asking => {}
            _ = tick.tick() => {}
        }
        for which in Loop::ALL {
            if !shared.is(Sick::LoopSilent(which)) {
                keeper.alive(which);
            }
        }
        if shared.is(Sick::MinerPanics) {
            std::panic::panic_any(PANIC);
        }
        if shared.is(Sick::MinerEnds) {
            return "exited with code 1".into();
        }
        let asks = [
            (
                Sick::AsksForTooMuch,
                Request::SetVoltage {
                    voltage: cgminer_hal::units::Millivolts(20_000),
                },
            ),
            (
                Sick::AsksForNoAir,
                Request::SetFanMode {
                    mode: cgminer_board::thermal::FanMode::Fixed {
                        duty: cgminer_hal::units::DutyPercent(15.0),
                    },
                },
            ),
        ];
        for (sick, request) in asks {
            if shared.is(sick) {
                if let Err(refusal) = keeper.request(request).await {
                    shared.refusals.lock().unwrap().push(refusal);
                }
            }
        }
    }
}

/// Starts the chain driver on every chain, with a job that no nonce is good enough for.
fn start_chains(
    chains: &mut JoinSet<()>,
    keeper: &MinerEnd,
    board: &BoardFile,
    wiring: &Wiring,
    shared: &Shared,
) {
    let traits = ChipTraits {
        hardwired_zero_bits: 12,
        ticket_mask: TicketMask::ALL,
        pacing: Pacing::CAPTURED,
    };
    let settings = chain_settings(board, &ChainsSection::default(), traits).unwrap();
    let (keep, jobs) = watch::channel(Some(Arc::new(job())));
    chains.spawn(async move {
        keep.closed().await;
        std::future::pending::<()>().await;
    });
    let mut statuses = shared.chains.lock().unwrap();
    statuses.clear();
    for (settings, spec) in settings.iter().zip(&board.chains) {
        let (status, seen) = watch::channel(ChainStatus::new(settings));
        statuses.push(seen);
        let chain = ChainWiring {
            settings: settings.clone(),
            keeper: keeper.clone(),
            jobs: jobs.clone(),
            shares: mpsc::channel(16).0,
            status,
            stop: keeper.stop(),
            wish: watch::channel(ChainWish::default()).1,
        };
        let (mut wiring, uart) = (wiring.clone(), spec.uart.clone());
        chains.spawn(supervise(chain, Box::new(move || wiring.uart(&uart))));
    }
}

fn job() -> Job {
    Job {
        session: SessionId(1),
        sequence: 1,
        id: JobId("1".into()),
        version: 0x2000_0000,
        version_mask: 0x1FFF_E000,
        previous_hash: [0x5A; 32],
        coinbase_prefix: vec![1; 60].into(),
        extranonce2_size: 8,
        coinbase_suffix: vec![2; 100].into(),
        merkle_branches: vec![[3; 32]; 5].into(),
        nbits: 0x1700_FFFF,
        ntime: 0x6700_0000,
        ntime_roll_limit: 600,
        clean: true,
        share_target: Target::from_nbits(0x1700_FFFF).unwrap(),
        network_target: Target::from_nbits(0x1700_FFFF).unwrap(),
        received_at: Instant::now(),
    }
}

/// A worker that can be made to hang in the middle of its round.
struct Hanging {
    worker: Box<dyn Worker>,
    shared: Arc<Shared>,
}

impl Worker for Hanging {
    fn rule(&self) -> LoopRule {
        self.worker.rule()
    }

    fn period(&self) -> Duration {
        self.worker.period()
    }

    fn minds(&self, old: &Orders, new: &Orders) -> bool {
        self.worker.minds(old, new)
    }

    fn round<'a>(&'a mut self, orders: &'a Orders, reports: &'a Reports) -> Round<'a> {
        Box::pin(async move {
            let name = self.worker.rule().name;
            let hangs = |shared: &Shared| {
                let sick = shared.sick.lock().unwrap();
                sick.iter()
                    .any(|sick| matches!(sick, Sick::Hangs(start) if name.starts_with(start)))
            };
            while hangs(&self.shared) {
                sleep(Duration::from_secs(1)).await;
            }
            self.worker.round(orders, reports).await;
        })
    }
}
