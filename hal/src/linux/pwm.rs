//! PWM outputs of `/sys/class/pwm` and `/sys/class/hwmon`.

use super::sysfs;
use crate::pwm::{Pwm, PwmError, PwmSpec};
use crate::units::DutyPercent;
use embedded_hal::pwm::{ErrorType, SetDutyCycle};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Opens an output with its period set and at full duty.
pub(super) fn open(sys: &Path, spec: &PwmSpec) -> Result<Box<dyn Pwm>, PwmError> {
    Ok(match spec {
        PwmSpec::Sysfs {
            chip,
            channel,
            period_ns,
            inversed,
        } => Box::new(SysfsPwm::open(sys, chip, *channel, *period_ns, *inversed)?),
        PwmSpec::Hwmon { device, channel } => Box::new(HwmonPwm::open(sys, device, *channel)?),
    })
}

/// A channel of `/sys/class/pwm` (`Documentation/driver-api/pwm.rst`).
#[derive(Debug)]
struct SysfsPwm {
    name: String,
    directory: PathBuf,
}

impl SysfsPwm {
    fn open(
        sys: &Path,
        chip: &str,
        channel: u32,
        period_ns: u32,
        inversed: bool,
    ) -> Result<Self, PwmError> {
        let parent = sys.join("class/pwm").join(chip);
        let directory = parent.join(format!("pwm{channel}"));
        let mut pwm = Self {
            name: format!("{chip}/pwm{channel}"),
            directory,
        };
        if !parent.is_dir() {
            let looked = format!("{} is no directory", parent.display());
            return Err(PwmError::Unknown {
                name: pwm.name,
                looked,
            });
        }
        if !pwm.directory.is_dir() {
            pwm.doing(
                "exporting it",
                sysfs::write(&parent.join("export"), channel),
            )?;
        }
        pwm.set_polarity(inversed)?;
        pwm.fill(u64::from(period_ns))?;
        pwm.write("enable", 1_u64)?;
        Ok(pwm)
    }

    /// Full duty at a period, in an order that no instant of it is less than what was driven before: the kernel refuses
    /// a duty longer than the period.
    fn fill(&mut self, period_ns: u64) -> Result<(), PwmError> {
        if period_ns >= self.read("duty_cycle")? {
            self.write("period", period_ns)?;
            self.write("duty_cycle", period_ns)
        } else {
            self.write("duty_cycle", period_ns)?;
            self.write("period", period_ns)
        }
    }

    /// The kernel changes polarity only while the output is off; it is left alone when right already.
    fn set_polarity(&mut self, inversed: bool) -> Result<(), PwmError> {
        let path = self.directory.join("polarity");
        let wanted = if inversed { "inversed" } else { "normal" };
        match sysfs::read(&path) {
            Ok(polarity) if polarity == wanted => Ok(()),
            Ok(_) => {
                self.write("enable", 0_u64)?;
                self.doing("setting polarity", sysfs::write(&path, wanted))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !inversed => Ok(()),
            Err(error) => self.doing("reading polarity", Err(error)),
        }
    }

    fn read(&self, attribute: &str) -> Result<u64, PwmError> {
        self.doing(
            &format!("reading {attribute}"),
            sysfs::read_number(&self.directory.join(attribute)),
        )
    }

    fn write(&self, attribute: &str, value: u64) -> Result<(), PwmError> {
        let written = sysfs::write(&self.directory.join(attribute), value);
        self.doing(&format!("setting {attribute} to {value}"), written)
    }

    fn doing<T>(&self, doing: &str, result: io::Result<T>) -> Result<T, PwmError> {
        result.map_err(|source| PwmError::Io {
            name: self.name.clone(),
            doing: doing.to_owned(),
            source,
        })
    }

    fn implausible(&self, file: &str, text: impl ToString + Copy) -> PwmError {
        PwmError::Implausible {
            name: self.name.clone(),
            file: file.to_owned(),
            text: text.to_string(),
        }
    }

    /// Period and duty in nanoseconds, the duty within the period.
    fn timing(&self) -> Result<(u64, u64), PwmError> {
        let (period, duty) = (self.read("period")?, self.read("duty_cycle")?);
        if period == 0 {
            return Err(self.implausible("period", period));
        }
        if duty > period {
            return Err(self.implausible("duty_cycle", duty));
        }
        Ok((period, duty))
    }
}

impl ErrorType for SysfsPwm {
    type Error = PwmError;
}

impl SetDutyCycle for SysfsPwm {
    fn max_duty_cycle(&self) -> u16 {
        u16::MAX
    }

    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), PwmError> {
        let (period, _) = self.timing()?;
        let share = u128::from(period) * u128::from(duty) / u128::from(u16::MAX);
        self.write("duty_cycle", u64::try_from(share).unwrap_or(period))
    }
}

