//! The cases of the fault table.

mod air;
mod boards;
mod power;

pub use air::{fans, heat, sensors};
pub use boards::{chains, controllers};
pub use power::supply;

use crate::rig::{Kind, Sick};
use crate::sign::Sign;
use crate::table::{Case, Expect, Then, What};
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
    [
        sensors(),
        fans(),
        supply(),
        controllers(),
        chains(),
        heat(),
        processes(),
    ]
    .into_iter()
    .flatten()
}

fn case(fault: impl Into<String>, what: Vec<What>, expect: Expect) -> Case {
    Case {
        fault: fault.into(),
        kind: Kind::L7,
        mode: FanMode::Auto,
        what,
        before: false,
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

fn stuck(within: u64, cause: &'static str) -> Expect {
    Expect::Stuck { within, cause }
}

fn on(how: &'static str, sign: Sign) -> Expect {
    Expect::On { how, sign }
}

fn faults(faults: impl IntoIterator<Item = Fault>) -> Vec<What> {
    faults.into_iter().map(What::Fault).collect()
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
        Case {
            kind: Kind::Controllers,
            ..case(
                "the keeper is killed, boards with voltage controllers",
                vec![What::KeeperKilled],
                off(
                    25,
                    "the supply's own watchdog and the controllers', then the board's",
                    Then::Recovers,
                ),
            )
        },
        Case {
            kind: Kind::FanController,
            ..case(
                "the keeper is killed, fans behind an EMC2305",
                vec![What::KeeperKilled],
                off(
                    25,
                    "the supply's own watchdog, the fan controller's drives the fans fully, then the board's",
                    Then::Recovers,
                ),
            )
        },
    ]
}
