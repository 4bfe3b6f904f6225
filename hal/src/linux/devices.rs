//! The devices of this machine, by the names that a board file uses.

use super::i2c::Adapter;
use super::led::SysfsLed;
use super::spi::LinuxSpi;
use super::{LinuxUart, LinuxWatchdog, gpio, pwm, tach};
use crate::devices::Devices;
use crate::gpio::{GpioError, Input, Level, LineId, Output};
use crate::i2c::{self, Guarded, I2cBusSpec, I2cError, OwnedBus, RetryPolicy};
use crate::led::{Led, LedError, LedSpec};
use crate::pwm::{Pwm, PwmError, PwmSpec};
use crate::spi::{self, SpiError, SpiSpec};
use crate::tach::{Tach, TachError, TachSpec};
use crate::uart::{Uart, UartError, UartSpec};
use crate::watchdog::{Watchdog, WatchdogError, WatchdogSpec};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Longest that a caller waits for a bus. The retries of one transfer end after 50 ms; the rest is for a queue of them.
const BUS_DEADLINE: Duration = Duration::from_millis(250);

/// What is below `/dev` and `/sys`.
pub struct LinuxDevices {
    dev: PathBuf,
    sys: PathBuf,
    buses: HashMap<String, (I2cBusSpec, OwnedBus)>,
}

impl LinuxDevices {
    /// The devices of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self::rooted("/dev", "/sys")
    }

    /// The same below other directories.
    fn rooted(dev: impl Into<PathBuf>, sys: impl Into<PathBuf>) -> Self {
        Self {
            dev: dev.into(),
            sys: sys.into(),
            buses: HashMap::new(),
        }
    }
}

impl Default for LinuxDevices {
    fn default() -> Self {
        Self::new()
    }
}

