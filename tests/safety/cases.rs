//! The cases of the fault table.

use crate::rig::Sick;
use crate::table::{Case, Expect, Kind, Sign, Then, What};
use cgminer_board::thermal::FanMode;
use cgminer_emulator::fault::Fault;
use cgminer_hal::units::DutyPercent;
use cgminer_rs::link::Loop;

const FANS: [&str; 4] = ["front left", "front right", "rear left", "rear right"];
const FIXED: FanMode = FanMode::Fixed {
    duty: DutyPercent(60.0),
};

/// Every case.
pub fn all() -> impl Iterator<Item = Case> {
    [sensors(), fans(), supply(), chains(), heat(), processes()]
        .into_iter()
        .flatten()
}

fn case(fault: impl Into<String>, what: Vec<What>, expect: Expect) -> Case {
    Case {
        fault: fault.into(),
        kind: Kind::L7,
        mode: FanMode::Auto,
        what,
        lasting: None,
        expect,
    }
}

fn off(within: u64, cause: &'static str, then: Then) -> Expect {
    Expect::Off {
        within,
        cause,
        then,
    }
}

fn on(how: &'static str, sign: Sign) -> Expect {
    Expect::On { how, sign }
}

fn faults(faults: impl IntoIterator<Item = Fault>) -> Vec<What> {
    faults.into_iter().map(What::Fault).collect()
}

/// Each way in which a sensor fails, on one of a board's two sensors and on both.
pub fn sensors() -> Vec<Case> {
    const INNER: &str = "board 1 inlet side";
    const OUTER: &str = "board 1 outlet side";
    const STANDS_IN: &str =
        "hashing goes on; the other sensor of the board stands in, with a margin";
    const CALM: &str = "hashing goes on: what stands still does no harm while nothing moves";
    type Fails = fn(String) -> Fault;
    /// What a failing sensor, alone or with its neighbour, has to lead to.
    enum Leads {
        Lost(Then),
        Believed,
        Calm,
    }
    let ways: [(&str, Fails, Leads); 7] = [
        (
            "does not acknowledge",
            |sensor| Fault::SensorNak { sensor },
            Leads::Lost(Then::Latches),
        ),
        (
            "reads zero",
            |sensor| Fault::SensorZero { sensor },
            Leads::Lost(Then::Recovers),
        ),
        (
            "reads what is no temperature",
            |sensor| Fault::SensorImplausible { sensor },
            Leads::Lost(Then::Recovers),
        ),
        (
            "jumps 40 C down",
            |sensor| Fault::SensorJump {
                sensor,
                celsius: -40.0,
            },
            Leads::Lost(Then::Recovers),
        ),
        (
            "jumps 40 C up",
            |sensor| Fault::SensorJump {
                sensor,
                celsius: 40.0,
            },
            Leads::Believed,
        ),
        (
            "is stuck",
            |sensor| Fault::SensorStuck { sensor },
            Leads::Calm,
        ),
        (
            "is 60 s late",
            |sensor| Fault::SensorLate {
                sensor,
                seconds: 60,
            },
            Leads::Calm,
        ),
    ];
    let mut cases = Vec::new();
    for (how, fails, leads) in ways {
        for (which, sensors) in [
            ("the inner sensor of a board", vec![INNER]),
            ("the outer sensor of a board", vec![OUTER]),
            ("each sensor of a board", vec![INNER, OUTER]),
        ] {
            let expect = match leads {
                Leads::Lost(_) if sensors.len() == 1 => on(STANDS_IN, Sign::Sensor),
                Leads::Lost(then) => off(60, "too_hot", then),
                // A temperature that is said to be dangerous is acted on, whoever says so.
                Leads::Believed => off(10, "too_hot", Then::Recovers),
                Leads::Calm => on(CALM, Sign::None),
            };
            let what = faults(sensors.into_iter().map(|sensor| fails(sensor.into())));
            cases.push(case(format!("{which} {how}"), what, expect));
        }
    }
    let both = |fails: Fails| [fails(INNER.into()), fails(OUTER.into())];
    let hot_room = Fault::HotRoom { celsius: 25.0 };
    let stuck = both(|sensor| Fault::SensorStuck { sensor });
    cases.push(case(
        "each sensor of a board is stuck, and the room gets 25 C warmer",
        faults(stuck.into_iter().chain([hot_room])),
        off(120, "too_hot", Then::Recovers),
    ));
    cases.push(case(
        "the bus of all sensors hangs",
        vec![What::Sick(Sick::Hangs("sensors"))],
        off(15, "keeper_late", Then::Recovers),
    ));
    let diode = |fault: &str, what: Vec<Fault>, expect| Case {
        kind: Kind::Diodes,
        ..case(fault, faults(what), expect)
    };
    cases.push(diode(
        "one diode of a board is open",
        vec![Fault::SensorOpenDiode {
            sensor: OUTER.into(),
        }],
        on(
            "hashing goes on; the part's own temperature stands in, raised by 15 C",
            Sign::Sensor,
        ),
    ));
    cases.push(diode(
        "each diode of a board is open",
        both(|sensor| Fault::SensorOpenDiode { sensor }).into(),
        on(
            "hashing goes on; the parts' own temperatures stand in, raised by 15 C",
            Sign::Sensor,
        ),
    ));
    cases.push(diode(
        "each diode sensor of a board does not acknowledge",
        both(|sensor| Fault::SensorNak { sensor }).into(),
        off(60, "too_hot", Then::Recovers),
    ));
    cases
}

