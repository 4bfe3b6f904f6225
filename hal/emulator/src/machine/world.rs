//! Everything about the machine but the chips: temperatures, air, volts, and what is wrong at the moment.

use super::faults::{Faults, Felt};
use super::{
    physics::{Board, Fan, Load, Rail, cooling, outlet_c},
    settings::{MachineSettings, Place},
};
use crate::{clock::Clock, fault::Fault};
use cgminer_hal::{
    emulated::{GpioLine, PwmLine, TachLine, WatchdogCell},
    units::DutyPercent,
};
use serde::Serialize;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

const STEP: Duration = Duration::from_millis(20);
/// Steps in a second; temperatures are remembered once a second.
const STEPS_PER_SECOND: u64 = 50;
const REMEMBERED_SECONDS: usize = 121;

/// The world behind its lock; every use brings it up to the present first.
#[derive(Clone, Debug)]
pub struct SharedWorld {
    world: Arc<Mutex<World>>,
    clock: Clock,
}

impl SharedWorld {
    pub(super) fn new(world: World, clock: Clock) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
            clock,
        }
    }

    /// The machine's time.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Looks at or changes the world as it is now.
    pub fn with<R>(&self, look: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance(self.clock.now());
        look(&mut world)
    }
}

/// The machine without its chips.
#[derive(Debug)]
pub struct World {
    pub(super) settings: MachineSettings,
    /// Steps done.
    steps: u64,
    pub(super) boards: Vec<Board>,
    pub(super) loads: Vec<Load>,
    /// Hashes that the chips of each chain had to look at so far.
    pub(super) hashes_due: Vec<f64>,
    /// Loads to pretend instead, while the chips are powered and out of reset.
    pub(super) pretended: Vec<Option<Load>>,
    pub(super) fans: Vec<FanUnit>,
    /// The supply.
    pub supply: Supply,
    /// Voltage controllers by chain.
    pub(super) controllers: Vec<Option<Controller>>,
    outlet_c: f32,
    pub(super) remembered: VecDeque<Vec<Felt>>,
    pub(super) faults: Faults,
    watchdogs: Vec<Watched>,
    fan_guards: Vec<FanGuard>,
    resets: u64,
}

#[derive(Debug)]
pub(super) struct FanUnit {
    pub(super) name: String,
    pub(super) full_rpm: f32,
    pub(super) pwm: PwmLine,
    pub(super) tach: TachLine,
    pub(super) state: Fan,
    shown_rpm: f32,
}

/// The supply as its own controller sees it.
#[derive(Debug)]
pub struct Supply {
    /// Output.
    pub rail: Rail,
    /// Voltage that it was told to make.
    pub told_mv: f32,
    /// Whether a command lets it deliver.
    pub told_on: bool,
    /// Enable line and the level that means on.
    pub(super) enable: Option<(GpioLine, bool)>,
    /// Whether its enable line was on, which is where it may stay.
    enabled: bool,
    /// Whether it delivered, which it may go on to do.
    delivers: bool,
    rated_w: f32,
    /// When its watchdog cuts the output unless fed before; none while it is off.
    pub watchdog_until: Option<Duration>,
}

/// A hash board's voltage controller.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Controller {
    /// Whether it passes the rail on.
    pub on: bool,
    /// Voltage that it was told to make; the rail's own if none.
    pub told_mv: Option<f32>,
    /// When it switches off unless it hears a heartbeat before.
    pub until: Duration,
}

/// A fan controller's own watchdog.
#[derive(Debug)]
struct FanGuard {
    fans: Vec<String>,
    /// When it drives its fans fully; none while it is off.
    until: Option<Duration>,
}

#[derive(Debug)]
struct Watched {
    cell: WatchdogCell,
    feeds: u64,
    fed_at: Duration,
}

/// The machine as it really is, whatever its sensors say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// Machine time in seconds.
    pub seconds: f64,
    /// Temperature of the room.
    pub inlet_c: f32,
    /// Temperature of the air that leaves.
    pub outlet_c: f32,
    /// Boards by chain.
    pub boards: Vec<Board>,
    /// Speeds of the fans by name.
    pub fans: Vec<(String, f32)>,
    /// Output of the supply.
    pub rail: Rail,
    /// Power of all boards.
    pub power_w: f32,
    /// Faults in force: number and fault.
    pub faults: Vec<(u64, Fault)>,
    /// How often a watchdog has reset the machine.
    pub watchdog_resets: u64,
}

