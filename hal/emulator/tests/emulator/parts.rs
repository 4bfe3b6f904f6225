//! Each part's conversation, register by register, as its data sheet has it. The clock is moved by hand.

use crate::common::hex;
use cgminer_emulator::{
    clock::Clock,
    fault::Fault,
    machine::{Control, Machine, MachineSettings},
};
use cgminer_hal::{
    devices::Devices,
    emulated::Wiring,
    i2c::{Handle, I2cBusSpec},
    spi::SpiSpec,
};
use embedded_hal::{i2c::I2c, spi::SpiDevice};
use std::time::Duration;

/// The machine with one of every part, its clock in the hand.
struct Bench {
    machine: Machine,
    clock: Clock,
    devices: Wiring,
    control: Control,
}

impl Bench {
    fn new() -> Self {
        let clock = Clock::manual();
        let machine = Machine::new(MachineSettings::every_part().unwrap(), 1, clock.clone());
        let (devices, control) = (machine.devices(), machine.control());
        Self {
            machine,
            clock,
            devices,
            control,
        }
    }

    fn bus(&mut self, bus: &str) -> Handle {
        self.devices
            .i2c(&I2cBusSpec {
                bus: bus.into(),
                deny_writes: vec![],
            })
            .unwrap()
    }

    fn wait(&mut self, time: Duration) {
        for _ in 0..time.as_millis().div_ceil(20) {
            self.clock.advance(Duration::from_millis(20));
            self.machine.step();
        }
    }
}

fn byte(bus: &mut Handle, address: u8, register: u8) -> u8 {
    let mut got = [0];
    bus.write_read(address, &[register], &mut got).unwrap();
    got[0]
}

fn word(bus: &mut Handle, address: u8, register: u8) -> u16 {
    let mut got = [0; 2];
    bus.write_read(address, &[register], &mut got).unwrap();
    u16::from_le_bytes(got)
}

#[test]
fn lm75_and_tmp75_round_to_their_own_steps() {
    let mut bench = Bench::new();
    let mut bus = bench.bus("i2c-0");
    bench
        .control
        .inject(
            Fault::SensorJump {
                sensor: "lm75".into(),
                celsius: 0.3,
            },
            None,
        )
        .unwrap();
    bench
        .control
        .inject(
            Fault::SensorJump {
                sensor: "tmp75".into(),
                celsius: -22.3,
            },
            None,
        )
        .unwrap();
    let mut raw = [0; 2];
    bus.write_read(0x48, &[0], &mut raw).unwrap();
    assert_eq!(raw, [22, 0x40], "22.3 to eighths is 22.25");
    bus.write_read(0x49, &[0], &mut raw).unwrap();
    assert_eq!(
        i16::from_be_bytes(raw),
        -80,
        "-0.3 to sixteenths is -0.3125"
    );
    bus.write_read(0x48, &[3], &mut raw).unwrap();
    assert_eq!(raw, [80, 0], "over-temperature threshold after power-on");
    bus.write(0x48, &[3, 70, 0x80]).unwrap();
    bus.write_read(0x48, &[3], &mut raw).unwrap();
    assert_eq!(raw, [70, 0x80]);
}

#[test]
fn diode_sensors_are_told_apart_by_their_identity() {
    let mut bench = Bench::new();
    let mut bus = bench.bus("i2c-0");
    let mut identity = |address| (byte(&mut bus, address, 0xFE), byte(&mut bus, address, 0xFF));
    assert_eq!(identity(0x4C), (0x55, 0x00), "TMP451");
    assert_eq!(identity(0x4D), (0x41, 0x51), "ADT7461");
    assert_eq!(identity(0x4E), (0x1A, 0xCA), "NCT218");
    assert_eq!(identity(0x1C), (0x55, 0x21), "TMP421");
    assert_eq!(identity(0x18), (0x5D, 0x01), "EMC1413");
    assert_eq!(byte(&mut bus, 0x18, 0xFD), 0x21, "product of an EMC1413");
}

