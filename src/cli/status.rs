//! `status`: tells what the running machine does, from its local socket.

use super::Failure;
use super::options::Options;
use super::table::{columns, duration, hash_rate, inert, print};
use crate::api::local;
use lexopt::Arg::Long;
use serde_json::Value;
use std::fmt::Write;

/// Asks the machine, and writes its answer for people or as it is.
pub fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    let mut options = Options::default();
    let mut json = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") => json = true,
            other => {
                let flag = Options::flag(other)?;
                options.take(flag, parser.value()?)?;
            }
        }
    }
    let directory = options.load()?.config.api.run_directory;
    let answer = local::get(&directory, "/api/v1/status")?;
    if json {
        let mut text = String::from_utf8_lossy(&answer).into_owned();
        text.push('\n');
        return print(&text);
    }
    let status: Value = serde_json::from_slice(&answer)
        .map_err(|error| Failure::Other(format!("the machine's answer is no JSON: {error}")))?;
    print(&describe(&status))
}

/// The machine in a screenful.
pub(super) fn describe(status: &Value) -> String {
    let mut text = String::new();
    let machine = &status["machine"];
    let emulated = if machine["emulated"] == true {
        " (emulated)"
    } else {
        ""
    };
    let mut line = |label: &str, content: String| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{label:<11}{content}");
    };
    line(
        "machine",
        format!(
            "{}{emulated}, up {}",
            word(&machine["board"]),
            seconds(&machine["uptime_s"])
        ),
    );
    line(
        "state",
        format!("{}: {}", word(&machine["state"]), word(&machine["reason"])),
    );
    line(
        "keeper",
        format!(
            "{}: {}",
            word(&status["keeper"]["state"]),
            word(&status["keeper"]["reason"])
        ),
    );
    line("hashrate", rates(&status["hash_rate"]["windows"]));
    line("nominal", rate(&status["hash_rate"]["nominal"]));
    line("efficiency", measured(&status["efficiency"]));
    line("shares", shares(&status["shares"]));
    line("supply", supply(&status["supply"]));
    text.push('\n');
    for (headline, rows) in [
        (
            &[
                "chain",
                "phase",
                "chips",
                "MHz",
                "hashrate 1 min",
                "nominal",
                "C",
                "errors",
            ][..],
            chains(status),
        ),
        (&["fan", "duty", "speed", "condition"][..], fans(status)),
        (
            &[
                "pool",
                "phase",
                "accepted",
                "rejected",
                "difficulty",
                "address",
                "last error",
            ][..],
            pools(status),
        ),
    ] {
        let mut table = vec![headline.iter().map(|&cell| cell.to_owned()).collect()];
        table.extend(rows);
        text.push_str(&columns(&table));
        text.push('\n');
    }
    text.pop();
    text
}

fn chains(status: &Value) -> Vec<Vec<String>> {
    each(&status["chains"], |chain| {
        let counters = &chain["counters"];
        vec![
            word(&chain["index"]),
            word(&chain["phase"]),
            format!(
                "{}/{}",
                word(&chain["chips_found"]),
                word(&chain["chips_expected"])
            ),
            number(&chain["frequency"], 1),
            rate(&chain["hash_rate"][1]["rate"]),
            rate(&chain["nominal"]),
            number(&chain["temperature"]["value"], 1),
            word(&counters["mismatches"]),
        ]
    })
}

fn fans(status: &Value) -> Vec<Vec<String>> {
    each(&status["fans"], |fan| {
        let duty = format!("{} %", number(&fan["duty"], 0));
        vec![
            word(&fan["name"]),
            duty,
            measured(&fan["speed"]),
            word(&fan["condition"]),
        ]
    })
}

fn pools(status: &Value) -> Vec<Vec<String>> {
    each(&status["pools"]["list"], |pool| {
        let mark = if pool["active"] == true { "*" } else { "" };
        vec![
            format!("{}{mark}", word(&pool["index"])),
            word(&pool["phase"]),
            word(&pool["shares"]["accepted"]),
            word(&pool["shares"]["rejected"]["total"]),
            number(&pool["difficulty"], 0),
            word(&pool["url"]),
            word(&pool["last_error"]),
        ]
    })
}

fn shares(shares: &Value) -> String {
    format!(
        "{} accepted, {} rejected ({} %), {} stale, {} unanswered",
        word(&shares["accepted"]),
        word(&shares["rejected"]["total"]),
        number(&shares["rejected_percent"], 2),
        word(&shares["stale"]),
        word(&shares["unanswered"]),
    )
}

fn supply(supply: &Value) -> String {
    if supply.is_null() {
        return "unknown".into();
    }
    let power = if supply["wanted_on"] == true {
        "on"
    } else {
        "off"
    };
    format!(
        "{power}, {}, {}",
        measured(&supply["voltage"]),
        measured(&supply["power"])
    )
}

fn rates(windows: &Value) -> String {
    let names = ["5 s", "1 min", "5 min", "15 min", "1 h", "24 h"];
    let windows = windows.as_array().map(Vec::as_slice).unwrap_or_default();
    if windows.is_empty() {
        return "no work yet".into();
    }
    let one = |(name, window): (&str, &Value)| {
        let settling = if window["settling"] == true {
            " (settling)"
        } else {
            ""
        };
        let band = match (window["lower"].as_f64(), window["upper"].as_f64()) {
            (Some(lower), Some(upper)) => {
                format!(" [{} to {}]", hash_rate(lower), hash_rate(upper))
            }
            _ => String::new(),
        };
        format!("{name}: {}{band}{settling}", rate(&window["rate"]))
    };
    names
        .into_iter()
        .zip(windows)
        .map(one)
        .collect::<Vec<_>>()
        .join("\n           ")
}

fn rate(value: &Value) -> String {
    value.as_f64().map_or("unknown".into(), hash_rate)
}

/// A measured value with its unit, or why there is none.
fn measured(value: &Value) -> String {
    match value["value"].as_f64() {
        Some(number) => format!("{number:.1} {}", word(&value["unit"])),
        None => format!("unknown ({})", word(&value["reason"])),
    }
}

fn number(value: &Value, decimals: usize) -> String {
    value
        .as_f64()
        .map_or("-".into(), |number| format!("{number:.decimals$}"))
}

fn seconds(value: &Value) -> String {
    value.as_f64().map_or("-".into(), duration)
}

pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => inert(text),
        other => other.to_string(),
    }
}

pub(super) fn each(list: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    list.as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .map(row)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_is_unknown_is_said_to_be() {
        let text = describe(&json!({
            "machine": {"board": "l7", "emulated": true, "state": "starting", "uptime_s": 3.2},
            "efficiency": {"value": null, "unit": "J/TH", "reason": "the power is not measured"},
            "hash_rate": {"windows": [], "nominal": null},
            "supply": null,
        }));
        assert!(text.contains("l7 (emulated), up 3 s"), "{text}");
        assert!(
            text.contains("unknown (the power is not measured)"),
            "{text}"
        );
        assert!(text.contains("no work yet"), "{text}");
        assert!(text.contains("supply     unknown"), "{text}");
        assert!(!text.contains("null"), "{text}");
    }

    #[test]
    fn a_pools_text_cannot_drive_the_terminal() {
        let text =
            describe(&json!({"pools": {"list": [{"url": "\u{1b}[2J", "last_error": "\u{7}"}]}}));
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
    }

    proptest! {
        #[test]
        fn any_answer_can_be_described(text in "[\\[\\]{}\",:a-z0-9 ]{0,100}") {
            if let Ok(value) = serde_json::from_str(&text) {
                let _ = describe(&value);
            }
        }
    }
}
