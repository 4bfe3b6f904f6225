//! The drivers of parts against the emulator's models of them, which were written apart from the drivers: one machine that
//! carries one of every part, described once for each side (`tests/data/boards/bench.toml`, `every-part.toml`).
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cgminer_board::assembly;
use cgminer_board::file::{BoardFile, FanControl, SensorPart, SupplyPart, VoltageControllerPart};
use cgminer_board::moment::Moment;
use cgminer_board::parts::{
    PartError, Problem, Readings, Supply, SupplyReply, SupplyRequest, TemperatureSensor,
};
use cgminer_board::power::Measured;
use cgminer_board::recognise::recognise_as;
use cgminer_emulator::clock::Clock;
use cgminer_emulator::fault::Fault;
use cgminer_emulator::machine::{Control, Load, Machine, MachineSettings};
use cgminer_hal::devices::Devices;
use cgminer_hal::emulated::Wiring;
use cgminer_hal::gpio::Level;
use cgminer_hal::units::{DutyPercent, Millivolts};
use embedded_hal::i2c::I2c;
use std::collections::HashSet;
use std::time::{Duration, Instant};

const BOARD: &str = include_str!("data/boards/bench.toml");
const MACHINE: &str = include_str!("../hal/emulator/machines/every-part.toml");

/// The machine and its board file, the clock in the hand.
struct Bench {
    board: BoardFile,
    machine: Machine,
    clock: Clock,
    began: Instant,
    devices: Wiring,
    control: Control,
}

impl Bench {
    fn new() -> Self {
        Self::described(BOARD, MACHINE)
    }

    /// The same with another supply, which has an enable line.
    fn with_apw(part: &str) -> Self {
        let enable = "enable = { line = { name = \"PSU_ENABLE\" }, active = \"low\" }";
        let supply = |text: &str, rest: &str| {
            let old = format!("part = \"pmbus\"\nbus = \"i2c-1\"\naddress = 0x58\n{rest}");
            let new = format!("part = \"{part}\"\nbus = \"i2c-1\"\naddress = 0x10\n{enable}\n");
            assert!(text.contains(&old));
            text.replace(&old, &new)
        };
        // An APW9 begins at 14.3 V.
        let board = supply(BOARD, "pec = true\n").replace(
            "min_mv = 12000, default_mv = 13200",
            "min_mv = 14400, default_mv = 14600",
        );
        Self::described(&board, &supply(MACHINE, ""))
    }

    fn described(board: &str, machine: &str) -> Self {
        let clock = Clock::manual();
        let settings = MachineSettings::from_toml(machine).unwrap();
        let machine = Machine::new(settings, 1, clock.clone());
        let (devices, control) = (machine.devices(), machine.control());
        Self {
            board: BoardFile::parse(board, "bench.toml").unwrap(),
            machine,
            clock,
            began: Instant::now(),
            devices,
            control,
        }
    }

    fn wait(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds.div_ceil(20) {
            self.clock.advance(Duration::from_millis(20));
            self.machine.step();
        }
    }

    fn now(&self) -> Moment {
        Moment::after_start(self.clock.now())
    }

    fn instant(&self) -> Instant {
        self.began + self.clock.now()
    }

    fn inject(&self, fault: Fault) -> u64 {
        self.control.inject(fault, None).unwrap()
    }

    fn rail(&self) -> f32 {
        self.control.truth().rail.output_mv
    }

    /// A sensor that measures.
    fn sensor(&mut self, index: usize) -> Box<dyn TemperatureSensor> {
        let spec = self.board.sensors[index].clone();
        let mut part = assembly::sensor(&self.board, &spec, &mut self.devices).unwrap();
        if let Err(error) = part.start() {
            assert_eq!(error.problem, Problem::NotReady, "{error}");
            self.wait(1000);
            part.start().unwrap();
        }
        part
    }

    fn supply(&mut self) -> Box<dyn Supply> {
        let spec = self.board.supply.clone().unwrap();
        assembly::supply(&self.board, &spec, &mut self.devices).unwrap()
    }

