//! From a board file to its parts: each function opens what one entry of the file names and gives its driver.
//!
//! Nothing is switched on by it. A driver's `start` has still to be called, and is where a part is asked who it is.

use crate::detect::Slot;
use crate::file::{
    AdcSpec, BoardFile, FanControl, FanSpec, SensorPart, SensorSpec, SupplySpec,
    VoltageControllerPart, VoltageControllerSpec,
};
use crate::parts::apw::{Apw, ApwModel};
use crate::parts::controller::VoltageController;
use crate::parts::dspic33ep::Dspic33ep;
use crate::parts::eeprom::HashBoardEeprom;
use crate::parts::emc1413::Emc1413;
use crate::parts::emc2305::Emc2305;
use crate::parts::fan::PwmFan;
use crate::parts::lm75::Lm75;
use crate::parts::max31785::Max31785;
use crate::parts::mcp3208::Mcp3208;
use crate::parts::pic16f1704::Pic16f1704;
use crate::parts::pmbus::PmbusSupply;
use crate::parts::tmp421::Tmp421;
use crate::parts::tmp451::Tmp451;
use crate::parts::{Fan, Supply, TemperatureSensor};
use cgminer_hal::devices::Devices;
use cgminer_hal::gpio::GpioError;
use cgminer_hal::i2c::{Handle, I2cError};
use cgminer_hal::pwm::PwmError;
use cgminer_hal::spi::{self, SpiError};
use cgminer_hal::tach::TachError;
use cgminer_hal::units::Millivolts;
use std::ops::RangeInclusive;
use thiserror::Error;

/// A device of the board file that could not be opened.
#[derive(Debug, Error)]
#[error("{what}: {source}")]
pub struct AssemblyError {
    /// Entry of the board file.
    pub what: String,
    /// Why.
    pub source: DeviceError,
}