impl Pwm for SysfsPwm {
    fn name(&self) -> &str {
        &self.name
    }

    fn period(&mut self) -> Result<Duration, PwmError> {
        Ok(Duration::from_nanos(self.timing()?.0))
    }

    fn set_period(&mut self, period: Duration) -> Result<(), PwmError> {
        let duty = self.duty()?;
        let nanoseconds = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        self.fill(nanoseconds)?;
        self.set_duty(duty)
    }

    fn duty(&mut self) -> Result<DutyPercent, PwmError> {
        let (period, duty) = self.timing()?;
        Ok(DutyPercent((duty as f64 * 100.0 / period as f64) as f32))
    }
}

/// `pwmN` of a hwmon device: 0 to 255 (`Documentation/hwmon/sysfs-interface.rst`).
#[derive(Debug)]
struct HwmonPwm {
    name: String,
    path: PathBuf,
}

impl HwmonPwm {
    fn open(sys: &Path, device: &str, channel: u32) -> Result<Self, PwmError> {
        let name = format!("{device}/pwm{channel}");
        let directory = sysfs::hwmon(sys, device).map_err(|looked| PwmError::Unknown {
            name: name.clone(),
            looked,
        })?;
        let mut pwm = Self {
            name,
            path: directory.join(format!("pwm{channel}")),
        };
        let enable = directory.join(format!("pwm{channel}_enable"));
        if enable.exists() {
            // 1 is "manual": the kernel must not set the duty behind our back.
            sysfs::write(&enable, 1).map_err(|error| pwm.failed("taking manual control", error))?;
        }
        pwm.set_duty_cycle_fully_on()?;
        Ok(pwm)
    }

    fn failed(&self, doing: &str, source: io::Error) -> PwmError {
        PwmError::Io {
            name: self.name.clone(),
            doing: doing.to_owned(),
            source,
        }
    }

    fn unsupported(&self) -> PwmError {
        PwmError::Unsupported {
            name: self.name.clone(),
            what: "the period",
        }
    }
}

impl ErrorType for HwmonPwm {
    type Error = PwmError;
}

impl SetDutyCycle for HwmonPwm {
    fn max_duty_cycle(&self) -> u16 {
        255
    }

    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), PwmError> {
        sysfs::write(&self.path, duty.min(255))
            .map_err(|error| self.failed("setting the duty", error))
    }
}

impl Pwm for HwmonPwm {
    fn name(&self) -> &str {
        &self.name
    }

    fn period(&mut self) -> Result<Duration, PwmError> {
        Err(self.unsupported())
    }

    fn set_period(&mut self, _: Duration) -> Result<(), PwmError> {
        Err(self.unsupported())
    }

