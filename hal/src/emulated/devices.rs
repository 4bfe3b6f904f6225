//! The devices of an emulated machine, by the names that a board file uses.

use super::{
    GpioLine, I2cBus, PulseTach, PwmLine, SpiLine, TachLine, UartSocket, WatchdogCell, locked,
    watchdog::RunningWatchdog,
};
use crate::{
    devices::Devices,
    gpio::{GpioError, Input, Level, LineId, Output},
    i2c::{self, Guarded, I2cBusSpec, I2cError, RetryPolicy},
    led::{Led, LedError, LedSpec},
    pwm::{Pwm, PwmError, PwmSpec},
    spi::{self, SpiError, SpiSpec},
    tach::{Tach, TachError, TachSpec},
    uart::{Uart, UartError, UartSpec},
    units::DutyPercent,
    watchdog::{Watchdog, WatchdogError, WatchdogSpec},
};
use embedded_hal::digital::OutputPin;
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What is where. Every clone is the same machine; a name that is not wired is refused, as a device that is not there.
#[derive(Clone, Debug, Default)]
pub struct Wiring {
    ends: Arc<Mutex<Ends>>,
}

#[derive(Debug, Default)]
struct Ends {
    model: Option<String>,
    uarts: HashMap<String, UartSocket>,
    lines: HashMap<LineId, GpioLine>,
    buses: HashMap<String, I2cBus>,
    spis: HashMap<String, SpiLine>,
    pwms: HashMap<String, PwmLine>,
    tachs: HashMap<String, TachLine>,
    leds: HashMap<String, GpioLine>,
    watchdogs: HashMap<String, WatchdogCell>,
}

impl Wiring {
    /// What the device tree's `model` reads.
    pub fn set_model(&self, model: impl Into<String>) {
        locked(&self.ends).model = Some(model.into());
    }

    /// Wires a serial line to a device name.
    pub fn add_uart(&self, device: impl Into<String>, socket: UartSocket) {
        locked(&self.ends).uarts.insert(device.into(), socket);
    }

    /// Gives a GPIO line, wiring it at rest level `high` when it is new.
    pub fn line(&self, line: &LineId, high: bool) -> GpioLine {
        let mut ends = locked(&self.ends);
        let entry = ends.lines.entry(line.clone());
        entry.or_insert_with(|| GpioLine::new(high)).clone()
    }

    /// Gives a bus, wiring it when it is new.
    pub fn bus(&self, name: &str) -> I2cBus {
        locked(&self.ends)
            .buses
            .entry(name.into())
            .or_default()
            .clone()
    }

    /// Wires an SPI device.
    pub fn add_spi(&self, device: impl Into<String>, line: SpiLine) {
        locked(&self.ends).spis.insert(device.into(), line);
    }

    /// Gives a PWM output, wiring it when it is new.
    pub fn pwm_line(&self, spec: &PwmSpec) -> PwmLine {
        let name = pwm_name(spec);
        let mut ends = locked(&self.ends);
        let entry = ends.pwms.entry(name.clone());
        entry.or_insert_with(|| PwmLine::new(name)).clone()
    }

    /// Gives a tachometer input, wiring it when it is new.
    pub fn tach_line(&self, spec: &TachSpec) -> TachLine {
        locked(&self.ends)
            .tachs
            .entry(tach_name(spec).0)
            .or_default()
            .clone()
    }

    /// Gives a light of `/sys/class/leds`, wiring it when it is new.
    pub fn led_line(&self, name: &str) -> GpioLine {
        locked(&self.ends)
            .leds
            .entry(name.into())
            .or_default()
            .clone()
    }

    /// Gives a watchdog, wiring it when it is new.
    pub fn watchdog_cell(&self, device: &str) -> WatchdogCell {
        locked(&self.ends)
            .watchdogs
            .entry(device.into())
            .or_default()
            .clone()
    }

    fn gpio(&self, line: &LineId) -> Result<GpioLine, GpioError> {
        locked(&self.ends)
            .lines
            .get(line)
            .cloned()
            .ok_or_else(|| GpioError::Unknown {
                line: line.to_string(),
                looked: LOOKED.into(),
            })
    }
}

const LOOKED: &str = "the emulated machine's description";

fn absent() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        "the emulated machine has none by this name",
    )
}

fn pwm_name(spec: &PwmSpec) -> String {
    match spec {
        PwmSpec::Sysfs { chip, channel, .. } => format!("{chip}/pwm{channel}"),
        PwmSpec::Hwmon { device, channel } => format!("{device}/pwm{channel}"),
    }
}

fn tach_name(spec: &TachSpec) -> (String, u8) {
    match spec {
        TachSpec::Gpio {
            line,
            pulses_per_turn,
        } => (line.to_string(), *pulses_per_turn),
        // The kernel does the division by pulses; emulated fans give two a turn.
        TachSpec::Hwmon { device, channel } => (format!("{device}/fan{channel}_input"), 2),
        TachSpec::Capture {
            chip,
            channel,
            pulses_per_turn,
        } => (format!("{chip}/pwm{channel}/capture"), *pulses_per_turn),
    }
}

impl Devices for Wiring {
    fn model(&self) -> io::Result<Option<String>> {
        Ok(locked(&self.ends).model.clone())
    }

    fn uart(&mut self, spec: &UartSpec) -> Result<Box<dyn Uart>, UartError> {
        let socket = locked(&self.ends).uarts.get(&spec.device).cloned();
        match socket {
            Some(socket) => Ok(Box::new(socket.open()?)),
            None => Err(UartError::Open {
                path: spec.device.clone(),
                source: absent(),
            }),
        }
    }