pub fn fans() -> Vec<Case> {
    let stop = |count: usize| {
        faults(
            FANS[..count]
                .iter()
                .map(|fan| Fault::FanStop { fan: (*fan).into() }),
        )
    };
    let slow = |count: usize, share| {
        faults(FANS[..count].iter().map(|fan| Fault::FanSlow {
            fan: (*fan).into(),
            share,
        }))
    };
    let lie = |count: usize, rpm| {
        faults(FANS[..count].iter().map(|fan| Fault::TachLies {
            fan: (*fan).into(),
            rpm,
        }))
    };
    let stop_and_lie = |count: usize| {
        faults(
            FANS[..count]
                .iter()
                .map(|fan| Fault::FanStopTachLies { fan: (*fan).into() }),
        )
    };
    let three = "hashing goes on with three fans, all full";
    let mut cases = vec![
        case("one of four fans stops", stop(1), on(three, Sign::Fan)),
        case(
            "two of four fans stop",
            stop(2),
            off(10, "too_few_fans", Then::Latches),
        ),
        case(
            "all fans stop",
            stop(4),
            off(10, "too_few_fans", Then::Recovers),
        ),
        case(
            "one fan turns at 30 % of its speed",
            slow(1, 0.3),
            on(three, Sign::Fan),
        ),
        case(
            "two fans turn at 30 % of their speed",
            slow(2, 0.3),
            off(15, "too_few_fans", Then::Recovers),
        ),
        case(
            "all fans turn at 80 % of their speed",
            slow(4, 0.8),
            on("hashing goes on with more duty", Sign::MoreAir),
        ),
        case(
            "one tach says 9000 rpm",
            lie(1, 9_000),
            on(three, Sign::Fan),
        ),
        case(
            "two tachs say 9000 rpm",
            lie(2, 9_000),
            off(15, "too_few_fans", Then::Recovers),
        ),
        case(
            "one tach says 0 rpm while its fan turns",
            lie(1, 0),
            on(three, Sign::Fan),
        ),
        case(
            "one fan stops and its tach pretends",
            stop_and_lie(1),
            on(
                "hashing goes on: the temperatures tell, and the other fans turn faster",
                Sign::MoreAir,
            ),
        ),
        case(
            "two fans stop and their tachs pretend",
            stop_and_lie(2),
            on(
                "hashing goes on: the temperatures tell, and the other fans turn faster, or the miner slower",
                Sign::MoreAir,
            ),
        ),
        case(
            "all fans stop and all tachs pretend",
            stop_and_lie(4),
            off(120, "too_hot", Then::Recovers),
        ),
    ];
    for (fault, what, expect) in [
        (
            "fixed duty: one of four fans stops",
            stop(1),
            on(three, Sign::Fan),
        ),
        (
            "fixed duty: two of four fans stop",
            stop(2),
            off(10, "too_few_fans", Then::Recovers),
        ),
        (
            "fixed duty: three of four fans stop",
            stop(3),
            off(10, "too_few_fans", Then::Recovers),
        ),
        (
            "fixed duty: all fans stop and all tachs pretend",
            stop_and_lie(4),
            off(120, "too_hot", Then::Recovers),
        ),
    ] {
        cases.push(Case {
            mode: FIXED,
            ..case(fault, what, expect)
        });
    }
    cases.push(case(
        "the fans' loop hangs",
        vec![What::Sick(Sick::Hangs("fans"))],
        off(15, "keeper_late", Then::Recovers),
    ));
    cases
}

