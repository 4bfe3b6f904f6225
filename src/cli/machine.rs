//! The machine that a command drives: a real one by its board file, or an emulated one inside this process.

use super::Failure;
use super::places::keeper_directory;
use crate::chain::ticket_mask::SILICON_ZERO_BITS;
use crate::chain::{Pacing, TicketMask};
use crate::config::Config;
use crate::keeper::HashesDue;
use crate::miner::{ChipTraits, UartOpener};
use cgminer_board::file::{BoardFile, Catalog};
use cgminer_board::recognise::{
    RecogniseError, Recognised, recognise, recognise_as, recognise_despite_model,
};
use cgminer_hal::devices::Devices;
use cgminer_hal::linux::{Lock, LockError};
use lexopt::ValueExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Board files of the owner's, which replace compiled-in ones of the same name.
const BOARD_DIRECTORY: &str = "/etc/cgminer-rs/boards";

/// The lock file that keeps a second keeper from the machine.
const LOCKS: &str = "/run/lock";

/// What a machine's devices are opened from, by keeper and miner alike.
pub type SharedDevices = Arc<Mutex<dyn Devices>>;

/// Name in `board.name` that asks for detection, as no name does.
const DETECT: &str = "auto";

/// A machine to be driven. Nobody else drives it while this lives.
pub struct Machine {
    /// Its wiring and limits, and what was read to find out.
    pub recognised: Recognised,
    /// Its devices.
    pub devices: SharedDevices,
    /// What its chips are like.
    pub chips: ChipTraits,
    /// Whether it is an emulation.
    pub emulated: bool,
    /// Why nobody knows its wiring, so that nothing of it is driven.
    pub unknown: Option<String>,
    /// What of it could not be opened to look at it.
    pub broken: Option<String>,
    /// What emulated chips are to do, where whoever plays them is in this process.
    pub hashes_due: Option<HashesDue>,
    _lock: Lock,
}

impl Machine {
    /// The machine that this control board is in. Chips that declare `zero_bits` are emulated ones at the end of its lines.
    ///
    /// # Errors
    /// When somebody else drives it.
    pub fn real(config: &Config, zero_bits: Option<u8>) -> Result<Self, Failure> {
        let lock = lock_of(config, false)?;
        let mut devices = cgminer_hal::linux::LinuxDevices::new();
        let chips = chips(zero_bits, Pacing::CAPTURED);
        let found = find(config, &mut devices);
        let devices = Arc::new(Mutex::new(devices));
        Ok(Self::found(
            found,
            devices,
            chips,
            zero_bits.is_some(),
            lock,
        ))
    }

    fn found(
        found: Found,
        devices: SharedDevices,
        chips: ChipTraits,
        emulated: bool,
        lock: Lock,
    ) -> Self {
        Self {
            recognised: found.recognised,
            devices,
            chips,
            emulated,
            unknown: found.unknown,
            broken: found.broken,
            hashes_due: None,
            _lock: lock,
        }
    }

    /// Its devices, for one who opens them.
    pub fn devices(&self) -> MutexGuard<'_, dyn Devices + 'static> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its board file.
    pub fn board(&self) -> &BoardFile {
        &self.recognised.board
    }

    /// Openers of the chains' serial lines, in the order of the board file.
    pub fn uart_openers(&self) -> Vec<UartOpener> {
        uart_openers(self.board(), &self.devices)
    }
}

/// Openers of a board's serial lines, in the order of its chains.
pub fn uart_openers(board: &BoardFile, devices: &SharedDevices) -> Vec<UartOpener> {
    let opener = |spec: &cgminer_hal::uart::UartSpec| -> UartOpener {
        let (spec, devices) = (spec.clone(), Arc::clone(devices));
        Box::new(move || {
            let mut devices = devices.lock().unwrap_or_else(PoisonError::into_inner);
            devices.uart(&spec)
        })
    };
    board
        .chains
        .iter()
        .map(|chain| opener(&chain.uart))
        .collect()
}

/// What chips are like: on silicon, or with the zero bits that emulated ones declare. At the end of real lines those are
/// brought up at silicon's pace.
pub fn chips(declared: Option<u8>, pacing: Pacing) -> ChipTraits {
    let Some(hardwired_zero_bits) = declared else {
        return ChipTraits::SILICON;
    };
    ChipTraits {
        hardwired_zero_bits: hardwired_zero_bits.min(SILICON_ZERO_BITS),
        ticket_mask: TicketMask::ALL,
        pacing,
    }
}

