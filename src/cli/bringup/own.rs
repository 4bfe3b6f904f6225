//! A command as the machine's keeper: where none runs, it is one for as long as it lasts.

use super::session::{Session, connect};
use super::{Asked, Command, act, bench};
use crate::cli::machine::Machine;
#[cfg(feature = "emulator")]
use crate::cli::machine::emulation;
use crate::cli::run::stop_asked;
use crate::cli::table::print;
use crate::cli::{Failure, single};
use crate::config::Config;
use crate::keeper;
use crate::keeper::host::TaskHost;
use crate::link::{Loop, MinerEnd, Request};
use std::future::Future;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

/// How long the keeper's socket may take to be there.
const SOCKET: Duration = Duration::from_secs(10);
/// After this the rail is off, whatever else is still under way.
const RAIL_OFF: Duration = Duration::from_secs(2);
/// How long a machine that had no power is waited for. Its fans are left at full speed then.
const UNPOWERED_END: Duration = Duration::from_secs(10);
/// The keeper gives up cooling before.
const POWERED_END: Duration = Duration::from_secs(620);
/// Time for the last orders of a keeper that is left early.
const LAST_ORDERS: Duration = Duration::from_secs(2);
/// Between two signs of life of the stand-in.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// Keeps the machine and does what is asked; then the rail goes off.
pub(super) async fn act(
    command: Command,
    config: Config,
    asked: Asked,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    if asked.emulated {
        #[cfg(feature = "emulator")]
        {
            let emulation = emulation::start(&config, &asked.wishes)?;
            return keep(command, &emulation.machine, config, asked.lasting, stop).await;
        }
        #[cfg(not(feature = "emulator"))]
        return Err(Failure::Usage("this build has no emulated machine".into()));
    }
    let machine = Machine::real(&config, None)?;
    keep(command, &machine, config, asked.lasting, stop).await
}

async fn keep(
    command: Command,
    machine: &Machine,
    config: Config,
    lasting: Option<Duration>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    if let Some(unknown) = &machine.unknown {
        return Err(Failure::Other(format!("{unknown}; nothing is driven")));
    }
    match command {
        Command::PsuSet(voltage) => return bench::preset(machine, voltage).await,
        Command::ChainReset(chain) => return bench::pulse(machine, chain).await,
        Command::BoardProbe => print(&bench::recognised(machine))?,
        _ => {}
    }
    let powered = matches!(command, Command::PsuOn(_) | Command::ChainDetect(_));
    let directory = &config.api.run_directory;
    std::fs::create_dir_all(directory)
        .map_err(|error| Failure::Other(format!("{}: {error}", directory.display())))?;
    let owners_fans = watch::channel(config.cooling.minimum_fans).1;
    let setup = single::setup(&config, machine.emulated, owners_fans)?;
    let kept = single::open(machine, &config).await;
    let host = TaskHost::new(move |link| Box::pin(stand_in(link, powered)));
    let (end, ended) = oneshot::channel::<()>();
    let mut keeper = Box::pin(keeper::run(kept, Box::new(host), setup, async {
        // Gone without a word means the same.
        let _ = ended.await;
    }));
    let work = async {
        let session = Session {
            keeper: own_socket(&config).await?,
            config,
            own: true,
            emulated: machine.emulated,
            lasting,
        };
        match command {
            Command::ChainDetect(chain) => bench::detect(machine, &session, chain).await,
            other => act::act(other, session, stop).await,
        }
    };
    let done = tokio::select! {
        ended = &mut keeper => {
            return ended
                .map_err(|error| Failure::Other(error.to_string()))
                .and_then(Failure::of_end);
        }
        done = work => done,
    };
    drop(end);
    let again = stop_asked()?;
    let patience = if powered { POWERED_END } else { UNPOWERED_END };
    let early = async {
        sleep(RAIL_OFF).await;
        if powered {
            print(
                "power is off; fans run until the boards are cool. Ctrl-C leaves them running\n",
            )?;
        }
        tokio::select! { () = again => {}, () = sleep(patience) => {} }
        Ok::<(), Failure>(())
    };
    tokio::select! {
        ended = &mut keeper => {
            ended.map_err(|error| Failure::Other(error.to_string()))?;
        }
        left = early => {
            left?;
            drop(keeper);
            // Its workers, each on a thread, do what is safe and end.
            sleep(LAST_ORDERS).await;
        }
    }
    done
}

async fn own_socket(config: &Config) -> Result<MinerEnd, Failure> {
    let until = Instant::now() + SOCKET;
    loop {
        match connect(config).await? {
            Some(keeper) => return Ok(keeper),
            None if Instant::now() >= until => {
                return Err(Failure::Other("the keeper did not begin in time".into()));
            }
            None => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Stands in for the miner: may want power, and shows that it lives. It mines nothing.
async fn stand_in(link: MinerEnd, powered: bool) -> String {
    let mut stop = link.stop();
    if powered {
        if let Err(error) = link.request(Request::SetPower { on: true }).await {
            return error.to_string();
        }
    }
    loop {
        for one in Loop::ALL {
            link.alive(one);
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return "ended as asked".to_owned(),
            () = sleep(SIGN_OF_LIFE) => {}
        }
    }
}
