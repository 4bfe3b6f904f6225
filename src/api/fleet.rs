//! Pages by which programs for fleets recognise and read the machine, when its owner wants that: `[fleet]`.
//!
//! pyasic and asic-rs know machines by their makers' own pages and have no kind for a plain cgminer. They read the stock
//! interface of one kind of machine here, whose name the owner has chosen; every value in it is this machine's own, from
//! the Snapshot, and what is unknown is left out. `docs/fleet.md` tells what is claimed and why.

use super::routes::Answer;
use crate::telemetry::{Chain, MachineState, Snapshot, SnapshotSource};
use serde_json::{Value, json};

/// Where the pages are.
pub const PREFIX: &str = "/cgi-bin/";

/// The software, in the words of these pages.
pub const SOFTWARE: &str = concat!("CGMiner-RS ", env!("CARGO_PKG_VERSION"));

/// The page at a path; `None` when there is none, or the owner wants none.
pub fn answer(
    method: &str,
    target: &str,
    model: Option<&str>,
    source: &SnapshotSource,
) -> Option<Answer> {
    let path = target.split('?').next().unwrap_or_default();
    let name = path.strip_prefix(PREFIX)?.strip_suffix(".cgi")?;
    if method != "GET" {
        return None;
    }
    let page = page(name, model?, &source.snapshot())?;
    Some(Answer::json(&page).unwrap_or_else(Answer::from))
}

fn page(name: &str, model: &str, snapshot: &Snapshot) -> Option<Value> {
    let info = json!({
        "miner_version": SOFTWARE,
        "type": model,
    });
    let status = |what: &str| json!({"STATUS": "S", "when": snapshot.unix_time, "Msg": what});
    Some(match name {
        "get_system_info" => json!({
            "minertype": model,
            "hostname": snapshot.machine.host,
            "system_mode": "GNU/Linux",
            "system_kernel_version": snapshot.versions.kernel,
            "system_filesystem_version": SOFTWARE,
            "firmware_type": SOFTWARE,
            "serinum": null,
        }),
        "get_network_info" => json!({"conf_hostname": snapshot.machine.host}),
        "miner_type" => json!({"miner_type": model, "fw_version": SOFTWARE}),
        "get_blink_status" => json!({"blink": snapshot.keeper.locate}),
        "get_miner_conf" => configuration(snapshot),
        "summary" => json!({
            "STATUS": status("summary"),
            "INFO": info,
            "SUMMARY": [known(summary(snapshot))],
        }),
        "stats" => json!({
            "STATUS": status("stats"),
            "INFO": info,
            "STATS": [known(stats(snapshot))],
        }),
        _ => return None,
    })
}

/// Work mode 1 is sleep, which is what these programs take for "does not mine". Passwords are nobody's business.
fn configuration(snapshot: &Snapshot) -> Value {
    let mines = snapshot.machine.state == MachineState::Mining;
    let pools: Vec<Value> = snapshot
        .pools
        .list
        .iter()
        .map(|pool| json!({"url": pool.url, "user": pool.user, "pass": ""}))
        .collect();
    let fixed = snapshot
        .keeper
        .fan_mode
        .as_deref()
        .is_some_and(|mode| mode.starts_with("fixed"));
    let duty = snapshot
        .fans
        .iter()
        .filter_map(|fan| fan.duty)
        .map(|duty| duty.0)
        .fold(0.0, f32::max);
    json!({
        "pools": pools,
        "bitmain-work-mode": if mines { "0" } else { "1" },
        "bitmain-fan-ctrl": fixed,
        "bitmain-fan-pwm": format!("{duty:.0}"),
    })
}

fn summary(snapshot: &Snapshot) -> Value {
    let states = [
        ("rate", problem_of_rate(snapshot)),
        ("network", problem_of_pools(snapshot)),
        ("fans", problem_of_fans(snapshot)),
        ("temp", problem_of_heat(snapshot)),
    ];
    let states = states.map(|(kind, problem)| {
        json!({
            "type": kind,
            "status": if problem.is_none() { "s" } else { "e" },
            "code": 0,
            "msg": problem.unwrap_or_default(),
        })
    });
    let mut rates = rates(snapshot);
    rates["status"] = states.to_vec().into();
    rates["bestshare"] = snapshot.shares.best_difficulty.into();
    let errors: u64 = snapshot
        .chains
        .iter()
        .map(|chain| chain.counters.mismatches)
        .sum();
    rates["hw_all"] = errors.into();
    rates
}

fn stats(snapshot: &Snapshot) -> Value {
    let chain = |chain: &Chain| {
        let temperatures = snapshot
            .temperatures
            .iter()
            .filter(|sensor| sensor.chain == Some(chain.index))
            .filter_map(|sensor| Some(sensor.reading.value()?.0))
            .collect::<Vec<f32>>();
        let chips: Vec<f32> = chain
            .temperature
            .value()
            .map(|celsius| celsius.0)
            .into_iter()
            .collect();
        json!({
            "index": chain.index,
            "freq_avg": chain.frequency,
            "rate_ideal": chain.nominal.map(|rate| rate.0 / 1e9),
            "rate_real": gigahashes(&[chain], 5),
            "asic_num": chain.chips_found,
            "temp_pcb": temperatures,
            "temp_chip": chips,
            "hw": chain.counters.mismatches,
            "sn": null,
        })
    };
    let fans: Vec<Option<u32>> = snapshot
        .fans
        .iter()
        .map(|fan| fan.speed.value().map(|speed| speed.0))
        .collect();
    let mut rates = rates(snapshot);
    rates["chain_num"] = snapshot.chains.len().into();
    rates["fan_num"] = fans.len().into();
    rates["fan"] = json!(fans);
    rates["chain"] = snapshot.chains.iter().map(chain).collect();
    rates
}