#[test]
fn diode_sensors_give_local_and_remote_and_say_when_a_diode_is_open() {
    let mut bench = Bench::new();
    let mut bus = bench.bus("i2c-0");
    // Sensor, address, remote high, remote low, fault register and its bit.
    for (name, address, low, fault, bit) in [
        ("tmp451", 0x4C, 0x10, 0x02, 0x04),
        ("adt7461", 0x4D, 0x10, 0x02, 0x04),
        ("nct218", 0x4E, 0x10, 0x02, 0x04),
        ("tmp421", 0x1C, 0x11, 0x11, 0x01),
        ("emc1413", 0x18, 0x10, 0x1B, 0x02),
    ] {
        bench
            .control
            .inject(
                Fault::SensorJump {
                    sensor: name.into(),
                    celsius: 40.5,
                },
                None,
            )
            .unwrap();
        assert_eq!(
            byte(&mut bus, address, 0x01),
            62,
            "{name}: chips at room temperature and 40.5 more"
        );
        assert_eq!(byte(&mut bus, address, low), 0x80, "{name}: a half");
        assert!(
            (62..=63).contains(&byte(&mut bus, address, 0x00)),
            "{name}: local"
        );
        assert_eq!(byte(&mut bus, address, fault) & bit, 0, "{name}");
        bench
            .control
            .inject(
                Fault::SensorOpenDiode {
                    sensor: name.into(),
                },
                None,
            )
            .unwrap();
        assert_eq!(byte(&mut bus, address, fault) & bit, bit, "{name}: open");
        assert!(
            (62..=63).contains(&byte(&mut bus, address, 0x00)),
            "{name}: local stays"
        );
    }
    assert_eq!(
        byte(&mut bus, 0x18, 0x1B),
        0x06,
        "both diodes of the EMC1413"
    );
}

#[test]
fn the_extended_range_moves_zero_by_64() {
    let mut bench = Bench::new();
    let mut bus = bench.bus("i2c-0");
    assert_eq!(byte(&mut bus, 0x4C, 0x01), 22);
    bus.write(0x4C, &[0x09, 0x04]).unwrap();
    assert_eq!(
        (byte(&mut bus, 0x4C, 0x03), byte(&mut bus, 0x4C, 0x01)),
        (0x04, 86)
    );
}

#[test]
fn a_pmbus_supply_is_switched_set_and_measured() {
    let mut bench = Bench::new();
    let mut bus = bench.bus("i2c-1");
    assert_eq!(
        byte(&mut bus, 0x58, 0x20),
        0x17,
        "LINEAR16 in steps of 1/512 V"
    );
    assert_eq!(word(&mut bus, 0x58, 0x79), 1 << 6, "off");
    bus.write(0x58, &[0x21, 0x00, 0x1B]).unwrap();
    bus.write(0x58, &[0x01, 0x80]).unwrap();
    bench.wait(Duration::from_secs(1));
    assert_eq!(word(&mut bus, 0x58, 0x8B), 0x1B00, "13.5 V");
    assert_eq!(word(&mut bus, 0x58, 0x79), 0);
    let mut model = [0; 10];
    bus.write_read(0x58, &[0x9A], &mut model).unwrap();
    assert_eq!(&model[..9], b"\x08EMULATED");
    bus.write_read(0x58, &[0xD0], &mut model).unwrap_err();
    bench.control.inject(Fault::SupplyTrip, None).unwrap();
    bench.wait(Duration::from_secs(30));
    assert_eq!(
        word(&mut bus, 0x58, 0x79),
        1 << 14 | 1 << 6 | 1 << 4,
        "cut by over-current protection"
    );
    bus.write(0x58, &[0x01, 0x00]).unwrap();
    bus.write(0x58, &[0x01, 0x80]).unwrap();
    bench.wait(Duration::from_secs(1));
    assert_eq!(word(&mut bus, 0x58, 0x79), 0, "off and on again");
}

#[test]
fn pmbus_transfers_may_carry_their_code() {
    let mut bench = Bench::new();
    let mut bus = bench.bus("i2c-1");
    let mut coded = [0; 2];
    bus.write_read(0x58, &[0x20], &mut coded).unwrap();
    // CRC-8 of SMBus, polynomial 7, over both addresses, command and data.
    let divide = |bytes: &[u8]| {
        bytes.iter().fold(0_u8, |crc, byte| {
            (0..8).fold(crc ^ byte, |crc, _| (crc << 1) ^ ((crc >> 7) * 7))
        })
    };
    assert_eq!(coded, [0x17, divide(&[0xB0, 0x20, 0xB1, 0x17])]);
    let command = [0x21, 0x00, 0x18];
    let code = divide(&[&[0xB0][..], &command].concat());
    bus.write(0x58, &[&command[..], &[code ^ 1]].concat())
        .unwrap_err();
    assert_ne!(
        word(&mut bus, 0x58, 0x21),
        0x1800,
        "a wrong code changes nothing"
    );
    bus.write(0x58, &[&command[..], &[code]].concat()).unwrap();
    assert_eq!(word(&mut bus, 0x58, 0x21), 0x1800);
    bench
        .control
        .inject(Fault::SupplyBadChecksum, None)
        .unwrap();
    bus.write_read(0x58, &[0x20], &mut coded).unwrap();
    assert_ne!(coded[1], divide(&[0xB0, 0x20, 0xB1, 0x17]));
}

