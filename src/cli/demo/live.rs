//! The demo's live lines: what the machine says of itself, every two seconds.
//!
//! It is asked through its local socket, as `status` does: the miner may be another process.

use super::companion::Scene;
use super::pool::DemoPoolStats;
use crate::api::local;
use crate::cli::table::{hash_rate, inert, print};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// Between two lines.
const PERIOD: Duration = Duration::from_secs(2);
/// Between two tries to reach a machine that does not answer yet.
const RETRY: Duration = Duration::from_millis(250);
/// What is asked for.
const STATUS: &str = "/api/v1/status";

/// Prints until dropped.
pub async fn show(scene: Scene, pool: watch::Receiver<DemoPoolStats>) {
    say(&format!(
        "cgminer-rs {}: demo on an emulated L7, 3 x 126 chips, real double SHA-256 at a declared {} \
         instead of 32 hard-wired zero bits.\nThe pool is a demo pool inside this program: it pays nobody. Ctrl-C ends.\n",
        env!("CARGO_PKG_VERSION"),
        scene.zero_bits,
    ));
    while ask(&scene).await.is_none() {
        tokio::time::sleep(RETRY).await;
    }
    say(&format!("status: http://{}{STATUS}\n", scene.api));
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // A miner that is being started again is silent for a moment; the log says why.
        if let Some(status) = ask(&scene).await {
            say(&line(&status, &pool.borrow()));
        }
    }
}

/// The machine's status; none while it does not answer.
async fn ask(scene: &Scene) -> Option<Value> {
    let directory = scene.run_directory.clone();
    let asking = tokio::task::spawn_blocking(move || local::get(&directory, STATUS));
    serde_json::from_slice(&asking.await.ok()?.ok()?).ok()
}

/// A closed pipe must not end the machine.
fn say(text: &str) {
    let _ = print(text);
}

fn line(status: &Value, pool: &DemoPoolStats) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let minute = list(&status["hash_rate"]["windows"])
        .iter()
        .find(|window| window["window_s"] == 60)
        .and_then(|window| window["rate"].as_f64());
    let rate = minute.map_or_else(|| "-".into(), hash_rate);
    let chips: u64 = list(&status["chains"])
        .iter()
        .filter_map(|chain| chain["chips_found"].as_u64())
        .sum();
    let hottest = list(&status["temperatures"])
        .iter()
        .filter_map(|sensor| sensor["reading"]["value"].as_f64())
        .fold(None, |hottest: Option<f64>, celsius| {
            Some(hottest.map_or(celsius, |hottest| hottest.max(celsius)))
        });
    let hottest = hottest.map_or_else(|| "-".into(), |celsius| format!("{celsius:.1} C"));
    let machine = &status["machine"];
    let state = match machine["state"].as_str() {
        Some("mining") => "mining".to_owned(),
        _ => inert(machine["reason"].as_str().unwrap_or("-")),
    };
    format!(
        "{:>5.0} s  {rate:>11} (1 min)  accepted {}  rejected {}  blocks {}  chips {chips}  {hottest}  {state}\n",
        machine["uptime_s"].as_f64().unwrap_or_default(),
        status["shares"]["accepted"],
        status["shares"]["rejected"]["total"],
        pool.blocks,
    )
}
