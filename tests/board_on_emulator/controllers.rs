//! What sits on hash boards and the control board beside sensors: voltage controllers, EEPROMs, converters, lights, lines.

use super::bench::{Bench, near};
use cgminer_board::assembly;
use cgminer_board::parts::{Problem, SupplyRequest};
use cgminer_board::recognise::recognise_as;
use cgminer_emulator::machine::Load;
use cgminer_hal::devices::Devices;
use cgminer_hal::gpio::Level;
use cgminer_hal::units::Millivolts;
use embedded_hal::i2c::I2c;

#[test]
fn both_voltage_controllers_feed_their_board_for_as_long_as_they_hear_us() {
    let mut bench = Bench::new();
    let mut supply = bench.supply();
    bench
        .ask(
            supply.as_mut(),
            SupplyRequest::SetVoltage(Millivolts(13_200)),
        )
        .unwrap();
    bench
        .ask(supply.as_mut(), SupplyRequest::Switch(true))
        .unwrap();
    let specs: Vec<_> = bench
        .board
        .chains
        .iter()
        .map(|chain| chain.voltage_controller.clone().unwrap())
        .collect();
    for (chain, spec) in specs.iter().enumerate() {
        let part = spec.part;
        let mut controller =
            assembly::voltage_controller(&bench.board, spec, &mut bench.devices).unwrap();
        if let Err(error) = controller.start() {
            assert_eq!(error.problem, Problem::NotReady, "{part:?}: {error}");
            bench.wait(1_000);
            controller.start().unwrap_or_else(|error| panic!("{error}"));
        }
        let rail = |bench: &Bench| bench.control.truth().boards[chain].rail_mv;
        controller.heartbeat().unwrap();
        controller.switch(true).unwrap();
        for _ in 0..15 {
            bench.wait(1_000);
            controller.heartbeat().unwrap();
        }
        assert!(rail(&bench) > 7_000.0, "{part:?}: {}", rail(&bench));
        bench.wait(15_000);
        assert!(
            rail(&bench) < 1.0,
            "{part:?}: silence ends it: {}",
            rail(&bench)
        );
        controller.heartbeat().unwrap();
        controller.switch(true).unwrap();
        bench.wait(1_000);
        assert!(rail(&bench) > 7_000.0, "{part:?}: {}", rail(&bench));
        controller.switch(false).unwrap();
        bench.wait(1_000);
        assert!(
            rail(&bench) < 1.0,
            "{part:?}: switched off: {}",
            rail(&bench)
        );
    }
}

#[test]
fn both_eeprom_layouts_are_read_and_cannot_be_written() {
    let mut bench = Bench::new();
    let read = recognise_as(&bench.board, &mut bench.devices).unwrap();
    assert_eq!(read.refusal, None);
    assert_eq!(
        read.hash_boards(),
        [
            Some("BHB42603 KPMIYNRBBJDBI0792".to_owned()),
            Some("BHB42603 EMULATEDXORBOARD01".to_owned())
        ]
    );
    let spec = bench.board.bus("i2c-0").unwrap().clone();
    let mut bus = bench.devices.i2c(&spec).unwrap();
    for address in [0x50, 0x51] {
        let error = bus.write(address, &[2, 0]).unwrap_err().to_string();
        assert!(error.contains(&format!("{address:#04x}")), "{error}");
        let error = bus
            .transaction(
                address,
                &mut [
                    embedded_hal::i2c::Operation::Write(&[2]),
                    embedded_hal::i2c::Operation::Write(&[0]),
                ],
            )
            .unwrap_err()
            .to_string();
        assert!(error.contains("i2c-0"), "{error}");
    }
    let again = recognise_as(&bench.board, &mut bench.devices).unwrap();
    assert_eq!(again.slots, read.slots);
}

#[test]
fn the_converter_gives_the_current_that_each_board_takes() {
    let mut bench = Bench::new();
    let spec = bench.board.adc[0].clone();
    let mut converter = assembly::adc(&spec, &mut bench.devices).unwrap();
    for channel in &spec.channels {
        let volts = converter.read(channel.channel).unwrap();
        assert_eq!(volts, Millivolts(0), "{}", channel.name);
    }
    let mut supply = bench.supply();
    let setting = SupplyRequest::SetVoltage(Millivolts(13_200));
    bench.ask(supply.as_mut(), setting).unwrap();
    bench
        .ask(supply.as_mut(), SupplyRequest::Switch(true))
        .unwrap();
    for (chain, spec) in bench.board.chains.clone().iter().enumerate() {
        let spec = spec.voltage_controller.as_ref().unwrap();
        let mut part =
            assembly::voltage_controller(&bench.board, spec, &mut bench.devices).unwrap();
        if part.start().is_err() {
            bench.wait(1_000);
            part.start().unwrap();
        }
        part.switch(true).unwrap();
        bench.control.set_reset(chain, false);
        bench.control.pretend_load(
            chain,
            Some(Load {
                clocked: 1.0,
                hashing: 1.0,
            }),
        );
    }
    bench.wait(3_000);
    let truth = bench.control.truth();
    for channel in &spec.channels {
        let volts = converter.read(channel.channel).unwrap();
        let amperes = volts.0 as f32 / 1000.0 * channel.per_volt;
        let board = truth.boards[usize::from(channel.chain.unwrap())];
        let true_amperes = board.power_w / (board.rail_mv / 1000.0);
        assert!(true_amperes > 10.0, "{board:?}");
        assert!(
            near(amperes, true_amperes, 0.5),
            "{amperes} A, truly {true_amperes} A"
        );
    }
}

#[test]
fn lights_buttons_and_lines_mean_what_the_board_file_says() {
    let mut bench = Bench::new();
    let board = bench.board.clone();
    let mut red = bench.devices.led(board.leds.red.as_ref().unwrap()).unwrap();
    let line = cgminer_hal::gpio::LineId::Name("RED_LED".into());
    for lit in [true, false] {
        red.set(lit).unwrap();
        assert_eq!(bench.devices.line(&line, false).level(), lit);
    }
    let mut green = bench
        .devices
        .led(board.leds.green.as_ref().unwrap())
        .unwrap();
    green.set(true).unwrap();
    assert!(bench.devices.led_line("green:status").level());
    let button = board.buttons.locate.unwrap();
    assert_eq!(button.active, Level::Low);
    let mut input = bench.devices.input_signal(&button).unwrap();
    assert!(!input.is_active().unwrap());
    bench.devices.line(&button.line, true).set(false);
    assert!(input.is_active().unwrap(), "pressed");
}
