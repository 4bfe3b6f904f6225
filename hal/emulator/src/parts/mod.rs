//! Models of the parts on a machine's buses, from their data sheets and published captures. Written apart from the
//! drivers that talk to them.

mod apw;
mod controller;
mod diode;
mod eeprom;
mod fan_controller;
mod frame;
mod lm75;
mod mcp3208;
mod pmbus;
mod smbus;

use crate::machine::{MachineSettings, SensorPart, SharedWorld, SupplyPart};
use cgminer_hal::emulated::{SpiLine, Wiring};
use smbus::Smbus;

/// Puts every part of the description where it belongs.
pub(crate) fn attach(settings: &MachineSettings, wiring: &Wiring, world: &SharedWorld) {
    for (index, sensor) in settings.sensors.iter().enumerate() {
        let bus = wiring.bus(&sensor.bus);
        let world = world.clone();
        match sensor.part {
            SensorPart::Lm75 => bus.attach(sensor.address, lm75::Lm75::new(world, index, 3)),
            SensorPart::Tmp75 => bus.attach(sensor.address, lm75::Lm75::new(world, index, 4)),
            part => bus.attach(sensor.address, diode::DiodeSensor::new(world, index, part)),
        }
    }
    if let Some(supply) = &settings.supply {
        let (bus, address) = (wiring.bus(&supply.bus), supply.address);
        match supply.part {
            SupplyPart::Apw9 | SupplyPart::Apw12 => {
                bus.attach(address, apw::Apw::new(world.clone(), supply.part));
            }
            SupplyPart::Pmbus => {
                let part = pmbus::PmbusSupply::new(world.clone(), address);
                bus.attach(address, Smbus::new(part));
            }
        }
    }
    for eeprom in &settings.eeproms {
        let image = eeprom.image.as_deref();
        wiring
            .bus(&eeprom.bus)
            .attach(eeprom.address, eeprom::Eeprom::new(image));
    }
    for controller in &settings.controllers {
        let (part, chain) = (controller.part, controller.chain);
        let part = controller::VoltageController::new(world.clone(), part, chain);
        wiring.bus(&controller.bus).attach(controller.address, part);
    }
    for fans in &settings.fan_controllers {
        let names = fans.fans.clone();
        let part =
            fan_controller::FanController::new(world.clone(), fans.part, fans.address, names);
        wiring.bus(&fans.bus).attach(fans.address, Smbus::new(part));
    }
    for adc in &settings.adcs {
        let part = mcp3208::Mcp3208::new(world.clone(), adc.reference_mv, adc.amperes_per_volt);
        wiring.add_spi(&adc.device, SpiLine::new(part));
    }
}