impl World {
    pub(super) fn new(settings: MachineSettings, wires: WorldWires) -> Self {
        let boards = vec![Board::cold(settings.ambient_c); settings.chains.len()];
        let mut controllers = vec![None; settings.chains.len()];
        for controller in &settings.controllers {
            if let Some(slot) = controllers.get_mut(controller.chain) {
                *slot = Some(Controller::default());
            }
        }
        let fans = settings
            .fans
            .iter()
            .zip(wires.fans)
            .map(|(fan, (pwm, tach))| FanUnit {
                name: fan.name.clone(),
                full_rpm: fan.full_rpm as f32,
                pwm,
                tach,
                state: Fan::default(),
                shown_rpm: 0.0,
            })
            .collect();
        let supply = Supply {
            rail: Rail::default(),
            told_mv: settings.board.nominal_mv as f32,
            told_on: true,
            enable: wires.enable,
            enabled: false,
            delivers: false,
            rated_w: settings
                .supply
                .as_ref()
                .map_or(f32::INFINITY, |supply| supply.rated_w),
            watchdog_until: None,
        };
        Self {
            steps: 0,
            loads: vec![Load::default(); boards.len()],
            hashes_due: vec![0.0; boards.len()],
            pretended: vec![None; boards.len()],
            boards,
            fans,
            supply,
            controllers,
            outlet_c: settings.ambient_c,
            remembered: VecDeque::new(),
            faults: Faults::default(),
            watchdogs: wires
                .watchdogs
                .into_iter()
                .map(|cell| Watched {
                    cell,
                    feeds: 0,
                    fed_at: Duration::ZERO,
                })
                .collect(),
            fan_guards: Vec::new(),
            resets: 0,
            settings,
        }
    }

    /// Machine time, in whole steps.
    pub fn now(&self) -> Duration {
        STEP * u32::try_from(self.steps % u64::from(u32::MAX)).unwrap_or(0)
            + STEP * u32::MAX * u32::try_from(self.steps / u64::from(u32::MAX)).unwrap_or(0)
    }

    /// Lives until this time.
    pub fn advance(&mut self, now: Duration) {
        let due = u64::try_from(now.as_nanos() / STEP.as_nanos()).unwrap_or(self.steps);
        while self.steps < due {
            self.step();
            self.steps += 1;
        }
    }

    /// The machine as it really is.
    pub fn truth(&self) -> Truth {
        Truth {
            seconds: self.now().as_secs_f64(),
            inlet_c: self.inlet_c(),
            outlet_c: self.outlet_c,
            boards: self.boards.clone(),
            fans: self
                .fans
                .iter()
                .map(|fan| (fan.name.clone(), fan.state.rpm))
                .collect(),
            rail: self.supply.rail,
            power_w: self.power_w(),
            faults: self
                .faults
                .in_force()
                .map(|(id, fault)| (id, fault.clone()))
                .collect(),
            watchdog_resets: self.resets,
        }
    }

    /// Lets the supply deliver the nominal voltage, or not.
    pub(super) fn deliver_nominal(&mut self, on: bool) {
        self.supply.told_on = on;
        self.supply.told_mv = self.settings.board.nominal_mv as f32;
    }

    /// Power of all boards.
    pub fn power_w(&self) -> f32 {
        self.boards.iter().map(|board| board.power_w).sum()
    }

    /// Current that a board takes, in amperes.
    pub fn amperes(&self, chain: usize) -> f32 {
        self.boards.get(chain).map_or(0.0, |board| {
            board.power_w / (board.rail_mv / 1000.0).max(1.0)
        })
    }

    /// Voltage controller of a chain.
    pub fn controller(&mut self, chain: usize) -> Option<&mut Controller> {
        self.controllers.get_mut(chain).and_then(Option::as_mut)
    }

    /// Duty output of a fan, and the speed that its tachometer tells.
    pub fn fan(&self, name: &str) -> Option<(PwmLine, f32)> {
        self.fans
            .iter()
            .find(|fan| fan.name == name)
            .map(|fan| (fan.pwm.clone(), fan.shown_rpm))
    }

