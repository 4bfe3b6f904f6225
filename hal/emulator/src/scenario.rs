//! Faults planned in time.

use crate::{fault::Fault, machine::MachineSettings};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use thiserror::Error;

/// A file of faults to come. The TOML form is strict: an unknown key is an error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Faults in any order.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// One fault of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Seconds from the start of the scenario.
    pub at: f64,
    /// Seconds that it lasts; for ever if left out.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// What goes wrong.
    pub inject: Fault,
}

/// A scenario that cannot be played.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// It is not TOML of this form.
    #[error("scenario: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A time that is none.
    #[error("scenario step {step}: {seconds} is no time; use seconds from 0 to {TIME_MAX}")]
    Time {
        /// Step, from 1.
        step: usize,
        /// What was given.
        seconds: f64,
    },
    /// Too many steps.
    #[error("scenario: {0} steps, {STEPS_MAX} are the most; split it")]
    TooLong(usize),
}

/// Ten years.
const TIME_MAX: f64 = 315_360_000.0;
const STEPS_MAX: usize = 4096;

impl Scenario {
    /// Reads a scenario and checks it, but for the names of things, which only a machine knows.
    ///
    /// # Errors
    /// With the line or step that is wrong.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text)?;
        if scenario.steps.len() > STEPS_MAX {
            return Err(ScenarioError::TooLong(scenario.steps.len()));
        }
        for (step, number) in scenario.steps.iter().zip(1..) {
            for seconds in [Some(step.at), step.seconds].into_iter().flatten() {
                if !(0.0..=TIME_MAX).contains(&seconds) {
                    return Err(ScenarioError::Time {
                        step: number,
                        seconds,
                    });
                }
            }
        }
        Ok(scenario)
    }

    /// Faults of every kind at random times, each over within ten minutes: the same for the same seed.
    pub fn random(
        machine: &MachineSettings,
        seed: u64,
        lasting: Duration,
        mean_gap: Duration,
    ) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut at = 0.0;
        let mut steps = Vec::new();
        while steps.len() < STEPS_MAX {
            // Gaps of a Poisson process.
            at -= mean_gap.as_secs_f64() * (1.0 - chance.f64()).ln();
            if at > lasting.as_secs_f64() {
                break;
            }
            let seconds = Some(5.0 + chance.f64() * 595.0);
            if let Some(inject) = random_fault(machine, &mut chance) {
                steps.push(Step {
                    at,
                    seconds,
                    inject,
                });
            }
        }
        Self { steps }
    }
}

impl Step {
    /// Time from the start of the scenario.
    pub fn at(&self) -> Duration {
        Duration::try_from_secs_f64(self.at).unwrap_or(Duration::MAX)
    }

    /// How long it lasts; none for ever.
    pub fn lasting(&self) -> Option<Duration> {
        self.seconds
            .map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }
}

