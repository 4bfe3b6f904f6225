//! A keeper's snapshot as tables.

use crate::cli::table::{columns, inert};
use crate::link::KeeperStatus;
use crate::link::status::Latch;
use cgminer_board::thermal::FanMode;
use std::fmt::{Display, Write};

/// All of it in a screenful.
pub(super) fn whole(status: &KeeperStatus) -> String {
    let mut text = state(status);
    for table in [
        supply(status),
        fans(status),
        chains(status),
        sensors(status),
    ] {
        text.push('\n');
        text.push_str(&table);
    }
    text
}

/// Where the keeper stands, and why.
pub(super) fn state(status: &KeeperStatus) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = writeln!(text, "board      {}", inert(&status.board));
    let _ = writeln!(
        text,
        "state      {}: {}",
        status.state,
        inert(&status.reason)
    );
    if let Some(cause) = &status.last_cause {
        let _ = writeln!(text, "last fault {}", inert(&cause.to_string()));
    }
    if let Some(end) = status.last_end {
        let _ = writeln!(text, "last run   {end}");
    }
    if let Some(kept) = &status.latched {
        text.push_str(&latch(kept));
    }
    let watchdog = match status.watchdog.timeout_seconds {
        Some(seconds) if status.watchdog.armed => format!("armed, {seconds} s"),
        _ => "none".to_owned(),
    };
    let _ = writeln!(text, "watchdog   {watchdog}");
    if status.locate {
        text.push_str("locate     blinking\n");
    }
    text
}

/// Why the machine stays off.
pub(super) fn latch(latch: &Latch) -> String {
    let since = match latch.unix_time {
        Some(seconds) => format!("since {seconds} (seconds since 1970)"),
        None => "at a time that the clock did not know".to_owned(),
    };
    let kept = if latch.kept { ", over a restart" } else { "" };
    format!(
        "latched    {}\n           {since}{kept}; `latch clear` ends it\n",
        inert(&latch.cause.to_string())
    )
}

/// The supply.
pub(super) fn supply(status: &KeeperStatus) -> String {
    let supply = &status.supply;
    table(
        &[
            "supply", "wanted", "setting", "measured", "power", "C", "age", "fault",
        ],
        [vec![
            supply.part.clone(),
            if supply.wanted_on { "on" } else { "off" }.to_owned(),
            supply.wanted.to_string(),
            known(supply.measured),
            known(supply.power),
            known(supply.temperature.map(|celsius| celsius.0)),
            age(supply.age_seconds),
            supply.fault.map_or_else(none, |fault| fault.to_string()),
        ]],
    )
}

/// The fans.
pub(super) fn fans(status: &KeeperStatus) -> String {
    let mode = match status.fan_mode {
        FanMode::Auto => "fans set by temperature".to_owned(),
        FanMode::Fixed { duty } => format!("fans fixed at {duty}"),
        FanMode::Immersion => "immersion: no fans".to_owned(),
    };
    let rows = status.fans.iter().map(|fan| {
        vec![
            fan.name.clone(),
            known(fan.duty),
            known(fan.speed),
            age(fan.age_seconds),
            fan.condition.to_string(),
        ]
    });
    format!(
        "{mode}\n{}",
        table(&["fan", "duty", "speed", "age", "condition"], rows)
    )
}

/// The connectors.
pub(super) fn chains(status: &KeeperStatus) -> String {
    let rows = status.chains.iter().map(|chain| {
        let temperature = match (chain.temperature, chain.measured) {
            (Some(celsius), true) => format!("{:.1}", celsius.0),
            (Some(celsius), false) => format!("{:.1} (modelled)", celsius.0),
            (None, _) => none(),
        };
        vec![
            chain.chain.to_string(),
            said(chain.present, "plugged in", "empty"),
            said(chain.reset_held, "held", "released"),
            temperature,
            chain.hash_board.as_deref().map_or_else(none, inert),
        ]
    });
    table(&["chain", "connector", "reset", "C", "hash board"], rows)
}

/// The temperature sensors.
pub(super) fn sensors(status: &KeeperStatus) -> String {
    let rows = status.sensors.iter().map(|sensor| {
        vec![
            sensor.name.clone(),
            sensor.chain.map_or_else(none, |chain| chain.to_string()),
            known(sensor.reading.map(|celsius| celsius.0)),
            age(sensor.age_seconds),
            format!(
                "{} {} {}",
                sensor.tiers.target.0, sensor.tiers.hot.0, sensor.tiers.dangerous.0
            ),
            sensor.fault.map_or_else(none, |fault| fault.to_string()),
        ]
    });
    table(
        &[
            "sensor",
            "chain",
            "C",
            "age",
            "target hot dangerous",
            "fault",
        ],
        rows,
    )
}

/// Rows under a headline.
pub(super) fn table<const N: usize>(
    headline: &[&str; N],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let head = headline.iter().map(|&cell| cell.to_owned()).collect();
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    columns(&rows)
}

fn known<T: Display>(value: Option<T>) -> String {
    value.map_or_else(none, |value| value.to_string())
}

fn age(seconds: Option<f64>) -> String {
    seconds.map_or_else(none, |seconds| format!("{seconds:.1} s"))
}

fn said(value: Option<bool>, yes: &str, no: &str) -> String {
    match value {
        Some(true) => yes.to_owned(),
        Some(false) => no.to_owned(),
        None => none(),
    }
}

fn none() -> String {
    "-".to_owned()
}