/// Keeps a second keeper, or a tool that acts as one, from the machine.
fn lock(directory: &Path, name: &str) -> Result<Lock, Failure> {
    Lock::take(directory, name).map_err(|error| {
        let hint = match &error {
            LockError::Taken(_) => ": the machine is driven already; stop that first",
            LockError::Io(..) => "",
        };
        Failure::Other(format!("{error}{hint}"))
    })
}

/// The lock of the machine that a configuration is for.
///
/// # Errors
/// When it is driven.
pub fn lock_of(config: &Config, emulated: bool) -> Result<Lock, Failure> {
    if emulated {
        lock(&keeper_directory(&config.api.run_directory), "keeper")
    } else {
        lock(Path::new(LOCKS), "cgminer-rs-keeper")
    }
}

/// What was found of a machine. One that nobody knows can be kept all the same: without power, and saying why.
struct Found {
    recognised: Recognised,
    unknown: Option<String>,
    broken: Option<String>,
}

/// What the machine is: by the owner's word, its device tree and what its connectors read.
fn find(config: &Config, devices: &mut dyn Devices) -> Found {
    let nothing = |board: BoardFile| Recognised {
        model: None,
        board,
        slots: Vec::new(),
        refusal: None,
    };
    let why = match recognised(config, devices) {
        Ok(recognised) => {
            return Found {
                recognised,
                unknown: None,
                broken: None,
            };
        }
        // Its wiring is known, and something of it is not there: what is there can be made safe.
        Err(Unrecognised::Recognise(RecogniseError::Devices { board, source, .. })) => {
            let board = match &config.board.file {
                Some(_) => named_board(config),
                None => catalog().and_then(|catalog| {
                    let board = catalog.get(&board).cloned();
                    board.map_err(|error| Failure::Other(error.to_string()))
                }),
            };
            match board {
                Ok(board) => {
                    return Found {
                        recognised: nothing(board),
                        unknown: None,
                        broken: Some(source.to_string()),
                    };
                }
                Err(failure) => failure.to_string(),
            }
        }
        Err(Unrecognised::Recognise(error)) => error.to_string(),
        Err(Unrecognised::Files(failure)) => failure.to_string(),
    };
    let mut board = BoardFile::unknown();
    if !matches!(devices.model(), Ok(Some(_))) {
        // No control board: a laptop's watchdog is not for a program that has nothing to drive there.
        board.watchdog = None;
    }
    Found {
        recognised: nothing(board),
        unknown: Some(why),
        broken: None,
    }
}

/// Why nobody can say what the machine is.
enum Unrecognised {
    Files(Failure),
    Recognise(RecogniseError),
}

fn recognised(config: &Config, devices: &mut dyn Devices) -> Result<Recognised, Unrecognised> {
    let named = config.board.name.as_deref().filter(|name| *name != DETECT);
    if config.board.ignore_model {
        let board = named_board(config).map_err(Unrecognised::Files)?;
        let found = recognise_despite_model(&board, devices);
        let (recognised, contradiction) = found.map_err(Unrecognised::Recognise)?;
        if let Some(contradiction) = contradiction {
            tracing::warn!("{contradiction}; driven all the same, as board.ignore_model says so");
        }
        return Ok(recognised);
    }
    if config.board.file.is_some() {
        let board = named_board(config).map_err(Unrecognised::Files)?;
        return recognise_as(&board, devices).map_err(Unrecognised::Recognise);
    }
    let catalog = catalog().map_err(Unrecognised::Files)?;
    recognise(&catalog, named, devices).map_err(Unrecognised::Recognise)
}

fn catalog() -> Result<Catalog, Failure> {
    Catalog::load(Some(Path::new(BOARD_DIRECTORY)))
        .map_err(|error| Failure::Other(error.to_string()))
}

/// What is wished of an emulated machine.
#[derive(Clone, Debug, Default)]
pub struct EmulatedWishes {
    /// Zero bits that its chips demand of a hash, or what its description says.
    pub zero_bits: Option<u8>,
    /// A description of one's own, for the L7's.
    pub machine: Option<PathBuf>,
    /// Faults that come by themselves.
    pub scenario: Option<PathBuf>,
    /// Socket that takes commands while it runs.
    pub control: Option<PathBuf>,
}

impl EmulatedWishes {
    /// Options of the command line that set them.
    pub const NAMES: [&str; 4] = ["zero-bits", "machine", "scenario", "control"];