#[test]
fn a_max31785_drives_and_counts_by_page() {
    let mut bench = Bench::new();
    let mut bus = bench.bus("i2c-1");
    assert_eq!(
        (byte(&mut bus, 0x52, 0x99), byte(&mut bus, 0x52, 0x9A)),
        (0x4D, 0x53)
    );
    for (page, hundredths) in [(0, 5000_u16), (1, 10_000)] {
        bus.write(0x52, &[0x00, page]).unwrap();
        let [low, high] = hundredths.to_le_bytes();
        bus.write(0x52, &[0x3B, low, high]).unwrap();
    }
    bench.wait(Duration::from_secs(20));
    assert!(
        (6990..=7000).contains(&word(&mut bus, 0x52, 0x90)),
        "page 1"
    );
    bus.write(0x52, &[0x00, 0]).unwrap();
    assert!(
        (3490..=3510).contains(&word(&mut bus, 0x52, 0x90)),
        "page 0"
    );
}

#[test]
fn an_emc2305_counts_clocks_per_turn_and_guards_its_fans() {
    let mut bench = Bench::new();
    let mut bus = bench.bus("i2c-1");
    assert_eq!(
        (byte(&mut bus, 0x2D, 0xFD), byte(&mut bus, 0x2D, 0xFE)),
        (0x34, 0x5D)
    );
    let count = |bus: &mut Handle| {
        u16::from(byte(bus, 0x2D, 0x3E)) << 5 | u16::from(byte(bus, 0x2D, 0x3F)) >> 3
    };
    assert_eq!(count(&mut bus), 0x1FFF, "standing");
    bus.write(0x2D, &[0x32, 0x0B]).unwrap();
    bus.write(0x2D, &[0x20, 0x60]).unwrap();
    for _ in 0..10 {
        bus.write(0x2D, &[0x30, 128]).unwrap();
        bench.wait(Duration::from_secs(2));
    }
    let rpm = 3_932_160 / u32::from(count(&mut bus));
    assert!((3480..3540).contains(&rpm), "{rpm}");
    bench.wait(Duration::from_secs(20));
    let rpm = 3_932_160 / u32::from(count(&mut bus));
    assert!(
        (6950..7050).contains(&rpm),
        "fully driven when not written to: {rpm}"
    );
}

#[test]
fn a_pic_starts_its_program_and_wants_heartbeats() {
    let mut bench = Bench::new();
    let mut supply = bench.bus("i2c-1");
    supply.write(0x58, &[0x01, 0x80]).unwrap();
    let mut bus = bench.bus("i2c-2");
    let mut answer = [0];
    let version = |bus: &mut Handle| {
        let mut answer = [0];
        bus.write(0x55, &[0x55, 0xAA, 0x17]).unwrap();
        bus.read(0x55, &mut answer).unwrap();
        answer[0]
    };
    assert_eq!(version(&mut bus), 0xCC, "boot loader");
    bus.write(0x55, &[0x55, 0xAA, 0x06]).unwrap();
    bench.wait(Duration::from_millis(600));
    assert_eq!(version(&mut bus), 0x5E);
    // V = (1608.420446 - 8) / 170.423497 = 9.39 V
    bus.write(0x55, &[0x55, 0xAA, 0x10, 8]).unwrap();
    bus.write(0x55, &[0x55, 0xAA, 0x15, 1]).unwrap();
    bus.write(0x55, &[0x55, 0xAA, 0x18]).unwrap();
    bus.read(0x55, &mut answer).unwrap();
    assert_eq!(answer, [8]);
    for _ in 0..20 {
        bus.write(0x55, &[0x55, 0xAA, 0x16]).unwrap();
        bench.wait(Duration::from_secs(1));
    }
    let rail = |bench: &Bench| bench.control.truth().boards[0].rail_mv;
    assert!(
        (9_380.0..9_400.0).contains(&rail(&bench)),
        "{}",
        rail(&bench)
    );
    bench.wait(Duration::from_secs(11));
    assert!(rail(&bench) < 1.0, "silence switches the converter off");
}

