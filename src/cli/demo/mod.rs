//! The demo: a whole emulated machine, and a pool inside the program for it to mine at.

mod companion;
mod live;
pub mod pool;

pub use companion::{COMPANION, process as companion_process};

use super::machine::EmulatedWishes;
use super::machine::emulation::{self, Emulation};
use super::options::{Flag, Options};
use super::run::{runtime, stop_asked};
use super::split::{self, Wall};
use super::{Failure, logs, single};
use companion::{Companion, Scene};
use lexopt::{Arg::Long, ValueExt};
use std::fs::DirBuilder;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::sleep;

/// Address of the status endpoint when none is asked for.
const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// How long the machine may take to switch off before the demo ends without it.
const SWITCH_OFF: Duration = Duration::from_secs(8);

/// Mines on the emulated machine until Ctrl-C, or for so many seconds.
pub fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut options = Options::default();
    let mut lasting = None;
    let mut address = DEFAULT_ADDRESS;
    let mut wishes = EmulatedWishes::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seconds") => lasting = Some(Duration::from_secs(parser.value()?.parse()?)),
            Long("api") => address = parser.value()?.parse()?,
            Long(name) if EmulatedWishes::NAMES.contains(&name) => {
                let name = name.to_owned();
                wishes.take(&name, &mut parser)?;
            }
            other => {
                let flag = Options::flag(other)?;
                options.take(flag, parser.value()?)?;
            }
        }
    }
    // What the owner's file says of the log holds for the demo, too; the rest of it is of another machine.
    let config = options.load()?.config;
    let _logs = logs::start(&config.log, logs::Role::Writer)
        .map_err(|error| Failure::Other(error.to_string()))?;
    let scratch = Scratch::new()?;
    runtime()?.block_on(mine(options, &wishes, address, &scratch, lasting))
}

async fn mine(
    mut options: Options,
    wishes: &EmulatedWishes,
    address: SocketAddr,
    scratch: &Scratch,
    lasting: Option<Duration>,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Other(format!("demo: {error}"));
    let pool = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let api = known_port(address).map_err(failed)?;
    let file = scratch
        .write_config(pool.local_addr().map_err(failed)?)
        .map_err(failed)?;
    options.take(Flag::Config, file.into())?;
    options.set("api.listen", &api.to_string());
    options.set("api.run_directory", &scratch.run().display().to_string());
    options.set(
        "keeper.state_directory",
        &scratch.state().display().to_string(),
    );
    let config = options.load()?.config;

    let (stop, over) = stop_and_over(lasting)?;
    let emulation = emulation::start(&config, wishes)?;
    let scene = Scene {
        run_directory: scratch.run(),
        api,
        zero_bits: emulation.hardwired_zero_bits,
    };
    // As in `run`: without root there is no user to change to.
    if nix::unistd::geteuid().is_root() {
        let mut companion = Companion::start(pool, &scene)?;
        return tokio::select! {
            result = run_split(emulation, options, stop) => result,
            how = companion.ended() => Err(Failure::Other(format!("demo: the pool's process {how}"))),
            () = over => Ok(()),
        };
    }
    let (opened, _opening) = single::opened_channel();
    tokio::select! {
        result = single::run(emulation.machine, config, options.recipe(), opened, stop) => result,
        result = companion::accompany(pool, scene) => result,
        () = over => Ok(()),
    }
}

async fn run_split(
    emulation: Emulation,
    options: Options,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let recipe = options.recipe();
    let config = recipe.load()?.config;
    let wall =
        Wall::emulated(&emulation, options.arguments())?.with_board(&emulation.machine, &config);
    split::run(emulation.machine, config, recipe, wall, stop).await
}

/// Resolves when the machine is to stop, and, a while later, when the demo ends whether it did or not: the emulated supply
/// is cut at once, and nobody has to wait until emulated boards are cool.
fn stop_and_over(
    lasting: Option<Duration>,
) -> Result<(impl Future<Output = ()>, impl Future<Output = ()>), Failure> {
    let asked = stop_asked()?;
    let (ending, ended) = tokio::sync::oneshot::channel::<()>();
    let stop = async move {
        match lasting {
            Some(lasting) => tokio::select! { () = asked => {}, () = sleep(lasting) => {} },
            None => asked.await,
        }
        // The other side may have ended by itself.
        let _ = ending.send(());
    };
    let over = async {
        let _ = ended.await;
        sleep(SWITCH_OFF).await;
    };
    Ok((stop, over))
}

/// The address, with a free port when 0 is asked for: each process has to know it beforehand.
fn known_port(address: SocketAddr) -> std::io::Result<SocketAddr> {
    if address.port() == 0 {
        TcpListener::bind(address)?.local_addr()
    } else {
        Ok(address)
    }
}

/// A directory of this run alone, taken away at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let name = format!(
            "cgminer-rs-demo-{}-{:08x}",
            std::process::id(),
            fastrand::u32(..)
        );
        let path = std::env::temp_dir().join(name);
        // Not one that somebody else has put there. The miner's user has to get to what is in it.
        DirBuilder::new()
            .mode(0o755)
            .create(&path)
            .map_err(|error| Failure::Other(format!("{}: {error}", path.display())))?;
        Ok(Self(path))
    }

    /// The run directory, which becomes the miner's.
    fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// Where the keeper keeps what outlives it, which for a demo is nothing.
    fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    /// A file of its own, so that the demo can be changed as any machine can, and the owner's files stay as they are.
    fn write_config(&self, pool: SocketAddr) -> std::io::Result<PathBuf> {
        let file = self.0.join("cgminer-rs.toml");
        let text = format!("[[pool]]\nurl = \"stratum+tcp://{pool}\"\nuser = \"demo\"\n");
        std::fs::write(&file, text)?;
        Ok(file)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is a few empty sockets in the temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
