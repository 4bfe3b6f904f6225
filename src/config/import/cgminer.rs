//! cgminer.conf: one JSON object, values as texts, numbers or booleans as it came (cgminer 4.11, `write_config`; the
//! `bitmain-` names are those of the makers' firmware).

use super::{BOARDS_LIMITS, Draft, Imported, NO_COUNTERPART, pool};
use serde_json::{Map, Value};

/// Port of the API when none is named.
const API_PORT: u16 = 4028;

pub(super) fn import(values: &Map<String, Value>) -> Imported {
    let mut draft = Draft::new("cgminer");
    for (name, value) in values {
        match name.as_str() {
            "pools" => pools(value, &mut draft),
            "load-balance" | "balance" if is_true(value) => {
                draft.set("pools", "strategy", "load-balance");
            }
            "round-robin" if is_true(value) => draft.set("pools", "strategy", "round-robin"),
            "load-balance" | "balance" | "round-robin" | "api-listen" | "api-network"
                if !is_true(value) => {}
            "failover-only" => draft.drop(
                name,
                "is how it always is here: a worse pool gets no work while a better one works",
            ),
            "api-listen" => api(values, &mut draft),
            // Told of with `api-listen`.
            "api-port" | "api-network" | "api-allow"
                if values.get("api-listen").is_some_and(is_true) => {}
            "bitmain-freq" | "freq" | "bm1387-freq" => match number(value) {
                Some(megahertz) if (25.0..=1500.0).contains(&megahertz) => {
                    draft.set("chains", "frequency", megahertz);
                }
                _ => draft.drop(name, "is no frequency from 25 to 1500 MHz"),
            },
            "bitmain-fan-pwm" => match number(value) {
                _ if !values.get("bitmain-fan-ctrl").is_some_and(is_true) => {
                    draft.drop(name, "fans were not fixed (`bitmain-fan-ctrl` is off): they are automatic here too");
                }
                Some(percent) if (10.0..=100.0).contains(&percent) => {
                    draft.set("cooling", "mode", "fixed");
                    draft.set("cooling", "duty", percent);
                }
                _ => draft.drop(name, "is no duty from 10 to 100 %"),
            },
            "bitmain-voltage" | "bitmain-volt" => draft.drop(
                name,
                "is a code of the maker's supply, no voltage: set `chains.voltage` in millivolts",
            ),
            "temp-cutoff" | "temp-overheat" | "bitmain-cutoff-temp" => {
                draft.drop(name, BOARDS_LIMITS);
            }
            "debug" | "verbose" if is_true(value) => draft.set("log", "level", "debug"),
            "bitmain-fan-ctrl" | "debug" | "verbose" | "quiet" => {}
            _ => draft.drop(name, NO_COUNTERPART),
        }
    }
    draft.finish()
}

fn pools(value: &Value, draft: &mut Draft) {
    let Some(list) = value.as_array() else {
        return draft.drop("pools", "is no list");
    };
    let mut quotas = false;
    for (index, entry) in list.iter().enumerate() {
        let place = format!("pools[{index}]");
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        // `quota` holds both: "2;stratum+tcp://host:port".
        let (quota, url) = match text("quota").and_then(|both| both.split_once(';')) {
            Some((quota, url)) => (quota.parse::<u32>().ok(), Some(url)),
            None => (None, text("url")),
        };
        let Some(url) = url.filter(|url| !url.trim().is_empty()) else {
            draft.drop(place, "has no address");
            continue;
        };
        // The makers' firmware writes marks behind the address.
        let url = url.split('#').next().unwrap_or(url);
        match pool(url, text("user").unwrap_or_default(), text("pass")) {
            Ok(mut pool) => {
                if let Some(quota) = quota {
                    quotas = true;
                    pool.insert("quota".into(), i64::from(quota).into());
                }
                draft.pool(pool);
            }
            Err(reason) => draft.drop(&place, reason),
        }
        for name in entry.as_object().into_iter().flat_map(Map::keys) {
            if !matches!(name.as_str(), "url" | "user" | "pass" | "quota") {
                draft.drop(format!("{place}.{name}"), NO_COUNTERPART);
            }
        }
    }
    if quotas {
        draft.set("pools", "strategy", "quota");
    }
}

fn api(values: &Map<String, Value>, draft: &mut Draft) {
    let port = match values.get("api-port").map(number) {
        None => API_PORT,
        Some(port) => {
            let port = port.filter(|port| (1.0..=65535.0).contains(port));
            if port.is_none() {
                draft.drop("api-port", "is no port; 4028 is taken");
            }
            port.map_or(API_PORT, |port| port as u16)
        }
    };
    let allowed = values.get("api-allow").and_then(Value::as_str);
    let from_elsewhere = values.get("api-network").is_some_and(is_true) || allowed.is_some();
    let address = if from_elsewhere {
        "0.0.0.0"
    } else {
        "127.0.0.1"
    };
    draft.set("rpc", "listen", format!("{address}:{port}"));
    let mut writers = Vec::new();
    for entry in allowed.into_iter().flat_map(|list| list.split(',')) {
        let (group, network) = entry.trim().split_once(':').unwrap_or(("R", entry.trim()));
        let is_network = crate::config::Network::try_from(network.to_owned()).is_ok();
        if group.eq_ignore_ascii_case("w") && is_network {
            writers.push(toml::Value::from(network));
        } else {
            let reason = if is_network {
                "everybody who reaches the address may read: let a firewall keep others out"
            } else {
                "is no network that can be"
            };
            draft.drop(format!("api-allow {entry}"), reason);
        }
    }
    if !writers.is_empty() {
        draft.set("rpc", "writers", writers);
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => matches!(text.as_str(), "true" | "1" | "yes" | "on"),
        _ => false,
    }
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| number.is_finite())
}
