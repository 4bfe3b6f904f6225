//! Hash boards: their chains and their voltage controllers.

use super::{case, faults, off, on};
use crate::rig::{Kind, Sick};
use crate::sign::{Sign, Symptom};
use crate::table::{Case, Then, What};
use cgminer_emulator::fault::Fault;

const ALONE: &str =
    "the rail stays on for the other chains; the chain's own driver restarts it or gives it up";
const DEGRADED: &str = "hashing goes on, degraded, and the log says what is wrong";

pub fn chains() -> Vec<Case> {
    let hashing = |fault: &str, what, how, chain, symptom| Case {
        kind: Kind::Hashing,
        ..case(fault, faults([what]), on(how, Sign::Chain(chain, symptom)))
    };
    let from_the_start = |fault: &str, what, found| Case {
        before: true,
        ..hashing(fault, what, ALONE, 0, Symptom::FewerChips(found))
    };
    let (chain, chip) = (0, 7);
    vec![
        hashing(
            "a dead chip cuts a chain",
            Fault::ChipCutsChain { chain, chip },
            DEGRADED,
            0,
            Symptom::Silent(7, 5),
        ),
        from_the_start(
            "a dead chip cuts a chain before the power comes",
            Fault::ChipCutsChain { chain, chip },
            7,
        ),
        hashing(
            "a chip is silent",
            Fault::ChipSilent { chain, chip },
            DEGRADED,
            0,
            Symptom::Silent(7, 1),
        ),
        from_the_start(
            "a chip is silent before the power comes",
            Fault::ChipSilent { chain, chip },
            11,
        ),
        hashing(
            "a chain is mute",
            Fault::ChainMute { chain: 1 },
            ALONE,
            1,
            Symptom::Stands,
        ),
        hashing(
            "noise on a chain's line",
            Fault::LineNoise {
                chain,
                flip: 0.01,
                drop: 0.001,
                insert: 0.001,
                duplicate: 0.001,
            },
            DEGRADED,
            0,
            Symptom::DamagedReplies,
        ),
        hashing(
            "a chain's clock runs off: baud mismatch",
            Fault::BaudMismatch {
                chain: 2,
                factor: 1.1,
            },
            ALONE,
            2,
            Symptom::Stands,
        ),
        hashing(
            "a core is stuck",
            Fault::StuckCore {
                chain,
                chip: 3,
                core: 0,
            },
            DEGRADED,
            0,
            Symptom::Stuck(3),
        ),
        hashing(
            "half of a chain's nonces are bad",
            Fault::BadNonces { chain, share: 0.5 },
            DEGRADED,
            0,
            Symptom::WrongNonces,
        ),
        Case {
            what: faults([
                Fault::PllGarbage { chain },
                Fault::HotRoom { celsius: 30.0 },
            ]),
            ..hashing(
                "changes of the clock bring garbage, in a room 30 C warmer",
                Fault::PllGarbage { chain },
                "hashing goes on, throttled",
                0,
                Symptom::Garbage,
            )
        },
        hashing(
            "a board is pulled from its connector",
            Fault::BoardGone { chain: 2 },
            ALONE,
            2,
            Symptom::Unplugged,
        ),
    ]
}

/// Voltage controllers, which the boards of the S19 family have and an L7 has not.
pub fn controllers() -> Vec<Case> {
    let on_boards = |fault: &str, what, expect| Case {
        kind: Kind::Controllers,
        ..case(fault, what, expect)
    };
    let chain = 1;
    vec![
        Case {
            kind: Kind::HashingControllers,
            ..case(
                "a voltage controller hears no heartbeats",
                faults([Fault::HeartbeatLoss { chain }]),
                on(ALONE, Sign::Chain(1, Symptom::Stands)),
            )
        },
        on_boards(
            "a voltage controller does not acknowledge",
            faults([Fault::ControllerNak { chain }]),
            off(15, "board_power", Then::Latches),
        ),
        on_boards(
            "a voltage controller refuses every command",
            faults([Fault::ControllerRefuses { chain }]),
            off(15, "board_power", Then::Recovers),
        ),
        on_boards(
            "the voltage controllers' loop hangs",
            vec![What::Sick(Sick::Hangs("controllers"))],
            off(15, "keeper_late", Then::Recovers),
        ),
    ]
}
