//! What a Stratum v2 pool is mined with.

use crate::pool::settings::{StratumSettings, Sv2Channel};
use tokio::sync::watch;

/// One Stratum v2 pool.
#[derive(Clone, Debug)]
pub struct Sv2Settings {
    /// What it has in common with one of Stratum v1. Password, TLS trust and `extranonce_subscribe` mean nothing here.
    pub pool: StratumSettings,
    /// Kind of channels.
    pub channel: Sv2Channel,
    /// Chains of the machine: as many standard channels are opened.
    pub chains: usize,
    /// What the machine does, in hashes a second; 0: unknown.
    pub rate: watch::Receiver<f64>,
}

impl Sv2Settings {
    /// A pool for a machine of one chain that does so many hashes a second.
    pub fn new(pool: StratumSettings, rate: f64) -> Self {
        Self {
            pool,
            channel: Sv2Channel::default(),
            chains: 1,
            rate: watch::channel(rate).1,
        }
    }

    /// Hashes a second that the pool is told: never less than nothing, never more than a number.
    pub fn hash_rate(&self) -> f64 {
        let rate = *self.rate.borrow();
        if rate.is_finite() { rate.max(0.0) } else { 0.0 }
    }
}
