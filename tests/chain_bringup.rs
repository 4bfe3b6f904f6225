//! The bring-up of each model, frame by frame, against what captures of production machines hold.

#![allow(clippy::expect_used)] // helpers of tests

use cgminer_hal::units::{Baud, Megahertz};
use cgminer_rs::chain::bringup::{self, Action, Step};
use cgminer_rs::chain::frame::{Command, Target};
use cgminer_rs::chain::model::ChipModel;
use cgminer_rs::chain::models::{ALL, BM1362, BM1366, BM1368, BM1370, BM1397, L7};
use cgminer_rs::chain::registers::{Register, VersionRolling};
use cgminer_rs::chain::{
    ChainSettings, Deadlines, Pacing, RestartPolicy, SettingsError, TicketMask,
};
use cgminer_rs::work::{ChainIndex, Extranonce2Partition};
use std::fmt::Write;
use std::time::Duration;

fn settings(model: &'static ChipModel, chips: u16, domains: u16, mhz: f32) -> ChainSettings {
    ChainSettings {
        chain: ChainIndex(0),
        model,
        chips,
        domains,
        frequency: Megahertz(mhz),
        frequency_bounds: (Megahertz(50.0), Megahertz(800.0)),
        baud: Baud(3_125_000),
        ticket_mask: TicketMask::DIFFICULTY_256,
        hardwired_zero_bits: 32,
        partition: Extranonce2Partition::WHOLE,
        pacing: Pacing::CAPTURED,
        deadlines: Deadlines::default(),
        restarts: RestartPolicy::default(),
    }
}

