//! bosminer.toml, by the names that the public documentation of Braiins OS gives them.

use super::{BOARDS_LIMITS, Draft, Imported, NO_COUNTERPART, pool};
use toml::{Table, Value};

/// Sections that only such a file has.
const MARKS: [&str; 8] = [
    "format",
    "group",
    "hash_chain_global",
    "hash_chain",
    "temp_control",
    "fan_control",
    "autotuning",
    "power_scaling",
];

/// Whether a file looks like one.
pub(super) fn is_one(values: &Table) -> bool {
    MARKS.iter().any(|mark| values.contains_key(*mark))
}

pub(super) fn import(values: &Table) -> Imported {
    let mut draft = Draft::new("bosminer");
    for (section, value) in values {
        match (section.as_str(), value) {
            ("format", _) => {}
            ("group", Value::Array(groups)) => self::groups(groups, &mut draft),
            ("hash_chain_global", Value::Table(table)) => chains(table, &mut draft),
            ("temp_control", Value::Table(table)) => temperatures(table, values, &mut draft),
            ("fan_control", Value::Table(table)) => fans(table, values, &mut draft),
            ("autotuning" | "power_scaling" | "performance_scaling", Value::Table(table)) => {
                let on = table.get("enabled").and_then(Value::as_bool) != Some(false);
                if on {
                    draft.drop(section, "its figures belong to another program's tuning; see `docs/configuration.md`");
                }
            }
            (_, Value::Table(table)) => {
                for name in table.keys() {
                    draft.drop(format!("{section}.{name}"), NO_COUNTERPART);
                }
            }
            _ => draft.drop(section, NO_COUNTERPART),
        }
    }
    draft.finish()
}

fn groups(groups: &[Value], draft: &mut Draft) {
    for (number, group) in groups.iter().enumerate() {
        let place = format!("group[{number}]");
        let Ok(index) = u8::try_from(number) else {
            draft.drop(place, "there are too many groups");
            break;
        };
        let quota = group.get("quota").and_then(Value::as_integer);
        for name in group.as_table().into_iter().flat_map(Table::keys) {
            if !matches!(name.as_str(), "name" | "quota" | "pool") {
                draft.drop(format!("{place}.{name}"), NO_COUNTERPART);
            }
        }
        let pools = group.get("pool").and_then(Value::as_array);
        for (number, entry) in pools.into_iter().flatten().enumerate() {
            let place = format!("{place}.pool[{number}]");
            let text = |name: &str| entry.get(name).and_then(Value::as_str);
            let made = pool(
                text("url").unwrap_or_default(),
                text("user").unwrap_or_default(),
                text("password"),
            );
            match made {
                Ok(mut pool) => {
                    if entry.get("enabled").and_then(Value::as_bool) == Some(false) {
                        pool.insert("enabled".into(), false.into());
                    }
                    if groups.len() > 1 {
                        pool.insert("group".into(), i64::from(index).into());
                        let quota = quota.and_then(|quota| u32::try_from(quota).ok());
                        pool.insert("quota".into(), i64::from(quota.unwrap_or(1)).into());
                    }
                    draft.pool(pool);
                }
                Err(reason) => draft.drop(&place, reason),
            }
            for name in entry.as_table().into_iter().flat_map(Table::keys) {
                if !matches!(name.as_str(), "url" | "user" | "password" | "enabled") {
                    draft.drop(format!("{place}.{name}"), NO_COUNTERPART);
                }
            }
        }
    }
    if groups.len() > 1 {
        draft.set("pools", "strategy", "groups");
    }
}

fn chains(table: &Table, draft: &mut Draft) {
    for (name, value) in table {
        let place = format!("hash_chain_global.{name}");
        match (name.as_str(), number(value)) {
            ("frequency", Some(megahertz)) if (25.0..=1500.0).contains(&megahertz) => {
                draft.set("chains", "frequency", megahertz);
            }
            ("voltage", Some(volts)) if (1.0..=25.0).contains(&volts) => {
                draft.set("chains", "voltage", (volts * 1000.0).round() as i64);
            }
            ("frequency" | "voltage", _) => draft.drop(place, "is out of bounds"),
            ("asic_boost", _) => draft.drop(place, "is used wherever the pool lets versions roll"),
            _ => draft.drop(place, NO_COUNTERPART),
        }
    }
}

fn temperatures(table: &Table, values: &Table, draft: &mut Draft) {
    for (name, value) in table {
        let place = format!("temp_control.{name}");
        match (name.as_str(), value.as_str(), number(value)) {
            ("mode", Some("auto"), _) => {}
            ("mode", Some("manual"), _) => {
                let speed = values.get("fan_control").and_then(|fans| fans.get("speed"));
                match speed.and_then(number) {
                    Some(percent) if (10.0..=100.0).contains(&percent) => {
                        draft.set("cooling", "mode", "fixed");
                        draft.set("cooling", "duty", percent);
                    }
                    _ => draft.drop(
                        place,
                        "needs `fan_control.speed` from 10 to 100 %; fans are automatic",
                    ),
                }
            }
            ("mode", Some("immersion" | "disabled"), _) => draft.drop(
                place,
                "a machine without fans has to be said by hand: cooling.mode = \"immersion\"",
            ),
            ("target_temp", _, Some(celsius)) if (20.0..=95.0).contains(&celsius) => {
                draft.set("cooling", "target", celsius);
            }
            ("hot_temp" | "dangerous_temp", ..) => draft.drop(place, BOARDS_LIMITS),
            _ => draft.drop(place, NO_COUNTERPART),
        }
    }
}

fn fans(table: &Table, values: &Table, draft: &mut Draft) {
    let mode = values
        .get("temp_control")
        .and_then(|table| table.get("mode"));
    let manual = mode.and_then(Value::as_str) == Some("manual");
    for (name, value) in table {
        let place = format!("fan_control.{name}");
        match (name.as_str(), value.as_integer()) {
            ("min_fans", Some(count)) if (0..=255).contains(&count) => {
                draft.set("cooling", "minimum_fans", count);
            }
            // Told of with the mode.
            ("speed", _) if manual => {}
            ("speed", _) => draft.drop(place, "means something in mode `manual` only"),
            _ => draft.drop(place, NO_COUNTERPART),
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number).filter(|number| number.is_finite()),
        _ => None,
    }
}