#[test]
fn a_dspic_takes_the_published_frames() {
    let mut bench = Bench::new();
    let mut supply = bench.bus("i2c-1");
    supply.write(0x58, &[0x01, 0x80]).unwrap();
    let mut bus = bench.bus("i2c-2");
    // DCENT_OS `dspic_frame.rs`: on, off, get voltage.
    for (frame, answer) in [
        ("55aa0415011a", "051501001b"),
        ("55aa04150019", "051500001a"),
    ] {
        bus.write(0x20, &hex(frame)).unwrap();
        let mut got = [0; 5];
        bus.read(0x20, &mut got).unwrap();
        assert_eq!(got.to_vec(), hex(answer));
    }
    bus.write(0x20, &hex("55aa0418001c")).unwrap();
    let mut got = [0; 6];
    bus.read(0x20, &mut got).unwrap();
    assert_eq!(got[..2], [6, 0x18]);
    bus.write(0x20, &hex("55aa0415011b")).unwrap();
    bus.read(0x20, &mut got).unwrap();
    assert_eq!(got[0], 0xF5, "a wrong sum is refused");
    bus.write(0x20, &hex("55aa0415011a")).unwrap();
    bench.wait(Duration::from_secs(2));
    assert!(bench.control.truth().boards[1].rail_mv > 13_000.0);
    bench
        .control
        .inject(Fault::HeartbeatLoss { chain: 1 }, None)
        .unwrap();
    bench.wait(Duration::from_millis(100));
    assert!(bench.control.truth().boards[1].rail_mv < 1.0);
}

#[test]
fn an_mcp3208_measures_the_current_of_a_board() {
    let mut bench = Bench::new();
    let mut supply = bench.bus("i2c-1");
    supply.write(0x58, &[0x01, 0x80]).unwrap();
    bench
        .bus("i2c-2")
        .write(0x20, &hex("55aa0415011a"))
        .unwrap();
    bench.wait(Duration::from_secs(1));
    let spec = SpiSpec {
        device: "spidev0.0".into(),
        clock_hz: 1_000_000,
        mode: 0,
    };
    let mut spi = bench.devices.spi(&spec).unwrap();
    let mut steps = |channel: u8| {
        let mut frame = [6 | channel >> 2, channel << 6, 0];
        spi.transfer_in_place(&mut frame).unwrap();
        assert_eq!(frame[1] & 0x10, 0, "the zero bit");
        u16::from_be_bytes([frame[1] & 0x0F, frame[2]])
    };
    assert_eq!(steps(0), 0, "no converter on chain 0");
    let amperes = f32::from(steps(1)) / 4096.0 * 3.3 * 50.0;
    let truth = bench.control.truth().boards[1];
    assert!(
        (amperes - truth.power_w / truth.rail_mv * 1000.0).abs() < 0.1,
        "{amperes}"
    );
    assert_eq!(steps(5), 0);
}

#[test]
fn an_eeprom_wraps_its_writes_within_a_page() {
    let mut bench = Bench::new();
    let mut bus = bench.bus("i2c-0");
    bus.write(0x50, &[0xF6, 1, 2, 3]).unwrap();
    let mut page = [0; 8];
    bus.write_read(0x50, &[0xF0], &mut page).unwrap();
    assert_eq!(page, [3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2]);
    let mut around = [0; 2];
    bus.write_read(0x50, &[0xFF], &mut around).unwrap();
    assert_eq!(around, [0x5A, 0x04], "reads go round the whole memory");
}

#[test]
fn a_starved_watchdog_resets_the_board_and_drops_the_rail() {
    let clock = Clock::manual();
    let mut machine = Machine::new(MachineSettings::l7().unwrap(), 1, clock.clone());
    let (mut devices, control) = (machine.devices(), machine.control());
    let mut pass = |seconds: u64| {
        for _ in 0..seconds * 50 {
            clock.advance(Duration::from_millis(20));
            machine.step();
        }
    };
    let enable = cgminer_hal::gpio::LineId::Name("PSU_ENABLE".into());
    let _enable = devices
        .output(&enable, cgminer_hal::gpio::Level::Low)
        .unwrap();
    let spec = cgminer_hal::watchdog::WatchdogSpec {
        device: "/dev/watchdog0".into(),
        timeout_s: 15,
    };
    let mut dog = devices.watchdog(&spec).unwrap();
    for _ in 0..5 {
        pass(10);
        dog.feed().unwrap();
    }
    assert!(control.truth().rail.output_mv > 11_000.0);
    pass(16);
    assert_eq!(control.truth().watchdog_resets, 1);
    pass(30);
    assert!(control.truth().rail.output_mv < 500.0);
}
