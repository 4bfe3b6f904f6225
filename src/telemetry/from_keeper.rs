//! What the keeper tells, in the Snapshot's shape. `heard` is how long ago it told it.

use super::from_pools::name;
use super::measured::{Measured, Unknown};
use super::snapshot::{
    Analog, AnalogValue, Fan, Keeper, LastRun, Latched, Restarts, Supply, Temperature,
};
use crate::link::KeeperStatus;
use crate::link::status::{AnalogReading, SensorStatus};
use cgminer_board::file::Quantity;
use cgminer_hal::units::Celsius;
use std::time::Duration;

/// Reason of everything that only the keeper knows, before it has spoken.
pub const NOT_YET: &str = "the keeper has not reported yet";

/// The keeper's own standing.
pub fn keeper(status: Option<&KeeperStatus>, heard: Duration) -> Keeper {
    let Some(status) = status else {
        return Keeper {
            reason: NOT_YET.into(),
            ..Keeper::default()
        };
    };
    let restarts = status.restarts;
    Keeper {
        state: Some(name(status.state)),
        state_s: Some(status.state_seconds + heard.as_secs_f64()),
        heard_s: Some(heard.as_secs_f64()),
        reason: status.reason.clone(),
        tier: Some(name(status.tier)),
        throttle_percent: Some(status.throttle.0.into()),
        fan_mode: Some(status.fan_mode.to_string()),
        restarts: Some(Restarts {
            used: restarts.used,
            budget: restarts.budget,
            total: restarts.total,
            next_in_s: restarts
                .next_in_seconds
                .map(|seconds| (seconds - heard.as_secs_f64()).max(0.0)),
        }),
        last_cause: status.last_cause.as_ref().map(ToString::to_string),
        last_end: status.last_end.map(|end| LastRun {
            how: name(end),
            text: end.to_string(),
            unclean_ends: status.unclean_ends,
        }),
        latched: status.latched.as_ref().map(|latch| Latched {
            cause: latch.cause.to_string(),
            unix_time: latch.unix_time,
            kept: latch.kept,
        }),
        watchdog_armed: Some(status.watchdog.armed),
        process: status.process.clone(),
        locate: Some(status.locate),
        claim_s: status
            .claim_seconds
            .map(|seconds| (seconds - heard.as_secs_f64()).max(0.0)),
    }
}

/// Fans of the board file.
pub fn fans(status: Option<&KeeperStatus>, heard: Duration) -> Vec<Fan> {
    let fans = status
        .map(|status| status.fans.as_slice())
        .unwrap_or_default();
    fans.iter()
        .map(|fan| Fan {
            name: fan.name.clone(),
            duty: fan.duty,
            speed: measured(fan.speed, fan.age_seconds, heard, "its speed was not read"),
            condition: name(fan.condition),
        })
        .collect()
}

/// Temperature sensors of the board file.
pub fn temperatures(status: Option<&KeeperStatus>, heard: Duration) -> Vec<Temperature> {
    let sensors = status
        .map(|status| status.sensors.as_slice())
        .unwrap_or_default();
    sensors
        .iter()
        .map(|sensor| {
            let fault = sensor.fault.map(|fault| format!("the sensor {fault}"));
            let reason = fault
                .clone()
                .map_or("it was not read yet".into(), Unknown::from);
            Temperature {
                name: sensor.name.clone(),
                chain: sensor.chain,
                reading: measured(sensor.reading, sensor.age_seconds, heard, reason),
                acted_on: sensor.acted_on,
                fault,
            }
        })
        .collect()
}

/// Temperature of a chain's chips: that of its hottest sensor, raised to the chip. What a model says of a lost sensor is
/// no reading.
pub fn of_chain(status: Option<&KeeperStatus>, chain: u8, heard: Duration) -> Measured<Celsius> {
    let Some(status) = status else {
        return Measured::unknown(NOT_YET);
    };
    let safety = status.chains.iter().find(|safety| safety.chain == chain);
    let Some((temperature, measured)) =
        safety.and_then(|safety| Some((safety.temperature?, safety.measured)))
    else {
        return Measured::unknown("none of its sensors was read yet");
    };
    if !measured {
        return Measured::unknown(format!(
            "its sensors are lost; the keeper acts on a model of them: {temperature}"
        ));
    }
    let ages = |is_meant: &dyn Fn(&SensorStatus) -> bool| {
        let sensors = status.sensors.iter();
        sensors
            .filter(|sensor| sensor.chain == Some(chain) && is_meant(sensor))
            .filter_map(|sensor| sensor.age_seconds)
            .reduce(f64::max)
    };
    let age = ages(&|sensor| sensor.acted_on == Some(temperature)).or_else(|| ages(&|_| true));
    self::measured(
        Some(temperature),
        age,
        heard,
        "it is not known when its sensors were read",
    )
}

/// Analogue inputs of the board file.
pub fn analog(status: Option<&KeeperStatus>, heard: Duration) -> Vec<Analog> {
    let inputs = status
        .map(|status| status.analog.as_slice())
        .unwrap_or_default();
    inputs
        .iter()
        .map(|input| {
            let reason = if input.failing {
                "it cannot be read"
            } else {
                "it was not read yet"
            };
            let age = input.age_seconds;
            Analog {
                name: input.name.clone(),
                chain: input.chain,
                reading: match (input.measures, input.reading) {
                    (_, Some(AnalogReading::Voltage(volts))) => {
                        AnalogValue::Voltage(measured(Some(volts), age, heard, reason))
                    }
                    (_, Some(AnalogReading::Current(amperes))) => {
                        AnalogValue::Current(measured(Some(amperes), age, heard, reason))
                    }
                    (Quantity::Voltage, None) => {
                        AnalogValue::Voltage(measured(None, age, heard, reason))
                    }
                    (Quantity::Current, None) => {
                        AnalogValue::Current(measured(None, age, heard, reason))
                    }
                },
            }
        })
        .collect()
}

/// The supply of the board file.
pub fn supply(status: &KeeperStatus, heard: Duration) -> Supply {
    let supply = &status.supply;
    let age = supply.age_seconds;
    let fault = supply.fault.map(|fault| format!("the supply {fault}"));
    let reason =
        |none: &'static str| -> Unknown { fault.clone().map_or(none.into(), Unknown::from) };
    Supply {
        part: supply.part.clone(),
        wanted_on: supply.wanted_on,
        wanted: supply.wanted,
        voltage: measured(supply.measured, age, heard, reason("it was not read yet")),
        power: measured(
            supply.power,
            age,
            heard,
            reason("this supply does not tell its power"),
        ),
        temperature: measured(
            supply.temperature,
            age,
            heard,
            reason("this supply does not tell its temperature"),
        ),
        fault,
    }
}

/// A value without an age is none: nobody could tell whether it still holds.
fn measured<T>(
    value: Option<T>,
    age_seconds: Option<f64>,
    heard: Duration,
    reason: impl Into<Unknown>,
) -> Measured<T> {
    let age = age_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match age {
        Some(age) => Measured::from_option(value, age + heard, reason),
        None => Measured::unknown(reason),
    }
}
