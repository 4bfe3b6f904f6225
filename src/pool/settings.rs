//! What an owner can set about pools.

use super::proxy::ProxySettings;
use super::trust::Trust;
use super::url::PoolUrl;
use crate::work::Difficulty;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// One Stratum v1 pool.
#[derive(Clone)]
pub struct StratumSettings {
    /// Where it is.
    pub url: PoolUrl,
    /// User or payout address, with or without a worker name.
    pub user: String,
    /// Password; pools read wishes from it (`d=1000`).
    pub password: String,
    /// Ask for version rolling (BIP 310). Off for a pool that is upset by `mining.configure`.
    pub version_rolling: bool,
    /// Difficulty to suggest after the handshake; `None`: none is suggested.
    pub suggest_difficulty: Option<Difficulty>,
    /// Send `mining.extranonce.subscribe`. Off by default: some pools hang up on it.
    pub extranonce_subscribe: bool,
    /// How a pool over TLS proves who it is.
    pub trust: Trust,
    /// Who connects to the pool for us; `None`: nobody.
    pub proxy: Option<ProxySettings>,
    /// How long each step may take.
    pub deadlines: Deadlines,
}

impl StratumSettings {
    /// A pool with everything else at its default.
    pub fn new(url: PoolUrl, user: &str, password: &str) -> Self {
        Self {
            url,
            user: user.to_owned(),
            password: password.to_owned(),
            version_rolling: true,
            suggest_difficulty: None,
            extranonce_subscribe: false,
            trust: Trust::default(),
            proxy: None,
            deadlines: Deadlines::default(),
        }
    }
}

/// Without the password, for logs.
impl fmt::Debug for StratumSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StratumSettings")
            .field("url", &self.url)
            .field("user", &self.user)
            .field("version_rolling", &self.version_rolling)
            .field("suggest_difficulty", &self.suggest_difficulty)
            .field("extranonce_subscribe", &self.extranonce_subscribe)
            .field("trust", &self.trust)
            .field("proxy", &self.proxy)
            .field("deadlines", &self.deadlines)
            .finish_non_exhaustive()
    }
}

/// How long each step with a pool may take before it counts as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// One name look-up.
    pub resolve: Duration,
    /// One TCP connection to one address.
    pub connect: Duration,
    /// All addresses of one try together, look-up included.
    pub connect_all: Duration,
    /// A proxy's way to the pool, on top of that; Tor may take long to build one.
    pub proxy: Duration,
    /// The TLS handshake, on top of that.
    pub tls: Duration,
    /// The Noise handshake, instead of that.
    pub noise: Duration,
    /// Answer to `mining.configure`; past it the session goes on without version rolling.
    pub configure: Duration,
    /// Answer to `mining.subscribe`.
    pub subscribe: Duration,
    /// Answer to `mining.authorize`; past it the session goes on if the pool has sent a job.
    pub authorize: Duration,
    /// First job after the handshake.
    pub first_job: Duration,
    /// From one job to the next.
    pub next_job: Duration,
    /// From one complete line, of any kind, to the next.
    pub silence: Duration,
    /// Instead of both, while the pool is not worked for.
    pub idle: Duration,
    /// Answer to a submitted share.
    pub submit_reply: Duration,
    /// One write to the connection.
    pub write: Duration,
}

impl Deadlines {
    /// From nothing to a stream that can be talked over.
    pub fn whole_connect(&self) -> Duration {
        self.connect_all + self.proxy + self.tls.max(self.noise)
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            resolve: seconds(5),
            connect: seconds(5),
            connect_all: seconds(20),
            proxy: seconds(30),
            tls: seconds(10),
            noise: seconds(10),
            configure: seconds(3),
            subscribe: seconds(10),
            authorize: seconds(10),
            first_job: seconds(30),
            next_job: seconds(180),
            silence: seconds(120),
            idle: seconds(3600),
            submit_reply: seconds(30),
            write: seconds(10),
        }
    }
}

/// Which kind of channels a Stratum v2 pool is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sv2Channel {
    /// One for the whole machine, which makes its own merkle roots.
    #[default]
    Extended,
    /// One for each chain, each with the merkle roots that the pool makes.
    Standard,
}

/// How the pool to work for is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrategyKind {
    /// The first pool that works; back to a better one when it has held out for a while.
    #[default]
    Failover,
    /// Each pool in turn for the same amount of work, moving on when it is done or the pool fails.
    RoundRobin,
    /// Equal parts of the work to all pools at once.
    LoadBalance,
    /// Parts of the work by each pool's quota.
    Quota,
    /// Parts of the work by each group's quota; inside a group, failover.
    Groups,
}

impl StrategyKind {
    /// Its name in configuration and status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::RoundRobin => "round-robin",
            Self::LoadBalance => "load-balance",
            Self::Quota => "quota",
            Self::Groups => "groups",
        }
    }
}

impl StrategyKind {
    /// Whether one pool can be put before the others by hand. Where each has its part of the work, none comes first.
    pub fn has_a_first(self) -> bool {
        match self {
            Self::Failover | Self::RoundRobin | Self::Groups => true,
            Self::LoadBalance | Self::Quota => false,
        }
    }
}

/// A pool's place in the strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Group it belongs to, from 0; matters to `Groups` alone.
    pub group: u8,
    /// Part of the work: of the pool (`Quota`), or of its group, where the group's first pool
    /// decides (`Groups`). 0: only when no other works.
    pub quota: u32,
    /// A pool that is switched off keeps its place and its numbers.
    pub enabled: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            group: 0,
            quota: 1,
            enabled: true,
        }
    }
}
