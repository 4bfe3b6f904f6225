//! What goes wrong in a soak: every fault that the emulator knows, and every way in which miner and keeper fail.

use crate::rig::Sick;
use cgminer_emulator::fault::Fault;
use cgminer_rs::link::Loop;
use fastrand::Rng;

/// Faults that the emulator knows.
pub const FAULTS: usize = 34;
/// Further troubles.
const OTHERS: usize = 4;

/// What goes wrong.
pub enum Trouble {
    Machine(Fault),
    Sick(Sick),
    KeeperKilled,
}

/// Troubles in an order of chance: each kind comes once before one comes again.
pub struct Deck {
    rng: Rng,
    cards: Vec<usize>,
    of: Vec<usize>,
}

impl Deck {
    /// All of them.
    pub fn of_all(seed: u64) -> Self {
        Self::of(seed, (0..FAULTS + OTHERS).collect())
    }

    /// Those that befall boards and their chains.
    pub fn of_boards(seed: u64) -> Self {
        Self::of(seed, (14..30).collect())
    }

    fn of(seed: u64, of: Vec<usize>) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            cards: Vec::new(),
            of,
        }
    }

    /// Chance for what else is decided by it.
    pub fn chance(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// The next trouble. Chips are counted up to `chips`.
    pub fn draw(&mut self, chips: usize) -> Trouble {
        if self.cards.is_empty() {
            self.cards.clone_from(&self.of);
            self.rng.shuffle(&mut self.cards);
        }
        let card = self.cards.pop().unwrap_or_default();
        let rng = &mut self.rng;
        match card.checked_sub(FAULTS) {
            None => Trouble::Machine(fault(card, rng, chips)),
            Some(0) => Trouble::Sick(Sick::LoopSilent(Loop::ALL[rng.usize(0..3)])),
            Some(1) => Trouble::Sick([Sick::MinerEnds, Sick::MinerPanics][rng.usize(0..2)]),
            Some(2) => {
                let loops = ["sensors", "fans", "supply", "controllers"];
                Trouble::Sick(Sick::Hangs(loops[rng.usize(0..4)]))
            }
            Some(_) => Trouble::KeeperKilled,
        }
    }
}

/// A fault by its number, which [`number`] gives back.
fn fault(card: usize, rng: &mut Rng, chips: usize) -> Fault {
    let board = rng.u8(0..3);
    let side = if rng.bool() { "inlet" } else { "outlet" };
    let sensor = format!("board {board} {side} side");
    let fan = ["front left", "front right", "rear left", "rear right"][rng.usize(0..4)].to_owned();
    let (chain, chip) = (rng.usize(0..3), rng.usize(0..chips));
    let rare = rng.f64() * 0.01;
    match card {
        0 => Fault::SensorNak { sensor },
        1 => Fault::SensorStuck { sensor },
        2 => Fault::SensorZero { sensor },
        3 => Fault::SensorImplausible { sensor },
        4 => Fault::SensorJump {
            sensor,
            celsius: rng.f32() * 80.0 - 40.0,
        },
        5 => Fault::SensorLate {
            sensor,
            seconds: rng.u32(1..120),
        },
        6 => Fault::SensorOpenDiode { sensor },
        7 => Fault::FanStop { fan },
        8 => Fault::FanSlow {
            fan,
            share: rng.f32(),
        },
        9 => Fault::TachLies {
            fan,
            rpm: rng.u32(0..12_000),
        },
        10 => Fault::FanStopTachLies { fan },
        11 => Fault::SupplyNak,
        12 => Fault::SupplyBadChecksum,
        13 => Fault::SupplySilent,
        14 => Fault::SupplyTrip,
        15 => Fault::BrownOut {
            millivolts: rng.u32(0..12_000),
        },
        16 => Fault::HeartbeatLoss { chain },
        17 => Fault::ControllerNak { chain },
        18 => Fault::ControllerRefuses { chain },
        19 => Fault::ChipCutsChain { chain, chip },
        20 => Fault::ChipSilent { chain, chip },
        21 => Fault::ChainMute { chain },
        22 => Fault::LineNoise {
            chain,
            flip: rare,
            drop: rare,
            insert: rare,
            duplicate: rare,
        },
        23 => Fault::BaudMismatch {
            chain,
            factor: 0.8 + rng.f64() * 0.4,
        },
        24 => Fault::StuckCore {
            chain,
            chip,
            core: 0,
        },
        25 => Fault::BadNonces {
            chain,
            share: rng.f64(),
        },
        26 => Fault::PllGarbage { chain },
        27 => Fault::Chatter { chain },
        28 => Fault::BoardGone { chain },
        29 => Fault::OverTemperature {
            chain,
            watts: rng.f32() * 1_000.0,
        },
        30 => Fault::SupplyOverVoltage {
            millivolts: rng.u32(0..4_000),
        },
        31 => Fault::HotRoom {
            celsius: rng.f32() * 50.0,
        },
        32 => Fault::EnableStuck,
        _ => Fault::SupplyStuckOn,
    }
}

/// The number of a fault. A fault that is new to the emulator does not compile here until it has one.
pub fn number(fault: &Fault) -> usize {
    match fault {
        Fault::SensorNak { .. } => 0,
        Fault::SensorStuck { .. } => 1,
        Fault::SensorZero { .. } => 2,
        Fault::SensorImplausible { .. } => 3,
        Fault::SensorJump { .. } => 4,
        Fault::SensorLate { .. } => 5,
        Fault::SensorOpenDiode { .. } => 6,
        Fault::FanStop { .. } => 7,
        Fault::FanSlow { .. } => 8,
        Fault::TachLies { .. } => 9,
        Fault::FanStopTachLies { .. } => 10,
        Fault::SupplyNak => 11,
        Fault::SupplyBadChecksum => 12,
        Fault::SupplySilent => 13,
        Fault::SupplyTrip => 14,
        Fault::BrownOut { .. } => 15,
        Fault::HeartbeatLoss { .. } => 16,
        Fault::ControllerNak { .. } => 17,
        Fault::ControllerRefuses { .. } => 18,
        Fault::ChipCutsChain { .. } => 19,
        Fault::ChipSilent { .. } => 20,
        Fault::ChainMute { .. } => 21,
        Fault::LineNoise { .. } => 22,
        Fault::BaudMismatch { .. } => 23,
        Fault::StuckCore { .. } => 24,
        Fault::BadNonces { .. } => 25,
        Fault::PllGarbage { .. } => 26,
        Fault::Chatter { .. } => 27,
        Fault::BoardGone { .. } => 28,
        Fault::OverTemperature { .. } => 29,
        Fault::SupplyOverVoltage { .. } => 30,
        Fault::HotRoom { .. } => 31,
        Fault::EnableStuck => 32,
        Fault::SupplyStuckOn => 33,
    }
}

#[test]
fn a_deck_has_every_fault_once() {
    let mut deck = Deck::of_all(1);
    let mut drawn: Vec<_> = (0..FAULTS + OTHERS)
        .filter_map(|_| match deck.draw(1) {
            Trouble::Machine(fault) => Some(number(&fault)),
            Trouble::Sick(_) | Trouble::KeeperKilled => None,
        })
        .collect();
    drawn.sort_unstable();
    assert_eq!(drawn, (0..FAULTS).collect::<Vec<_>>());
}