    fn ask(
        &mut self,
        supply: &mut dyn Supply,
        request: SupplyRequest,
    ) -> Result<SupplyReply, PartError> {
        supply.begin(request, self.now())?;
        for _ in 0..200 {
            if let Some(answer) = supply.poll(self.now()) {
                return answer;
            }
            self.wait(20);
        }
        panic!("{request:?}: neither an answer nor a deadline in four seconds");
    }

    fn measured(&mut self, supply: &mut dyn Supply) -> Measured {
        match self.ask(supply, SupplyRequest::Measure).unwrap() {
            SupplyReply::Measured(measured) => measured,
            other => panic!("{other:?}"),
        }
    }
}

fn near(reading: f32, truth: f32, within: f32) -> bool {
    (reading - truth).abs() <= within
}

#[test]
fn the_machine_carries_one_of_every_part_that_there_is_a_driver_for() {
    let bench = Bench::new();
    let sensors: HashSet<_> = bench
        .board
        .sensors
        .iter()
        .map(|sensor| match sensor.part {
            SensorPart::Lm75 => "LM75",
            SensorPart::Tmp451 => "TMP451",
            SensorPart::Tmp421 => "TMP421",
            SensorPart::Emc1413 => "EMC1413",
        })
        .collect();
    assert_eq!(sensors.len(), 4);
    let fans: HashSet<_> = bench
        .board
        .fans
        .iter()
        .map(|fan| match fan.control {
            FanControl::Pwm { .. } => "PWM",
            FanControl::Max31785 { .. } => "MAX31785",
            FanControl::Emc2305 { .. } => "EMC2305",
        })
        .collect();
    assert_eq!(fans.len(), 3);
    let controllers: HashSet<_> = bench
        .board
        .chains
        .iter()
        .map(
            |chain| match chain.voltage_controller.as_ref().unwrap().part {
                VoltageControllerPart::Pic16f1704 => "PIC16F1704",
                VoltageControllerPart::Dspic33ep => "dsPIC33EP",
            },
        )
        .collect();
    assert_eq!(controllers.len(), 2);
    for (part, text) in [(SupplyPart::Apw9, "apw9"), (SupplyPart::Apw12, "apw12")] {
        assert_eq!(Bench::with_apw(text).board.supply.unwrap().part, part);
    }
}

#[test]
fn every_sensor_reads_what_its_places_have_and_says_when_it_cannot() {
    let mut bench = Bench::new();
    let specs = bench.board.sensors.clone();
    for (index, spec) in specs.iter().enumerate() {
        let mut part = bench.sensor(index);
        let name = || spec.name.clone();
        let read = |readings: &Readings| {
            let mut all = vec![readings.local.clone()];
            all.extend(readings.remotes.iter().cloned());
            all
        };
        bench.wait(1000);
        let cool = read(&part.read());
        assert!(cool.len() > spec.remotes.len(), "{}", spec.name);
        for celsius in cool.iter().take(1 + spec.remotes.len()) {
            let celsius = celsius.as_ref().unwrap_or_else(|error| panic!("{error}"));
            assert!(near(celsius.0, 22.0, 1.1), "{}: {celsius}", spec.name);
        }
        // Diode sensors on their plain scale end at zero.
        let cold = if spec.part == SensorPart::Lm75 {
            -30.5
        } else {
            -10.5
        };
        for celsius in [40.5, cold] {
            let id = bench.inject(Fault::SensorJump {
                sensor: name(),
                celsius,
            });
            bench.wait(1000);
            for reading in read(&part.read()).iter().take(1 + spec.remotes.len()) {
                let reading = reading.as_ref().unwrap_or_else(|error| panic!("{error}"));
                assert!(
                    near(reading.0, 22.0 + celsius, 1.1),
                    "{}: {reading}",
                    spec.name
                );
            }
            bench.control.clear(id);
        }
        if !spec.remotes.is_empty() {
            let id = bench.inject(Fault::SensorOpenDiode { sensor: name() });
            bench.wait(1000);
            let readings = part.read();
            assert!(readings.local.is_ok(), "{}", spec.name);
            for remote in readings.remotes.iter().take(spec.remotes.len()) {
                let problem = &remote.as_ref().unwrap_err().problem;
                assert_eq!(*problem, Problem::OpenDiode, "{}", spec.name);
            }
            bench.control.clear(id);
        }
        let id = bench.inject(Fault::SensorNak { sensor: name() });
        let error = part.read().local.unwrap_err();
        assert!(matches!(error.problem, Problem::Bus { .. }), "{error}");
        bench.control.clear(id);
        bench.wait(1000);
        assert!(part.read().local.is_ok(), "{}: it comes back", spec.name);
    }
}

