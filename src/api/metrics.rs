//! The Snapshot for Prometheus: text exposition format 0.0.4, base units, a name for each thing and unit.
//!
//! What nobody knows has no sample: an absent series is how Prometheus tells "unknown" from zero.

mod alerts;

use super::routes::Answer;
use crate::telemetry::{AnalogValue, Chain, Measured, Pool, Shares, Snapshot, WindowRate};
use cgminer_hal::units::{Amperes, HashRate, Millivolts};
use std::fmt::{Display, Write};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page that Prometheus scrapes.
pub fn answer(snapshot: &Snapshot) -> Answer {
    let body = text(snapshot).into_bytes();
    Answer {
        status: 200,
        content_type: CONTENT_TYPE.into(),
        body,
    }
}

fn text(snapshot: &Snapshot) -> String {
    let mut page = Page::default();
    machine(snapshot, &mut page);
    hash_rate(snapshot, &mut page);
    shares(&snapshot.shares, &mut page);
    chains(&snapshot.chains, &mut page);
    cooling(snapshot, &mut page);
    pools(&snapshot.pools.list, &mut page);
    process(snapshot, &mut page);
    alerts::alerts(snapshot, &mut page);
    page.text
}

fn machine(snapshot: &Snapshot, page: &mut Page) {
    let machine = &snapshot.machine;
    let state = name_of(&machine.state);
    let emulated = machine.emulated.to_string();
    page.family("cgminer_info", "gauge", "Version and board; always 1.");
    page.sample(
        "cgminer_info",
        &[
            ("version", snapshot.versions.daemon),
            ("board", &machine.board),
            ("emulated", &emulated),
        ],
        1,
    );
    page.family(
        "cgminer_state",
        "gauge",
        "What the machine does; 1 for the state that it is in.",
    );
    page.sample("cgminer_state", &[("state", &state)], 1);
    page.single(
        "cgminer_uptime_seconds",
        "gauge",
        "Time since the program started.",
        machine.uptime_s,
    );
    let keeper = &snapshot.keeper;
    if let Some(state) = &keeper.state {
        page.family(
            "cgminer_keeper_state",
            "gauge",
            "Where the safety process stands; 1 for that state.",
        );
        page.sample("cgminer_keeper_state", &[("state", state)], 1);
    }
    page.optional(
        "cgminer_keeper_silence_seconds",
        "gauge",
        "Time since the safety process last reported.",
        keeper.heard_s,
    );
    page.optional(
        "cgminer_restarts_total",
        "counter",
        "Restarts after faults since the safety process started.",
        keeper.restarts.map(|restarts| restarts.total),
    );
    page.single(
        "cgminer_latched",
        "gauge",
        "1 while the machine stays off until an operator clears it.",
        u8::from(keeper.latched.is_some()),
    );
    page.single(
        "cgminer_events_total",
        "counter",
        "Events since the program started.",
        snapshot.last_event,
    );
}

fn hash_rate(snapshot: &Snapshot, page: &mut Page) {
    let accepted = "cgminer_accepted_hashes_per_second";
    page.family(
        accepted,
        "gauge",
        "Hashrate that pools credited, over a window.",
    );
    for window in &snapshot.hash_rate.windows {
        page.sample(accepted, &[("window", &window_name(window))], window.rate.0);
    }
    for (name, help, bound) in [
        (
            "cgminer_accepted_hashes_per_second_lower",
            "Lower bound of that at 97.5 % certainty.",
            (|window| Some(window.lower)) as fn(&WindowRate) -> Option<HashRate>,
        ),
        (
            "cgminer_accepted_hashes_per_second_upper",
            "Upper bound of that at 97.5 % certainty.",
            |window| window.upper,
        ),
    ] {
        page.family(name, "gauge", help);
        for window in &snapshot.hash_rate.windows {
            if let Some(HashRate(bound)) = bound(window) {
                page.sample(name, &[("window", &window_name(window))], bound);
            }
        }
    }
    page.optional(
        "cgminer_nominal_hashes_per_second",
        "gauge",
        "Hashrate that the chips should have at their frequency.",
        snapshot.hash_rate.nominal.map(|rate| rate.0),
    );
    page.optional(
        "cgminer_energy_joules_per_terahash",
        "gauge",
        "Measured power over credited hashrate of 15 minutes.",
        snapshot.efficiency.value().map(|efficiency| efficiency.0),
    );
}

