//! The emulated 3 x 126 machine under the miner's own chain tasks.

use cgminer_board::file::Catalog;
use cgminer_emulator::clock::Clock;
use cgminer_emulator::machine::{Machine, MachineSettings, RunningMachine};
use cgminer_hal::devices::Devices;
use cgminer_hal::gpio::{Output, Signal};
use cgminer_rs::chain::{
    self, ChainCommand, ChainEnds, ChainStatus, Pacing, ResetError, ResetFuture, ResetLine,
    TicketMask,
};
use cgminer_rs::config::ChainsSection;
use cgminer_rs::miner::{ChipTraits, chains::chain_settings};
use cgminer_rs::work::{Job, Share};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Zero bits that the emulated chips demand: some tickets a second on any machine, each of which is a block on regtest.
pub const ZERO_BITS: u8 = 18;

pub struct Rig {
    pub statuses: Vec<watch::Receiver<ChainStatus>>,
    _commands: Vec<mpsc::Sender<ChainCommand>>,
    _tasks: JoinSet<()>,
    _machine: RunningMachine,
}

impl Rig {
    /// Switches the machine on and brings all its chains up.
    pub fn start(jobs: &watch::Receiver<Option<Arc<Job>>>, shares: &mpsc::Sender<Share>) -> Self {
        let mut settings = MachineSettings::l7().expect("a sound description");
        settings.search.hardwired_zero_bits = ZERO_BITS.into();
        // Power and fans are the keeper's, which this test does without: the rail is simply on.
        settings.supply = None;
        let machine = Machine::new(settings, 1, Clock::tokio());
        let mut devices = machine.devices();
        let machine = machine.spawn_thread().expect("a thread");

        let catalog = Catalog::load(None).expect("sound board files");
        let board = catalog.get("emulated").expect("the emulated board");
        let traits = ChipTraits {
            hardwired_zero_bits: ZERO_BITS,
            ticket_mask: TicketMask::ALL,
            pacing: Pacing::EMULATED,
        };
        let settings =
            chain_settings(board, &ChainsSection::default(), traits).expect("sound settings");
        assert_eq!((settings.len(), settings[0].chips), (3, 126));

        let mut tasks = JoinSet::new();
        let mut statuses = Vec::new();
        let mut senders = Vec::new();
        for (settings, wiring) in settings.iter().cloned().zip(&board.chains) {
            let (status, receiver) = watch::channel(ChainStatus::new(&settings));
            let (sender, commands) = mpsc::channel(4);
            let ends = ChainEnds {
                uart: devices.uart(&wiring.uart).expect("a serial line"),
                reset: Box::new(Reset(
                    devices.output_signal(&wiring.reset, true).expect("a line"),
                )),
                jobs: jobs.clone(),
                shares: shares.clone(),
                status,
                commands,
            };
            statuses.push(receiver);
            senders.push(sender);
            tasks.spawn(async move {
                chain::task::run(settings, ends)
                    .await
                    .expect("sound settings");
            });
        }
        Self {
            statuses,
            _commands: senders,
            _tasks: tasks,
            _machine: machine,
        }
    }
}

/// A reset line at hand, active while chips are held.
struct Reset(Signal<Output>);

impl Reset {
    fn set(&mut self, held: bool) -> Result<(), ResetError> {
        self.0.set(held).map_err(|error| ResetError {
            line: self.name().to_owned(),
            doing: "set",
            reason: error.to_string(),
        })
    }
}

impl ResetLine for Reset {
    fn name(&self) -> &'static str {
        "reset"
    }

    fn hold(&mut self) -> ResetFuture<'_> {
        Box::pin(async { self.set(true) })
    }

    fn release(&mut self) -> ResetFuture<'_> {
        Box::pin(async { self.set(false) })
    }
}
