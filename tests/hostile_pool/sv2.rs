//! Hostile pools of Stratum v2. The pool's end is made of the reference implementation's crates.

mod edge_cases;
mod faults;
mod idle;
mod server;
mod wire;

use super::net::Net;
use cgminer_rs::pool::clock::WallClock;
use cgminer_rs::pool::manager::ConfiguredSource;
use cgminer_rs::pool::settings::{Place, StratumSettings, Sv2Channel};
use cgminer_rs::pool::sv2::link::NoiseConnector;
use cgminer_rs::pool::sv2::settings::Sv2Settings;
use cgminer_rs::pool::sv2::source::Sv2Source;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// 2027-01-15, whatever this machine's clock says.
pub const NOW: u64 = 1_800_000_000;

/// Hash rates of machines by the pool's address, for tests that change them.
static RATES: Mutex<Vec<(String, watch::Receiver<f64>)>> = Mutex::new(Vec::new());

/// Lets the machine at this pool do as many hashes a second as the receiver says.
pub fn set_rate(url: &str, rate: watch::Receiver<f64>) {
    RATES.lock().unwrap().push((url.to_owned(), rate));
}

/// A source over this network, with Noise.
pub fn source(net: &Net, pool: StratumSettings, place: Place, seed: u64) -> ConfiguredSource {
    let clock = WallClock::new(|| Duration::from_secs(NOW));
    let connector = NoiseConnector::with_clock(net.connector(), clock);
    let rate = RATES
        .lock()
        .unwrap()
        .iter()
        .find(|(url, _)| *url == pool.url.to_string())
        .map_or_else(
            || watch::channel(super::miner::RATE).1,
            |(_, rate)| rate.clone(),
        );
    let settings = Sv2Settings {
        channel: if pool.user.starts_with("standard") {
            Sv2Channel::Standard
        } else {
            Sv2Channel::Extended
        },
        pool,
        chains: 2,
        rate,
    };
    ConfiguredSource {
        source: Box::new(Sv2Source::new(settings, Arc::new(connector), seed)),
        place,
        name: None,
    }
}
