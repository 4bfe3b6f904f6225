//! The demo's live lines: what the Snapshot says, every two seconds.

use super::pool::DemoPoolStats;
use crate::cli::single::OpenedReceiver;
use crate::cli::table::{hash_rate, print};
use crate::telemetry::Snapshot;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// Between two lines.
const PERIOD: Duration = Duration::from_secs(2);

/// Prints until dropped.
pub async fn show(
    mut opening: OpenedReceiver,
    pool: watch::Receiver<DemoPoolStats>,
    hardwired_zero_bits: u8,
) {
    say(&format!(
        "cgminer-rs {}: demo on an emulated L7, 3 x 126 chips, real double SHA-256 at a declared {hardwired_zero_bits} \
         instead of 32 hard-wired zero bits.\nThe pool is a demo pool inside this program: it pays nobody. Ctrl-C ends.\n",
        env!("CARGO_PKG_VERSION"),
    ));
    let Some(opened) = opening.recv().await else {
        return;
    };
    if let Some(address) = opened.address {
        say(&format!("status: http://{address}/api/v1/status\n"));
    }
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        say(&line(&opened.snapshots.snapshot(), &pool.borrow()));
    }
}

/// A closed pipe must not end the machine.
fn say(text: &str) {
    let _ = print(text);
}

fn line(snapshot: &Snapshot, pool: &DemoPoolStats) -> String {
    let minute = snapshot
        .hash_rate
        .windows
        .iter()
        .find(|window| window.window_s == 60)
        .map(|window| window.rate);
    let rate = minute.map_or_else(|| "-".into(), |rate| hash_rate(rate.0));
    let chips: u32 = snapshot
        .chains
        .iter()
        .filter_map(|chain| chain.chips_found)
        .map(u32::from)
        .sum();
    let hottest = snapshot
        .temperatures
        .iter()
        .filter_map(|sensor| sensor.reading.value().copied())
        .map(|celsius| celsius.0)
        .fold(None, |hottest: Option<f32>, celsius| {
            Some(hottest.map_or(celsius, |hottest| hottest.max(celsius)))
        });
    let hottest = hottest.map_or_else(|| "-".into(), |celsius| format!("{celsius:.1} C"));
    let state = match snapshot.machine.state {
        crate::telemetry::MachineState::Mining => "mining".to_owned(),
        _ => snapshot.machine.reason.clone(),
    };
    format!(
        "{:>5.0} s  {rate:>11} (1 min)  accepted {}  rejected {}  blocks {}  chips {chips}  {hottest}  {state}\n",
        snapshot.machine.uptime_s,
        snapshot.shares.accepted,
        snapshot.shares.rejected.total,
        pool.blocks,
    )
}