    /// Takes one of those options.
    ///
    /// # Errors
    /// When it is none of them or its value makes no sense.
    pub fn take(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<(), Failure> {
        match name {
            "zero-bits" => self.zero_bits = Some(parser.value()?.parse()?),
            "machine" => self.machine = Some(parser.value()?.into()),
            "scenario" => self.scenario = Some(parser.value()?.into()),
            "control" => self.control = Some(parser.value()?.into()),
            _ => return Err(lexopt::Arg::Long(name).unexpected().into()),
        }
        Ok(())
    }

    /// Refuses wishes of an emulated machine where none is asked for. Chips may declare zero bits at real lines, too.
    ///
    /// # Errors
    /// With the option.
    pub fn without_emulation(&self) -> Result<(), Failure> {
        let wished = [
            ("--machine", self.machine.is_some()),
            ("--scenario", self.scenario.is_some()),
            ("--control", self.control.is_some()),
        ];
        match wished.iter().find(|(_, wished)| *wished) {
            Some((name, _)) => Err(Failure::Usage(format!("{name} is for --emulated alone"))),
            None => Ok(()),
        }
    }
}

/// The board that a configuration names, or none when it is to be detected. Every board file there is gets checked.
///
/// # Errors
/// When one of them is wrong, or there is none of that name.
pub fn configured_board(config: &Config) -> Result<Option<BoardFile>, Failure> {
    catalog()?;
    let named = config
        .board
        .name
        .as_deref()
        .is_some_and(|name| name != DETECT);
    if named || config.board.file.is_some() {
        named_board(config).map(Some)
    } else {
        Ok(None)
    }
}

/// The board of that name, or in the owner's own file.
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
    let catalog = catalog()?;
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

    use super::{EmulatedWishes, Machine, chips, find, lock_of};
    use crate::chain::Pacing;
    use crate::chain::ticket_mask::SILICON_ZERO_BITS;
    use crate::cli::Failure;
    use crate::config::Config;
    use cgminer_emulator::clock::Clock;
    use cgminer_emulator::machine::{self, MachineSettings, RunningMachine};
    use cgminer_emulator::scenario::Scenario;
    use cgminer_emulator::transport::{self, Pty};
    use cgminer_hal::emulated::UartSocket;
    use std::fmt::Display;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex};

    /// An emulated machine that is switched on. It lives until this is dropped.
    pub struct Emulation {
        /// What the daemon drives.
        pub machine: Machine,
        /// Zero bits that its chips declare.
        pub hardwired_zero_bits: u8,
        uarts: Vec<UartSocket>,
        _running: RunningMachine,
    }

    /// Switches on an emulated machine, on a thread of its own and real time. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When its description or scenario is wrong, another one runs with this run directory, or the system has no thread
    /// for it.
    pub fn start(config: &Config, wishes: &EmulatedWishes) -> Result<Emulation, Failure> {
        let mut settings = match &wishes.machine {
            Some(path) => described(path, |text| MachineSettings::from_toml(&text))?,
            None => MachineSettings::l7().map_err(|error| failed(&error))?,
        };
        if let Some(bits) = wishes.zero_bits {
            settings.search.hardwired_zero_bits = bits.min(SILICON_ZERO_BITS).into();
        }
        let hardwired_zero_bits =
            u8::try_from(settings.search.hardwired_zero_bits).map_err(|error| failed(&error))?;
        let lock = lock_of(config, true)?;
        let machine = machine::Machine::new(settings, fastrand::u64(..), Clock::tokio());
        let control = machine.control();
        if let Some(path) = &wishes.scenario {
            let scenario = described(path, |text| Scenario::from_toml(&text))?;
            control.play(&scenario).map_err(|error| failed(&error))?;
        }
        if let Some(path) = &wishes.control {
            let listener = transport::listen(path)
                .map_err(|error| failed(&format_args!("{}: {error}", path.display())))?;
            tokio::spawn(cgminer_emulator::control::serve(listener, control.clone()));
        }
        let mut devices = machine.devices();
        let uarts = machine.uarts();
        let running = machine.spawn_thread().map_err(|error| failed(&error))?;
        let mut machine = Machine::found(
            find(config, &mut devices),
            Arc::new(Mutex::new(devices)),
            chips(Some(hardwired_zero_bits), Pacing::EMULATED),
            true,
            lock,
        );
        machine.hashes_due = Some(Arc::new(move |chain| control.hashes_due(chain.into())));
        Ok(Emulation {
            machine,
            hardwired_zero_bits,
            uarts,
            _running: running,
        })
    }

    fn failed(what: &dyn Display) -> Failure {
        Failure::Other(format!("emulated machine: {what}"))
    }

    /// Reads a file of the owner's.
    fn described<T, E: Display>(
        path: &Path,
        read: impl FnOnce(String) -> Result<T, E>,
    ) -> Result<T, Failure> {
        let told = |what: &dyn Display| failed(&format_args!("{}: {what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| told(&error))?;
        read(text).map_err(|error| told(&error))
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
}
