//! The unprivileged side: wiring of pools, chains, telemetry and API, nothing else.
//!
//! ```text
//! pool manager ──watch<Job>──► chain supervisors ──► chain tasks
//!       ▲                            ▲  │
//!       └───────mpsc<Share>──────────┼──┘
//!                              keeper's status
//! ```

pub mod chain;
pub mod chains;
pub mod confine;
pub mod liveness;
pub mod mdns;
pub mod notify;
pub mod owner;
pub mod power;
pub mod rate;
pub mod reset;
pub mod sources;

use cgminer_hal::task::boxed;
use chain::ChainWiring;
pub use chain::UartOpener;
pub use chains::{ChipTraits, LayoutError};
use owner::{ChainWish, Reach};
use rate::RateMeter;
use sources::Machine;

use crate::api::access::Access;
use crate::api::orders::Orders;
use crate::api::rpc::Rpc;
use crate::api::tls::Identity;
use crate::api::{Api, ApiError, Control};
use crate::chain::pll::LOWEST;
use crate::chain::{ChainSettings, ChainStatus};
use crate::config::{Config, Listen, Recipe};
use crate::link::{LinkError, MinerEnd, Request};
use crate::pool::manager::{self, ManagerPorts};
use crate::pool::status::PoolsStatus;
use crate::telemetry::{ChainInput, Inputs, OperatingPoint, SnapshotSource};
use cgminer_board::file::BoardFile;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{info, warn};

/// Shares of all chains that may wait for the pool manager, which takes them at once.
const WAITING_SHARES: usize = 256;
/// Commands to the pool manager that may wait.
const WAITING_COMMANDS: usize = 8;
/// How often the chains' work is added up for the pools' strategies.
const ADD_UP: Duration = Duration::from_millis(500);
/// How long all chains together may take to end.
const END_DEADLINE: Duration = Duration::from_secs(15);

/// All that a miner is made of.
pub struct Miner {
    /// The machine.
    pub board: BoardFile,
    /// The owner's settings.
    pub config: Config,
    /// Where they come from, so that they can change.
    pub recipe: Recipe,
    /// What the chips are like.
    pub chips: ChipTraits,
    /// Whether the machine is an emulation.
    pub emulated: bool,
    /// Serial lines, in the order of the board file's chains.
    pub uarts: Vec<UartOpener>,
    /// The process that owns power, fans and resets.
    pub keeper: MinerEnd,
    /// What the network door proves who it is with; none: it speaks plain HTTP.
    pub identity: Option<Identity>,
    /// Told where the status endpoint is, once it is open.
    pub opened: Option<mpsc::Sender<Opened>>,
}

/// A miner that runs.
pub struct Opened {
    /// Network address of the status endpoint; none when it is off.
    pub address: Option<SocketAddr>,
    /// What the endpoint reads.
    pub snapshots: SnapshotSource,
}

/// Why a miner cannot run.
#[derive(Debug, Error)]
pub enum MinerError {
    /// Board file and settings do not go together.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The status endpoint cannot be opened.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The keeper refuses what the owner set.
    #[error("the keeper does not take {setting}: {source}")]
    Keeper {
        /// What was asked for.
        setting: &'static str,
        /// Its answer.
        source: LinkError,
    },
}