    /// Adds a fan controller's watchdog, off; gives its number.
    pub(crate) fn add_fan_guard(&mut self, fans: Vec<String>) -> usize {
        self.fan_guards.push(FanGuard { fans, until: None });
        self.fan_guards.len() - 1
    }

    /// A fan controller's watchdog drives its fans fully from this time on, or never.
    pub(crate) fn set_fan_guard(&mut self, number: usize, until: Option<Duration>) {
        if let Some(guard) = self.fan_guards.get_mut(number) {
            guard.until = until;
        }
    }

    /// Whether the rail at the chips keeps them alive.
    pub fn chips_have_power(&self, chain: usize) -> bool {
        let enough = self.settings.board.brown_out_mv as f32;
        self.boards
            .get(chain)
            .is_some_and(|board| board.rail_mv >= enough)
            && !self.board_is_gone(chain)
    }

    /// Whether the board of a chain has been pulled.
    pub fn board_is_gone(&self, chain: usize) -> bool {
        self.faults()
            .any(|fault| *fault == Fault::BoardGone { chain })
    }

    fn step(&mut self) {
        let now = self.now();
        let seconds = STEP.as_secs_f32();
        self.step_faults(now);
        self.step_watchdogs(now);
        self.step_supply(seconds, now);
        self.step_fans(seconds, now);
        let cooling = cooling(self.airflow());
        let inlet_c = self.inlet_c();
        let extra: Vec<f32> = (0..self.boards.len())
            .map(|chain| self.extra_heat(chain))
            .collect();
        let heat = self.power_w() + extra.iter().sum::<f32>();
        self.outlet_c = outlet_c(inlet_c, heat, cooling);
        let air_c = f32::midpoint(inlet_c, self.outlet_c);
        for ((board, load), extra_w) in self.boards.iter_mut().zip(&self.loads).zip(extra) {
            board.step(
                seconds,
                &self.settings.board,
                *load,
                air_c,
                cooling,
                extra_w,
            );
        }
        if self.steps % STEPS_PER_SECOND == 0 {
            let felt = (0..self.settings.sensors.len())
                .filter_map(|index| self.felt(index))
                .collect();
            self.remembered.push_back(felt);
            if self.remembered.len() > REMEMBERED_SECONDS {
                self.remembered.pop_front();
            }
        }
    }

    fn step_supply(&mut self, seconds: f32, now: Duration) {
        let excess: u32 = self
            .faults()
            .map(|fault| {
                if let Fault::SupplyOverVoltage { millivolts } = fault {
                    *millivolts
                } else {
                    0
                }
            })
            .sum();
        let sag = self.faults().find_map(|fault| {
            if let Fault::BrownOut { millivolts } = fault {
                Some(*millivolts as f32)
            } else {
                None
            }
        });
        let is_stuck = self.faults().any(|fault| *fault == Fault::SupplyStuckOn);
        let has_line_stuck = self.faults().any(|fault| *fault == Fault::EnableStuck);
        let power_w = self.power_w();
        let supply = &mut self.supply;
        let line_allows = supply
            .enable
            .as_ref()
            .is_none_or(|(line, on)| line.level() == *on)
            || supply.enabled && (is_stuck || has_line_stuck);
        supply.enabled = line_allows;
        let starved = supply.watchdog_until.is_some_and(|until| now >= until);
        if !line_allows {
            supply.rail.disabled();
            supply.watchdog_until = None;
        }
        supply.delivers = line_allows && supply.told_on && !starved || supply.delivers && is_stuck;
        let target = supply.delivers.then_some(supply.told_mv + excess as f32);
        supply.rail.step(seconds, target, power_w, supply.rated_w);
        let rail_mv = sag.map_or(supply.rail.output_mv, |sag| supply.rail.output_mv.min(sag));
        for (chain, board) in self.boards.iter_mut().enumerate() {
            let lost = self
                .faults
                .in_force()
                .any(|(_, fault)| *fault == Fault::HeartbeatLoss { chain });
            board.rail_mv = match self.controllers.get(chain).copied().flatten() {
                Some(controller) if !controller.on || now >= controller.until || lost => 0.0,
                Some(controller) => controller.told_mv.map_or(rail_mv, |told| told.min(rail_mv)),
                None => rail_mv,
            };
        }
    }

