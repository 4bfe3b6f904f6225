//! Sources of jobs, out of the owner's settings.

use crate::config::{Config, PoolAddress, PoolSection};
use crate::pool::connection::{Connector, DirectConnector};
use crate::pool::manager::ConfiguredSource;
use crate::pool::proxy::{Credentials, ProxySettings};
use crate::pool::route;
use crate::pool::settings::{Place, StratumSettings};
use crate::pool::solo::rpc::RpcAuth;
use crate::pool::solo::{SoloSettings, SoloSource};
use crate::pool::source::JobSource;
use crate::pool::stratum::StratumSource;
#[cfg(feature = "sv2")]
use crate::pool::sv2::{settings::Sv2Settings, source::Sv2Source};
use crate::pool::trust::Trust;
use crate::pool::url::PoolUrl;
#[cfg(feature = "sv2")]
use crate::pool::url::Transport;
use crate::work::Difficulty;
use std::sync::Arc;
use tokio::sync::watch;

/// What sources are told of the machine that they are for.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Hashes a second.
    pub hash_rate: watch::Receiver<f64>,
    /// Chains, each of which needs work of its own.
    pub chains: usize,
}

impl Machine {
    /// A machine of one chain that does so many hashes a second.
    pub fn of_one_chain(hash_rate: f64) -> Self {
        Self {
            hash_rate: watch::channel(hash_rate).1,
            chains: 1,
        }
    }
}

/// Every pool of the configuration, in its order. Each gets its own seed, so that back-offs differ.
pub fn configured_sources(config: &Config, machine: &Machine) -> Vec<ConfiguredSource> {
    let connector: Arc<dyn Connector> = Arc::new(DirectConnector::system());
    config
        .pool
        .iter()
        .map(|pool| ConfiguredSource {
            source: source(pool, &connector, machine),
            place: Place {
                group: pool.group,
                quota: pool.quota,
                enabled: pool.enabled,
            },
            name: pool.name.clone(),
        })
        .collect()
}

#[cfg_attr(
    not(feature = "sv2"),
    expect(unused_variables, reason = "Stratum v2 alone asks for the machine")
)]
fn source(
    pool: &PoolSection,
    connector: &Arc<dyn Connector>,
    machine: &Machine,
) -> Box<dyn JobSource> {
    let seed = fastrand::u64(..);
    match &pool.url {
        PoolAddress::Stratum(url) => {
            let settings = stratum_settings(pool, url);
            let connector = route::connector(Arc::clone(connector), &settings);
            #[cfg(feature = "sv2")]
            if url.transport == Transport::Noise {
                let settings = sv2_settings(pool, settings, machine);
                return Box::new(Sv2Source::new(settings, connector, seed));
            }
            // A build without Stratum v2 has no way to such a pool, and its connector says so.
            Box::new(StratumSource::new(settings, connector, seed))
        }
        PoolAddress::Node { host, port } => {
            let auth = match &pool.cookie_file {
                Some(path) => RpcAuth::Cookie(path.clone()),
                None => RpcAuth::Password {
                    user: pool.user.clone(),
                    password: pool.password.expose().to_owned(),
                },
            };
            let payout = pool.payout_address.as_deref().unwrap_or_default();
            let mut settings = SoloSettings::new(host.clone(), *port, auth, payout);
            if let Some(difficulty) = pool.suggest_difficulty.and_then(Difficulty::new) {
                settings.share_difficulty = difficulty;
            }
            if !pool.version_rolling {
                settings.version_mask = 0;
            }
            Box::new(SoloSource::new(settings, Arc::clone(connector), seed))
        }
    }
}

/// What a section says about a Stratum pool.
pub fn stratum_settings(pool: &PoolSection, url: &PoolUrl) -> StratumSettings {
    StratumSettings {
        trust: trust(pool),
        proxy: proxy(pool),
        version_rolling: pool.version_rolling,
        suggest_difficulty: pool.suggest_difficulty.and_then(Difficulty::new),
        extranonce_subscribe: pool.extranonce_subscribe,
        ..StratumSettings::new(url.clone(), &pool.user, pool.password.expose())
    }
}

/// What a Stratum v2 pool is mined with on this machine.
#[cfg(feature = "sv2")]
pub fn sv2_settings(
    section: &PoolSection,
    pool: StratumSettings,
    machine: &Machine,
) -> Sv2Settings {
    Sv2Settings {
        pool,
        channel: section.sv2_channel.unwrap_or_default(),
        chains: machine.chains,
        rate: machine.hash_rate.clone(),
    }
}

fn trust(pool: &PoolSection) -> Trust {
    match (&pool.ca_file, pool.tls_pin) {
        (_, Some(pin)) => Trust::Certificate(pin),
        (Some(path), None) => Trust::Authorities(path.clone()),
        (None, None) => Trust::PublicRoots,
    }
}

fn proxy(pool: &PoolSection) -> Option<ProxySettings> {
    let credentials = (!pool.proxy_user.is_empty()).then(|| Credentials {
        user: pool.proxy_user.clone(),
        password: pool.proxy_password.expose().to_owned(),
    });
    pool.proxy
        .clone()
        .map(|url| ProxySettings { url, credentials })
}
