//! Sensors and fans of a board file, as the workers see them.

use super::HardwareError;
use crate::keeper::workers::{Blower, Thermometer};
use cgminer_board::assembly;
use cgminer_board::file::{BoardFile, SensorSpec};
use cgminer_board::parts::{Fan, PartError, Problem, TemperatureSensor};
use cgminer_board::thermal::Observation;
use cgminer_hal::devices::Devices;
use cgminer_hal::units::{DutyPercent, Rpm};
use std::time::Instant;

/// A sensor of the board file.
pub(super) fn thermometer(
    board: &BoardFile,
    spec: &SensorSpec,
    devices: &mut dyn Devices,
) -> Result<Box<dyn Thermometer>, HardwareError> {
    Ok(Box::new(Sensor {
        name: spec.name.clone(),
        part: assembly::sensor(board, spec, devices)?,
        diodes: spec.remotes.len(),
        started: false,
        complained: false,
    }))
}

/// A part that is set up again whenever it was lost, as it may have lost its power.
struct Sensor {
    name: String,
    part: Box<dyn TemperatureSensor>,
    diodes: usize,
    started: bool,
    complained: bool,
}

impl Thermometer for Sensor {
    fn read(&mut self) -> Vec<Observation> {
        if !self.started {
            if let Err(error) = self.part.start() {
                self.complain(&error);
                return vec![Observation::Unreadable; 1 + self.diodes];
            }
            self.started = true;
        }
        let readings = self.part.read();
        match &readings.local {
            Ok(_) => self.complained = false,
            Err(error) if error.problem == Problem::NotReady => {}
            Err(error) => {
                self.started = false;
                self.complain(error);
            }
        }
        let local = readings.local.as_ref().ok().copied();
        let own = local.map_or(Observation::Unreadable, Observation::Value);
        let remote = |index: usize| match readings.remotes.get(index) {
            Some(Ok(value)) => Observation::Value(*value),
            Some(Err(error)) if error.problem == Problem::OpenDiode => {
                Observation::DiodeOpen { local }
            }
            Some(Err(_)) | None => Observation::Unreadable,
        };
        std::iter::once(own)
            .chain((0..self.diodes).map(remote))
            .collect()
    }
}

impl Sensor {
    fn complain(&mut self, error: &PartError) {
        if !self.complained {
            tracing::warn!(sensor = self.name, %error, "a sensor cannot be read");
        }
        self.complained = true;
    }
}

/// The fans of the board file, each in its place; one that cannot be opened says so at every turn.
pub(super) fn fans(
    board: &BoardFile,
    devices: &mut dyn Devices,
    failures: &mut Vec<HardwareError>,
) -> Vec<Box<dyn Blower>> {
    let fan = |spec| match assembly::fan(board, spec, devices) {
        Ok(part) => Box::new(BoardFan {
            part,
            started: false,
        }) as Box<dyn Blower>,
        Err(error) => {
            let lost = LostFan(error.to_string());
            failures.push(error.into());
            Box::new(lost)
        }
    };
    board.fans.iter().map(fan).collect()
}

/// A fan that could not be opened.
struct LostFan(String);

impl Blower for LostFan {
    fn set_duty(&mut self, _: DutyPercent) -> Result<DutyPercent, String> {
        Err(self.0.clone())
    }

    fn speed(&mut self, _: Instant) -> Result<Option<Rpm>, String> {
        Err(self.0.clone())
    }
}

/// A fan that is set up again whenever its controller was lost.
struct BoardFan {
    part: Box<dyn Fan>,
    started: bool,
}

impl Blower for BoardFan {
    fn set_duty(&mut self, duty: DutyPercent) -> Result<DutyPercent, String> {
        let mut set = || {
            if !self.started {
                self.part.start()?;
            }
            self.part.set_duty(duty)?;
            self.part.duty()
        };
        let took = set();
        self.started = took.is_ok();
        took.map_err(|error| error.to_string())
    }

    fn speed(&mut self, now: Instant) -> Result<Option<Rpm>, String> {
        match self.part.rpm(now) {
            Ok(speed) => Ok(Some(speed)),
            Err(error) if error.is_not_yet() => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cgminer_board::parts::{Readings, Register};
    use cgminer_hal::units::Celsius;

    type Outcome = Result<Celsius, Problem>;

    /// Gives what it is told to, one list a call.
    struct Script {
        started: usize,
        readings: Vec<(Outcome, Vec<Outcome>)>,
    }

    fn failed(problem: Problem) -> PartError {
        PartError {
            part: "script",
            address: 0x48,
            register: Register {
                name: "TEMPERATURE",
                code: 0,
            },
            problem,
        }
    }

    impl TemperatureSensor for Script {
        fn start(&mut self) -> Result<(), PartError> {
            self.started += 1;
            Ok(())
        }

        fn read(&mut self) -> Readings {
            let (local, remotes) = self.readings.remove(0);
            Readings {
                local: local.map_err(failed),
                remotes: remotes
                    .into_iter()
                    .map(|remote| remote.map_err(failed))
                    .collect(),
            }
        }
    }

    #[test]
    fn each_temperature_keeps_its_place_whatever_fails() {
        let warm = || Ok(Celsius(40.0));
        let mut sensor = Sensor {
            name: "script".into(),
            part: Box::new(Script {
                started: 0,
                readings: vec![
                    (warm(), vec![warm(), Err(Problem::OpenDiode)]),
                    (Err(Problem::Refused), vec![]),
                    (warm(), vec![Err(Problem::Refused)]),
                ],
            }),
            diodes: 2,
            started: false,
            complained: false,
        };
        let value = Observation::Value(Celsius(40.0));
        let open = Observation::DiodeOpen {
            local: Some(Celsius(40.0)),
        };
        assert_eq!(sensor.read(), [value, value, open]);
        assert_eq!(sensor.read(), [Observation::Unreadable; 3]);
        assert!(!sensor.started, "it is set up again");
        assert_eq!(
            sensor.read(),
            [value, Observation::Unreadable, Observation::Unreadable]
        );
    }
}
