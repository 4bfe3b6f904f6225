//! A whole machine: chains on serial lines, parts on buses, and the world that they sit in.
//!
//! ```text
//! daemon --Devices--> Wiring --I2C, SPI, GPIO, PWM, tach--> parts <--> World (heat, air, volts, faults)
//!                       `----UART----> chains ---load---------------------^
//! ```

mod driver;
mod faults;
mod physics;
mod settings;
mod world;

pub use faults::{FaultError, Sensed};
pub use physics::{Board, Fan, Load, Rail};
pub use settings::{
    AdcWiring, BoardSettings, ChainWiring, ControllerPart, ControllerWiring, EepromWiring,
    FanControllerPart, FanControllerWiring, FanWiring, LineWiring, MachineSettings, Place,
    SearchSettings, SensorPart, SensorWiring, SettingsError, SupplyPart, SupplyWiring,
};
pub use world::{Controller, SharedWorld, Supply, Truth, World};

use crate::{
    chain::{Chain, ChainSettings},
    clock::Clock,
    fault::Fault,
    parts,
    scenario::Scenario,
};
use cgminer_hal::{
    emulated::{DeviceUart, GpioLine, PwmLine, TachLine, UartSocket, Wiring, uart_line},
    gpio::{Level, SignalSpec},
    units::DutyPercent,
};
use std::{io, sync::Arc, thread, time::Duration};
use tokio::sync::Notify;
use world::WorldWires;

/// Bytes that a serial line's driver holds in each direction.
const UART_BUFFER: usize = 4096;

/// A machine that is switched on. It lives while `run`, `step` or its own thread makes it.
#[derive(Debug)]
pub struct Machine {
    settings: MachineSettings,
    clock: Clock,
    wiring: Wiring,
    world: SharedWorld,
    chains: Vec<Wired>,
    host_acted: Arc<Notify>,
}

/// A chain and the lines that it hangs on.
#[derive(Debug)]
struct Wired {
    chain: Chain,
    uart: DeviceUart,
    socket: UartSocket,
    reset: (GpioLine, bool),
    presence: Option<(GpioLine, bool)>,
    /// Sum of all chips' clocks at the board's nominal point.
    nominal_hz: f64,
}

impl Machine {
    /// Switches a machine on: fans at rest, resets held, supply as its enable line rests. The seed decides how faults
    /// of chance fall.
    pub fn new(settings: MachineSettings, seed: u64, clock: Clock) -> Self {
        let wiring = Wiring::default();
        wiring.set_model(settings.model.clone());
        let host_acted = Arc::new(Notify::new());
        let pace = settings.search.hashes_per_second / settings.chains.len().max(1) as f64;
        let chains = (0..)
            .zip(&settings.chains)
            .map(|(index, chain)| {
                let (socket, uart) = uart_line(&chain.uart, UART_BUFFER, Arc::clone(&host_acted));
                wiring.add_uart(&chain.uart, socket.clone());
                let chip_settings = ChainSettings {
                    chip: chain.chip,
                    chips: chain.chips,
                    hardwired_zero_bits: settings.search.hardwired_zero_bits,
                    hashes_per_second: pace,
                };
                let nominal_hz = f64::from(settings.board.nominal_mhz) * 1e6 * chain.chips as f64;
                Wired {
                    chain: Chain::new(chip_settings, seed.wrapping_add(index)),
                    uart,
                    socket,
                    reset: signal(&wiring, &chain.reset, true),
                    presence: chain
                        .presence
                        .as_ref()
                        .map(|spec| signal(&wiring, spec, true)),
                    nominal_hz,
                }
            })
            .collect();
        let enable = settings
            .supply
            .as_ref()
            .and_then(|supply| supply.enable.as_ref());
        let wires = WorldWires {
            fans: settings
                .fans
                .iter()
                .map(|fan| fan_wires(&wiring, fan))
                .collect(),
            enable: enable.map(|spec| signal(&wiring, spec, false)),
            watchdogs: settings
                .watchdogs
                .iter()
                .map(|device| wiring.watchdog_cell(device))
                .collect(),
        };
        for LineWiring { line, high } in &settings.lines {
            wiring.line(line, *high);
        }
        for name in &settings.leds {
            wiring.led_line(name);
        }
        let world = SharedWorld::new(World::new(settings.clone(), wires), clock.clone());
        parts::attach(&settings, &wiring, &world);
        Self {
            settings,
            clock,
            wiring,
            world,
            chains,
            host_acted,
        }
    }

    /// What the daemon opens its devices from.
    pub fn devices(&self) -> Wiring {
        self.wiring.clone()
    }

    /// A handle to look at the machine and to make things go wrong, while it lives.
    pub fn control(&self) -> Control {
        Control {
            world: self.world.clone(),
            resets: self
                .chains
                .iter()
                .map(|wired| wired.reset.clone())
                .collect(),
            enable: self.world.with(|world| world.supply.enable.clone()),
        }
    }

    /// Where each chain's serial line is opened.
    pub fn uarts(&self) -> Vec<UartSocket> {
        self.chains
            .iter()
            .map(|wired| wired.socket.clone())
            .collect()
    }

