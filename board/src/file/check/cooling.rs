//! Rules of sensors and fans.

use super::Checker;
use crate::file::{BoardFile, FanControl, FanSpec, Role, SensorSpec};
use crate::limits;
use cgminer_hal::tach::TachSpec;
use cgminer_hal::units::Rpm;

impl Checker {
    pub(super) fn sensors(&mut self, file: &BoardFile) {
        self.within(
            "sensors",
            file.sensors.len(),
            1..=limits::SENSORS_MAX,
            "no power without a temperature",
        );
        for (index, sensor) in file.sensors.iter().enumerate() {
            self.sensor(file, sensor, &format!("sensors[{index}]"));
        }
        for index in 0..file.chains.len() {
            let watched = file
                .sensors
                .iter()
                .any(|sensor| sensor.chain.map(usize::from) == Some(index));
            self.rule(
                watched,
                format!("chains[{index}]"),
                "without a temperature sensor",
                "named by `chain` of at least one sensor",
                "a hash board that nobody watches can burn",
            );
        }
    }

    fn sensor(&mut self, file: &BoardFile, sensor: &SensorSpec, path: &str) {
        self.part(file, path, &sensor.bus, sensor.address);
        self.name(&format!("{path}.name"), &sensor.name);
        self.chain_index(file, &format!("{path}.chain"), sensor.chain);
        let most = sensor.part.remotes_max();
        self.rule(
            sensor.remotes.len() <= most,
            format!("{path}.remotes"),
            format_args!("{} diodes", sensor.remotes.len()),
            format_args!("at most {most} for this part"),
            "the part has no more inputs",
        );
        for role in std::iter::once(&sensor.role).chain(&sensor.remotes) {
            let key = role_key(*role);
            self.rule(
                file.tiers(*role).is_some(),
                format!("thermal.{key}"),
                "missing",
                "target_c, hot_c and dangerous_c",
                "every reading needs limits to be held to",
            );
        }
    }

    pub(super) fn fans(&mut self, file: &BoardFile) {
        self.within(
            "fans",
            file.fans.len(),
            0..=limits::FANS_MAX,
            "no machine has more",
        );
        for (index, fan) in file.fans.iter().enumerate() {
            self.fan(file, fan, &format!("fans[{index}]"));
        }
        self.rule(
            usize::from(file.thermal.fans_required) <= file.fans.len(),
            "thermal.fans_required",
            file.thermal.fans_required,
            format_args!("at most the number of fans, {}", file.fans.len()),
            "the machine would never get power",
        );
        self.rule(
            file.fans.is_empty() || file.thermal.fans_required > 0,
            "thermal.fans_required",
            file.thermal.fans_required,
            "1 or more",
            "a machine cooled by fans needs fans that turn",
        );
    }

    fn fan(&mut self, file: &BoardFile, fan: &FanSpec, path: &str) {
        self.name(&format!("{path}.name"), &fan.name);
        let full = limits::RPM_MAX;
        self.within(
            format!("{path}.full_rpm"),
            fan.full_rpm,
            Rpm(500)..=full,
            "take it from the fan's data sheet",
        );
        self.rule(
            fan.stall_rpm.0 > 0 && fan.stall_rpm < fan.full_rpm,
            format!("{path}.stall_rpm"),
            fan.stall_rpm,
            format_args!("above 0 and below full_rpm = {}", fan.full_rpm),
            "a fan below this counts as standing",
        );
        let pulses = |tach: &TachSpec| match tach {
            TachSpec::Gpio {
                pulses_per_turn, ..
            }
            | TachSpec::Capture {
                pulses_per_turn, ..
            } => Some(*pulses_per_turn),
            TachSpec::Hwmon { .. } => None,
        };
        match &fan.control {
            FanControl::Pwm { .. } => {
                self.rule(
                    fan.tach.is_some(),
                    format!("{path}.tach"),
                    "missing",
                    "given",
                    "a fan whose speed nobody sees may be dead",
                );
                if let Some(TachSpec::Gpio { line, .. }) = &fan.tach {
                    self.line(&format!("{path}.tach.line"), line);
                }
                if let Some(pulses) = fan.tach.as_ref().and_then(pulses) {
                    self.pulses(&format!("{path}.tach.pulses_per_turn"), pulses);
                }
            }
            FanControl::Max31785 {
                bus,
                address,
                channel,
            } => {
                self.shared_part(file, &format!("{path}.control"), bus, *address);
                self.within(
                    format!("{path}.control.channel"),
                    *channel,
                    0..=5,
                    "the part drives six fans",
                );
            }
            FanControl::Emc2305 {
                bus,
                address,
                channel,
                pulses_per_turn,
            } => {
                self.shared_part(file, &format!("{path}.control"), bus, *address);
                self.within(
                    format!("{path}.control.channel"),
                    *channel,
                    0..=4,
                    "the part drives five fans",
                );
                self.pulses(&format!("{path}.control.pulses_per_turn"), *pulses_per_turn);
            }
        }
    }

    fn pulses(&mut self, path: &str, pulses: u8) {
        self.within(
            path,
            pulses,
            1..=4,
            "fans give one to four pulses a turn, mostly two",
        );
    }
}

fn role_key(role: Role) -> &'static str {
    match role {
        Role::Chip => "chip",
        Role::Pcb => "pcb",
        Role::Inlet => "inlet",
    }
}