/// Any fault that this machine can have; none when the kind drawn needs a part that it lacks.
fn random_fault(machine: &MachineSettings, chance: &mut fastrand::Rng) -> Option<Fault> {
    let sensor = chance
        .choice(&machine.sensors)
        .map(|sensor| sensor.name.clone());
    let fan = chance.choice(&machine.fans).map(|fan| fan.name.clone());
    let chain = chance.usize(..machine.chains.len().max(1));
    let wiring = machine.chains.get(chain)?;
    let chip = chance.usize(..wiring.chips.max(1));
    let core = chance.u32(..wiring.chip.cores());
    let rare = chance.f64() * 0.01;
    Some(match chance.u32(..32) {
        0 => Fault::SensorNak { sensor: sensor? },
        1 => Fault::SensorStuck { sensor: sensor? },
        2 => Fault::SensorZero { sensor: sensor? },
        3 => Fault::SensorImplausible { sensor: sensor? },
        4 => Fault::SensorJump {
            sensor: sensor?,
            celsius: chance.f32() * 120.0 - 60.0,
        },
        5 => Fault::SensorLate {
            sensor: sensor?,
            seconds: chance.u32(1..120),
        },
        6 => Fault::SensorOpenDiode { sensor: sensor? },
        7 => Fault::FanStop { fan: fan? },
        8 => Fault::FanSlow {
            fan: fan?,
            share: chance.f32(),
        },
        9 => Fault::TachLies {
            fan: fan?,
            rpm: chance.u32(..20_000),
        },
        10 => Fault::FanStopTachLies { fan: fan? },
        11 => Fault::SupplyNak,
        12 => Fault::SupplyBadChecksum,
        13 => Fault::SupplySilent,
        14 => Fault::SupplyOverVoltage {
            millivolts: chance.u32(100..3000),
        },
        15 => Fault::SupplyTrip,
        16 => Fault::BrownOut {
            millivolts: chance.u32(..12_000),
        },
        17 => Fault::HeartbeatLoss { chain },
        18 => Fault::ChipCutsChain { chain, chip },
        19 => Fault::ChipSilent { chain, chip },
        20 => Fault::ChainMute { chain },
        21 => Fault::LineNoise {
            chain,
            flip: rare,
            drop: rare,
            insert: rare,
            duplicate: rare,
        },
        22 => Fault::BaudMismatch {
            chain,
            factor: 0.8 + chance.f64() * 0.4,
        },
        23 => Fault::StuckCore { chain, chip, core },
        24 => Fault::BadNonces {
            chain,
            share: chance.f64(),
        },
        25 => Fault::PllGarbage { chain },
        26 => Fault::OverTemperature {
            chain,
            watts: chance.f32() * 1500.0,
        },
        27 => Fault::ControllerNak { chain },
        28 => Fault::ControllerRefuses { chain },
        29 => Fault::EnableStuck,
        30 => Fault::SupplyStuckOn,
        _ => Fault::HotRoom {
            celsius: chance.f32() * 25.0,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_reads_its_steps() {
        let text = r#"
            [[steps]]
            at = 10
            for = 2.5
            inject = { fault = "fan-stop", fan = "front left" }

            [[steps]]
            at = 60
            inject = { fault = "supply-trip" }
        "#;
        let scenario = Scenario::from_toml(text).unwrap();
        let [first, second] = scenario.steps.as_slice() else {
            panic!("{scenario:?}")
        };
        assert_eq!(first.at(), Duration::from_secs(10));
        assert_eq!(first.lasting(), Some(Duration::from_millis(2500)));
        assert_eq!(
            (second.lasting(), &second.inject),
            (None, &Fault::SupplyTrip)
        );
        assert_eq!(
            Scenario::from_toml(&toml::to_string(&scenario).unwrap()).unwrap(),
            scenario
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("steps = 3", "steps"),
            (
                "[[steps]]\nat = -1\ninject = { fault = \"supply-trip\" }",
                "step 1",
            ),
            (
                "[[steps]]\nat = nan\ninject = { fault = \"supply-trip\" }",
                "step 1",
            ),
            (
                "[[steps]]\nat = 1\nuntil = 3\ninject = { fault = \"supply-trip\" }",
                "until",
            ),
            (
                "[[steps]]\nat = 1\ninject = { fault = \"sun-spot\" }",
                "sun-spot",
            ),
        ] {
            let error = Scenario::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn random_scenarios_repeat_by_seed_and_cover_all_kinds() {
        let machine = MachineSettings::l7().unwrap();
        let draw = |seed| {
            let (day, minute) = (Duration::from_secs(86_400), Duration::from_secs(60));
            Scenario::random(&machine, seed, day, minute)
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let steps = draw(1).steps;
        assert!((1200..1700).contains(&steps.len()), "{}", steps.len());
        let kinds: std::collections::HashSet<_> = steps
            .iter()
            .map(|step| std::mem::discriminant(&step.inject))
            .collect();
        assert_eq!(kinds.len(), 32);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "\\PC{0,200}") {
            let _ = Scenario::from_toml(&text);
        }

        #[test]
        fn no_numbers_make_reading_panic(at: f64, seconds: f64) {
            let text = format!("[[steps]]\nat = {at:?}\nfor = {seconds:?}\ninject = {{ fault = \"supply-trip\" }}");
            if let Ok(scenario) = Scenario::from_toml(&text) {
                for step in scenario.steps {
                    let _ = (step.at(), step.lasting());
                }
            }
        }
    }
}