#[test]
fn every_fan_obeys_its_duty_and_its_speed_is_the_true_one() {
    let mut bench = Bench::new();
    let specs = bench.board.fans.clone();
    let mut fans: Vec<_> = specs
        .iter()
        .map(|spec| assembly::fan(&bench.board, spec, &mut bench.devices).unwrap())
        .collect();
    for duty in [100.0, 45.0] {
        for (fan, spec) in fans.iter_mut().zip(&specs) {
            if duty > 99.0 {
                fan.start().unwrap();
            } else {
                fan.set_duty(DutyPercent(duty)).unwrap();
            }
            let got = fan.duty().unwrap();
            assert!(near(got.0, duty, 0.5), "{}: {got}", spec.name);
        }
        // Once a second, as the keeper does: a controller with a watchdog of its own wants to hear from us.
        for _ in 0..15 {
            bench.wait(1_000);
            let at = bench.instant();
            for fan in &mut fans {
                fan.set_duty(DutyPercent(duty)).unwrap();
                let _ = fan.rpm(at);
            }
        }
        bench.wait(1_000);
        let (at, truth) = (bench.instant(), bench.control.truth().fans);
        for ((fan, spec), (name, rpm)) in fans.iter_mut().zip(&specs).zip(&truth) {
            assert_eq!(spec.name, *name);
            assert!(near(*rpm, 70.0 * duty, 150.0), "{name}: {rpm}");
            let read = fan
                .rpm(at)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(
                near(read.0 as f32, *rpm, rpm * 0.02 + 20.0),
                "{name}: {read}, truly {rpm}"
            );
        }
    }
    for spec in &specs {
        bench.inject(Fault::FanStop {
            fan: spec.name.clone(),
        });
    }
    for _ in 0..20 {
        bench.wait(1_000);
        let at = bench.instant();
        for fan in &mut fans {
            fan.set_duty(DutyPercent(45.0)).unwrap();
            let _ = fan.rpm(at);
        }
    }
    bench.wait(1_000);
    let at = bench.instant();
    for (fan, spec) in fans.iter_mut().zip(&specs) {
        let read = fan
            .rpm(at)
            .unwrap_or_else(|error| panic!("{}: {error}", spec.name));
        assert!(read.0 < spec.stall_rpm.0, "{} stands: {read}", spec.name);
    }
}

#[test]
fn a_pmbus_supply_with_and_without_its_code_is_set_switched_and_measured() {
    for board in [BOARD.to_owned(), BOARD.replace("pec = true", "pec = false")] {
        let mut bench = Bench::described(&board, MACHINE);
        let mut supply = bench.supply();
        let supply = supply.as_mut();
        let SupplyReply::Identity(name) = bench.ask(supply, SupplyRequest::Identify).unwrap()
        else {
            panic!("no identity")
        };
        assert!(!name.is_empty());
        assert_eq!(
            bench.ask(supply, SupplyRequest::Switch(false)),
            Ok(SupplyReply::Done)
        );
        bench.wait(15_000);
        assert!(bench.rail() < 3_000.0, "{}", bench.rail());
        let wanted = Millivolts(12_800);
        let set = bench
            .ask(supply, SupplyRequest::SetVoltage(wanted))
            .unwrap();
        let SupplyReply::Set(set) = set else {
            panic!("{set:?}")
        };
        assert!(set.0.abs_diff(wanted.0) <= 10, "{set}");
        assert_eq!(
            bench.ask(supply, SupplyRequest::Switch(true)),
            Ok(SupplyReply::Done)
        );
        bench.wait(5_000);
        assert!(near(bench.rail(), 12_800.0, 20.0), "{}", bench.rail());
        let measured = bench.measured(supply);
        assert!(
            near(measured.volts.0 as f32, bench.rail(), 20.0),
            "{measured:?}"
        );
        assert!(!measured.tripped);
        bench.inject(Fault::SupplyTrip);
        bench.wait(100);
        assert!(bench.measured(supply).tripped);
        let high = bench.ask(supply, SupplyRequest::SetVoltage(Millivolts(15_001)));
        let problem = high.unwrap_err().problem;
        assert!(matches!(problem, Problem::OutOfRange { .. }), "{problem:?}");
    }
}