pub fn supply() -> Vec<Case> {
    let brief = |fault: &str, what| Case {
        lasting: Some(4),
        ..case(
            fault,
            faults([what]),
            on(
                "hashing goes on: the last measurement is fresh enough",
                Sign::None,
            ),
        )
    };
    vec![
        case(
            "the supply does not acknowledge",
            faults([Fault::SupplyNak]),
            off(15, "supply", Then::Latches),
        ),
        case(
            "the supply answers with bad checksums",
            faults([Fault::SupplyBadChecksum]),
            off(15, "supply", Then::Recovers),
        ),
        case(
            "the supply never answers",
            faults([Fault::SupplySilent]),
            off(15, "supply", Then::Recovers),
        ),
        brief("the supply does not acknowledge for 4 s", Fault::SupplyNak),
        brief(
            "the supply answers with bad checksums for 4 s",
            Fault::SupplyBadChecksum,
        ),
        brief("the supply never answers for 4 s", Fault::SupplySilent),
        case(
            "the supply gives 0.9 V more than set",
            faults([Fault::SupplyOverVoltage { millivolts: 900 }]),
            off(8, "supply", Then::Recovers),
        ),
        case(
            "the supply gives 4 V more than set",
            faults([Fault::SupplyOverVoltage { millivolts: 4_000 }]),
            off(6, "supply", Then::Latches),
        ),
        case(
            "the supply trips",
            faults([Fault::SupplyTrip]),
            off(10, "supply", Then::Recovers),
        ),
        case(
            "the rail sags to 10 V at the boards",
            faults([Fault::BrownOut { millivolts: 10_000 }]),
            on(
                "hashing goes on: the supply itself measures no sag",
                Sign::None,
            ),
        ),
        case(
            "the supply's loop hangs",
            vec![What::Sick(Sick::Hangs("supply"))],
            off(15, "supply", Then::Recovers),
        ),
    ]
}

