//! Which machine a rig is: the L7 of its board file, or a variation of it.

use cgminer_board::file::{
    BoardFile, FanControl, Role, SensorPart, SupplyPart, VoltageControllerPart,
    VoltageControllerSpec,
};
use cgminer_emulator::machine::{
    self as emulated, ControllerPart, ControllerWiring, FanControllerPart, FanControllerWiring,
    MachineSettings, Place,
};
use cgminer_rs::config::Recipe;
use cgminer_rs::keeper::hardware::Choices;

/// Which machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The L7: two sensors on each board's surface.
    L7,
    /// The same with sensors whose diodes sit in chips.
    Diodes,
    /// The L7 with its chains brought up and hashing, every chip emulated.
    Hashing,
    /// The L7 with a voltage controller on each board, as the boards of the S19 family have.
    Controllers,
    /// The same with its chains hashing.
    HashingControllers,
    /// Controllers and diodes together: every part that a fault can befall.
    Everything,
    /// The L7 with a PMBus supply.
    Pmbus,
    /// The L7 with its fans behind an EMC2305.
    FanController,
    /// The L7 in a bath: its boards keep so little heat to themselves that they need no moving air.
    Bath,
}

impl Kind {
    /// Whether chips are brought up and get work.
    pub fn hashes(self) -> bool {
        matches!(self, Self::Hashing | Self::HashingControllers)
    }
}

/// Zero bits that hashes need on a rig that hashes.
pub const ZERO_BITS: u8 = 10;

/// How a rig is built.
pub struct Plan {
    pub seed: u64,
    pub choices: Choices,
    pub machine: MachineSettings,
    pub board: BoardFile,
    /// Whether the chains are brought up and get work. Without, they only draw the power of it, and a run is far faster.
    pub hashing: bool,
    /// Where the configuration of a whole miner comes from, pools and all; none: one that does what matters to the keeper.
    pub whole: Option<Recipe>,
}

impl Plan {
    /// The machine of a case.
    pub fn of(kind: Kind) -> Self {
        let plan = Self::l7();
        match kind {
            Kind::L7 => plan,
            Kind::Hashing => plan.with_few_chips(),
            Kind::Diodes => plan.with_diodes(),
            Kind::Controllers => plan.with_controllers(),
            Kind::HashingControllers => plan.with_controllers().with_few_chips(),
            Kind::Everything => plan.with_controllers().with_diodes(),
            Kind::Pmbus => plan.with_pmbus(),
            Kind::FanController => plan.with_fan_controller(),
            Kind::Bath => plan.in_a_bath(),
        }
    }

    fn with_controllers(mut self) -> Self {
        for (address, (chain, spec)) in (0x20..).zip(self.board.chains.iter_mut().enumerate()) {
            spec.voltage_controller = Some(VoltageControllerSpec {
                part: VoltageControllerPart::Dspic33ep,
                bus: "i2c-0".into(),
                address,
            });
            self.machine.controllers.push(ControllerWiring {
                part: ControllerPart::Dspic33ep,
                bus: "i2c-0".into(),
                address,
                chain,
            });
        }
        self
    }

    fn with_pmbus(mut self) -> Self {
        if let (Some(spec), Some(wiring)) = (&mut self.board.supply, &mut self.machine.supply) {
            spec.part = SupplyPart::Pmbus;
            wiring.part = emulated::SupplyPart::Pmbus;
        }
        self
    }

    fn with_fan_controller(mut self) -> Self {
        const ADDRESS: u8 = 0x2F;
        for (channel, fan) in (0..).zip(&mut self.board.fans) {
            fan.tach = None;
            fan.control = FanControl::Emc2305 {
                bus: "i2c-0".into(),
                address: ADDRESS,
                channel,
                pulses_per_turn: 2,
            };
        }
        for fan in &mut self.machine.fans {
            (fan.pwm, fan.tach) = (None, None);
        }
        self.machine.fan_controllers.push(FanControllerWiring {
            part: FanControllerPart::Emc2305,
            bus: "i2c-0".into(),
            address: ADDRESS,
            fans: self
                .machine
                .fans
                .iter()
                .map(|fan| fan.name.clone())
                .collect(),
        });
        self
    }

    /// The physics knows air alone. A bath that carries nearly all heat away is a board that makes little.
    fn in_a_bath(mut self) -> Self {
        self.machine.board.nominal_w = 30.0;
        self
    }

    /// The same machine with chains that are short enough to be brought up and to hash in a test.
    fn with_few_chips(mut self) -> Self {
        (self.board.layout.chips, self.board.layout.domains) = (12, 4);
        self.machine
            .chains
            .iter_mut()
            .for_each(|chain| chain.chips = 12);
        // Nonces enough that each chip's own can be told from chance in a short time.
        self.machine.search.hardwired_zero_bits = u32::from(ZERO_BITS);
        Self {
            hashing: true,
            ..self
        }
    }

    /// The same machine with TMP451 sensors on the boards, their diodes in chips.
    fn with_diodes(mut self) -> Self {
        for sensor in &mut self.board.sensors {
            sensor.part = SensorPart::Tmp451;
            sensor.remotes = vec![Role::Chip];
        }
        for sensor in &mut self.machine.sensors {
            sensor.part = emulated::SensorPart::Tmp451;
            let (Place::BoardInlet { chain } | Place::BoardOutlet { chain }) = sensor.at else {
                continue;
            };
            sensor.remotes = vec![Place::Chip { chain }];
        }
        self
    }

    /// The L7 as its board file and the emulator have it.
    pub fn l7() -> Self {
        let mut machine = MachineSettings::l7().unwrap();
        // Little search: what counts here is what chips draw, not what they find.
        machine.search.hashes_per_second = 30_000.0;
        Self {
            seed: 1,
            choices: Choices::default(),
            machine,
            board: BoardFile::parse(
                include_str!("../../../board/boards/emulated.toml"),
                "emulated",
            )
            .unwrap(),
            hashing: false,
            whole: None,
        }
    }
}
