//! Carries out what the owner orders, and follows the configuration's files while the machine runs.
//!
//! One task, one order after another. A change is all or nothing: the whole configuration is checked, the keeper is asked for
//! what is the keeper's, the file is written, and only then pools and doors get their new settings.

pub mod backup;
mod settings;
mod tokens;
mod trial;

pub use settings::Settings;

use crate::api::access::Access;
use crate::api::orders::{Fields, Given, Order, Outcome};
use crate::api::{Failure, NO_DEVICE, NO_POOL};
use crate::config::{Config, Edit, Recipe};
use crate::link::{LinkError, MinerEnd, Request};
use crate::miner::notify;
use crate::miner::sources::Machine;
use crate::pool::manager::Command;
use crate::updates;
use cgminer_hal::task::boxed;
use cgminer_hal::units::{Megahertz, Millivolts};
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long the rail may take to go off in a restart before it is asked for again all the same.
const OFF_WITHIN: Duration = Duration::from_secs(30);

/// What the owner wants of one chain, besides the configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChainWish {
    /// Whether it may run.
    pub enabled: bool,
    /// Restarts asked for since the start.
    pub restarts: u64,
    /// Clock to hash at, before the keeper's throttle; none: that of the start.
    pub frequency: Option<Megahertz>,
}

impl Default for ChainWish {
    fn default() -> Self {
        Self {
            enabled: true,
            restarts: 0,
            frequency: None,
        }
    }
}

/// What an owner's orders reach.
pub struct Reach {
    /// Where the configuration comes from.
    pub recipe: Recipe,
    /// The configuration that this miner was started with.
    pub config: Config,
    /// Voltage of the supply when the configuration names none.
    pub board_voltage: Millivolts,
    /// Clock of the chips when the configuration names none, and between which it may be.
    pub board_frequency: Megahertz,
    /// Lowest and highest clock that the chips may be given.
    pub frequency_limits: (Megahertz, Megahertz),
    /// The process that owns power and fans.
    pub keeper: MinerEnd,
    /// The manager of pools.
    pub pools: mpsc::Sender<Command>,
    /// What sources of jobs know of the machine.
    pub machine: Machine,
    /// Each chain.
    pub chains: Vec<watch::Sender<ChainWish>>,
    /// The doors.
    pub access: watch::Sender<Arc<Access>>,
    /// Who sends alerts.
    pub alerts: watch::Sender<Arc<notify::Settings>>,
}

/// Carries orders out until dropped.
pub async fn serve(reach: Reach, mut orders: mpsc::Receiver<Given>) {
    let mut owner = Owner {
        settings: Settings::new(&reach),
        keeper: reach.keeper,
        pools: reach.pools,
        chains: reach.chains,
        trials: trial::Trials::default(),
    };
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            given = orders.recv() => match given {
                Some(given) => owner.carry_out(given).await,
                None => std::future::pending().await,
            },
            _ = tick.tick() => {
                owner.settings.follow_files().await;
                owner.settings.follow_lines().await;
            }
        }
    }
}

struct Owner {
    settings: Settings,
    keeper: MinerEnd,
    pools: mpsc::Sender<Command>,
    chains: Vec<watch::Sender<ChainWish>>,
    trials: trial::Trials,
}

impl Owner {
    async fn carry_out(&mut self, given: Given) {
        let pool = match &given.order {
            Order::TestPool(fields) => Some(trial::described(fields)),
            Order::TestConfiguredPool(index) => {
                let pool = self.settings.config().pool.get(*index).cloned();
                Some(pool.ok_or(NO_POOL))
            }
            _ => None,
        };
        if let Some(pool) = pool {
            return self.trials.begin(pool, given);
        }
        let Given { order, by, reply } = given;
        if order == Order::ReadFirmware {
            // Beside the others: the updater may think for a while.
            let directory = self.settings.run_directory();
            tokio::spawn(boxed(async move {
                let _ = reply.send(firmware(directory).await);
            }));
            return;
        }
        let reads = matches!(
            order,
            Order::ReadConfig | Order::CheckConfig(_) | Order::Backup | Order::ListTokens
        );
        // Texts and fields may hold secrets: the log gets the name alone.
        let name = name_of(&order);
        let outcome = self.outcome(order).await;
        match &outcome {
            Ok(_) if reads => {}
            Ok(_) => tracing::info!(by, "{name}: done"),
            Err(failure) => tracing::warn!(by, code = failure.code, "{name}: not done"),
        }
        // Who asked may have gone.
        let _ = reply.send(outcome);
    }