fn rates(snapshot: &Snapshot) -> Value {
    let chains: Vec<&Chain> = snapshot.chains.iter().collect();
    json!({
        "elapsed": snapshot.machine.uptime_s as u64,
        "rate_5s": gigahashes(&chains, 5),
        "rate_15m": gigahashes(&chains, 900),
        "rate_ideal": snapshot.hash_rate.nominal.map(|rate| rate.0 / 1e9),
        "rate_unit": "GH/s",
    })
}

/// Without the members that are null, at every depth: pyasic makes a number of whatever is there and gives the machine up at
/// a null, while it leaves alone what is not there. Only a serial number may be null, and must be there for a board to count.
fn known(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(name, value)| name == "sn" || !value.is_null())
            .map(|(name, value)| (name, known(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(known).collect(),
        value => value,
    }
}

/// Hashrate over a window, in GH/s; `None` before the first work.
pub fn gigahashes(chains: &[&Chain], seconds: u64) -> Option<f64> {
    super::rpc::rate_over(chains, seconds).map(|rate| rate / 1e9)
}

fn problem_of_rate(snapshot: &Snapshot) -> Option<String> {
    let mines = snapshot.machine.state == MachineState::Mining;
    (!mines).then(|| snapshot.machine.reason.clone())
}

fn problem_of_pools(snapshot: &Snapshot) -> Option<String> {
    let none = snapshot.pools.active.is_none();
    none.then(|| snapshot.pools.reason.clone())
}

fn problem_of_fans(snapshot: &Snapshot) -> Option<String> {
    let bad = |condition: &str| ["stalled", "slow", "tach_lies", "unread"].contains(&condition);
    let fan = snapshot.fans.iter().find(|fan| bad(&fan.condition))?;
    Some(format!("{} is {}", fan.name, fan.condition))
}

fn problem_of_heat(snapshot: &Snapshot) -> Option<String> {
    let tier = snapshot.keeper.tier.as_deref()?;
    let hot = tier == "hot" || tier == "dangerous";
    hot.then(|| format!("the machine is {tier}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::samples::Rooms;

    const MODEL: &str = "Antminer S19j Pro";

    fn ask(path: &str, model: Option<&str>, source: &SnapshotSource) -> Option<Value> {
        let answer = answer("GET", path, model, source)?;
        Some(serde_json::from_slice(&answer.body).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_no_pages_unless_the_owner_wants_them() {
        let (source, _rooms) = Rooms::at_work();
        let path = "/cgi-bin/get_system_info.cgi";
        assert!(ask(path, None, &source).is_none());
        assert_eq!(ask(path, Some(MODEL), &source).unwrap()["minertype"], MODEL);
        for other in [
            "/cgi-bin/set_miner_conf.cgi",
            "/cgi-bin/../status.cgi",
            "/cgi-bin/",
            "/get_system_info.cgi",
        ] {
            assert!(ask(other, Some(MODEL), &source).is_none(), "{other}");
        }
        assert!(answer("POST", path, Some(MODEL), &source).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn values_are_those_of_the_snapshot_and_passwords_are_not_told() {
        let (source, _rooms) = Rooms::at_work();
        let stats = ask("/cgi-bin/stats.cgi", Some(MODEL), &source).unwrap();
        let chain = &stats["STATS"][0]["chain"][0];
        assert_eq!(chain["asic_num"], 2);
        assert_eq!(chain["temp_pcb"], json!([55.5]));
        assert_eq!(chain["temp_chip"], json!([65.5]));
        assert_eq!(stats["STATS"][0]["fan"], json!([2400]));
        let conf = ask("/cgi-bin/get_miner_conf.cgi", Some(MODEL), &source).unwrap();
        assert_eq!(conf["bitmain-work-mode"], "0");
        assert_eq!(conf["pools"][0]["pass"], "");
        let summary = ask("/cgi-bin/summary.cgi", Some(MODEL), &source).unwrap();
        for state in summary["SUMMARY"][0]["status"].as_array().unwrap() {
            assert_eq!(state["status"], "s", "{state}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_unknown_is_left_out_and_a_machine_at_rest_is_not_called_mining() {
        let (source, _rooms) = Rooms::silent();
        let stats = ask("/cgi-bin/stats.cgi", Some(MODEL), &source).unwrap();
        let machine = &stats["STATS"][0];
        assert!(machine.get("rate_5s").is_none() && machine.get("elapsed").is_some());
        let chain = &machine["chain"][0];
        assert!(chain.get("asic_num").is_none() && chain.get("index").is_some());
        assert_eq!(chain.get("sn"), Some(&Value::Null));
        let conf = ask("/cgi-bin/get_miner_conf.cgi", Some(MODEL), &source).unwrap();
        assert_eq!(conf["bitmain-work-mode"], "1");
        let summary = ask("/cgi-bin/summary.cgi", Some(MODEL), &source).unwrap();
        assert_eq!(summary["SUMMARY"][0]["status"][0]["status"], "e");
    }
}