/// Why a device could not be opened.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// GPIO line.
    #[error(transparent)]
    Gpio(#[from] GpioError),
    /// I2C bus.
    #[error(transparent)]
    I2c(#[from] I2cError),
    /// SPI device.
    #[error(transparent)]
    Spi(#[from] SpiError),
    /// PWM output.
    #[error(transparent)]
    Pwm(#[from] PwmError),
    /// Source of fan speed.
    #[error(transparent)]
    Tach(#[from] TachError),
    /// A fan without one.
    #[error("the board file names no tach for this fan; add one")]
    NoTach,
    /// A bus that the file does not describe, so that its deny list is not known.
    #[error("bus {0} is not in the board file's [[i2c]] list; add it")]
    NoBus(String),
}

/// A temperature sensor.
pub fn sensor(
    board: &BoardFile,
    spec: &SensorSpec,
    devices: &mut dyn Devices,
) -> Result<Box<dyn TemperatureSensor>, AssemblyError> {
    let bus =
        bus(board, &spec.bus, devices).map_err(entry(|| format!("sensor {:?}", spec.name)))?;
    let address = spec.address;
    Ok(match spec.part {
        SensorPart::Lm75 => Box::new(Lm75::new(bus, address)),
        SensorPart::Tmp451 => Box::new(Tmp451::new(bus, address)),
        SensorPart::Tmp421 => Box::new(Tmp421::new(bus, address)),
        SensorPart::Emc1413 => Box::new(Emc1413::new(bus, address)),
    })
}

/// A fan. A PWM output is at full duty from here on.
pub fn fan(
    board: &BoardFile,
    spec: &FanSpec,
    devices: &mut dyn Devices,
) -> Result<Box<dyn Fan>, AssemblyError> {
    let here = || format!("fan {:?}", spec.name);
    Ok(match &spec.control {
        FanControl::Pwm { pwm } => {
            let pwm = devices.pwm(pwm).map_err(entry(here))?;
            let tach = spec
                .tach
                .as_ref()
                .ok_or(DeviceError::NoTach)
                .map_err(entry(here))?;
            Box::new(PwmFan::new(pwm, devices.tach(tach).map_err(entry(here))?))
        }
        FanControl::Max31785 {
            bus: name,
            address,
            channel,
        } => {
            let bus = bus(board, name, devices).map_err(entry(here))?;
            Box::new(Max31785::new(bus, *address, *channel))
        }
        FanControl::Emc2305 {
            bus: name,
            address,
            channel,
            pulses_per_turn,
        } => {
            let bus = bus(board, name, devices).map_err(entry(here))?;
            Box::new(Emc2305::new(bus, *address, *channel, *pulses_per_turn))
        }
    })
}

/// The power supply, held to the voltages of the board file.
pub fn supply(
    board: &BoardFile,
    spec: &SupplySpec,
    devices: &mut dyn Devices,
) -> Result<Box<dyn Supply>, AssemblyError> {
    let bus = bus(board, &spec.bus, devices).map_err(entry(|| "supply".to_owned()))?;
    let allowed = voltages(board);
    Ok(match ApwModel::of(spec.part) {
        Some(model) => Box::new(Apw::new(bus, spec.address, model, allowed)),
        None => Box::new(PmbusSupply::new(bus, spec.address, spec.pec, allowed)),
    })
}

/// The controller of a hash board's converter.
pub fn voltage_controller(
    board: &BoardFile,
    spec: &VoltageControllerSpec,
    devices: &mut dyn Devices,
) -> Result<Box<dyn VoltageController>, AssemblyError> {
    let here = || format!("voltage controller at {:#04x}", spec.address);
    let bus = bus(board, &spec.bus, devices).map_err(entry(here))?;
    Ok(match spec.part {
        VoltageControllerPart::Pic16f1704 => {
            Box::new(Pic16f1704::new(bus, spec.address, voltages(board)))
        }
        VoltageControllerPart::Dspic33ep => Box::new(Dspic33ep::new(bus, spec.address)),
    })
}

/// An analogue-to-digital converter.
pub fn adc(
    spec: &AdcSpec,
    devices: &mut dyn Devices,
) -> Result<Mcp3208<spi::Handle>, AssemblyError> {
    let spi = devices
        .spi(&spec.spi)
        .map_err(entry(|| format!("converter {}", spec.spi.device)))?;
    Ok(Mcp3208::new(spi, Millivolts(spec.reference_mv)))
}

/// Reads what is plugged in, for [`crate::detect::confirm`]. Only reads: no line is driven, no part written to.
pub fn slots(board: &BoardFile, devices: &mut dyn Devices) -> Result<Vec<Slot>, AssemblyError> {
    let mut slots = Vec::with_capacity(board.chains.len());
    for (index, chain) in board.chains.iter().enumerate() {
        let here = || format!("chain {index}");
        let present = match &chain.presence {
            Some(line) => {
                let mut line = devices.input_signal(line).map_err(entry(here))?;
                Some(line.is_active().map_err(entry(here))?)
            }
            None => None,
        };
        let eeprom = match &chain.eeprom {
            Some(spec) if present != Some(false) => {
                let bus = bus(board, &spec.bus, devices).map_err(entry(here))?;
                Some(HashBoardEeprom::new(bus, spec.address).read())
            }
            _ => None,
        };
        slots.push(Slot { present, eeprom });
    }
    Ok(slots)
}

fn voltages(board: &BoardFile) -> RangeInclusive<Millivolts> {
    board.layout.voltage.min_mv..=board.layout.voltage.max_mv
}

/// A handle on a bus of the file, with its deny list.
fn bus(board: &BoardFile, name: &str, devices: &mut dyn Devices) -> Result<Handle, DeviceError> {
    match board.bus(name) {
        Some(spec) => Ok(devices.i2c(spec)?),
        None => Err(DeviceError::NoBus(name.to_owned())),
    }
}

fn entry<E: Into<DeviceError>>(what: impl Fn() -> String) -> impl Fn(E) -> AssemblyError {
    move |error| AssemblyError {
        what: what(),
        source: error.into(),
    }
}
