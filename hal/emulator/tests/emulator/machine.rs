//! The whole machine through the traits that a daemon uses, on virtual time.

use crate::common::{
    command, hash, header, hex, leading_zero_bits, read_all, set_address, write_all,
};
use cgminer_emulator::{
    clock::Clock,
    fault::Fault,
    machine::{Machine, MachineSettings},
};
use cgminer_hal::{
    devices::Devices,
    emulated::Wiring,
    gpio::{Level, LineId},
    i2c::I2cBusSpec,
    pwm::PwmSpec,
    uart::{Uart, UartSpec},
    units::{Baud, DutyPercent},
};
use embedded_hal::{
    digital::{InputPin, OutputPin},
    i2c::I2c,
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

/// mujina `test_data.rs`, Bitaxe Gamma: any well-formed job would do.
const JOB: &str = "55aa2156680100000000043a0217d76854685519a7cb044f88726355919e61a98bcf71a0c28795ea54db8c36414b06ddf5f00000000000000000965201001d3996bca3f4670dfcd4f201c162b96dfd55646b00000020721c";

const RESETS: [&str; 3] = ["HB0_RESET", "HB1_RESET", "HB2_RESET"];

fn line(name: &str) -> LineId {
    LineId::Name(name.into())
}

fn pwm(channel: u32) -> PwmSpec {
    PwmSpec::Sysfs {
        chip: "pwmchip0".into(),
        channel,
        period_ns: 40_000,
        inversed: false,
    }
}

fn i2c(devices: &mut Wiring, bus: &str) -> cgminer_hal::i2c::Handle {
    devices
        .i2c(&I2cBusSpec {
            bus: bus.into(),
            deny_writes: (0x50..0x58).collect(),
        })
        .unwrap()
}

fn open_uart(devices: &mut Wiring, device: &str) -> Box<dyn Uart> {
    devices
        .uart(&UartSpec {
            device: device.into(),
            second_descriptor: false,
        })
        .unwrap()
}

/// One frame to the supply, as its bytes go over the bus, and its answer when it is due.
async fn supply(bus: &mut impl I2c, frame: &[u8], answer: usize) -> Vec<u8> {
    for byte in frame {
        bus.write(0x10, &[0x11, *byte]).unwrap();
    }
    sleep(Duration::from_millis(500)).await;
    (0..answer)
        .map(|_| {
            let mut byte = [0];
            bus.write_read(0x10, &[0x11], &mut byte).unwrap();
            byte[0]
        })
        .collect()
}

/// Supply on at 13.2 V, fans at this duty, resets let go.
async fn power_up(devices: &mut Wiring, duty: f32) {
    let mut bus = i2c(devices, "i2c-1");
    // dac = (1190935338 - 78743 * 13200) / 1e6 = 151
    let set = [
        0x55,
        0xAA,
        6,
        0x83,
        151,
        0,
        (6 + 0x83_u16 + 151) as u8,
        ((6 + 0x83_u16 + 151) >> 8) as u8,
    ];
    assert_eq!(supply(&mut bus, &set, 8).await, set);
    for channel in 0..4 {
        devices
            .pwm(&pwm(channel))
            .unwrap()
            .set_duty(DutyPercent(duty))
            .unwrap();
    }
    devices.output(&line("PSU_ENABLE"), Level::Low).unwrap();
    sleep(Duration::from_secs(1)).await;
    for name in RESETS {
        devices.output(&line(name), Level::High).unwrap();
    }
    sleep(Duration::from_millis(200)).await;
}

async fn answer(uart: &mut Box<dyn Uart>, question: &[u8]) -> Vec<u8> {
    uart.write_all(question).await.unwrap();
    let mut heard = Vec::new();
    let mut buffer = [0; 512];
    while let Ok(count) = timeout(Duration::from_millis(100), uart.read(&mut buffer)).await {
        heard.extend(&buffer[..count.unwrap()]);
    }
    heard
}

async fn start_mining(uart: &mut Box<dyn Uart>) {
    let mut opening = [
        write_all(0xA4, 0x9000_FFFF),
        command(&crate::common::INACTIVE),
    ]
    .concat();
    (0..126).for_each(|chip| opening.extend(set_address(chip * 2)));
    opening.extend(write_all(0x3C, 0x8000_82AA));
    opening.extend(write_all(0x08, 0x50DA_0141));
    opening.extend(write_all(0x10, 0x1381));
    uart.write_all(&opening).await.unwrap();
    while !uart.is_drained().unwrap() {
        sleep(Duration::from_millis(5)).await;
    }
    uart.write_all(&write_all(0x28, 0x1130_0000)).await.unwrap();
    sleep(Duration::from_millis(60)).await;
    uart.set_baud(Baud(3_125_000)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cold_machine_is_powered_found_and_mined_with() {
    let machine = Machine::new(MachineSettings::l7().unwrap(), 1, Clock::tokio());
    let (mut devices, control) = (machine.devices(), machine.control());
    tokio::spawn(machine.run());
    let mut uart = open_uart(&mut devices, "/dev/ttyS1");
    assert!(
        answer(&mut uart, &read_all(0)).await.is_empty(),
        "no power, no answer"
    );
    power_up(&mut devices, 50.0).await;
    assert_eq!(answer(&mut uart, &read_all(0)).await.len(), 126 * 9);

    start_mining(&mut uart).await;
    let job = hex(JOB);
    let heard = answer(&mut uart, &job).await;
    assert!(heard.len() > 55 && heard.len() % 11 == 0, "{}", heard.len());
    for frame in heard.chunks(11) {
        let hash = hash(&header(
            &job,
            &frame[2..6],
            u16::from_be_bytes([frame[8], frame[9]]),
        ));
        assert!(leading_zero_bits(&hash) >= 12);
    }
    let truth = control.truth();
    assert!(truth.power_w > 300.0, "{truth:?}");
    assert!((truth.rail.output_mv - 13_200.0).abs() < 10.0);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_host_give_the_same_bytes() {
    let run = || async {
        let machine = Machine::new(MachineSettings::l7().unwrap(), 7, Clock::tokio());
        let (mut devices, control) = (machine.devices(), machine.control());
        let life = tokio::spawn(machine.run());
        let noise = Fault::LineNoise {
            chain: 0,
            flip: 0.01,
            drop: 0.01,
            insert: 0.01,
            duplicate: 0.01,
        };
        let mut uart = open_uart(&mut devices, "/dev/ttyS1");
        power_up(&mut devices, 100.0).await;
        start_mining(&mut uart).await;
        uart.write_all(&hex(JOB)).await.unwrap();
        sleep(Duration::from_millis(10)).await;
        control.inject(noise, None).unwrap();
        let heard = answer(&mut uart, &[]).await;
        life.abort();
        heard
    };
    let first = run().await;
    assert!(first.len() > 100);
    assert_eq!(first, run().await);
}

#[tokio::test(start_paused = true)]
async fn sensors_follow_the_heat_and_fans_the_duty() {
    let mut settings = MachineSettings::l7().unwrap();
    settings.search.hashes_per_second = 1000.0;
    let machine = Machine::new(settings, 1, Clock::tokio());
    let (mut devices, control) = (machine.devices(), machine.control());
    tokio::spawn(machine.run());
    let mut bus = i2c(&mut devices, "i2c-0");
    let mut outlet = |chain: u8| {
        let mut raw = [0; 2];
        bus.write_read(0x4C + chain, &[0], &mut raw).unwrap();
        f32::from(i16::from_be_bytes(raw)) / 256.0
    };
    assert!((outlet(0) - 25.0).abs() < 0.2);
    power_up(&mut devices, 40.0).await;
    let mut uart = open_uart(&mut devices, "/dev/ttyS1");
    start_mining(&mut uart).await;
    for _ in 0..120 {
        uart.write_all(&hex(JOB)).await.unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    let truth = control.truth();
    assert!((outlet(0) - truth.boards[0].pcb_c).abs() < 0.2);
    assert!(
        outlet(0) > 35.0 && outlet(0) > outlet(1) + 5.0,
        "{} {}",
        outlet(0),
        outlet(1)
    );
    assert!(
        truth
            .fans
            .iter()
            .all(|(_, rpm)| (rpm - 2400.0).abs() < 30.0),
        "{truth:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_supply_speaks_its_published_frames() {
    let machine = Machine::new(MachineSettings::l7().unwrap(), 1, Clock::tokio());
    let (mut devices, control) = (machine.devices(), machine.control());
    tokio::spawn(machine.run());
    let mut bus = i2c(&mut devices, "i2c-1");
    let mut probe = [0];
    bus.write_read(0x10, &[0], &mut probe).unwrap();
    assert_eq!(probe, [0xF5]);
    // hashsource_antminer_x19, x17 PSU protocol: requests for firmware, type and voltage.
    for (frame, kind) in [
        ("55aa04010500", 1),
        ("55aa04020600", 2),
        ("55aa04030700", 3),
    ] {
        let reply = supply(&mut bus, &hex(frame), 8).await;
        let sum: u16 = reply[2..6].iter().map(|byte| u16::from(*byte)).sum();
        assert_eq!(
            (reply[..4].to_vec(), &reply[6..]),
            (vec![0x55, 0xAA, 6, kind], &sum.to_le_bytes()[..])
        );
    }
    assert_eq!(
        supply(&mut bus, &hex("55aa04020700"), 1).await,
        [0xF5],
        "wrong checksum"
    );
    power_up(&mut devices, 100.0).await;
    let reply = supply(&mut bus, &hex("55aa04040800"), 8).await;
    let volts = (f32::from(u16::from_le_bytes([reply[4], reply[5]])) + 0.8615) / 63.017;
    assert!((volts - 13.2).abs() < 0.02, "{volts}");
    // Watchdog on, then nobody feeds it.
    supply(&mut bus, &hex("55aa0581018700"), 8).await;
    sleep(Duration::from_secs(30)).await;
    assert!(control.truth().rail.output_mv < 2_000.0);
}

#[tokio::test(start_paused = true)]
async fn a_published_set_frame_is_echoed() {
    let mut settings = MachineSettings::l7().unwrap();
    if let Some(supply) = &mut settings.supply {
        supply.part = cgminer_emulator::machine::SupplyPart::Apw9;
    }
    let machine = Machine::new(settings, 1, Clock::tokio());
    let mut devices = machine.devices();
    tokio::spawn(machine.run());
    let mut bus = i2c(&mut devices, "i2c-1");
    let frame = hex("55aa06830d009600");
    assert_eq!(supply(&mut bus, &frame, 8).await, frame);
    assert_eq!(
        supply(&mut bus, &hex("55aa04020600"), 8).await,
        hex("55aa060241004900")
    );
    devices.output(&line("PSU_ENABLE"), Level::Low).unwrap();
    sleep(Duration::from_secs(3)).await;
    let reply = supply(&mut bus, &hex("55aa04040800"), 8).await;
    let volts = (f32::from(u16::from_le_bytes([reply[4], reply[5]])) + 0.8615) / 63.017;
    assert!((volts - 21.0).abs() < 0.02, "{volts}");
}

#[tokio::test(start_paused = true)]
async fn the_eeprom_holds_the_published_image() {
    let machine = Machine::new(MachineSettings::l7().unwrap(), 1, Clock::tokio());
    let mut bus = i2c(&mut machine.devices(), "i2c-0");
    let mut image = [0; 256];
    bus.write_read(0x51, &[0], &mut image).unwrap();
    assert_eq!(image[..4], [0x04, 0x11, 0x79, 0x62]);
    assert_eq!((image[200], image[255]), (0xFF, 0x5A));
}

#[tokio::test(start_paused = true)]
async fn presence_and_reset_lines_are_what_they_are_named() {
    let mut machine = Machine::new(MachineSettings::l7().unwrap(), 1, Clock::tokio());
    let (mut devices, control) = (machine.devices(), machine.control());
    let mut presence = devices.input(&line("HB1_PRESENT")).unwrap();
    machine.step();
    assert!(presence.is_high().unwrap());
    control.inject(Fault::BoardGone { chain: 1 }, None).unwrap();
    machine.step();
    assert!(presence.is_low().unwrap());
    let mut enable = devices.output(&line("PSU_ENABLE"), Level::High).unwrap();
    enable.set_low().unwrap();
    assert!(
        devices
            .input(&line("PSU_ENABLE"))
            .unwrap()
            .is_low()
            .unwrap()
    );
}

#[test]
fn a_machine_in_its_own_thread_answers_in_real_time() {
    let mut settings = MachineSettings::l7().unwrap();
    settings.supply = None;
    let machine = Machine::new(settings, 1, Clock::tokio());
    let mut devices = machine.devices();
    let running = machine.spawn_thread().unwrap();
    for name in RESETS {
        devices.output(&line(name), Level::High).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut uart = open_uart(&mut devices, "/dev/ttyS2");
        let mut heard = Vec::new();
        // The rail needs its time to rise; asking again costs nothing.
        while heard.is_empty() {
            heard = answer(&mut uart, &read_all(0)).await;
        }
        // A machine whose thread was late answers in pieces, and each question.
        let mut buffer = [0; 512];
        while heard.len() % (126 * 9) != 0 {
            let more = timeout(Duration::from_secs(120), uart.read(&mut buffer)).await;
            heard.extend(&buffer[..more.expect("the rest of it").unwrap()]);
        }
        assert!(heard.chunks(9).all(|frame| frame[..2] == [0xAA, 0x55]));
    });
    drop(running);
}
