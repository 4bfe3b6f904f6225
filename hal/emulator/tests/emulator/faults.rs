//! Each fault of the machine, and what it does. Those of a chain's bytes are in `chain_faults`.

use crate::common::{INACTIVE, command, hex, set_address};
use cgminer_emulator::{
    clock::Clock,
    control::answer,
    fault::Fault,
    machine::{Control, Machine, MachineSettings},
    scenario::Scenario,
};
use cgminer_hal::{
    devices::Devices,
    emulated::Wiring,
    i2c::{Handle, I2cBusSpec},
};
use embedded_hal::i2c::I2c;
use std::time::{Duration, Instant};

/// The L7 with its supply on, fans at 60 % and a clock in the hand.
struct Shop {
    machine: Machine,
    clock: Clock,
    devices: Wiring,
    control: Control,
}

impl Shop {
    fn open() -> Self {
        let clock = Clock::manual();
        let machine = Machine::new(MachineSettings::l7().unwrap(), 1, clock.clone());
        let (devices, control) = (machine.devices(), machine.control());
        control.set_power(true);
        for fan in MachineSettings::l7().unwrap().fans {
            devices
                .pwm_line(&fan.pwm.unwrap())
                .drive(cgminer_hal::units::DutyPercent(60.0));
        }
        let mut shop = Self {
            machine,
            clock,
            devices,
            control,
        };
        shop.wait(20);
        shop
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds * 50 {
            self.clock.advance(Duration::from_millis(20));
            self.machine.step();
        }
    }

    fn inject(&self, fault: Fault) -> u64 {
        self.control.inject(fault, None).unwrap()
    }

    fn bus(&mut self, bus: &str) -> Handle {
        self.devices
            .i2c(&I2cBusSpec {
                bus: bus.into(),
                deny_writes: vec![],
            })
            .unwrap()
    }

    /// The sensor at board 0's outlet side.
    fn outlet(&mut self) -> Result<f32, cgminer_hal::i2c::I2cError> {
        let mut raw = [0; 2];
        self.bus("i2c-0").write_read(0x4C, &[0], &mut raw)?;
        Ok(f32::from(i16::from_be_bytes(raw)) / 256.0)
    }

    fn rpm(&self, fan: usize) -> f32 {
        self.control.truth().fans[fan].1
    }

    fn rail(&self) -> f32 {
        self.control.truth().rail.output_mv
    }
}

fn outlet() -> String {
    "board 0 outlet side".into()
}

fn front_left() -> String {
    "front left".into()
}

#[test]
fn a_sensor_can_be_silent_stuck_zero_implausible_or_off_by_much() {
    let mut shop = Shop::open();
    let id = shop.inject(Fault::SensorNak { sensor: outlet() });
    assert!(shop.outlet().is_err());
    assert!(shop.control.clear(id));
    let before = shop.outlet().unwrap();
    let id = shop.inject(Fault::SensorStuck { sensor: outlet() });
    shop.inject(Fault::OverTemperature {
        chain: 0,
        watts: 1500.0,
    });
    shop.wait(120);
    assert!((shop.outlet().unwrap() - before).abs() < 0.01);
    assert!(shop.control.truth().boards[0].pcb_c > before + 5.0);
    shop.control.clear(id);
    assert!(shop.outlet().unwrap() > before + 5.0);
    let id = shop.inject(Fault::SensorZero { sensor: outlet() });
    assert!(shop.outlet().unwrap().abs() < 0.01);
    shop.control.clear(id);
    let id = shop.inject(Fault::SensorImplausible { sensor: outlet() });
    assert!(shop.outlet().unwrap() < -100.0);
    shop.control.clear(id);
    let so = shop.outlet().unwrap();
    shop.inject(Fault::SensorJump {
        sensor: outlet(),
        celsius: 30.0,
    });
    assert!((shop.outlet().unwrap() - so - 30.0).abs() < 0.3);
}