#[test]
fn damage_on_the_way_from_a_pmbus_supply_is_seen_by_its_code() {
    let mut bench = Bench::new();
    let mut supply = bench.supply();
    bench.ask(supply.as_mut(), SupplyRequest::Identify).unwrap();
    bench.inject(Fault::SupplyBadChecksum);
    let error = bench
        .ask(supply.as_mut(), SupplyRequest::Measure)
        .unwrap_err();
    assert!(matches!(error.problem, Problem::Damaged(_)), "{error}");
}

#[test]
fn both_apw_supplies_are_known_set_fed_and_measured_and_their_faults_told() {
    for part in ["apw9", "apw12"] {
        let mut bench = Bench::with_apw(part);
        let line = bench.board.supply.clone().unwrap().enable.unwrap();
        let mut enable = bench.devices.output_signal(&line, false).unwrap();
        let mut supply = bench.supply();
        let supply = supply.as_mut();
        let name = bench.ask(supply, SupplyRequest::Identify).unwrap();
        let SupplyReply::Identity(name) = name else {
            panic!("{name:?}")
        };
        assert!(name.to_lowercase().starts_with(part), "{name}");
        let wanted = Millivolts(14_600);
        let set = bench
            .ask(supply, SupplyRequest::SetVoltage(wanted))
            .unwrap();
        let SupplyReply::Set(set) = set else {
            panic!("{set:?}")
        };
        assert!(set.0.abs_diff(wanted.0) <= 30, "{part}: {set}");
        let read = bench.ask(supply, SupplyRequest::Setting).unwrap();
        assert_eq!(read, SupplyReply::Setting(set), "{part}");
        enable.set(true).unwrap();
        bench.wait(5_000);
        assert!(
            near(bench.rail(), set.0 as f32, 30.0),
            "{part}: {}",
            bench.rail()
        );
        let measured = bench.ask(supply, SupplyRequest::Measure);
        match measured {
            Ok(SupplyReply::Measured(measured)) => {
                assert!(
                    near(measured.volts.0 as f32, bench.rail(), 40.0),
                    "{measured:?}"
                );
            }
            // The scale of an APW9's measurement is not public.
            Err(error) => assert!(
                part == "apw9" && matches!(error.problem, Problem::Unsupported(_)),
                "{part}: {error}"
            ),
            other => panic!("{other:?}"),
        }
        // Its watchdog lets go of the rail when it is not fed, and not before.
        bench.ask(supply, SupplyRequest::Watchdog(true)).unwrap();
        for _ in 0..4 {
            bench.wait(5_000);
            bench.ask(supply, SupplyRequest::Setting).unwrap();
        }
        assert!(bench.rail() > 14_000.0, "{part}: fed");
        bench.wait(40_000);
        assert!(
            bench.rail() < 3_000.0,
            "{part}: starved at {}",
            bench.rail()
        );
        for (fault, told) in [
            (Fault::SupplyNak, "acknowledge"),
            (Fault::SupplyBadChecksum, "sum"),
            (Fault::SupplySilent, ""),
        ] {
            let id = bench.inject(fault.clone());
            let error = bench
                .ask(supply, SupplyRequest::Setting)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("0x10") && error.contains(told),
                "{fault:?}: {error}"
            );
            bench.control.clear(id);
        }
        assert!(
            bench.ask(supply, SupplyRequest::Setting).is_ok(),
            "{part}: it comes back"
        );
    }
}

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