    fn output(&mut self, line: &LineId, initial: Level) -> Result<Output, GpioError> {
        let line = self.gpio(line)?;
        line.set(initial == Level::High);
        Ok(Output::new(line))
    }

    fn input(&mut self, line: &LineId) -> Result<Input, GpioError> {
        Ok(Input::new(self.gpio(line)?))
    }

    fn i2c(&mut self, spec: &I2cBusSpec) -> Result<i2c::Handle, I2cError> {
        match locked(&self.ends).buses.get(&spec.bus) {
            Some(bus) => Ok(i2c::Handle::new(Guarded::new(
                bus.clone(),
                spec.clone(),
                RetryPolicy::EMULATED,
            ))),
            None => Err(I2cError::Open {
                bus: spec.bus.clone(),
                source: absent(),
            }),
        }
    }

    fn spi(&mut self, spec: &SpiSpec) -> Result<spi::Handle, SpiError> {
        match locked(&self.ends).spis.get(&spec.device) {
            Some(line) => Ok(spi::Handle::new(line.clone())),
            None => Err(SpiError::Open {
                device: spec.device.clone(),
                source: absent(),
            }),
        }
    }

    fn pwm(&mut self, spec: &PwmSpec) -> Result<Box<dyn Pwm>, PwmError> {
        let name = pwm_name(spec);
        let line = locked(&self.ends).pwms.get(&name).cloned();
        let mut line = line.ok_or_else(|| PwmError::Unknown {
            name,
            looked: LOOKED.into(),
        })?;
        if let PwmSpec::Sysfs { period_ns, .. } = spec {
            line.set_period(Duration::from_nanos(u64::from(*period_ns)))?;
        }
        line.drive(DutyPercent::FULL);
        Ok(Box::new(line))
    }

    fn tach(&mut self, spec: &TachSpec) -> Result<Box<dyn Tach>, TachError> {
        let (name, pulses_per_turn) = tach_name(spec);
        match locked(&self.ends).tachs.get(&name) {
            Some(line) => Ok(Box::new(PulseTach::new(
                name,
                line.clone(),
                pulses_per_turn,
            ))),
            None => Err(TachError::Unknown {
                name,
                looked: LOOKED.into(),
            }),
        }
    }

    fn led(&mut self, spec: &LedSpec) -> Result<Box<dyn Led>, LedError> {
        match spec {
            LedSpec::Gpio { signal } => Ok(Box::new(self.output_signal(signal, false)?)),
            LedSpec::Sysfs { name } => match locked(&self.ends).leds.get(name) {
                Some(line) => {
                    line.set(false);
                    Ok(Box::new(Light(line.clone())))
                }
                None => Err(LedError::Io {
                    name: name.clone(),
                    doing: "opening",
                    source: absent(),
                }),
            },
        }
    }

    fn watchdog(&mut self, spec: &WatchdogSpec) -> Result<Box<dyn Watchdog>, WatchdogError> {
        let timeout = Duration::from_secs(u64::from(spec.timeout_s));
        match locked(&self.ends).watchdogs.get(&spec.device) {
            Some(cell) => Ok(Box::new(RunningWatchdog::start(cell.clone(), timeout))),
            None => Err(WatchdogError::Open {
                device: spec.device.clone(),
                source: absent(),
            }),
        }
    }
}

/// A light of `/sys/class/leds`.
struct Light(GpioLine);

impl Led for Light {
    fn set(&mut self, lit: bool) -> Result<(), LedError> {
        if lit {
            self.0.set_high()?;
        } else {
            self.0.set_low()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal::digital::InputPin;

    #[test]
    fn a_device_that_is_not_wired_is_refused_by_name() {
        let mut wiring = Wiring::default();
        let line = LineId::Number(439);
        let error = wiring.input(&line).err().unwrap();
        assert!(error.to_string().contains("439"), "{error}");
        let spec = UartSpec {
            device: "/dev/ttyS1".into(),
            second_descriptor: false,
        };
        assert!(matches!(wiring.uart(&spec), Err(UartError::Open { .. })));
    }

    #[test]
    fn host_and_machine_share_what_is_wired() {
        let mut wiring = Wiring::default();
        let line = LineId::Number(439);
        let machine = wiring.line(&line, true);
        assert!(wiring.input(&line).unwrap().is_high().unwrap());
        let mut host = wiring.output(&line, Level::Low).unwrap();
        assert!(!machine.level());
        host.set_high().unwrap();
        assert!(machine.level());
    }

    #[test]
    fn an_opened_pwm_is_at_full_duty() {
        let mut wiring = Wiring::default();
        let spec = PwmSpec::Sysfs {
            chip: "pwmchip0".into(),
            channel: 0,
            period_ns: 10_000,
            inversed: false,
        };
        let fan = wiring.pwm_line(&spec);
        let mut host = wiring.pwm(&spec).unwrap();
        assert_eq!(fan.level(), DutyPercent::FULL);
        assert_eq!(host.period().unwrap(), Duration::from_micros(10));
    }

    #[test]
    fn opening_a_watchdog_starts_it() {
        let mut wiring = Wiring::default();
        let cell = wiring.watchdog_cell("/dev/watchdog0");
        let spec = WatchdogSpec {
            device: "/dev/watchdog0".into(),
            timeout_s: 10,
        };
        let dog = wiring.watchdog(&spec).unwrap();
        assert_eq!(cell.timeout(), Some(Duration::from_secs(10)));
        dog.disarm().unwrap();
        assert!(cell.stopped_by_host());
    }
}