#[test]
fn a_late_sensor_tells_of_the_past() {
    let mut shop = Shop::open();
    let before = shop.outlet().unwrap();
    shop.inject(Fault::OverTemperature {
        chain: 0,
        watts: 1500.0,
    });
    shop.inject(Fault::SensorLate {
        sensor: outlet(),
        seconds: 60,
    });
    shop.wait(50);
    assert!((shop.outlet().unwrap() - before).abs() < 0.3);
    shop.wait(60);
    let late = shop.outlet().unwrap();
    assert!(
        late > before + 2.0 && late < shop.control.truth().boards[0].pcb_c - 2.0,
        "{late}"
    );
}

#[test]
fn a_fan_can_stop_drag_or_lie() {
    let mut shop = Shop::open();
    let mut tach = {
        let fan = MachineSettings::l7().unwrap().fans.remove(0);
        shop.devices.tach(&fan.tach.unwrap()).unwrap()
    };
    let start = Instant::now();
    let mut told = |shop: &mut Shop, at: u64| {
        let _ = tach.rpm(start + Duration::from_secs(at));
        shop.wait(10);
        tach.rpm(start + Duration::from_secs(at + 10)).unwrap().0
    };
    assert!((3590..3610).contains(&told(&mut shop, 0)));
    let id = shop.inject(Fault::FanSlow {
        fan: front_left(),
        share: 0.5,
    });
    shop.wait(20);
    assert!((1790..1810).contains(&told(&mut shop, 100)));
    shop.control.clear(id);
    let id = shop.inject(Fault::FanStop { fan: front_left() });
    shop.wait(20);
    assert_eq!((told(&mut shop, 200), shop.rpm(0) < 1.0), (0, true));
    assert!(shop.rpm(1) > 3500.0, "the others turn on");
    shop.control.clear(id);
    let id = shop.inject(Fault::TachLies {
        fan: front_left(),
        rpm: 9000,
    });
    shop.wait(20);
    assert!((8990..9010).contains(&told(&mut shop, 300)));
    assert!((shop.rpm(0) - 3600.0).abs() < 10.0);
    shop.control.clear(id);
    shop.inject(Fault::FanStopTachLies { fan: front_left() });
    shop.wait(20);
    assert!(
        (3590..3610).contains(&told(&mut shop, 400)),
        "says it turns"
    );
    assert!(shop.rpm(0) < 1.0, "and does not");
}

#[test]
fn a_supply_can_overshoot_trip_sag_and_fall_silent() {
    let mut shop = Shop::open();
    assert!((shop.rail() - 13_200.0).abs() < 1.0);
    let id = shop.inject(Fault::SupplyOverVoltage { millivolts: 1500 });
    shop.wait(1);
    assert!((shop.rail() - 14_700.0).abs() < 1.0);
    shop.control.clear(id);
    let id = shop.inject(Fault::BrownOut { millivolts: 8_000 });
    shop.wait(1);
    assert!((shop.control.truth().boards[0].rail_mv - 8_000.0).abs() < 1.0);
    shop.control.clear(id);
    let id = shop.inject(Fault::SupplyTrip);
    shop.wait(60);
    assert!(shop.control.truth().rail.tripped && shop.rail() < 100.0);
    shop.control.clear(id);
    shop.wait(1);
    assert!(
        shop.control.truth().rail.tripped,
        "until it is disabled and enabled again"
    );
    shop.control.set_power(false);
    shop.wait(1);
    shop.control.set_power(true);
    shop.wait(2);
    assert!((shop.rail() - 13_200.0).abs() < 1.0);

    let id = shop.inject(Fault::SupplyStuckOn);
    shop.control.set_power(false);
    shop.wait(60);
    assert!((shop.rail() - 13_200.0).abs() < 1.0, "it goes on");
    shop.control.clear(id);
    shop.wait(60);
    assert!(shop.rail() < 100.0);
    shop.inject(Fault::SupplyStuckOn);
    shop.wait(5);
    assert!(shop.rail() < 100.0, "what is off does not go on by itself");
    shop.control.clear_all();
    shop.control.set_power(true);
    shop.wait(2);

    let mut bus = shop.bus("i2c-1");
    let id = shop.inject(Fault::SupplyNak);
    assert!(bus.write_read(0x10, &[0], &mut [0]).is_err());
    shop.control.clear(id);
    let mut ask = |shop: &mut Shop| {
        for byte in hex("55aa04030700") {
            bus.write(0x10, &[0x11, byte]).unwrap();
        }
        shop.wait(1);
        [(); 8].map(|()| {
            let mut byte = [0];
            bus.write_read(0x10, &[0x11], &mut byte).unwrap();
            byte[0]
        })
    };
    let good = ask(&mut shop);
    let id = shop.inject(Fault::SupplyBadChecksum);
    let bad = ask(&mut shop);
    assert_eq!(good[..6], bad[..6]);
    assert_ne!(good[6..], bad[6..]);
    shop.control.clear(id);
    shop.inject(Fault::SupplySilent);
    assert_eq!(ask(&mut shop), [0xF5; 8]);
}

