//! The machine that a command drives: a real one by its board file, or an emulated one inside this process.

use super::Failure;
use crate::config::Config;
use crate::miner::{ChipTraits, UartOpener};
use cgminer_board::file::{BoardFile, Catalog};
use cgminer_hal::devices::Devices;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Board files of the owner's, which replace compiled-in ones of the same name.
const BOARD_DIRECTORY: &str = "/etc/cgminer-rs/boards";

/// Lock files of serial lines.
pub const LOCKS: &str = "/run/lock";

/// What a machine's devices are opened from, by keeper and miner alike.
pub type SharedDevices = Arc<Mutex<dyn Devices>>;

/// A machine to be driven.
pub struct Machine {
    /// Its wiring and limits.
    pub board: BoardFile,
    /// Its devices.
    pub devices: SharedDevices,
    /// What its chips are like.
    pub chips: ChipTraits,
    /// Whether it is an emulation.
    pub emulated: bool,
}

impl Machine {
    /// The machine that this control board is in.
    ///
    /// # Errors
    /// When no board is named, or its file is wrong.
    pub fn real(config: &Config) -> Result<Self, Failure> {
        let devices = cgminer_hal::linux::LinuxDevices::new(LOCKS);
        Ok(Self {
            board: named_board(config)?,
            devices: Arc::new(Mutex::new(devices)),
            chips: ChipTraits::SILICON,
            emulated: false,
        })
    }

    /// Openers of the chains' serial lines, in the order of the board file.
    pub fn uart_openers(&self) -> Vec<UartOpener> {
        let opener = |spec: &cgminer_hal::uart::UartSpec| -> UartOpener {
            let (spec, devices) = (spec.clone(), Arc::clone(&self.devices));
            Box::new(move || {
                let mut devices = devices.lock().unwrap_or_else(PoisonError::into_inner);
                devices.uart(&spec)
            })
        };
        self.board
            .chains
            .iter()
            .map(|chain| opener(&chain.uart))
            .collect()
    }
}

/// The board that the owner names.
///
/// # Errors
/// When none is named, or its file is wrong.
pub fn named_board(config: &Config) -> Result<BoardFile, Failure> {
    let failed = |error: cgminer_board::file::BoardFileError| Failure::Other(error.to_string());
    if let Some(path) = &config.board.file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::Other(format!(
                "board.file {}: cannot be read: {error}",
                path.display()
            ))
        })?;
        return BoardFile::parse(&text, &path.display().to_string()).map_err(failed);
    }
    let catalog = Catalog::load(Some(Path::new(BOARD_DIRECTORY))).map_err(failed)?;
    if let Some(name) = &config.board.name {
        return catalog.get(name).cloned().map_err(failed);
    }
    let names: Vec<_> = catalog.iter().map(|board| board.name.as_str()).collect();
    Err(Failure::Other(format!(
        "no board is named, so nothing is driven; set board.name to one of: {}",
        names.join(", ")
    )))
}

#[cfg(feature = "emulator")]
pub mod emulation {
    //! The emulated machine.

    use super::Machine;
    use crate::chain::ticket_mask::SILICON_ZERO_BITS;
    use crate::chain::{Pacing, TicketMask};
    use crate::cli::Failure;
    use crate::miner::ChipTraits;
    use cgminer_board::file::{BoardFile, BoardFileError, Catalog};
    use cgminer_emulator::clock::Clock;
    use cgminer_emulator::machine::{self, MachineSettings, RunningMachine};
    use cgminer_emulator::transport::Pty;
    use cgminer_hal::emulated::UartSocket;
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};

    /// Board file that describes it.
    const BOARD: &str = "emulated";

    /// An emulated machine that is switched on. It lives until this is dropped.
    pub struct Emulation {
        /// What the daemon drives.
        pub machine: Machine,
        /// Zero bits that its chips declare.
        pub hardwired_zero_bits: u8,
        uarts: Vec<UartSocket>,
        _running: RunningMachine,
    }

    /// Switches on the emulated L7, on a thread of its own and real time. Must be called on a tokio runtime. Its chips
    /// demand `zero_bits` of a hash, or what its description says.
    ///
    /// # Errors
    /// When its description is wrong or the system has no thread for it.
    pub fn start(zero_bits: Option<u8>) -> Result<Emulation, Failure> {
        let failed =
            |what: &dyn std::fmt::Display| Failure::Other(format!("emulated machine: {what}"));
        let mut settings = MachineSettings::l7().map_err(|error| failed(&error))?;
        if let Some(bits) = zero_bits {
            settings.search.hardwired_zero_bits = bits.min(SILICON_ZERO_BITS).into();
        }
        let board = board()?;
        let hardwired_zero_bits =
            u8::try_from(settings.search.hardwired_zero_bits).map_err(|error| failed(&error))?;
        let machine = machine::Machine::new(settings, fastrand::u64(..), Clock::tokio());
        let devices = machine.devices();
        let uarts = machine.uarts();
        let running = machine.spawn_thread().map_err(|error| failed(&error))?;
        Ok(Emulation {
            machine: Machine {
                board,
                devices: Arc::new(Mutex::new(devices)),
                chips: chips(hardwired_zero_bits),
                emulated: true,
            },
            hardwired_zero_bits,
            uarts,
            _running: running,
        })
    }

    impl Emulation {
        /// Lets another process have the chains' serial lines: pseudo-terminals, in the order of the chains.
        ///
        /// # Errors
        /// When the system has none left.
        pub fn ptys(&self) -> std::io::Result<Vec<PathBuf>> {
            let open = |socket| {
                let (pty, path) = Pty::open(socket)?;
                tokio::spawn(pty.carry());
                Ok(path)
            };
            self.uarts.iter().map(open).collect()
        }
    }

    /// What emulated chips are like.
    pub fn chips(hardwired_zero_bits: u8) -> ChipTraits {
        ChipTraits {
            hardwired_zero_bits,
            ticket_mask: TicketMask::ALL,
            pacing: Pacing::EMULATED,
        }
    }

    /// The board file of the emulated machine.
    ///
    /// # Errors
    /// None, as a test of the board files holds; the type is that of any board file.
    pub fn board() -> Result<BoardFile, Failure> {
        let failed = |error: BoardFileError| Failure::Other(error.to_string());
        let catalog = Catalog::load(None).map_err(failed)?;
        Ok(catalog.get(BOARD).map_err(failed)?.clone())
    }
}
