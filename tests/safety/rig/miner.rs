//! What a miner does that matters to the keeper, and how miner and keeper are made to fail.

use super::plan::ZERO_BITS;
use super::{PANIC, Shared, Sick};
use cgminer_board::file::{BoardFile, ChainSpec};
use cgminer_emulator::machine::{Control, Load};
use cgminer_hal::devices::Devices;
use cgminer_hal::emulated::Wiring;
use cgminer_rs::chain::{ChainStatus, Pacing, TicketMask};
use cgminer_rs::config::{ChainsSection, Recipe};
use cgminer_rs::keeper::proofs::LoopRule;
use cgminer_rs::keeper::worker::{Orders, Reports, Round, Worker};
use cgminer_rs::link::{Loop, MinerEnd, Request};
use cgminer_rs::miner::chain::{ChainWiring, supervise};
use cgminer_rs::miner::chains::{ChipTraits, chain_settings};
use cgminer_rs::miner::owner::ChainWish;
use cgminer_rs::miner::{Miner, UartOpener};
use cgminer_rs::work::{CountedBy, Job, JobId, SessionId, Target};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

const TRAITS: ChipTraits = ChipTraits {
    hardwired_zero_bits: ZERO_BITS,
    ticket_mask: TicketMask::ALL,
    pacing: Pacing::CAPTURED,
};

/// A chain that only draws its power: out of reset while it may be, as fast as it may.
pub async fn draw_power(chain: usize, keeper: MinerEnd, control: Control) {
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
pub async fn miner(keeper: MinerEnd, shared: &Shared) -> String {
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

/// The miner as it is, with pools, API and all.
pub async fn whole_miner(
    keeper: MinerEnd,
    board: BoardFile,
    wiring: &Wiring,
    recipe: Recipe,
    shared: &Shared,
) -> String {
    let opener = |chain: &ChainSpec| -> UartOpener {
        let (mut wiring, uart) = (wiring.clone(), chain.uart.clone());
        Box::new(move || wiring.uart(&uart))
    };
    let (opened, mut opening) = mpsc::channel(1);
    let miner = Miner {
        uarts: board.chains.iter().map(opener).collect(),
        board,
        config: recipe.load().unwrap().config,
        recipe,
        chips: TRAITS,
        emulated: true,
        keeper,
        identity: None,
        opened: Some(opened),
    };
    let note = async {
        while let Some(opened) = opening.recv().await {
            *shared.source.lock().unwrap() = Some(opened.snapshots);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = cgminer_rs::miner::run(miner) => match ended {
            Ok(()) => "ended as asked".into(),
            Err(error) => error.to_string(),
        },
        () = note => unreachable!(),
    }
}

/// Starts the chain driver on every chain, with a job that no nonce is good enough for.
pub fn start_chains(
    chains: &mut JoinSet<()>,
    keeper: &MinerEnd,
    board: &BoardFile,
    wiring: &Wiring,
    shared: &Shared,
) {
    let settings = chain_settings(board, &ChainsSection::default(), TRAITS).unwrap();
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
        roots: cgminer_rs::work::MerkleRoots::Coinbase,
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
        counted: CountedBy::default(),
    }
}

/// A worker that can be made to hang in the middle of its round.
pub struct Hanging {
    pub worker: Box<dyn Worker>,
    pub shared: Arc<Shared>,
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