#[test]
fn heat_comes_from_boards_rooms_and_missing_air() {
    let mut shop = Shop::open();
    let before = shop.control.truth();
    shop.inject(Fault::HotRoom { celsius: 15.0 });
    shop.inject(Fault::OverTemperature {
        chain: 1,
        watts: 800.0,
    });
    shop.wait(300);
    let after = shop.control.truth();
    assert!((after.inlet_c - before.inlet_c - 15.0).abs() < 0.1);
    assert!(after.boards[1].chip_c > after.boards[0].chip_c + 10.0);
    assert!(after.boards[0].chip_c > before.boards[0].chip_c + 10.0);
}

#[test]
fn a_fault_lasts_as_long_as_it_was_told_to() {
    let mut shop = Shop::open();
    let lasting = Some(Duration::from_secs(5));
    shop.control
        .inject(Fault::SensorNak { sensor: outlet() }, lasting)
        .unwrap();
    shop.wait(4);
    assert!(shop.outlet().is_err());
    shop.wait(2);
    assert!(shop.outlet().is_ok());
}

#[test]
fn a_fault_of_what_is_not_there_is_refused() {
    let shop = Shop::open();
    for fault in [
        Fault::FanStop {
            fan: "middle".into(),
        },
        Fault::SensorNak {
            sensor: "board 9 inlet side".into(),
        },
        Fault::ChainMute { chain: 3 },
        Fault::ChipSilent {
            chain: 0,
            chip: 126,
        },
    ] {
        assert!(
            shop.control.inject(fault.clone(), None).is_err(),
            "{fault:?}"
        );
        let step = format!(
            "[[steps]]\nat = 1\ninject = {}",
            toml::Value::try_from(&fault).unwrap()
        );
        assert!(
            shop.control
                .play(&Scenario::from_toml(&step).unwrap())
                .is_err()
        );
    }
}

#[test]
fn the_scenario_of_the_documentation_plays_as_it_says() {
    let document = include_str!("../../../../docs/emulator.md");
    let example = document
        .split("```toml")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let mut shop = Shop::open();
    shop.control
        .play(&Scenario::from_toml(example.unwrap()).unwrap())
        .unwrap();
    shop.wait(35);
    let truth = shop.control.truth();
    assert!((truth.inlet_c - 35.0).abs() < 0.1);
    assert!(shop.rpm(0) < 10.0 && shop.rpm(1) < 10.0 && shop.rpm(2) > 3000.0);
    assert!(!truth.rail.tripped);
    shop.wait(55);
    let truth = shop.control.truth();
    assert!(truth.rail.tripped && shop.rpm(0) > 3000.0 && shop.rpm(1) > 3000.0);
    assert_eq!(truth.faults.len(), 2, "the two without an end stay");
}

#[test]
fn hours_of_random_faults_leaves_numbers_that_are_numbers() {
    let settings = MachineSettings::l7().unwrap();
    let shop = Shop::open();
    let scenario = Scenario::random(
        &settings,
        3,
        Duration::from_secs(6 * 3600),
        Duration::from_secs(120),
    );
    shop.control.play(&scenario).unwrap();
    for _ in 0..6 * 60 {
        shop.clock.advance(Duration::from_secs(60));
        let truth = shop.control.truth();
        let all = truth
            .boards
            .iter()
            .flat_map(|board| [board.chip_c, board.pcb_c, board.power_w, board.rail_mv]);
        assert!(
            all.chain([truth.outlet_c, truth.rail.output_mv])
                .all(f32::is_finite),
            "{truth:?}"
        );
        assert!(truth.faults.len() < 100);
    }
}