fn shares(shares: &Shares, page: &mut Page) {
    for (name, help, value) in [
        (
            "cgminer_shares_submitted_total",
            "Shares sent to pools.",
            shares.submitted,
        ),
        (
            "cgminer_shares_accepted_total",
            "Shares taken by pools.",
            shares.accepted,
        ),
        (
            "cgminer_shares_rejected_total",
            "Shares refused by pools.",
            shares.rejected.total,
        ),
        (
            "cgminer_shares_unanswered_total",
            "Shares without a reply in time.",
            shares.unanswered,
        ),
        (
            "cgminer_shares_stale_total",
            "Shares not sent because their job was worthless.",
            shares.stale,
        ),
        (
            "cgminer_blocks_found_total",
            "Shares that met the network target.",
            shares.blocks_found,
        ),
    ] {
        page.single(name, "counter", help, value);
    }
    page.single(
        "cgminer_accepted_difficulty_total",
        "counter",
        "Sum of the difficulties of accepted shares.",
        shares.accepted_difficulty,
    );
}

fn chains(chains: &[Chain], page: &mut Page) {
    type Value = fn(&Chain) -> Option<f64>;
    let rows: [(&str, &str, &str, Value); 12] = [
        (
            "cgminer_chain_chips_expected",
            "gauge",
            "Chips of the chain by its board file.",
            |chain| Some(chain.chips_expected.into()),
        ),
        (
            "cgminer_chain_chips_found",
            "gauge",
            "Chips that answered at the last bring-up.",
            |chain| chain.chips_found.map(f64::from),
        ),
        (
            "cgminer_chain_frequency_hertz",
            "gauge",
            "Clock of the chips.",
            |chain| {
                chain
                    .frequency
                    .map(|frequency| f64::from(frequency.0) * 1e6)
            },
        ),
        (
            "cgminer_chain_nominal_hashes_per_second",
            "gauge",
            "Hashrate that the chips should have.",
            |chain| chain.nominal.map(|rate| rate.0),
        ),
        (
            "cgminer_chain_temperature_celsius",
            "gauge",
            "Chip temperature by the hottest of its sensors.",
            |chain| chain.temperature.value().map(|celsius| celsius.0.into()),
        ),
        (
            "cgminer_chain_hashes_total",
            "counter",
            "Hashes that good nonces stand for.",
            |chain| Some(chain.counters.hashes),
        ),
        (
            "cgminer_chain_nonces_total",
            "counter",
            "Good nonces.",
            |chain| Some(chain.counters.nonces as f64),
        ),
        (
            "cgminer_chain_shares_total",
            "counter",
            "Shares handed to the pool.",
            |chain| Some(chain.counters.shares as f64),
        ),
        (
            "cgminer_chain_mismatches_total",
            "counter",
            "Nonces that are wrong: computing errors.",
            |chain| Some(chain.counters.mismatches as f64),
        ),
        (
            "cgminer_chain_duplicates_total",
            "counter",
            "Nonces reported before.",
            |chain| Some(chain.counters.duplicates as f64),
        ),
        (
            "cgminer_chain_crc_errors_total",
            "counter",
            "Replies with a wrong checksum.",
            |chain| Some(chain.counters.crc_errors as f64),
        ),
        (
            "cgminer_chain_failures_total",
            "counter",
            "Failures of the chain.",
            |chain| Some(chain.counters.failures as f64),
        ),
    ];
    for (name, kind, help, value) in rows {
        page.family(name, kind, help);
        for chain in chains {
            if let Some(value) = value(chain) {
                page.sample(name, &[("chain", &chain.index.to_string())], value);
            }
        }
    }
    let rate = "cgminer_chain_hashes_per_second";
    page.family(
        rate,
        "gauge",
        "Hashrate that the chain's nonces prove, over a window.",
    );
    for chain in chains {
        for window in &chain.hash_rate {
            let labels = [
                ("chain", &*chain.index.to_string()),
                ("window", &window_name(window)),
            ];
            page.sample(rate, &labels, window.rate.0);
        }
    }
    let phase = "cgminer_chain_phase";
    page.family(
        phase,
        "gauge",
        "How far the chain has come; 1 for that phase.",
    );
    for chain in chains {
        let labels = [
            ("chain", &*chain.index.to_string()),
            ("phase", &name_of(&chain.phase)),
        ];
        page.sample(phase, &labels, 1);
    }
}

/// Each input under the name of its unit.
fn analog(snapshot: &Snapshot, page: &mut Page) {
    let (volts, amperes) = (
        "cgminer_input_voltage_volts",
        "cgminer_input_current_amperes",
    );
    page.family(volts, "gauge", "Measured voltage of an analogue input.");
    for input in &snapshot.analog {
        if let AnalogValue::Voltage(reading) = &input.reading {
            let value = |volts: &Millivolts| f64::from(volts.0) / 1000.0;
            page.measured(volts, &[("input", &input.name)], reading, value);
        }
    }
    page.family(amperes, "gauge", "Measured current of an analogue input.");
    for input in &snapshot.analog {
        if let AnalogValue::Current(reading) = &input.reading {
            let value = |amperes: &Amperes| f64::from(amperes.0);
            page.measured(amperes, &[("input", &input.name)], reading, value);
        }
    }
}