    async fn outcome(&mut self, order: Order) -> Outcome {
        match order {
            Order::Start => self.ask(Request::SetPower { on: true }).await,
            Order::Stop => self.ask(Request::SetPower { on: false }).await,
            Order::Restart => self.restart().await,
            Order::ClearLatch => self.ask(Request::ClearLatch).await,
            Order::Pause => self.tell_pools(Command::Pause(true)).await,
            Order::Resume => self.tell_pools(Command::Pause(false)).await,
            Order::Locate(on) => self.ask(Request::Locate { on }).await,
            Order::RestartChain(chain) => self.wish(chain, |wish| wish.restarts += 1),
            Order::EnableChain(chain, enabled) => self.wish(chain, |wish| wish.enabled = enabled),
            Order::ChangeChain(chain, frequency) => {
                let frequency = self.settings.frequency(frequency)?;
                self.wish(chain, |wish| wish.frequency = Some(frequency))
            }
            // These take long, and are carried out beside the others.
            Order::TestPool(_) | Order::TestConfiguredPool(_) => Err(trial::BUSY),
            Order::ReadFirmware => firmware(self.settings.run_directory()).await,
            Order::SwitchPool(index) => {
                can_switch(self.settings.config(), index)?;
                self.tell_pools(Command::Prefer(index)).await
            }
            Order::AddPool(fields) => {
                let entry = fields
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?)))
                    .collect();
                let section = "pool";
                self.settings
                    .change(&[Edit::Append { section, entry }])
                    .await
            }
            Order::ChangePool(index, fields) => {
                self.settings
                    .change(&edits("pool", Some(index), fields))
                    .await
            }
            Order::EnablePool(index, enabled) => {
                let fields = vec![("enabled".to_owned(), Some(enabled.into()))];
                self.settings
                    .change(&edits("pool", Some(index), fields))
                    .await
            }
            Order::RemovePool(index) => {
                let section = "pool";
                self.settings
                    .change(&[Edit::Remove { section, index }])
                    .await
            }
            Order::ArrangePools(order) => {
                let edits = arrangement(&order, self.settings.config().pool.len())?;
                self.settings.change(&edits).await
            }
            Order::Fans(fields) => self.settings.change(&edits("cooling", None, fields)).await,
            Order::Supply(voltage) => {
                let fields = vec![("voltage".to_owned(), Some(i64::from(voltage).into()))];
                self.settings.change(&edits("chains", None, fields)).await
            }
            Order::ReadConfig => self.settings.read().await,
            Order::CheckConfig(text) => self.settings.check(&text).await,
            Order::ReplaceConfig(text) | Order::Restore(text) => self.settings.replace(text).await,
            Order::ReloadConfig => self.settings.reload().await,
            Order::Backup => self.settings.backup().await,
            Order::ListTokens => Ok(self.settings.tokens()),
            Order::ClaimToken => self.settings.claim_token().await,
            Order::CreateToken(name, role) => self.settings.create_token(&name, role).await,
            Order::RevokeToken(name) => self.settings.revoke_token(&name).await,
            Order::RotateToken(name) => self.settings.rotate_token(&name).await,
        }
    }

    async fn ask(&self, request: Request) -> Outcome {
        self.keeper.request(request).await.map_err(refused)?;
        Ok(done())
    }

    async fn tell_pools(&self, command: Command) -> Outcome {
        let told = self.pools.send(command).await;
        told.map(|()| done()).map_err(|_| NO_ROOM)
    }

    fn wish(&self, chain: u8, change: impl FnOnce(&mut ChainWish)) -> Outcome {
        let wish = self.chains.get(usize::from(chain)).ok_or(NO_DEVICE)?;
        wish.send_modify(change);
        Ok(done())
    }

    /// The answer comes when the power is asked off; the rest takes as long as a machine takes.
    async fn restart(&self) -> Outcome {
        self.ask(Request::SetPower { on: false }).await?;
        let keeper = self.keeper.clone();
        tokio::spawn(boxed(async move {
            let mut status = keeper.status();
            let off = status.wait_for(|status| {
                status
                    .as_ref()
                    .is_some_and(|status| !status.state.may_power())
            });
            // One that stays on is asked to be on, which is no harm.
            let _ = timeout(OFF_WITHIN, off).await;
            if let Err(error) = keeper.request(Request::SetPower { on: true }).await {
                tracing::error!(%error, "the power cannot be asked for again after a restart");
            }
        }));
        Ok(done())
    }
}

