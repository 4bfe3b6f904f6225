//! One machine that carries one of every part, described once for each side.

use cgminer_board::assembly;
use cgminer_board::file::BoardFile;
use cgminer_board::moment::Moment;
use cgminer_board::parts::{
    PartError, Problem, Supply, SupplyReply, SupplyRequest, TemperatureSensor,
};
use cgminer_board::power::Measured;
use cgminer_emulator::clock::Clock;
use cgminer_emulator::fault::Fault;
use cgminer_emulator::machine::{Control, Machine, MachineSettings};
use cgminer_hal::emulated::Wiring;
use std::time::{Duration, Instant};

pub const BOARD: &str = include_str!("../data/boards/bench.toml");
pub const MACHINE: &str = include_str!("../../hal/emulator/machines/every-part.toml");

/// The machine and its board file, the clock in the hand.
pub struct Bench {
    pub board: BoardFile,
    pub machine: Machine,
    pub clock: Clock,
    pub began: Instant,
    pub devices: Wiring,
    pub control: Control,
}

impl Bench {
    pub fn new() -> Self {
        Self::described(BOARD, MACHINE)
    }

    /// The same with another supply, which has an enable line.
    pub fn with_apw(part: &str) -> Self {
        let enable = "enable = { line = { name = \"PSU_ENABLE\" }, active = \"low\" }";
        let supply = |text: &str, rest: &str| {
            let old = format!("part = \"pmbus\"\nbus = \"i2c-1\"\naddress = 0x58\n{rest}");
            let new = format!("part = \"{part}\"\nbus = \"i2c-1\"\naddress = 0x10\n{enable}\n");
            assert!(text.contains(&old));
            text.replace(&old, &new)
        };
        // An APW9 begins at 14.3 V.
        let board = supply(BOARD, "pec = true\n").replace(
            "min_mv = 12000, default_mv = 13200",
            "min_mv = 14400, default_mv = 14600",
        );
        Self::described(&board, &supply(MACHINE, ""))
    }

    pub fn described(board: &str, machine: &str) -> Self {
        let clock = Clock::manual();
        let settings = MachineSettings::from_toml(machine).unwrap();
        let machine = Machine::new(settings, 1, clock.clone());
        let (devices, control) = (machine.devices(), machine.control());
        Self {
            board: BoardFile::parse(board, "bench.toml").unwrap(),
            machine,
            clock,
            began: Instant::now(),
            devices,
            control,
        }
    }

    pub fn wait(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds.div_ceil(20) {
            self.clock.advance(Duration::from_millis(20));
            self.machine.step();
        }
    }

    pub fn now(&self) -> Moment {
        Moment::after_start(self.clock.now())
    }

    pub fn instant(&self) -> Instant {
        self.began + self.clock.now()
    }

    pub fn inject(&self, fault: Fault) -> u64 {
        self.control.inject(fault, None).unwrap()
    }

    pub fn rail(&self) -> f32 {
        self.control.truth().rail.output_mv
    }

    /// A sensor that measures.
    pub fn sensor(&mut self, index: usize) -> Box<dyn TemperatureSensor> {
        let spec = self.board.sensors[index].clone();
        let mut part = assembly::sensor(&self.board, &spec, &mut self.devices).unwrap();
        if let Err(error) = part.start() {
            assert_eq!(error.problem, Problem::NotReady, "{error}");
            self.wait(1000);
            part.start().unwrap();
        }
        part
    }

    pub fn supply(&mut self) -> Box<dyn Supply> {
        let spec = self.board.supply.clone().unwrap();
        assembly::supply(&self.board, &spec, &mut self.devices).unwrap()
    }

    pub fn ask(
        &mut self,
        supply: &mut dyn Supply,
        request: SupplyRequest,
    ) -> Result<SupplyReply, PartError> {
        supply.begin(request, self.now())?;
        for _ in 0..200 {
            if let Some(answer) = supply.poll(self.now()) {
                return answer;
            }
            self.wait(20);
        }
        panic!("{request:?}: neither an answer nor a deadline in four seconds");
    }

    pub fn measured(&mut self, supply: &mut dyn Supply) -> Measured {
        match self.ask(supply, SupplyRequest::Measure).unwrap() {
            SupplyReply::Measured(measured) => measured,
            other => panic!("{other:?}"),
        }
    }
}

pub fn near(reading: f32, truth: f32, within: f32) -> bool {
    (reading - truth).abs() <= within
}
