//! The board file `emulated` and the emulated L7 are the same machine: every device that the one names, the other has.
#![cfg(feature = "emulator")]

use cgminer_board::file::{Catalog, FanControl};
use cgminer_emulator::{
    clock::Clock,
    machine::{Machine, MachineSettings},
};
use cgminer_hal::{devices::Devices, gpio::Level};
use embedded_hal::i2c::I2c;

#[test]
fn every_device_of_the_board_file_opens_on_the_emulated_machine() {
    let boards = Catalog::load(None).expect("the compiled-in boards");
    let board = boards.get("emulated").expect("a compiled-in board");
    let supply = board.supply.as_ref().expect("a supply");
    let settings = MachineSettings::l7().expect("the built-in machine");
    let machine = Machine::new(settings, 1, Clock::manual());
    let mut devices = machine.devices();
    let model = devices.model().expect("readable").expect("a model");
    assert!(board.detect.device_tree.contains(&model), "{model}");
    for chain in &board.chains {
        devices.uart(&chain.uart).expect("a serial line");
        devices
            .output_signal(&chain.reset, true)
            .expect("a reset line");
        let presence = chain.presence.as_ref().expect("a presence line");
        assert!(
            devices
                .input_signal(presence)
                .expect("a line")
                .is_active()
                .expect("readable")
        );
    }
    for fan in &board.fans {
        if let FanControl::Pwm { pwm } = &fan.control {
            devices.pwm(pwm).expect("a fan");
        }
        devices
            .tach(fan.tach.as_ref().expect("a tach"))
            .expect("a tach");
    }
    for bus in &board.i2c {
        let mut open = devices.i2c(bus).expect("a bus");
        let sensors = board.sensors.iter().filter(|sensor| sensor.bus == bus.bus);
        for address in sensors.map(|sensor| sensor.address) {
            open.write_read(address, &[0], &mut [0; 2])
                .expect("a sensor");
        }
        if supply.bus == bus.bus {
            open.write_read(supply.address, &[0], &mut [0])
                .expect("a supply");
        }
    }
    let enable = supply.enable.as_ref().expect("an enable line");
    devices
        .output(&enable.line, Level::High)
        .expect("an output");
    for led in [&board.leds.green, &board.leds.red].into_iter().flatten() {
        devices.led(led).expect("a light");
    }
    for button in [&board.buttons.reset, &board.buttons.locate]
        .into_iter()
        .flatten()
    {
        assert!(
            !devices
                .input_signal(button)
                .expect("a button")
                .is_active()
                .expect("readable")
        );
    }
    devices
        .watchdog(board.watchdog.as_ref().expect("a watchdog"))
        .expect("a watchdog");
}