    fn duty(&mut self) -> Result<DutyPercent, PwmError> {
        let steps: u8 = sysfs::read_number(&self.path)
            .map_err(|error| self.failed("reading the duty", error))?;
        Ok(DutyPercent(f32::from(steps) * 100.0 / 255.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A `pwmchip0` whose channel 1 is exported, at half of 40 us.
    fn chip() -> (tempfile::TempDir, PathBuf) {
        let sys = tempfile::tempdir().unwrap();
        let directory = sys.path().join("class/pwm/pwmchip0/pwm1");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("../export"), "").unwrap();
        for (name, text) in [
            ("period", "40000"),
            ("duty_cycle", "20000"),
            ("enable", "0"),
            ("polarity", "normal\n"),
        ] {
            fs::write(directory.join(name), text).unwrap();
        }
        (sys, directory)
    }

    fn open_at(sys: &Path, channel: u32, period_ns: u32) -> Result<SysfsPwm, PwmError> {
        SysfsPwm::open(sys, "pwmchip0", channel, period_ns, false)
    }

    fn number(directory: &Path, name: &str) -> u64 {
        sysfs::read_number(&directory.join(name)).unwrap()
    }

    #[test]
    fn an_output_opens_at_full_duty_and_enabled() {
        let (sys, directory) = chip();
        let mut pwm = open_at(sys.path(), 1, 50_000).unwrap();
        assert_eq!(number(&directory, "period"), 50_000);
        assert_eq!(number(&directory, "duty_cycle"), 50_000);
        assert_eq!(number(&directory, "enable"), 1);
        assert_eq!(pwm.duty().unwrap(), DutyPercent::FULL);
        assert_eq!(pwm.period().unwrap(), Duration::from_micros(50));
    }

    #[test]
    fn a_duty_is_a_share_of_the_period_and_reads_back() {
        let (sys, directory) = chip();
        let mut pwm = open_at(sys.path(), 1, 40_000).unwrap();
        pwm.set_duty(DutyPercent(25.0)).unwrap();
        assert!((9_990..=10_010).contains(&number(&directory, "duty_cycle")));
        assert!((pwm.duty().unwrap().0 - 25.0).abs() < 0.1);
        pwm.set_duty(DutyPercent(f32::NAN)).unwrap();
        assert_eq!(
            number(&directory, "duty_cycle"),
            40_000,
            "an unknown duty is full"
        );
    }

    #[test]
    fn a_reading_that_cannot_be_is_an_error() {
        let (sys, directory) = chip();
        let mut pwm = open_at(sys.path(), 1, 40_000).unwrap();
        for (name, text) in [("duty_cycle", "50000"), ("period", "0"), ("period", "soon")] {
            fs::write(directory.join(name), text).unwrap();
            let error = pwm.duty().unwrap_err().to_string();
            assert!(
                error.contains("pwmchip0/pwm1") && error.contains(name),
                "{error}"
            );
        }
    }

    #[test]
    fn a_wrong_polarity_is_changed_while_the_output_is_off() {
        let (sys, directory) = chip();
        fs::write(directory.join("polarity"), "inversed").unwrap();
        open_at(sys.path(), 1, 40_000).unwrap();
        assert!(
            sysfs::read(&directory.join("polarity"))
                .unwrap()
                .starts_with("normal")
        );
        assert_eq!(number(&directory, "enable"), 1);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let (sys, _) = chip();
        let error = SysfsPwm::open(sys.path(), "pwmchip9", 0, 40_000, false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("pwmchip9"), "{error}");
        let error = open_at(sys.path(), 7, 40_000).unwrap_err().to_string();
        assert!(
            error.contains("pwmchip0/pwm7"),
            "exporting made nothing here: {error}"
        );
        let error = HwmonPwm::open(sys.path(), "pwmfan", 1)
            .unwrap_err()
            .to_string();
        assert!(error.contains("pwmfan/pwm1"), "{error}");
    }

    #[test]
    fn a_hwmon_output_is_taken_from_the_kernel_and_set_in_its_steps() {
        let sys = tempfile::tempdir().unwrap();
        let directory = sys.path().join("class/hwmon/hwmon3");
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in [("name", "pwmfan\n"), ("pwm1", "0"), ("pwm1_enable", "2")] {
            fs::write(directory.join(name), text).unwrap();
        }
        let mut pwm = HwmonPwm::open(sys.path(), "pwmfan", 1).unwrap();
        assert_eq!(number(&directory, "pwm1"), 255);
        assert_eq!(number(&directory, "pwm1_enable"), 1);
        pwm.set_duty(DutyPercent(50.0)).unwrap();
        assert_eq!(number(&directory, "pwm1"), 128);
        assert!((pwm.duty().unwrap().0 - 50.2).abs() < 0.1);
        assert!(matches!(pwm.period(), Err(PwmError::Unsupported { .. })));
    }
}