    /// The description that it was built from.
    pub fn settings(&self) -> &MachineSettings {
        &self.settings
    }

    /// The chains, for a look at the chips' true state.
    pub fn chains(&self) -> impl Iterator<Item = &Chain> {
        self.chains.iter().map(|wired| &wired.chain)
    }

    /// Gives the machine a thread of its own and the real clock it was made with; hashing takes at most the share of
    /// one processor core that the description allows. Dropping what is returned ends it.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub fn spawn_thread(mut self) -> io::Result<RunningMachine> {
        self.pace_by_core_share();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let thread = thread::Builder::new()
            .name("emulated-machine".into())
            .spawn(move || {
                runtime.block_on(async move {
                    tokio::select! {
                        () = self.run_with_real_clock() => {}
                        () = stopped.notified() => {}
                    }
                });
            })?;
        Ok(RunningMachine {
            stop,
            thread: Some(thread),
        })
    }
}

/// A machine that lives in a thread of its own until this is dropped.
#[derive(Debug)]
pub struct RunningMachine {
    stop: Arc<Notify>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for RunningMachine {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the machine's thread was reported by its hook; there is nothing to add to it here.
            let _ = thread.join();
        }
    }
}

/// A handle to look at a machine and to make things go wrong, while it lives.
#[derive(Clone, Debug)]
pub struct Control {
    world: SharedWorld,
    resets: Vec<(GpioLine, bool)>,
    enable: Option<(GpioLine, bool)>,
}

impl Control {
    /// Makes something go wrong, for a while or until cleared; gives the number by which to clear it.
    ///
    /// # Errors
    /// When it names what the machine does not have.
    pub fn inject(&self, fault: Fault, lasting: Option<Duration>) -> Result<u64, FaultError> {
        self.world.with(|world| world.inject(fault, lasting))
    }

    /// Lets a chain take power as if its chips did this, while they are powered and out of reset: for days of heat in
    /// which nobody hashes. Nothing else of the chain is pretended.
    pub fn pretend_load(&self, chain: usize, load: Option<Load>) {
        self.world.with(|world| {
            if let Some(slot) = world.pretended.get_mut(chain) {
                *slot = load;
            }
        });
    }

    /// Ends a fault; false when there is none of that number.
    pub fn clear(&self, id: u64) -> bool {
        self.world.with(|world| world.clear(id))
    }

    /// Ends all faults.
    pub fn clear_all(&self) {
        self.world.with(World::clear_all);
    }

    /// Plans the faults of a scenario from now on.
    ///
    /// # Errors
    /// When one of them names what the machine does not have; none is planned then.
    pub fn play(&self, scenario: &Scenario) -> Result<(), FaultError> {
        self.world.with(|world| world.play(scenario))
    }

    /// Holds or lets go a chain's reset line, as the control board would; false when there is no such chain.
    pub fn set_reset(&self, chain: usize, held: bool) -> bool {
        let line = self.resets.get(chain);
        line.map(|(line, active_is_high)| line.set(held == *active_is_high))
            .is_some()
    }

    /// Enables or disables the supply, as the control board would, at the machine's nominal voltage.
    pub fn set_power(&self, on: bool) {
        self.set_enable(on);
        self.world.with(|world| world.deliver_nominal(on));
    }

    /// Drives the supply's enable line alone, as the control board would; its controller decides on the rest.
    pub fn set_enable(&self, on: bool) {
        if let Some((line, active_is_high)) = &self.enable {
            line.set(on == *active_is_high);
        }
    }

    /// Drives a fan, as the control board would; false when there is none of that name.
    pub fn drive_fan(&self, name: &str, duty: DutyPercent) -> bool {
        let fan = self.world.with(|world| world.fan(name));
        fan.map(|(pwm, _)| pwm.drive(duty)).is_some()
    }

    /// The machine as it really is, whatever its sensors say.
    pub fn truth(&self) -> Truth {
        self.world.with(|world| world.truth())
    }

    /// Hashes that the chips of a chain together had to look at since the machine was switched on, each the same part of
    /// them: what chips without fault deliver, whatever the computer spares for them. None when there is no such chain.
    pub fn hashes_due(&self, chain: usize) -> Option<f64> {
        self.world
            .with(|world| world.hashes_due.get(chain).copied())
    }

    /// The machine's time.
    pub fn now(&self) -> Duration {
        self.world.now()
    }
}

/// Wires a line at rest, `active` or not, and gives it with the level that means active.
fn signal(wiring: &Wiring, spec: &SignalSpec, active: bool) -> (GpioLine, bool) {
    let active_is_high = spec.active == Level::High;
    (
        wiring.line(&spec.line, active == active_is_high),
        active_is_high,
    )
}

fn fan_wires(wiring: &Wiring, fan: &FanWiring) -> (PwmLine, TachLine) {
    let pwm = fan
        .pwm
        .as_ref()
        .map_or_else(|| PwmLine::new(&fan.name), |spec| wiring.pwm_line(spec));
    let tach = fan
        .tach
        .as_ref()
        .map_or_else(TachLine::default, |spec| wiring.tach_line(spec));
    (pwm, tach)
}
