//! Each fault, and what it does.

use crate::common::{
    Bench, command, hash, header, hex, leading_zero_bits, read_all, settings, write_all,
};
use cgminer_emulator::{
    chain::{ChainFaults, ChipType, Noise},
    clock::Clock,
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

/// mujina `test_data.rs`, Bitaxe Gamma: any well-formed job would do.
const JOB: &str = "55aa2156680100000000043a0217d76854685519a7cb044f88726355919e61a98bcf71a0c28795ea54db8c36414b06ddf5f00000000000000000965201001d3996bca3f4670dfcd4f201c162b96dfd55646b00000020721c";

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

/// A chain at work with this wrong from the moment of the first job; what is heard in the next second.
fn heard_with(faults: ChainFaults) -> (Bench, Vec<u8>) {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 20));
    bench.bring_up(0);
    bench.chain.set_faults(faults);
    bench.send(&hex(JOB));
    bench.wait(Duration::from_secs(1));
    let heard = std::mem::take(&mut bench.heard);
    (bench, heard)
}

fn bad_nonces(heard: &[u8]) -> usize {
    let job = hex(JOB);
    let is_bad = |frame: &&[u8]| {
        let version = u16::from_be_bytes([frame[8], frame[9]]);
        leading_zero_bits(&hash(&header(&job, &frame[2..6], version))) < 10
    };
    heard
        .chunks_exact(11)
        .filter(|frame| frame[10] >> 5 == 4)
        .filter(is_bad)
        .count()
}

#[test]
fn a_dead_chip_cuts_the_chain_before_it() {
    let (mut bench, heard) = heard_with(ChainFaults {
        cut_at: Some(7),
        ..ChainFaults::default()
    });
    assert_eq!(
        bench
            .ask(&read_all(0))
            .chunks(11)
            .filter(|frame| frame[7] == 0)
            .count(),
        7
    );
    let owners = |frame: &[u8]| u32::from_be_bytes(frame[2..6].try_into().unwrap()) >> 17 & 0xFF;
    assert!(heard.len() > 110 && heard.chunks(11).all(|frame| owners(frame) < 14));
}

#[test]
fn a_silent_chip_is_missing_among_the_others() {
    let silent = [4].into();
    let (mut bench, heard) = heard_with(ChainFaults {
        silent,
        ..ChainFaults::default()
    });
    bench.ask(&write_all(0x10, 0));
    let answers = bench.ask(&read_all(0));
    let addresses: Vec<u8> = answers.chunks(11).map(|frame| frame[6]).collect();
    assert_eq!(addresses.len(), 19);
    assert!(!addresses.contains(&8) && addresses.contains(&10));
    assert!(
        heard
            .chunks(11)
            .all(|frame| u32::from_be_bytes(frame[2..6].try_into().unwrap()) >> 17 & 0xFF != 8)
    );
}

#[test]
fn a_mute_chain_hears_and_says_nothing() {
    let (bench, heard) = heard_with(ChainFaults {
        mute: true,
        ..ChainFaults::default()
    });
    assert!(heard.is_empty());
    assert!(bench.chain.chips()[0].work.is_some());
}

#[test]
fn noise_damages_bytes_in_every_way_it_is_told_to() {
    let clean = heard_with(ChainFaults::default()).1.len();
    for (noise, longer) in [
        (
            Noise {
                flip: 0.05,
                ..Noise::default()
            },
            None,
        ),
        (
            Noise {
                drop: 0.05,
                ..Noise::default()
            },
            Some(false),
        ),
        (
            Noise {
                insert: 0.05,
                ..Noise::default()
            },
            Some(true),
        ),
        (
            Noise {
                duplicate: 0.05,
                ..Noise::default()
            },
            Some(true),
        ),
    ] {
        let mut bench = Bench::new(settings(ChipType::Bm1362, 20));
        bench.bring_up(0);
        bench.send(&hex(JOB));
        bench.wait(Duration::from_millis(10));
        bench.chain.set_faults(ChainFaults {
            noise: Some(noise),
            ..ChainFaults::default()
        });
        bench.wait(Duration::from_millis(990));
        let heard = &bench.heard;
        match longer {
            None => assert!(
                heard.len() == clean && heard.chunks(11).any(|frame| frame[..2] != [0xAA, 0x55])
            ),
            Some(true) => assert!(
                heard.len() > clean + clean / 50,
                "{noise:?} {}",
                heard.len()
            ),
            Some(false) => assert!(
                heard.len() + clean / 50 < clean,
                "{noise:?} {}",
                heard.len()
            ),
        }
    }
}