fn cooling(snapshot: &Snapshot, page: &mut Page) {
    let speed = "cgminer_fan_speed_rpm";
    page.family(
        speed,
        "gauge",
        "Measured speed of a fan in revolutions per minute.",
    );
    for fan in &snapshot.fans {
        page.measured(speed, &[("fan", &fan.name)], &fan.speed, |speed| {
            f64::from(speed.0)
        });
    }
    let duty = "cgminer_fan_duty_ratio";
    page.family(duty, "gauge", "Duty that a fan was told, 0 to 1.");
    for fan in &snapshot.fans {
        if let Some(told) = fan.duty {
            page.sample(duty, &[("fan", &fan.name)], f64::from(told.0) / 100.0);
        }
    }
    let reading = "cgminer_sensor_temperature_celsius";
    page.family(reading, "gauge", "Measured temperature.");
    for sensor in &snapshot.temperatures {
        let value = |celsius: &cgminer_hal::units::Celsius| f64::from(celsius.0);
        page.measured(reading, &[("sensor", &sensor.name)], &sensor.reading, value);
    }
    analog(snapshot, page);
    let Some(supply) = &snapshot.supply else {
        return;
    };
    page.family(
        "cgminer_supply_voltage_volts",
        "gauge",
        "Measured voltage of the rail.",
    );
    page.measured(
        "cgminer_supply_voltage_volts",
        &[],
        &supply.voltage,
        |volts| f64::from(volts.0) / 1000.0,
    );
    page.family(
        "cgminer_supply_power_watts",
        "gauge",
        "Measured power of the supply.",
    );
    page.measured("cgminer_supply_power_watts", &[], &supply.power, |watts| {
        f64::from(watts.0)
    });
    page.single(
        "cgminer_supply_on",
        "gauge",
        "1 while the rail is wanted on.",
        u8::from(supply.wanted_on),
    );
}

fn pools(pools: &[Pool], page: &mut Page) {
    type Value = fn(&Pool) -> Option<f64>;
    let rows: [(&str, &str, &str, Value); 7] = [
        (
            "cgminer_pool_active",
            "gauge",
            "1 for the pool that is worked for.",
            |pool| Some(u8::from(pool.active).into()),
        ),
        (
            "cgminer_pool_ready",
            "gauge",
            "1 while the pool has a job for the chains.",
            |pool| Some(u8::from(pool.phase == "ready").into()),
        ),
        (
            "cgminer_pool_difficulty",
            "gauge",
            "Difficulty of the pool's current job.",
            |pool| pool.difficulty,
        ),
        (
            "cgminer_pool_reply_seconds",
            "gauge",
            "Last time from submit to reply.",
            |pool| pool.reply_ms.map(|milliseconds| milliseconds / 1000.0),
        ),
        (
            "cgminer_pool_accepted_total",
            "counter",
            "Shares that the pool took.",
            |pool| Some(pool.shares.accepted as f64),
        ),
        (
            "cgminer_pool_rejected_total",
            "counter",
            "Shares that the pool refused.",
            |pool| Some(pool.shares.rejected.total as f64),
        ),
        (
            "cgminer_pool_failures_total",
            "counter",
            "Sessions that failed or could not begin.",
            |pool| Some(pool.failures as f64),
        ),
    ];
    for (name, kind, help, value) in rows {
        page.family(name, kind, help);
        for pool in pools {
            if let Some(value) = value(pool) {
                page.sample(
                    name,
                    &[
                        ("pool", &pool.index.to_string()),
                        ("url", &pool.url),
                        ("user", &pool.user),
                    ],
                    value,
                );
            }
        }
    }
}

fn process(snapshot: &Snapshot, page: &mut Page) {
    let process = &snapshot.process;
    page.optional(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory.",
        process.resident_bytes,
    );
    page.optional(
        "process_cpu_seconds_total",
        "counter",
        "Processor time used.",
        process.cpu_seconds,
    );
    page.optional(
        "process_open_fds",
        "gauge",
        "Open file descriptors.",
        process.open_files,
    );
    page.optional(
        "process_max_fds",
        "gauge",
        "Most open file descriptors.",
        process.open_files_limit,
    );
}

/// The text in the making.
#[derive(Default)]
struct Page {
    text: String,
}

// Writing to a text cannot fail.
impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (index, (label, content)) in labels.iter().enumerate() {
            let separator = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{separator}{label}=\"{}\"", escaped(content));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn optional(&mut self, name: &str, kind: &str, help: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.single(name, kind, help, value);
        }
    }

    fn measured<T>(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        value: &Measured<T>,
        in_base_unit: impl Fn(&T) -> f64,
    ) {
        if let Some(value) = value.value() {
            self.sample(name, labels, in_base_unit(value));
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn window_name(window: &WindowRate) -> String {
    match window.window_s {
        seconds if seconds < 60 => format!("{seconds}s"),
        seconds if seconds < 3600 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3600),
    }
}

/// The name that an enum without data has in JSON.
fn name_of(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