/// Mines until the keeper says stop, or is gone.
///
/// # Errors
/// When it cannot begin; no power has been asked for then.
pub async fn run(miner: Miner) -> Result<(), MinerError> {
    let settings = chains::chain_settings(&miner.board, &miner.config.chains, miner.chips)?;
    let mut stop = miner.keeper.stop();
    let (jobs, job) = watch::channel(None);
    let (shares, found) = mpsc::channel(WAITING_SHARES);
    let (pools, pools_status) = watch::channel(PoolsStatus::default());
    let (hashes, hashes_done) = watch::channel(0.0);
    let mut meter = RateMeter::new(&settings, miner.emulated);
    let (rate, hash_rate) = watch::channel(meter.rate(0.0, Instant::now()));
    let machine = Machine {
        hash_rate,
        chains: settings.len(),
    };
    let (commands, pool_commands) = mpsc::channel(WAITING_COMMANDS);

    let (statuses, chain_inputs): (Vec<_>, Vec<_>) = settings
        .iter()
        .map(|chain| {
            let (sender, receiver) = watch::channel(ChainStatus::new(chain));
            let input = ChainInput {
                domains: chain.domains,
                status: receiver,
            };
            (sender, input)
        })
        .unzip();
    let chain_statuses: Vec<_> = chain_inputs
        .iter()
        .map(|chain| chain.status.clone())
        .collect();

    let snapshots = SnapshotSource::new(Inputs {
        board: miner.board.name.clone(),
        emulated: miner.emulated,
        board_file: board_file(&miner.board),
        pools: pools_status.clone(),
        chains: chain_inputs,
        keeper: miner.keeper.status(),
        directories: directories(&miner.recipe, &miner.config),
    });
    let (orders, given) = Orders::channel();
    let (access, allowed) = watch::channel(Access::of(&miner.config));
    let control = Control {
        orders,
        access: allowed,
    };
    let api = Api::open_secured(
        &miner.config.api,
        snapshots.clone(),
        control.clone(),
        miner.identity,
    )?;
    let rpc = match miner.config.rpc.listen {
        Listen::Off => None,
        Listen::At(address) => Some(Rpc::open(address, snapshots.clone(), control)?),
    };
    if let Some(opened) = miner.opened {
        let address = api.address();
        // Whoever asked may have gone; the endpoint is open all the same.
        let _ = opened.try_send(Opened {
            address,
            snapshots: snapshots.clone(),
        });
    }

    let mut tasks = JoinSet::new();
    let told = api.address().and_then(|address| {
        let host = snapshots.snapshot().machine.host;
        let machine = (miner.board.name.as_str(), miner.emulated);
        mdns::Service::of(miner.config.api.mdns, host, address, machine)
    });
    if let Some(service) = told {
        tasks.spawn(boxed(mdns::run(service, miner.keeper.stop())));
    }
    tasks.spawn(boxed(api.run()));
    if let Some(rpc) = rpc {
        tasks.spawn(boxed(rpc.run()));
    }
    tasks.spawn(boxed(snapshots.clone().record()));
    let (alerts, alert_settings) = watch::channel(notify::Settings::of(&miner.config));
    tasks.spawn(boxed(notify::run(snapshots, alert_settings)));
    tasks.spawn(boxed(add_up(chain_statuses.clone(), hashes, (meter, rate))));
    tasks.spawn(boxed(liveness::prove(
        miner.keeper.clone(),
        chain_statuses,
        pools_status,
        miner.config.api.run_directory.clone(),
    )));
    tasks.spawn(boxed(manager::run(
        sources::configured_sources(&miner.config, &machine),
        miner.config.pools.strategy,
        ManagerPorts {
            jobs,
            shares: found,
            status: pools,
            hashes_done,
            commands: pool_commands,
        },
    )));

    let (wishes, wished): (Vec<_>, Vec<_>) = settings
        .iter()
        .map(|_| watch::channel(ChainWish::default()))
        .unzip();
    let reach = Reach {
        recipe: miner.recipe,
        config: miner.config.clone(),
        board_voltage: miner.board.layout.voltage.default_mv,
        board_frequency: miner.board.layout.frequency.default_mhz,
        frequency_limits: settings
            .first()
            .map_or((LOWEST, LOWEST), ChainSettings::frequency_limits),
        keeper: miner.keeper.clone(),
        pools: commands,
        machine,
        chains: wishes,
        access,
        alerts,
    };
    tasks.spawn(boxed(owner::serve(reach, given)));

    let mut supervisors = JoinSet::new();
    let rooms = settings.iter().zip(statuses).zip(wished);
    for (((settings, status), wish), uart) in rooms.zip(miner.uarts) {
        let wiring = ChainWiring {
            settings: settings.clone(),
            keeper: miner.keeper.clone(),
            jobs: job.clone(),
            shares: shares.clone(),
            status,
            stop: miner.keeper.stop(),
            wish,
        };
        supervisors.spawn(boxed(chain::supervise(wiring, uart)));
    }

    ask_for_power(&miner.keeper, &miner.config).await?;
    // An error means that the keeper is gone, which is a reason to stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
    // Not before: the manager of pools ends with the last of these, and a board that nobody knows has no chain that holds one.
    drop(shares);
    info!("stopping: chains are put into reset");
    if timeout(END_DEADLINE, async {
        while supervisors.join_next().await.is_some() {}
    })
    .await
    .is_err()
    {
        warn!("chains did not end within {END_DEADLINE:?}; the keeper has taken their power");
    }
    tasks.shutdown().await;
    Ok(())
}

/// What the board file sets; a board that nobody knows has no chains to set.
fn board_file(board: &BoardFile) -> Option<OperatingPoint> {
    let layout = &board.layout;
    (!board.chains.is_empty()).then_some(OperatingPoint {
        frequency: layout.frequency.default_mhz,
        voltage: layout.voltage.default_mv,
    })
}

/// Where something is written, by this process or by the keeper.
fn directories(recipe: &Recipe, config: &Config) -> Vec<PathBuf> {
    let configuration = recipe.file.parent().map(Into::into);
    [
        Some("/".into()),
        Some(config.keeper.state_directory.clone()),
        configuration,
        Some(config.api.run_directory.clone()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Voltage first, so that the rail never comes on at another one.
async fn ask_for_power(keeper: &MinerEnd, config: &Config) -> Result<(), MinerError> {
    let ask = async |setting, request| {
        keeper
            .request(request)
            .await
            .map_err(|source| MinerError::Keeper { setting, source })
    };
    if let Some(voltage) = config.chains.voltage {
        ask("chains.voltage", Request::SetVoltage { voltage }).await?;
    }
    ask("power", Request::SetPower { on: true }).await
}

/// Adds up what all chains have done. Pools are given parts of that.
async fn add_up(
    chains: Vec<watch::Receiver<ChainStatus>>,
    hashes: watch::Sender<f64>,
    (mut meter, rate): (RateMeter, watch::Sender<f64>),
) {
    let mut tick = interval(ADD_UP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let sum = chains
            .iter()
            .map(|chain| chain.borrow().counters.hashes)
            .sum();
        hashes.send_replace(sum);
        rate.send_replace(meter.rate(sum, Instant::now()));
    }
}