    fn step_fans(&mut self, seconds: f32, now: Duration) {
        let expired = self
            .fan_guards
            .iter()
            .filter(|guard| guard.until.is_some_and(|until| now >= until));
        let unguarded: Vec<&String> = expired.flat_map(|guard| &guard.fans).collect();
        for fan in self
            .fans
            .iter()
            .filter(|fan| unguarded.contains(&&fan.name))
        {
            fan.pwm.drive(DutyPercent::FULL);
        }
        for fan in &mut self.fans {
            let asked = fan.pwm.level().0 / 100.0;
            let mut turns = 1.0;
            let mut lie = None;
            for (_, fault) in self.faults.in_force() {
                match fault {
                    Fault::FanStop { fan: name } if *name == fan.name => turns = 0.0,
                    Fault::FanSlow { fan: name, share } if *name == fan.name => {
                        turns = share.clamp(0.0, 1.0);
                    }
                    Fault::TachLies { fan: name, rpm } if *name == fan.name => {
                        lie = Some(*rpm as f32);
                    }
                    Fault::FanStopTachLies { fan: name } if *name == fan.name => {
                        turns = 0.0;
                        lie = Some(asked * fan.full_rpm);
                    }
                    _ => {}
                }
            }
            fan.state.step(seconds, asked, fan.full_rpm * turns);
            fan.shown_rpm = lie.unwrap_or(fan.state.rpm);
            let pulses = fan.state.pulses(seconds, fan.shown_rpm);
            fan.tach.add(pulses);
        }
    }

    /// A watchdog that starves resets the control board, which lets go of all its outputs.
    fn step_watchdogs(&mut self, now: Duration) {
        for watched in &mut self.watchdogs {
            let feeds = watched.cell.feeds();
            if feeds != watched.feeds {
                watched.feeds = feeds;
                watched.fed_at = now;
            }
            if watched
                .cell
                .timeout()
                .is_some_and(|timeout| now.saturating_sub(watched.fed_at) > timeout)
            {
                watched.cell.disarm();
                self.resets += 1;
                if let Some((line, on)) = &self.supply.enable {
                    line.set(!on);
                }
            }
        }
    }

    fn airflow(&self) -> f32 {
        let share = |fan: &FanUnit| fan.state.rpm / fan.full_rpm.max(1.0);
        self.fans.iter().map(share).sum::<f32>() / (self.fans.len().max(1) as f32)
    }

    fn inlet_c(&self) -> f32 {
        let warmer: f32 = self
            .faults()
            .map(|fault| {
                if let Fault::HotRoom { celsius } = fault {
                    *celsius
                } else {
                    0.0
                }
            })
            .sum();
        self.settings.ambient_c + warmer
    }

    fn extra_heat(&self, board: usize) -> f32 {
        self.faults()
            .map(|fault| match fault {
                Fault::OverTemperature { chain, watts } if *chain == board => *watts,
                _ => 0.0,
            })
            .sum()
    }

    pub(super) fn felt(&self, index: usize) -> Option<Felt> {
        let sensor = self.settings.sensors.get(index)?;
        let remotes = sensor
            .remotes
            .iter()
            .map(|place| Some(self.temperature(*place)))
            .collect();
        Some((self.temperature(sensor.at), remotes))
    }

    fn temperature(&self, place: Place) -> f32 {
        let board = |chain: usize| {
            self.boards
                .get(chain)
                .copied()
                .unwrap_or_else(|| Board::cold(self.inlet_c()))
        };
        match place {
            Place::Inlet => self.inlet_c(),
            Place::Outlet => self.outlet_c,
            Place::BoardInlet { chain } => f32::midpoint(self.inlet_c(), board(chain).pcb_c),
            Place::BoardOutlet { chain } => board(chain).pcb_c,
            Place::Chip { chain } => board(chain).chip_c,
        }
    }
}

/// The ends of wires that the world holds.
pub(super) struct WorldWires {
    pub(super) fans: Vec<(PwmLine, TachLine)>,
    pub(super) enable: Option<(GpioLine, bool)>,
    pub(super) watchdogs: Vec<WatchdogCell>,
}