/// The frames of a plan in hexadecimal, other actions in words.
fn lines(steps: &[Step]) -> Vec<String> {
    steps
        .iter()
        .filter_map(|step| match step.action {
            Action::Send(command) | Action::Clock(command, _) => Some(hex(&command.encode())),
            Action::CountChips { chips, .. } => {
                let read = Command::Read {
                    target: Target::All,
                    register: Register::CHIP_ID,
                };
                Some(format!("{} x{chips}", hex(&read.encode())))
            }
            Action::HostBaud { baud, .. } => Some(format!("host {baud}")),
            Action::HoldReset => Some("reset".to_owned()),
            // The question whether the speed was taken is ours alone: captured firmware does not ask.
            Action::ReleaseReset | Action::Replies(_) | Action::ConfirmBaud { .. } => None,
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Frames of the addresses 0, `interval`, ... without their checksums.
fn addresses(count: u16, interval: u16) -> Vec<String> {
    (0..count)
        .map(|index| format!("55aa4005{:02x}00", index * interval))
        .collect()
}

/// Compares a part of a plan, checksums aside where the expectation leaves them out.
fn expect(found: &[String], expected: &[&str]) {
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        let without_checksum = found.get(..found.len() - 2).expect("a frame");
        let same = found == expected || without_checksum == *expected;
        assert!(same, "{found} is not {expected}");
    }
}

#[test]
fn an_s19j_pro_is_brought_up_as_captured() {
    let plan = lines(&bringup::prepare(&settings(&BM1362, 126, 42, 525.0)).expect("a plan"));
    expect(
        &plan[..8],
        &[
            "reset",
            "55aa510900a49000ffff1c",
            "55aa520500000a x126",
            "55aa510900a49000ffff1c",
            "55aa510900a49000ffff1c",
            "55aa510900a800000000",
            "55aa51090018b000c100",
            "55aa5305000003",
        ],
    );
    let slots = addresses(128, 2);
    expect(
        &plan[8..136],
        &slots.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    expect(
        &plan[136..143],
        &[
            "55aa5109003c80008540",
            "55aa5109003c80008008",
            "55aa51090014000000ff",
            "55aa5109005400000003",
            "55aa5109005800011111",
            "55aa5109002811300000",
            "host 3125000 baud",
        ],
    );
    // The ramp: 56.25 MHz to 525 MHz.
    assert!(plan[143].starts_with("55aa5109000840a20255"));
    assert!(plan[143 + 75].starts_with("55aa5109000840a80230"));
    let chips = &plan[143 + 76..];
    assert_eq!(chips.len(), 126 * 5);
    for (index, writes) in chips.chunks(5).enumerate() {
        let address = index * 2;
        let expected = [
            "a800000002",
            "18b000c100",
            "3c80008540",
            "3c80008008",
            "3c800082aa",
        ]
        .map(|write| format!("55aa4109{address:02x}{write}"));
        expect(writes, &expected.each_ref().map(String::as_str));
    }
}

#[test]
fn an_s21_pro_is_brought_up_as_captured() {
    let settings = settings(&BM1370, 65, 13, 600.0);
    let plan = lines(&bringup::prepare(&settings).expect("a plan"));
    expect(
        &plan[..8],
        &[
            "reset",
            "55aa510900a49000ffff1c",
            "55aa510900a49000ffff1c",
            "55aa510900a49000ffff1c",
            "55aa520500000a x65",
            "55aa510900a80007000003",
            "55aa51090018f000c100",
            "55aa5305000003",
        ],
    );
    let slots = addresses(128, 2);
    expect(
        &plan[8..136],
        &slots.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    expect(
        &plan[136..140],
        &[
            "55aa5109003c80008b0012",
            "55aa5109003c8000800c11",
            "55aa51090014000000ff",
            "55aa51090058000111110d",
        ],
    );
    let last_of_domains: Vec<String> = (0..13)
        .map(|domain| format!("55aa4109{:02x}580001f111", domain * 10 + 8))
        .collect();
    expect(
        &plan[140..153],
        &last_of_domains
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    );
    expect(&plan[153..154], &["55aa510900685aa55aa5"]);
    let mut relays = Vec::new();
    for domain in 0..13 {
        let gap = 0x4F - 5 * domain;
        for chip in [domain * 10, domain * 10 + 8] {
            relays.push(format!("55aa4109{chip:02x}2c00{gap:02x}0003"));
        }
    }
    assert!(relays[24].ends_with("2c00130003"));
    expect(
        &plan[154..180],
        &relays.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    expect(
        &plan[180..182],
        &["55aa5109002801300000", "host 3125000 baud"],
    );
    expect(
        &plan[182..187],
        &[
            "55aa410900a8000701f015",
            "55aa41090018f000c1000c",
            "55aa4109003c80008b001a",
            "55aa4109003c8000800c19",
            "55aa4109003c800082aa05",
        ],
    );
    let analog = 182 + 65 * 5;
    expect(
        &plan[analog..analog + 4],
        &[
            "55aa510900b9000044800d",
            "55aa510900540000000218",
            "55aa510900b9000044800d",
            "55aa5109003c80008dee1b",
        ],
    );
    assert!(plan[analog + 4].starts_with("55aa5109000840a20255"));
    assert!(
        plan.last()
            .expect("a ramp")
            .starts_with("55aa5109000850c00230")
    );

    let opening = bringup::open(&settings, Megahertz(600.0), VersionRolling::FULL);
    let opening = lines(&opening.expect("a plan"));
    assert!(opening[1].starts_with("55aa4109020c800003f1"));
    assert!(opening[64].starts_with("55aa4109800c8000fc10"));
    assert!(opening[65].starts_with("55aa51090010"));
    assert_eq!(opening[66], "55aa510900a49000ffff1c");
    assert_eq!(opening.len(), 67);
}

#[test]
fn an_s19_xp_is_brought_up_with_the_published_bytes() {
    let plan = lines(&bringup::prepare(&settings(&BM1366, 110, 11, 500.0)).expect("a plan"));
    for frame in [
        "55aa510900a80007000003",
        "55aa51090018ff0fc10000",
        "55aa5109003c800085400c",
        "55aa5109003c8000802019",
        "55aa51090054000000031d",
        "55aa510900580211111106",
        "55aa4109002c007c000303",
    ] {
        assert!(plan.iter().any(|line| line == frame), "{frame} is missing");
    }
}

/// No capture of an S21's bring-up is public: these are the bytes, and for the whole chain the order, of ESP-Miner's
/// `components/asic/bm1368.c`, which runs on single chips. Baud rate, relays and their place are ours.
#[test]
fn an_s21_is_brought_up_with_the_published_bytes() {
    let settings = settings(&BM1368, 108, 12, 490.0);
    let plan = lines(&bringup::prepare(&settings).expect("a plan"));
    expect(
        &plan[..8],
        &[
            "reset",
            "55aa510900a49000ffff1c",
            "55aa510900a49000ffff1c",
            "55aa510900a49000ffff1c",
            "55aa520500000a x108",
            "55aa510900a80007000003",
            "55aa51090018ff0fc10000",
            "55aa5305000003",
        ],
    );
    let slots: Vec<_> = plan[8..]
        .iter()
        .take_while(|line| line.starts_with("55aa4005"))
        .collect();
    assert!(slots.len() >= 108, "{} addresses", slots.len());
    let mut rest = plan[8 + slots.len()..].iter();
    // In this order, other frames between them.
    for frame in [
        "55aa5109003c80008b00",
        "55aa5109003c80008018",
        "55aa51090014000000ff",
        "55aa5109005400000003",
        "55aa5109005802111111",
        "55aa51090028",
        "host 3125000 baud",
        "55aa410900a8000701f0",
        "55aa41090018f000c100",
        "55aa4109003c80008b00",
        "55aa4109003c80008018",
        "55aa4109003c800082aa",
        "55aa5109000840",
    ] {
        assert!(
            rest.any(|line| line.starts_with(frame)),
            "{frame} is missing or out of order"
        );
    }
    for write in [
        "a8000701f0",
        "18f000c100",
        "3c80008b00",
        "3c80008018",
        "3c800082aa",
    ] {
        let chips = plan
            .iter()
            .filter(|line| line.starts_with("55aa4109") && line.get(10..20) == Some(write));
        assert_eq!(chips.count(), 108, "{write} goes to each chip");
    }
    let opening = bringup::open(&settings, Megahertz(490.0), VersionRolling::FULL);
    let opening = lines(&opening.expect("a plan"));
    assert!(opening[0].starts_with("55aa51090010"), "{opening:?}");
    assert_eq!(opening[1..], ["55aa510900a49000ffff1c"]);
}

/// The L7 is the S19j Pro's chain by another name: the same frames, to the last.
#[test]
fn an_l7_is_brought_up_as_the_captured_s19j_pro() {
    let of = |model| lines(&bringup::prepare(&settings(model, 126, 42, 525.0)).expect("a plan"));
    assert_eq!(of(&L7), of(&BM1362));
    let opening = |model| {
        let settings = settings(model, 126, 42, 525.0);
        let plan = bringup::open(&settings, Megahertz(525.0), VersionRolling::FULL);
        lines(&plan.expect("a plan"))
    };
    assert_eq!(opening(&L7), opening(&BM1362));
    expect(
        &opening(&L7),
        &["55aa5109001000001799", "55aa510900a49000ffff1c"],
    );
}

#[test]
fn every_change_of_speed_is_confirmed_before_anything_else() {
    for model in ALL {
        let steps = bringup::prepare(&settings(model, 20, 10, 450.0)).expect("a plan");
        let at = steps
            .iter()
            .position(|step| matches!(step.action, Action::HostBaud { .. }));
        let at = at.expect("a change of speed");
        let confirm = Action::ConfirmBaud {
            chips: 20,
            chip_id: model.chip_id,
        };
        assert_eq!(steps[at + 1].action, confirm, "{}", model.name);
    }
}

#[test]
fn an_s17_is_brought_up_with_the_published_bytes() {
    let plan = lines(&bringup::prepare(&settings(&BM1397, 48, 12, 500.0)).expect("a plan"));
    expect(
        &plan[..5],
        &[
            "reset",
            "55aa520500000a x48",
            "55aa5305000003",
            "55aa5305000003",
            "55aa5305000003",
        ],
    );
    let mut rest = plan.iter();
    // In this order, other frames between them.
    for frame in [
        "55aa51090080000000001c",
        "55aa510900280600000f18",
        "55aa5109001800007a3115",
        "55aa510900700f0f0f0019",
        "55aa510900700f0f0f0019",
    ] {
        assert!(rest.any(|line| line == frame), "{frame} is missing");
    }
    let clock = rest.next().expect("a clock");
    assert_eq!(rest.next(), Some(clock), "each clock is written twice");
    assert_eq!(plan.last().expect("the host"), "host 3125000 baud");
}

#[test]
fn every_model_is_counted_before_it_is_addressed_and_addressed_before_it_is_spoken_to() {
    for model in ALL {
        let settings = settings(model, 20, 10, 450.0);
        let steps = bringup::prepare(&settings).expect("a plan");
        let find = |wanted: &dyn Fn(&Action) -> bool| {
            steps
                .iter()
                .position(|step| wanted(&step.action))
                .expect(model.name)
        };
        let counted = find(&|action| matches!(action, Action::CountChips { chips: 20, .. }));
        let addressed = find(&|action| matches!(action, Action::Send(Command::SetAddress(_))));
        let clocked = find(&|action| matches!(action, Action::Clock(..)));
        assert!(counted < addressed && addressed < clocked, "{}", model.name);
        for step in &steps[..addressed] {
            let to_one = matches!(
                step.action,
                Action::Send(Command::Write {
                    target: Target::Chip(_),
                    ..
                })
            );
            assert!(!to_one, "{}: {step:?} before it has an address", model.name);
        }
        let last = steps.iter().rev().find_map(|step| match step.action {
            Action::Clock(_, frequency) => Some(frequency),
            _ => None,
        });
        assert_eq!(last, Some(Megahertz(450.0)));
    }
}

#[test]
fn at_reset_speed_nothing_is_written_to_the_baud_register() {
    for model in [&BM1362, &BM1366, &BM1368, &BM1370] {
        let mut settings = settings(model, 1, 1, 450.0);
        settings.baud = Baud(115_200);
        let plan = lines(&bringup::prepare(&settings).expect("a plan"));
        assert!(
            plan.iter()
                .all(|line| !line.starts_with("55aa51090028") && !line.starts_with("host"))
        );
    }
}

#[test]
fn pauses_are_those_of_the_captures() {
    let steps = bringup::prepare(&settings(&BM1362, 126, 42, 525.0)).expect("a plan");
    let total: Duration = steps.iter().map(|step| step.pause).sum();
    assert!(
        total > Duration::from_secs(12) && total < Duration::from_secs(25),
        "{total:?}"
    );
    assert!(steps.iter().all(|step| match step.action {
        Action::Clock(..) => step.pause == Duration::from_millis(100),
        Action::Send(Command::SetAddress(_)) => step.pause >= Duration::from_millis(10),
        _ => true,
    }));
}

/// Changes one setting.
type Change = fn(&mut ChainSettings);

#[test]
fn settings_that_no_chain_can_be_run_with_are_refused_by_name() {
    let wrong: [(&str, Change); 11] = [
        ("0 chips", |s| s.chips = 0),
        ("129 chips", |s| s.chips = 129),
        ("65535 chips", |s| s.chips = u16::MAX),
        ("0 domains", |s| s.domains = 0),
        ("5 domains", |s| s.domains = 5),
        ("399 MHz", |s| s.frequency = Megahertz(399.0)),
        ("801 MHz", |s| s.frequency = Megahertz(801.0)),
        ("frequency", |s| s.frequency = Megahertz(f32::NAN)),
        ("frequency bounds", |s| {
            s.frequency_bounds = (Megahertz(700.0), Megahertz(300.0));
        }),
        ("9600 baud", |s| s.baud = Baud(9600)),
        ("ticket", |s| s.hardwired_zero_bits = 60),
    ];
    for (name, change) in wrong {
        let mut settings = settings(&L7, 126, 42, 525.0);
        settings.validate().expect("right before the change");
        change(&mut settings);
        let error = bringup::prepare(&settings).expect_err(name);
        assert!(
            error.to_string().contains(name),
            "{error} does not say {name}"
        );
    }
}

#[test]
fn the_boards_bounds_hold_within_the_models() {
    let mut settings = settings(&L7, 126, 42, 525.0);
    settings.frequency_bounds = (Megahertz(500.0), Megahertz(600.0));
    assert!(settings.check_frequency(Megahertz(600.0)).is_ok());
    assert!(settings.check_frequency(Megahertz(606.25)).is_err());
    settings.frequency_bounds = (Megahertz(0.0), Megahertz(5000.0));
    assert_eq!(
        settings.frequency_limits(),
        (Megahertz(400.0), Megahertz(800.0))
    );
    settings.frequency_bounds = (Megahertz(f32::NAN), Megahertz(600.0));
    let refused = settings.validate();
    assert!(matches!(
        refused,
        Err(SettingsError::FrequencyBounds { .. })
    ));
}