/// A switch that would change nothing is no success.
fn can_switch(config: &Config, index: usize) -> Result<(), Failure> {
    let pool = config.pool.get(index).ok_or(NO_POOL)?;
    let strategy = config.pools.strategy;
    if !strategy.has_a_first() {
        let name = strategy.name();
        return Err(Failure::told(
            409,
            "no_first_pool",
            format!(
                "with the strategy {name} each pool has its part of the work, and none comes first"
            ),
            "set the pools' quotas, switch others off, or set another `pools.strategy`",
        ));
    }
    if !pool.enabled {
        return Err(Failure::new(
            409,
            "switched_off",
            "this pool is switched off",
            "switch it on first",
        ));
    }
    Ok(())
}

fn edits(section: &'static str, index: Option<usize>, fields: Fields) -> Vec<Edit> {
    fields
        .into_iter()
        .map(|(name, value)| match value {
            Some(value) => Edit::Set {
                section,
                index,
                name,
                value,
            },
            None => Edit::Unset {
                section,
                index,
                name,
            },
        })
        .collect()
}

/// Exchanges that bring the pools into this order.
fn arrangement(order: &[usize], pools: usize) -> Result<Vec<Edit>, Failure> {
    let section = "pool";
    let mut places: Vec<usize> = (0..pools).collect();
    let mut edits = Vec::new();
    if order.len() != pools {
        return Err(NO_POOL);
    }
    for (first, wanted) in order.iter().enumerate() {
        let found = places.iter().position(|pool| pool == wanted);
        let second = found.filter(|at| *at >= first).ok_or(NO_POOL)?;
        if second != first {
            places.swap(first, second);
            edits.push(Edit::Exchange {
                section,
                first,
                second,
            });
        }
    }
    Ok(edits)
}

/// What the keeper's process knows of the image.
async fn firmware(run_directory: PathBuf) -> Outcome {
    let told = spawn_blocking(move || updates::status(&run_directory)).await;
    let status = told.map_err(io::Error::other).and_then(|status| status);
    status
        .and_then(|status| Ok(serde_json::to_value(status)?))
        .map_err(|error| {
            Failure::told(
                503,
                "not_done",
                format!("the firmware's status cannot be had: {error}"),
                "ask again in some seconds; the log tells more",
            )
        })
}

fn name_of(order: &Order) -> String {
    let text = format!("{order:?}");
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric());
    text.get(..end.unwrap_or(text.len()))
        .unwrap_or_default()
        .to_owned()
}

fn done() -> Value {
    json!({"done": true})
}

/// The keeper's answer, as the one who ordered hears it.
fn refused(error: LinkError) -> Failure {
    match error {
        LinkError::Refused(refusal) => Failure::told(
            409,
            "refused",
            refusal.to_string(),
            "stay within the board's limits, or wait for another state",
        ),
        error => Failure::told(
            503,
            "not_done",
            error.to_string(),
            "look at the status; the log tells more",
        ),
    }
}

const NO_ROOM: Failure = Failure::new(
    503,
    "not_done",
    "the pools' manager is gone",
    "look into the log",
);

#[cfg(test)]
mod tests;
