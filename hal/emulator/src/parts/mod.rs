//! Models of the parts on a machine's buses, from their data sheets and published captures. Written apart from the
//! drivers that talk to them.

mod apw;
mod eeprom;
mod lm75;

use crate::machine::{MachineSettings, SensorPart, SharedWorld, SupplyPart};
use cgminer_hal::emulated::Wiring;

/// Puts every part of the description where it belongs.
pub(crate) fn attach(settings: &MachineSettings, wiring: &Wiring, world: &SharedWorld) {
    for (index, sensor) in settings.sensors.iter().enumerate() {
        let bus = wiring.bus(&sensor.bus);
        let world = world.clone();
        match sensor.part {
            SensorPart::Lm75 => bus.attach(sensor.address, lm75::Lm75::new(world, index, 3)),
            SensorPart::Tmp75 => bus.attach(sensor.address, lm75::Lm75::new(world, index, 4)),
            _ => {}
        }
    }
    if let Some(supply) = &settings.supply {
        let bus = wiring.bus(&supply.bus);
        match supply.part {
            SupplyPart::Apw9 | SupplyPart::Apw12 => {
                bus.attach(supply.address, apw::Apw::new(world.clone(), supply.part));
            }
            SupplyPart::Pmbus => {}
        }
    }
    for eeprom in &settings.eeproms {
        let image = eeprom.image.as_deref();
        wiring
            .bus(&eeprom.bus)
            .attach(eeprom.address, eeprom::Eeprom::new(image));
    }
}
