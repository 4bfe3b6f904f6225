//! The demo: a whole emulated machine, and a pool inside the program for it to mine at.

pub mod live;
pub mod pool;

use super::machine::{EmulatedWishes, emulation};
use super::options::Options;
use super::run::{runtime, stop_asked};
use super::{Failure, logs, places, single};
use crate::config::Recipe;
use lexopt::{Arg::Long, ValueExt};
use pool::{DemoPool, DemoPoolSettings};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// Address of the status endpoint when none is asked for.
const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Hashes a second that the demo pool makes its first difficulty for; it learns the true rate from shares.
const EXPECTED_RATE: f64 = 2e6;
/// How long the machine may take to switch off before the demo ends without it.
const SWITCH_OFF: Duration = Duration::from_secs(8);

/// Mines on the emulated machine until Ctrl-C, or for so many seconds.
pub fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut options = Options::default();
    let mut lasting = None;
    let mut address = DEFAULT_ADDRESS;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seconds") => lasting = Some(Duration::from_secs(parser.value()?.parse()?)),
            Long("api") => address = parser.value()?.parse()?,
            other => {
                let flag = Options::flag(other)?;
                options.take(flag, parser.value()?)?;
            }
        }
    }
    let scratch = Scratch::new()?;
    options.set("api.listen", &address.to_string());
    options.set("api.run_directory", &scratch.0.display().to_string());
    // Whatever the owner's file says of the real machine's.
    let own = places::keeper_directory(&scratch.0).display().to_string();
    options.set("keeper.state_directory", &own);
    let recipe = options.recipe();
    let config = recipe.load()?.config;
    let _logs = logs::start(&config.log, logs::Role::Writer)
        .map_err(|error| Failure::Other(error.to_string()))?;
    runtime()?.block_on(mine(recipe, &scratch.0, lasting))
}

async fn mine(
    mut recipe: Recipe,
    scratch: &Path,
    lasting: Option<Duration>,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Other(format!("demo pool: {error}"));
    let pool = DemoPool::bind(DemoPoolSettings::for_hashrate(EXPECTED_RATE))
        .await
        .map_err(failed)?;
    // A file of its own, so that the demo can be changed as any machine can, and the owner's files stay as they are.
    recipe.file = scratch.join("cgminer-rs.toml");
    recipe.named = true;
    let url = pool.address();
    let text = format!("[[pool]]\nurl = \"stratum+tcp://{url}\"\nuser = \"demo\"\n");
    std::fs::write(&recipe.file, text).map_err(failed)?;
    let config = recipe.load()?.config;

    let asked = stop_asked()?;
    let stop = async move {
        match lasting {
            Some(lasting) => tokio::select! { () = asked => {}, () = sleep(lasting) => {} },
            None => asked.await,
        }
    };
    let (ending, ended) = tokio::sync::oneshot::channel::<()>();
    let stop = async move {
        stop.await;
        // The other side may have ended by itself.
        let _ = ending.send(());
    };
    let emulation = emulation::start(&config, &EmulatedWishes::default())?;
    let (opened, opening) = single::opened_channel();
    let stats = pool.stats();
    let show = live::show(opening, stats, emulation.hardwired_zero_bits);
    tokio::select! {
        result = single::run(emulation.machine, config, recipe, opened, stop) => result,
        () = pool.run() => Ok(()),
        () = show => Ok(()),
        // The emulated supply is cut at once; nobody has to wait until emulated boards are cool.
        () = async { let _ = ended.await; sleep(SWITCH_OFF).await } => Ok(()),
    }
}

/// A directory of this run alone, taken away at its end.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("cgminer-rs-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .map_err(|error| Failure::Other(format!("{}: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is a few empty sockets in the temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
        let _ = std::fs::remove_dir_all(places::keeper_directory(&self.0));
    }
}