#[test]
fn a_runaway_crystal_gives_garbage_and_hears_none() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 20));
    bench.bring_up(0);
    bench.send(&hex(JOB));
    bench.wait(Duration::from_millis(100));
    bench.heard.clear();
    bench.chain.set_faults(ChainFaults {
        baud_factor: Some(1.2),
        ..ChainFaults::default()
    });
    bench.wait(Duration::from_millis(500));
    assert!(bench.heard.len() > 50);
    let whole = bench
        .heard
        .windows(2)
        .filter(|pair| *pair == [0xAA, 0x55])
        .count();
    assert!(
        whole * 20 < bench.heard.len() / 11 + 20,
        "{whole} of {}",
        bench.heard.len()
    );
    bench.ask(&write_all(0x10, 0));
    assert!(
        bench.chain.is_hashing(),
        "the write that should have halted it was not understood"
    );
}

#[test]
fn a_stuck_core_repeats_one_nonce_each_second() {
    let stuck = [(3, 9)].into();
    let (mut bench, _) = heard_with(ChainFaults {
        stuck,
        ..ChainFaults::default()
    });
    bench.ask(&write_all(0x14, 0xFFFF_FFFF));
    let mut repeats = Vec::new();
    for _ in 0..5 {
        bench.send(&hex(JOB));
        bench.wait(Duration::from_secs(1));
        repeats.extend(std::mem::take(&mut bench.heard));
    }
    let frames: Vec<&[u8]> = repeats.chunks(11).collect();
    assert!((4..=6).contains(&frames.len()), "{}", frames.len());
    assert!(
        frames
            .iter()
            .all(|frame| frame[2..6] == (9_u32 << 25 | 6 << 17).to_be_bytes())
    );
}

#[test]
fn bad_nonces_come_in_their_share_and_are_counted_by_the_chip() {
    assert_eq!(bad_nonces(&heard_with(ChainFaults::default()).1), 0);
    let (bench, heard) = heard_with(ChainFaults {
        bad_share: 0.5,
        ..ChainFaults::default()
    });
    let (bad, all) = (bad_nonces(&heard), heard.len() / 11);
    assert!(bad * 4 > all && bad * 4 < all * 3, "{bad} of {all}");
    let counted: u32 = bench
        .chain
        .chips()
        .iter()
        .map(|chip| chip.nonce_errors)
        .sum();
    assert!(counted as usize >= bad);
}

#[test]
fn a_pll_change_can_bring_frames_without_meaning() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 20));
    bench.bring_up(0);
    assert!(bench.ask(&write_all(0x08, 0x50DA_0141)).is_empty());
    bench.chain.set_faults(ChainFaults {
        pll_garbage: true,
        ..ChainFaults::default()
    });
    let heard = bench.ask(&write_all(0x08, 0x40A8_0230));
    assert_eq!(heard.len(), 33, "three good frames");
    assert!(heard.chunks(11).all(|frame| frame[10] >> 5 == 4));
}

#[test]
fn register_40_can_come_unasked() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 20));
    bench.bring_up(0);
    bench.chain.set_faults(ChainFaults {
        chatter: true,
        ..ChainFaults::default()
    });
    bench.wait(Duration::from_millis(3500));
    assert_eq!(bench.heard.len(), 33);
    assert!(
        bench
            .heard
            .chunks(11)
            .all(|frame| frame[7] == 0x40 && frame[10] >> 5 == 0)
    );
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
            &command(&crate::common::INACTIVE),
        ))
        .unwrap();
    runtime
        .block_on(tokio::io::AsyncWriteExt::write_all(
            &mut host,
            &crate::common::set_address(0x22),
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
