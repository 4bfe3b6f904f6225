//! What stands on the screen: pure, of the machine's answers.

use crate::cli::status::{describe, each, word};
use crate::cli::table::inert;
use serde_json::Value;
use std::fmt::Write;

/// Letters of a bar.
const BAR: usize = 30;
/// Chips in one line of the map.
const CHIPS: usize = 64;
/// What the letters of the map mean.
const LEGEND: &str = "chips: # from 90 %, + from 70 %, - from 50 % of what they should find, ! below, ? not known yet";
/// Begins the line that tells why nothing new comes.
const TROUBLE: &str = "no answer: ";

/// All lines for a machine.
pub fn machine(status: &Value, chips: &Value) -> Vec<String> {
    let mut lines = vec![format!(
        "cgminer-rs {}",
        word(&status["versions"]["daemon"])
    )];
    for alert in each(&status["alerts"], |alert| {
        vec![format!(
            "{}: {}: {}",
            word(&alert["severity"]),
            word(&alert["source"]),
            word(&alert["message"])
        )]
    }) {
        lines.extend(alert.into_iter().map(|line| format!("! {line}")));
    }
    for chain in status["chains"].as_array().into_iter().flatten() {
        lines.extend(bring_up(chain));
    }
    lines.extend(describe(status).lines().map(str::to_owned));
    let maps: Vec<String> = chips
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(map)
        .collect();
    if !maps.is_empty() {
        lines.push(String::new());
        lines.extend(maps);
        lines.push(LEGEND.into());
    }
    lines
}

/// Says in the second line why nothing new comes.
pub fn trouble(lines: &mut Vec<String>, why: &str) {
    lines.retain(|line| !line.starts_with(TROUBLE));
    let at = lines.len().min(1);
    let why = why.lines().next().unwrap_or_default();
    lines.insert(at, format!("{TROUBLE}{}", inert(why)));
}

/// As many lines as there is room for, the last one telling how to leave.
pub fn fit(lines: &[String], rows: usize) -> Vec<String> {
    let room = rows.saturating_sub(1);
    let mut shown: Vec<String> = lines.iter().take(room).cloned().collect();
    let more = lines.len().saturating_sub(room);
    let mut last = String::from("q: leave");
    if more > 0 {
        // Writing to a text cannot fail.
        let _ = write!(last, "   {more} lines more: make the window higher");
    }
    shown.push(last);
    shown
}

/// How far a chain is on its way up; nothing once it is there.
fn bring_up(chain: &Value) -> Option<String> {
    if chain["phase"] != "bring_up" {
        return None;
    }
    let (done, of, what) = match chain["progress"].as_object() {
        Some(progress) => {
            let number = |name: &str| progress.get(name).and_then(Value::as_f64);
            let what = progress.get("step").map_or(String::new(), word);
            (number("done"), number("of"), what)
        }
        None => (
            chain["chips_found"].as_f64(),
            chain["chips_expected"].as_f64(),
            "chips found".into(),
        ),
    };
    let part = match (done, of) {
        (Some(done), Some(of)) if of > 0.0 => (done / of).clamp(0.0, 1.0),
        _ => 0.0,
    };
    let filled = (part * BAR as f64).round() as usize;
    Some(format!(
        "chain {} comes up [{}{}] {:.0} %, {what}",
        word(&chain["index"]),
        "#".repeat(filled),
        " ".repeat(BAR - filled.min(BAR)),
        part * 100.0,
    ))
}

/// A letter for each chip of a chain.
fn map(chain: &Value) -> Vec<String> {
    let letters: Vec<char> = chain["chips"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|chip| match chip["health"]["verdict"].as_str() {
            Some("good") => '#',
            Some("fair") => '-',
            Some("poor") => '!',
            _ => '?',
        })
        .collect();
    letters
        .chunks(CHIPS)
        .enumerate()
        .map(|(row, letters)| {
            let text: String = letters.iter().collect();
            format!("chain {} {:>3}  {text}", word(&chain["chain"]), row * CHIPS)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn alerts_come_first_then_bars_then_the_rest() {
        let status = json!({
            "versions": {"daemon": "0.1.0"},
            "machine": {"board": "l7", "emulated": true, "state": "starting", "uptime_s": 3.2},
            "alerts": [{"severity": "error", "source": "front", "message": "stalled\u{1b}[2J"}],
            "chains": [
                {"index": 0, "phase": "bring_up", "chips_found": 63, "chips_expected": 126},
                {"index": 1, "phase": "hashing"},
            ],
        });
        let lines = machine(&status, &json!([]));
        assert_eq!(lines[1], "! error: front: stalled\u{fffd}[2J");
        let bar = format!("[{}{}] 50 %, chips found", "#".repeat(15), " ".repeat(15));
        assert!(lines[2].ends_with(&bar), "{}", lines[2]);
        assert!(
            lines
                .iter()
                .any(|line| line.contains("l7 (emulated), up 3 s")),
            "{lines:?}"
        );
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.contains("comes up"))
                .count(),
            1
        );
    }

    #[test]
    fn each_chip_is_a_letter_of_its_health() {
        let health = [
            json!("good"),
            json!("fair"),
            json!("poor"),
            json!("unknown"),
        ];
        let chips: Vec<Value> = health
            .iter()
            .map(|verdict| json!({"health": {"verdict": verdict}}))
            .collect();
        let lines = machine(&json!({}), &json!([{"chain": 2, "chips": chips}]));
        assert!(lines.contains(&"chain 2   0  #-!?".into()), "{lines:?}");
        let many = json!([{"chain": 0, "chips": vec![json!({}); 126]}]);
        let rows = machine(&json!({}), &many);
        assert_eq!(rows.iter().filter(|line| line.contains("??")).count(), 2);
    }

    #[test]
    fn a_low_window_gets_what_fits_and_trouble_is_told_once() {
        let mut lines: Vec<String> = (0..40).map(|line| line.to_string()).collect();
        trouble(&mut lines, "gone\nfor now");
        trouble(&mut lines, "still gone");
        assert_eq!(lines[..3], ["0", "no answer: still gone", "1"]);
        let shown = fit(&lines, 10);
        assert_eq!(shown.len(), 10);
        assert_eq!(shown[9], "q: leave   32 lines more: make the window higher");
        assert_eq!(fit(&lines, 0).len(), 1);
        assert_eq!(fit(&lines[..2], 24)[2], "q: leave");
    }

    proptest! {
        #[test]
        fn any_answer_can_be_shown(text in "[\\[\\]{}\",:a-z0-9 ]{0,100}") {
            if let Ok(value) = serde_json::from_str(&text) {
                for line in machine(&value, &value) {
                    prop_assert!(!line.chars().any(char::is_control));
                }
            }
        }
    }
}
