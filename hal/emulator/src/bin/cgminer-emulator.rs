//! Runs an emulated machine by itself: a serial line for each chain, and a control socket.
#![forbid(unsafe_code)]

use cgminer_emulator::{
    clock::Clock,
    control,
    machine::{Machine, MachineSettings},
    scenario::Scenario,
    transport::{self, Pty},
    usbip,
};
use lexopt::prelude::{Long, Short, ValueExt};
use std::{error::Error, fs, io::Write, net::SocketAddr, path::PathBuf, process::ExitCode};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
Usage: cgminer-emulator [--machine l7|every-part|FILE] [--directory DIR] [--sockets] [--off]
                        [--seed NUMBER] [--scenario FILE] [--usbip BUS@ADDRESS:PORT]

Runs an emulated machine in real time. Each chain's serial line appears in DIR (default: emulated)
as chain0, chain1 ...: a pseudo-terminal, or with --sockets a Unix socket. DIR/control takes
commands; say `help` to it. The supply is on and the resets are let go unless --off is given.
--usbip serves an I2C bus of the machine as a USB adapter, for a Linux kernel to attach to by USB/IP.";

type Failure = Box<dyn Error>;

struct Options {
    machine: MachineSettings,
    directory: PathBuf,
    sockets: bool,
    off: bool,
    seed: u64,
    scenario: Option<Scenario>,
    usbip: Option<(String, SocketAddr)>,
}

fn main() -> ExitCode {
    let run = || -> Result<(), Failure> {
        let Some(options) = options()? else {
            writeln!(std::io::stdout(), "{USAGE}")?;
            return Ok(());
        };
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(serve(options))
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cgminer-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<Options>, Failure> {
    let mut options = Options {
        machine: MachineSettings::l7()?,
        directory: "emulated".into(),
        sockets: false,
        off: false,
        seed: 1,
        scenario: None,
        usbip: None,
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("machine") => options.machine = machine(&arguments.value()?.string()?)?,
            Long("directory") => options.directory = arguments.value()?.into(),
            Long("sockets") => options.sockets = true,
            Long("off") => options.off = true,
            Long("seed") => options.seed = arguments.value()?.parse()?,
            Long("scenario") => {
                let path = PathBuf::from(arguments.value()?);
                let text = fs::read_to_string(&path)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                options.scenario = Some(Scenario::from_toml(&text)?);
            }
            Long("usbip") => {
                let value = arguments.value()?.string()?;
                let (bus, address) = value
                    .split_once('@')
                    .ok_or("--usbip: say it as in i2c-1@127.0.0.1:3240")?;
                options.usbip = Some((bus.into(), address.parse()?));
            }
            Short('h') | Long("help") => return Ok(None),
            _ => return Err(format!("{}\n{USAGE}", argument.unexpected()).into()),
        }
    }
    Ok(Some(options))
}

fn machine(name: &str) -> Result<MachineSettings, Failure> {
    match name {
        "l7" => Ok(MachineSettings::l7()?),
        "every-part" => Ok(MachineSettings::every_part()?),
        path => {
            let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
            Ok(MachineSettings::from_toml(&text)?)
        }
    }
}

async fn serve(options: Options) -> Result<(), Failure> {
    let machine = Machine::new(options.machine, options.seed, Clock::tokio());
    let (sockets, handle) = (machine.uarts(), machine.control());
    let directory = options.directory;
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut left = Vec::new();
    for (index, socket) in sockets.into_iter().enumerate() {
        let path = directory.join(format!("chain{index}"));
        if options.sockets {
            tokio::spawn(transport::serve_socket(transport::listen(&path)?, socket));
        } else {
            let (pty, device) = Pty::open(&socket)?;
            transport::link(&device, &path)?;
            tokio::spawn(pty.carry());
        }
        writeln!(std::io::stdout(), "chain {index}: {}", path.display())?;
        left.push(path);
    }
    let path = directory.join("control");
    tokio::spawn(control::serve(transport::listen(&path)?, handle.clone()));
    writeln!(std::io::stdout(), "control: {}", path.display())?;
    left.push(path);
    if let Some((bus, address)) = options.usbip {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| format!("--usbip {address}: {error}"))?;
        writeln!(std::io::stdout(), "{bus}: {}", listener.local_addr()?)?;
        let bus = machine.devices().bus(&bus);
        if bus.addresses().is_empty() {
            return Err("--usbip: the machine has no parts on that bus".into());
        }
        tokio::spawn(usbip::serve(listener, bus));
    }
    if !options.off {
        handle.set_power(true);
        for chain in 0..machine.chains().count() {
            handle.set_reset(chain, false);
        }
    }
    if let Some(scenario) = &options.scenario {
        handle.play(scenario)?;
    }
    let running = machine.spawn_thread()?;
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    drop(running);
    for path in left {
        fs::remove_file(path)?;
    }
    Ok(())
}