impl Devices for LinuxDevices {
    fn model(&self) -> io::Result<Option<String>> {
        match std::fs::read(self.sys.join("firmware/devicetree/base/model")) {
            // A string of the device tree ends with a NUL.
            Ok(bytes) => Ok(Some(
                String::from_utf8_lossy(&bytes)
                    .trim_end_matches('\0')
                    .to_owned(),
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn uart(&mut self, spec: &UartSpec) -> Result<Box<dyn Uart>, UartError> {
        Ok(Box::new(LinuxUart::open(spec)?))
    }

    fn output(&mut self, line: &LineId, initial: Level) -> Result<Output, GpioError> {
        gpio::output(&self.dev, &self.sys, line, initial)
    }

    fn input(&mut self, line: &LineId) -> Result<Input, GpioError> {
        gpio::input(&self.dev, &self.sys, line)
    }

    fn i2c(&mut self, spec: &I2cBusSpec) -> Result<i2c::Handle, I2cError> {
        let bus = &spec.bus;
        if let Some((opened, owned)) = self.buses.get(bus) {
            return if opened == spec {
                Ok(i2c::Handle::new(owned.clone()))
            } else {
                Err(I2cError::Conflict { bus: bus.clone() })
            };
        }
        let adapter = Adapter::open(&self.dev.join(bus)).map_err(|source| I2cError::Open {
            bus: bus.clone(),
            source,
        })?;
        let guarded = Guarded::new(adapter, spec.clone(), RetryPolicy::REAL);
        let owned = OwnedBus::spawn(bus, guarded, BUS_DEADLINE)?;
        self.buses
            .insert(bus.clone(), (spec.clone(), owned.clone()));
        Ok(i2c::Handle::new(owned))
    }

    fn spi(&mut self, spec: &SpiSpec) -> Result<spi::Handle, SpiError> {
        Ok(spi::Handle::new(LinuxSpi::open(&self.dev, spec)?))
    }

    fn pwm(&mut self, spec: &PwmSpec) -> Result<Box<dyn Pwm>, PwmError> {
        pwm::open(&self.sys, spec)
    }

    fn tach(&mut self, spec: &TachSpec) -> Result<Box<dyn Tach>, TachError> {
        tach::open(&self.dev, &self.sys, spec)
    }

    fn led(&mut self, spec: &LedSpec) -> Result<Box<dyn Led>, LedError> {
        Ok(match spec {
            LedSpec::Sysfs { name } => Box::new(SysfsLed::open(&self.sys, name)?),
            LedSpec::Gpio { signal } => Box::new(self.output_signal(signal, false)?),
        })
    }

    fn watchdog(&mut self, spec: &WatchdogSpec) -> Result<Box<dyn Watchdog>, WatchdogError> {
        Ok(Box::new(LinuxWatchdog::open(spec, &self.sys)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn machine() -> (tempfile::TempDir, LinuxDevices) {
        let root = tempfile::tempdir().unwrap();
        let devices = LinuxDevices::rooted(root.path().join("dev"), root.path().join("sys"));
        (root, devices)
    }

    #[test]
    fn the_model_is_read_without_its_nul_and_none_without_a_device_tree() {
        let (root, devices) = machine();
        assert_eq!(devices.model().unwrap(), None);
        let base = root.path().join("sys/firmware/devicetree/base");
        fs::create_dir_all(&base).unwrap();
        fs::write(base.join("model"), b"AST2600 EVB\0").unwrap();
        assert_eq!(devices.model().unwrap().as_deref(), Some("AST2600 EVB"));
    }

    #[test]
    fn every_device_that_is_not_there_is_an_error_that_names_it() {
        let (_root, mut devices) = machine();
        let bus = I2cBusSpec {
            bus: "i2c-7".into(),
            deny_writes: vec![],
        };
        let spi = SpiSpec {
            device: "spidev3.1".into(),
            clock_hz: 1_000_000,
            mode: 0,
        };
        let watchdog = WatchdogSpec {
            device: "/nonexistent/watchdog4".into(),
            timeout_s: 15,
        };
        let led = LedSpec::Sysfs {
            name: "blue".into(),
        };
        let pwm = PwmSpec::Hwmon {
            device: "pwmfan".into(),
            channel: 2,
        };
        let line = LineId::Name("HB0_RESET".into());
        let tach = TachSpec::Gpio {
            line: line.clone(),
            pulses_per_turn: 2,
        };
        for (error, name) in [
            (
                devices.i2c(&bus).err().map(|error| error.to_string()),
                "i2c-7",
            ),
            (
                devices.spi(&spi).err().map(|error| error.to_string()),
                "spidev3.1",
            ),
            (
                devices
                    .watchdog(&watchdog)
                    .err()
                    .map(|error| error.to_string()),
                "watchdog4",
            ),
            (
                devices.led(&led).err().map(|error| error.to_string()),
                "blue",
            ),
            (
                devices.pwm(&pwm).err().map(|error| error.to_string()),
                "pwmfan/pwm2",
            ),
            (
                devices.tach(&tach).err().map(|error| error.to_string()),
                "HB0_RESET",
            ),
            (
                devices
                    .output(&line, Level::Low)
                    .err()
                    .map(|error| error.to_string()),
                "HB0_RESET",
            ),
            (
                devices.input(&line).err().map(|error| error.to_string()),
                "HB0_RESET",
            ),
        ] {
            let error = error.unwrap_or_else(|| panic!("{name} opened"));
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn a_bus_has_one_deny_list() {
        let (root, mut devices) = machine();
        // Any file can be opened; the first transfer would tell it from a bus.
        fs::create_dir_all(root.path().join("dev")).unwrap();
        fs::write(root.path().join("dev/i2c-0"), "").unwrap();
        let spec = I2cBusSpec {
            bus: "i2c-0".into(),
            deny_writes: vec![0x50],
        };
        devices.i2c(&spec).unwrap();
        devices.i2c(&spec).unwrap();
        let wider = I2cBusSpec {
            deny_writes: vec![],
            ..spec
        };
        assert!(matches!(
            devices.i2c(&wider),
            Err(I2cError::Conflict { .. })
        ));
    }

    #[test]
    fn a_file_that_is_no_bus_fails_at_the_first_transfer_with_its_name() {
        use embedded_hal::i2c::I2c;
        let (root, mut devices) = machine();
        fs::create_dir_all(root.path().join("dev")).unwrap();
        fs::write(root.path().join("dev/i2c-3"), "").unwrap();
        let mut bus = devices
            .i2c(&I2cBusSpec {
                bus: "i2c-3".into(),
                deny_writes: vec![],
            })
            .unwrap();
        let error = bus
            .write_read(0x48, &[0], &mut [0; 2])
            .unwrap_err()
            .to_string();
        assert!(error.contains("i2c-3 address 0x48"), "{error}");
    }
}
