//! The supply.

use super::{case, faults, off, on, stuck};
use crate::rig::{Kind, Sick};
use crate::sign::Sign;
use crate::table::{Case, Then, What};
use cgminer_emulator::fault::Fault;

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
    let sag = |fault: &str, millivolts, sign| Case {
        kind: Kind::Hashing,
        ..case(
            fault,
            faults([Fault::BrownOut { millivolts }]),
            on(
                "the rail stays on, for the supply itself measures no sag; each chain's driver says what is wrong",
                sign,
            ),
        )
    };
    let pmbus = |fault: &str, what, expect| Case {
        kind: Kind::Pmbus,
        ..case(fault, faults([what]), expect)
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
        sag("the rail sags to 10 V at the boards", 10_000, Sign::Sag),
        sag(
            "the rail browns out to 8 V under hashing chains",
            8_000,
            Sign::BrownOut,
        ),
        pmbus(
            "a PMBus supply does not acknowledge",
            Fault::SupplyNak,
            off(15, "supply", Then::Recovers),
        ),
        pmbus(
            "a PMBus supply trips",
            Fault::SupplyTrip,
            off(10, "supply", Then::Recovers),
        ),
        case(
            "the miner ends, and the enable line does not switch the supply off",
            vec![What::Fault(Fault::EnableStuck), What::Sick(Sick::MinerEnds)],
            off(120, "supply", Then::Latches),
        ),
        case(
            "the miner ends, and nothing switches the supply off",
            vec![
                What::Fault(Fault::SupplyStuckOn),
                What::Sick(Sick::MinerEnds),
            ],
            stuck(60, "supply"),
        ),
        Case {
            kind: Kind::Pmbus,
            ..case(
                "the miner ends, and nothing switches a PMBus supply off",
                vec![
                    What::Fault(Fault::SupplyStuckOn),
                    What::Sick(Sick::MinerEnds),
                ],
                stuck(60, "supply"),
            )
        },
        case(
            "the supply's loop hangs",
            vec![What::Sick(Sick::Hangs("supply"))],
            off(15, "supply", Then::Recovers),
        ),
    ]
}