pub fn chains() -> Vec<Case> {
    let alone =
        "the rail stays on for the other chains; the chain's own driver restarts it or gives it up";
    let hashing = |fault: &str, what| Case {
        kind: Kind::Hashing,
        ..case(fault, faults([what]), on(alone, Sign::Chain))
    };
    vec![
        hashing(
            "a dead chip cuts a chain",
            Fault::ChipCutsChain { chain: 0, chip: 7 },
        ),
        hashing("a chip is silent", Fault::ChipSilent { chain: 0, chip: 7 }),
        hashing("a chain is mute", Fault::ChainMute { chain: 1 }),
        hashing(
            "noise on a chain's line",
            Fault::LineNoise {
                chain: 0,
                flip: 0.01,
                drop: 0.001,
                insert: 0.001,
                duplicate: 0.001,
            },
        ),
        hashing(
            "a chain's clock runs off: baud mismatch",
            Fault::BaudMismatch {
                chain: 2,
                factor: 1.1,
            },
        ),
        hashing(
            "a core is stuck",
            Fault::StuckCore {
                chain: 0,
                chip: 3,
                core: 0,
            },
        ),
        hashing(
            "half of a chain's nonces are bad",
            Fault::BadNonces {
                chain: 0,
                share: 0.5,
            },
        ),
        hashing("PLL changes bring garbage", Fault::PllGarbage { chain: 0 }),
        hashing(
            "a board is pulled from its connector",
            Fault::BoardGone { chain: 2 },
        ),
        Case {
            kind: Kind::Hashing,
            ..case(
                "the rail browns out under hashing chains",
                faults([Fault::BrownOut { millivolts: 8_000 }]),
                on(
                    "the rail stays on; each chain's driver says why it does not hash",
                    Sign::None,
                ),
            )
        },
    ]
}

pub fn heat() -> Vec<Case> {
    vec![
        case(
            "the room is 10 C warmer",
            faults([Fault::HotRoom { celsius: 10.0 }]),
            on("hashing goes on with more air", Sign::MoreAir),
        ),
        case(
            "the room is 30 C warmer",
            faults([Fault::HotRoom { celsius: 30.0 }]),
            on(
                "hashing goes on, throttled below the limit",
                Sign::Throttled,
            ),
        ),
        case(
            "the room is 60 C warmer",
            faults([Fault::HotRoom { celsius: 60.0 }]),
            off(180, "too_hot", Then::Recovers),
        ),
        case(
            "300 W more on one board",
            faults([Fault::OverTemperature {
                chain: 1,
                watts: 300.0,
            }]),
            on("hashing goes on with more air", Sign::MoreAir),
        ),
        case(
            "2000 W more on one board",
            faults([Fault::OverTemperature {
                chain: 1,
                watts: 2_000.0,
            }]),
            on(
                "hashing goes on with all fans full, throttled",
                Sign::Throttled,
            ),
        ),
        Case {
            mode: FIXED,
            ..case(
                "fixed duty: the room is 60 C warmer",
                faults([Fault::HotRoom { celsius: 60.0 }]),
                off(180, "too_hot", Then::Recovers),
            )
        },
    ]
}

pub fn processes() -> Vec<Case> {
    let sick = |fault: &str, sick, expect| case(fault, vec![What::Sick(sick)], expect);
    vec![
        sick(
            "the miner ends",
            Sick::MinerEnds,
            off(8, "miner_died", Then::Latches),
        ),
        sick(
            "the miner panics",
            Sick::MinerPanics,
            off(8, "miner_died", Then::Recovers),
        ),
        sick(
            "the miner's chain loop hangs",
            Sick::LoopSilent(Loop::Chain),
            off(15, "miner_silent", Then::Recovers),
        ),
        sick(
            "the miner's pool loop hangs",
            Sick::LoopSilent(Loop::Pool),
            off(15, "miner_silent", Then::Recovers),
        ),
        sick(
            "the miner's api loop hangs",
            Sick::LoopSilent(Loop::Api),
            off(20, "miner_silent", Then::Recovers),
        ),
        sick(
            "the miner asks for 20 V",
            Sick::AsksForTooMuch,
            on("refused; hashing goes on", Sign::Refused),
        ),
        sick(
            "the miner asks for the least air",
            Sick::AsksForNoAir,
            on(
                "granted; the tiers above it turn the fans up and throttle",
                Sign::Throttled,
            ),
        ),
        case(
            "the keeper is killed",
            vec![What::KeeperKilled],
            off(
                25,
                "the supply's own watchdog, then the board's",
                Then::Recovers,
            ),
        ),
    ]
}