#[test]
fn a_rail_too_low_for_the_clock_makes_mistakes_and_a_lower_one_forgetful() {
    let mut shop = Shop::open();
    for chain in 0..3 {
        shop.control.set_reset(chain, false);
    }
    shop.wait(1);
    let socket = shop.machine.uarts().remove(0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut host = socket.open().unwrap();
    runtime
        .block_on(tokio::io::AsyncWriteExt::write_all(
            &mut host,
            &command(&INACTIVE),
        ))
        .unwrap();
    runtime
        .block_on(tokio::io::AsyncWriteExt::write_all(
            &mut host,
            &set_address(0x22),
        ))
        .unwrap();
    shop.wait(1);
    let address = |shop: &Shop| shop.machine.chains().next().unwrap().chips()[0].address;
    assert_eq!(address(&shop), 0x22);
    let id = shop.inject(Fault::BrownOut { millivolts: 10_000 });
    shop.wait(1);
    assert_eq!(address(&shop), 0x22, "mistakes, but not forgotten");
    shop.control.clear(id);
    shop.inject(Fault::BrownOut { millivolts: 7_000 });
    shop.wait(1);
    shop.control.clear_all();
    shop.wait(1);
    assert_eq!(address(&shop), 0, "forgotten");
}

/// The faults that the documentation names, each with what it takes.
fn documented() -> Vec<(String, Vec<String>)> {
    let text = include_str!("../../../../docs/emulator.md");
    let table = text
        .split("| `fault` | with | what happens |")
        .nth(1)
        .unwrap();
    let words = |cell: &str| -> Vec<String> {
        let quoted = cell.split('`').skip(1).step_by(2);
        quoted.map(str::to_owned).collect()
    };
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    rows.flat_map(|row| {
        let cells: Vec<_> = row.split('|').collect();
        let with = words(cells[2]);
        let faults = words(cells[1]);
        faults.into_iter().map(move |fault| (fault, with.clone()))
    })
    .collect()
}

/// A fault as scenario files and the control socket have it.
fn spelled(fault: &str, with: &[String]) -> String {
    let fields = with.iter().map(|field| {
        let value = match field.as_str() {
            "sensor" => "\"board 0 inlet side\"",
            "fan" => "\"front left\"",
            "chain" | "chip" | "core" => "1",
            "rpm" | "millivolts" | "seconds" => "60",
            _ => "0.5",
        };
        format!(", {field} = {value}")
    });
    format!("{{ fault = \"{fault}\"{} }}", fields.collect::<String>())
}

#[test]
fn every_documented_fault_comes_by_the_control_socket_and_by_scenario_and_goes_again() {
    let documented = documented();
    let source = include_str!("../../src/fault.rs");
    let kinds = source.split("pub enum Fault {").nth(1).unwrap();
    let kinds = kinds.split("\n}").next().unwrap().lines();
    let is_kind =
        |line: &&str| line.starts_with("    ") && line[4..].starts_with(char::is_uppercase);
    assert_eq!(documented.len(), kinds.filter(is_kind).count());
    let mut shop = Shop::open();
    let mut scenario = String::new();
    for (fault, with) in &documented {
        let spelled = spelled(fault, with);
        let id = answer(&shop.control, &format!("inject {spelled}"));
        let id = id
            .strip_prefix("ok ")
            .unwrap_or_else(|| panic!("{spelled}: {id}"));
        shop.wait(1);
        assert_eq!(shop.control.truth().faults.len(), 1, "{spelled}");
        assert_eq!(answer(&shop.control, &format!("clear {id}")), "ok");
        scenario.push_str("[[steps]]\nat = 1\nfor = 2\ninject = ");
        scenario.push_str(&spelled);
        scenario.push('\n');
    }
    assert_eq!(shop.control.truth().faults.len(), 0);
    let scenario = Scenario::from_toml(&scenario).unwrap();
    shop.control.play(&scenario).unwrap();
    shop.wait(2);
    assert_eq!(shop.control.truth().faults.len(), documented.len());
    shop.wait(2);
    assert_eq!(shop.control.truth().faults.len(), 0);
}
