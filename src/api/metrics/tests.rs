use super::*;
use crate::telemetry::JoulesPerTerahash;
use crate::telemetry::samples::Rooms;
use std::collections::HashSet;

#[tokio::test(start_paused = true)]
async fn every_sample_stands_under_its_own_help_and_type() {
    let (source, _rooms) = Rooms::at_work();
    let text = text(&source.snapshot());
    let mut families = HashSet::new();
    let mut current = ("", "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            current = rest.split_once(' ').unwrap();
            assert!(families.insert(current.0), "{} is told twice", current.0);
            assert_eq!(
                current.1 == "counter",
                current.0.ends_with("_total"),
                "{line}"
            );
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(name.split('{').next().unwrap(), current.0, "{line}");
            assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
        }
    }
    for line in [
        "cgminer_shares_accepted_total 9",
        "cgminer_fan_speed_rpm{fan=\"front\"} 2400",
        "cgminer_fan_duty_ratio{fan=\"front\"} 0.4",
        "cgminer_supply_voltage_volts 13.19",
        "cgminer_chain_temperature_celsius{chain=\"0\"} 65.5",
        "cgminer_chain_frequency_hertz{chain=\"0\"} 525000000",
        "cgminer_pool_active{pool=\"0\",url=\"stratum+tcp://pool.example:3333\",user=\"account.worker\"} 1",
        "cgminer_state{state=\"mining\"} 1",
    ] {
        assert!(text.lines().any(|each| each == line), "{line}\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_unknown_has_no_sample() {
    let (source, _rooms) = Rooms::silent();
    let text = text(&source.snapshot());
    for name in [
        "cgminer_supply_power_watts",
        "cgminer_chain_chips_found{",
        "cgminer_fan_speed_rpm{",
        "cgminer_keeper_silence_seconds",
    ] {
        assert!(
            !text.lines().any(|line| line.starts_with(name)),
            "{name}\n{text}"
        );
    }
}

#[test]
fn a_label_cannot_end_its_quotes() {
    let mut page = Page::default();
    page.sample("a", &[("url", "x\"} 1\nb{y=\"\\")], 2);
    assert_eq!(page.text, "a{url=\"x\\\"} 1\\nb{y=\\\"\\\\\"} 2\n");
}

#[tokio::test(start_paused = true)]
async fn the_dashboard_asks_for_nothing_that_is_not_exported() {
    const DASHBOARD: &str = include_str!("../../../deploy/grafana.json");
    let (source, _rooms) = Rooms::at_work();
    let mut snapshot = source.snapshot();
    // What takes a quarter of an hour to be known.
    let efficiency = JoulesPerTerahash(30.0);
    snapshot.efficiency = Measured::known(efficiency, std::time::Duration::ZERO);
    let text = text(&snapshot);
    let exported: HashSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut asked = HashSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let words =
                expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            for name in
                words.filter(|word| word.starts_with("cgminer_") || word.starts_with("process_"))
            {
                assert!(exported.contains(name), "{}: {name}", panel["title"]);
                asked.insert(name);
            }
        }
    }
    assert!(asked.len() >= 30, "{}", asked.len());
}
