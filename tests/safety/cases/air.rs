//! Sensors, fans and heat.

use super::{FANS, FIXED, case, faults, off, on};
use crate::rig::{Kind, Sick};
use crate::sign::Sign;
use crate::table::{Case, Then, What};
use cgminer_board::thermal::FanMode;
use cgminer_emulator::fault::Fault;

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
                Leads::Lost(_) if sensors.len() == 1 => on(
                    STANDS_IN,
                    Sign::Sensors(if sensors == [INNER] {
                        &[INNER]
                    } else {
                        &[OUTER]
                    }),
                ),
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
            Sign::Sensors(&[OUTER]),
        ),
    ));
    cases.push(diode(
        "each diode of a board is open",
        both(|sensor| Fault::SensorOpenDiode { sensor }).into(),
        on(
            "hashing goes on; the parts' own temperatures stand in, raised by 15 C",
            Sign::Sensors(&[INNER, OUTER]),
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
        case(
            "one of four fans stops, as one that is gone does",
            stop(1),
            on(three, Sign::Fan),
        ),
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
    // A bath needs no moving air, and the tiers hold all the same.
    for (fault, what, expect) in [
        (
            "in a bath: all fans are gone",
            stop(4),
            on("hashing goes on: no fan is needed", Sign::None),
        ),
        (
            "in a bath, all fans gone: the coolant stands still around a board",
            stop(4)
                .into_iter()
                .chain(faults([Fault::OverTemperature {
                    chain: 1,
                    watts: 500.0,
                }]))
                .collect(),
            off(600, "too_hot", Then::Recovers),
        ),
    ] {
        cases.push(Case {
            kind: Kind::Bath,
            mode: FanMode::Immersion,
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
