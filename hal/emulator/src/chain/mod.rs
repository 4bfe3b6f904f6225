//! A chain of chips behind one serial line: bytes in, bytes out, time passed in.
//!
//! ```text
//! host bytes -> wire time -> sampler per speed -> receiver -> chips -> search
//!                                                               |        |
//! host bytes <- sampler <- wire time <- queue of replies <------+--------+
//! ```
//!
//! Nothing here looks at a clock. `advance(now)` does everything that happens until then, in order of time, so the
//! same calls with the same seed give the same bytes, however the time is cut into calls.

pub mod chip;
pub mod codec;
mod fault;
pub mod job;
pub mod model;
mod sampler;
mod search;
mod wire;

pub use fault::{ChainFaults, Noise};
pub use model::ChipType;
pub use search::Focus;

use chip::{Chip, Work};
use codec::{Command, Reply};
use job::Job;
use search::{Search, Surroundings};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use wire::{Inbound, Outbound};

/// What a chain is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainSettings {
    /// Chip type.
    pub chip: ChipType,
    /// Chips in the chain, 1 to 256.
    pub chips: usize,
    /// Zero bits that a hash needs before the ticket mask is looked at. Silicon has 32; fewer is the declared knob
    /// that lets a laptop find nonces, and nothing else about the chips changes with it.
    #[serde(default = "silicon_zero_bits")]
    pub hardwired_zero_bits: u32,
    /// Hashes that are really computed per second of machine time. A chain of silicon does 10^13; the rest of its
    /// search space goes by unlooked at.
    pub hashes_per_second: f64,
}

const fn silicon_zero_bits() -> u32 {
    32
}

/// A chain of chips.
#[derive(Debug)]
pub struct Chain {
    settings: ChainSettings,
    chips: Vec<Chip>,
    inbound: Inbound,
    outbound: Outbound,
    search: Search,
    /// Nanoseconds of machine time.
    now: u64,
    jobs: u64,
    powered: bool,
    held: bool,
    celsius: f32,
    faults: ChainFaults,
    chance: fastrand::Rng,
    /// When the next unasked frame is due, while there is such a fault.
    chatter_due: Option<u64>,
}

/// Time that a chip takes to start its answer, and each chip to pass it on.
const ANSWER_NANOS: u64 = 10_000;
const RELAY_NANOS: u64 = 1_000;
/// Time between unasked frames, while a chain has that fault.
const CHATTER_NANOS: u64 = 1_000_000_000;
/// Chips whose PLL change brings frames without meaning, while a chain has that fault.
const GARBAGE_CHIPS: usize = 3;

impl Chain {
    /// A chain that has power and is out of reset. The seed decides nothing but how faults of chance fall.
    pub fn new(settings: ChainSettings, seed: u64) -> Self {
        let length = settings.chips.clamp(1, 256);
        let chips: Vec<Chip> = (0..length).map(|_| Chip::new(settings.chip)).collect();
        Self {
            inbound: Inbound::new(settings.chip.job_style()),
            outbound: Outbound::new(2 * length + 256),
            search: Search::new(&settings),
            chips,
            now: 0,
            jobs: 0,
            powered: true,
            held: false,
            celsius: 25.0,
            faults: ChainFaults::default(),
            chance: fastrand::Rng::with_seed(seed),
            chatter_due: None,
            settings,
        }
    }

    /// What the chain is made of.
    pub fn settings(&self) -> &ChainSettings {
        &self.settings
    }

    /// The chips, nearest to the host first.
    pub fn chips(&self) -> &[Chip] {
        &self.chips
    }

    /// The host's speed; bytes that start from now on use it, in both directions. None is always right, as for a host
    /// behind a socket, which has no speed.
    pub fn set_host_baud(&mut self, baud: Option<u32>) {
        self.inbound.set_host_baud(baud);
        self.outbound.set_host_baud(baud);
    }

    /// The host puts bytes on the line; gives how many there was room for.
    pub fn receive(&mut self, bytes: &[u8], now: Duration) -> usize {
        self.inbound.push(bytes, nanos(now))
    }

    /// Host bytes that are still on the line.
    pub fn bytes_on_the_wire(&self) -> usize {
        self.inbound.len()
    }

    /// Room for host bytes.
    pub fn room(&self) -> usize {
        self.inbound.room()
    }

    /// Lives until this time.
    pub fn advance(&mut self, now: Duration) {
        let now = nanos(now).max(self.now);
        let hashing = self.is_hashing();
        self.search.resume(self.now, hashing);
        loop {
            let byte = self.inbound.next_arrival().filter(|time| *time <= now);
            let unit = self.search.next_unit().filter(|time| *time <= now);
            let chatter = self.chatter_due.filter(|time| *time <= now);
            let next = [byte, unit, chatter].into_iter().flatten().min();
            match next {
                None => break,
                Some(time) if byte == next => self.take_byte(time),
                Some(time) if unit == next => self.take_unit(time),
                Some(time) => self.chatter(time),
            }
        }
        self.inbound.settle(now);
        self.now = now;
    }

    /// Bytes that have reached the host by this time.
    pub fn transmit(&mut self, now: Duration, into: &mut Vec<u8>) {
        self.outbound
            .deliver(nanos(now), &self.faults, &mut self.chance, into);
    }

    /// When something will happen by itself, search aside.
    pub fn next_event(&self) -> Option<Duration> {
        [self.inbound.next_arrival(), self.outbound.next_departure()]
            .into_iter()
            .flatten()
            .min()
            .map(Duration::from_nanos)
    }

    /// Whether any chip works on a job.
    pub fn is_hashing(&self) -> bool {
        self.is_alive()
            && self
                .chips
                .iter()
                .any(|chip| chip.work.is_some() && chip.is_clocked())
    }

    /// The reset line: held keeps the chips dumb, release starts them from power-on state.
    pub fn set_reset(&mut self, held: bool) {
        if held != self.held {
            self.held = held;
            self.restart();
        }
    }

    /// The rail came or went.
    pub fn set_power(&mut self, powered: bool) {
        if powered != self.powered {
            self.powered = powered;
            self.restart();
        }
    }

    /// Die temperature that the chips would report.
    pub fn set_temperature(&mut self, celsius: f32) {
        self.celsius = celsius;
    }

    /// What is wrong with the chain from now on.
    pub fn set_faults(&mut self, faults: ChainFaults) {
        if faults.chatter != self.faults.chatter {
            self.chatter_due = faults.chatter.then_some(self.now + CHATTER_NANOS);
        }
        self.faults = faults;
    }

    /// Looks at this many hashes per second from now on.
    pub fn set_pace(&mut self, hashes_per_second: f64) {
        self.settings.hashes_per_second = hashes_per_second;
        self.search.set_pace(self.now, hashes_per_second);
    }

    /// Hashes that its chips together had to look at so far, each the same part of them. A chip that is dead or stuck did
    /// not; search that was left out is not among them.
    pub fn hashes_due(&self) -> f64 {
        self.search.hashes_due()
    }

    /// Leaves out the search that was due before this time: under a real clock, time that is lost stays lost.
    pub fn skip_search_to(&mut self, time: Duration) {
        self.search.skip_to(nanos(time));
    }

    /// Sum of the core clocks of all chips that run, and of those that have work, in hertz.
    pub fn clocks_hz(&self) -> (f64, f64) {
        if !self.is_alive() {
            return (0.0, 0.0);
        }
        let running = self.chips.iter().filter(|chip| chip.is_clocked());
        running.fold((0.0, 0.0), |(all, working), chip| {
            let clock = chip.clock_hz().unwrap_or(0.0);
            let worked = if chip.position(self.now).is_some() {
                clock
            } else {
                0.0
            };
            (all + clock, working + worked)
        })
    }

    /// Looks only where told, whenever a job comes; for replaying captures at full difficulty.
    pub fn set_focus(&mut self, focus: Option<Focus>) {
        self.search.focus = focus;
    }

    /// Whether its chips have power and are out of reset.
    pub fn is_alive(&self) -> bool {
        self.powered && !self.held
    }

    fn restart(&mut self) {
        self.chips.iter_mut().for_each(Chip::reset);
        self.inbound.restart();
        self.outbound.restart();
    }

    fn take_byte(&mut self, time: u64) {
        self.now = time;
        let alive = self.is_alive();
        let commands = self
            .inbound
            .take(&self.chips, &self.faults, &mut self.chance);
        if commands.is_empty() || !alive {
            return;
        }
        for (baud, command) in commands {
            self.obey(&command, baud, time);
        }
        let hashing = self.is_hashing();
        self.search.resume(time, hashing);
    }

    fn take_unit(&mut self, time: u64) {
        self.now = time;
        let mut around = Surroundings {
            now: time,
            outbound: &mut self.outbound,
            faults: &self.faults,
            chance: &mut self.chance,
        };
        self.search.unit(&mut self.chips, &mut around);
    }

    /// A chip, any, sends a register that nobody asked for.
    fn chatter(&mut self, time: u64) {
        self.chatter_due = Some(time + CHATTER_NANOS);
        let index = self.chance.usize(..self.chips.len());
        if let Some(chip) = self.chips.get(index).filter(|_| self.powered && !self.held) {
            let reply = read_reply(chip, 0x40, self.celsius);
            self.outbound.push(time, chip.baud(), reply);
        }
    }

    fn obey(&mut self, command: &Command, baud: u32, now: u64) {
        if let Command::Job(payload) = command {
            let Some(job) = Job::from_wire(self.settings.chip.job_style(), payload) else {
                return;
            };
            self.jobs += 1;
            let work = Work {
                job: Arc::new(job),
                since: now,
                serial: self.jobs,
            };
            self.hearing(baud, |_, chip| chip.work = Some(work.clone()));
            let mut around = Surroundings {
                now,
                outbound: &mut self.outbound,
                faults: &self.faults,
                chance: &mut self.chance,
            };
            self.search.focused(&mut self.chips, &mut around);
            return;
        }
        let mut answers = Vec::new();
        let (celsius, silent, mut garbled) = (self.celsius, self.faults.silent.clone(), 0);
        let garbles = if self.faults.pll_garbage {
            GARBAGE_CHIPS
        } else {
            0
        };
        let mut chance = self.chance.clone();
        self.hearing(baud, |index, chip| {
            let at = now + ANSWER_NANOS + index as u64 * RELAY_NANOS;
            match command {
                Command::SetAddress(address) if !chip.addressed => chip.take_address(*address),
                Command::Inactive => chip.deactivate(),
                Command::Write {
                    chip: only,
                    register,
                    value,
                } if only.is_none_or(|only| only == chip.address) => {
                    let garbles = chip.write(*register, *value) && garbled < garbles;
                    garbled += usize::from(garbles);
                    answers.extend(garbles.then(|| {
                        let nonce = chance.u32(..).to_be_bytes();
                        let place = chance.u8(..);
                        let reply = Reply::nonce(nonce, 0, place, 0, chip.long_replies());
                        (at, chip.baud(), reply)
                    }));
                }
                Command::Read {
                    chip: only,
                    register,
                } if only.is_none_or(|only| only == chip.address) && !silent.contains(&index) => {
                    answers.push((at, chip.baud(), read_reply(chip, *register, celsius)));
                }
                _ => {}
            }
        });
        self.chance = chance;
        for (at, baud, reply) in answers {
            self.outbound.push(at, baud, reply);
        }
    }

    /// Carries a command down the chain to every chip that hears it: those that listen at its speed, up to the first
    /// that passes nothing on.
    fn hearing(&mut self, baud: u32, mut act: impl FnMut(usize, &mut Chip)) {
        let faults = &self.faults;
        for (index, chip) in self
            .chips
            .iter_mut()
            .enumerate()
            .take_while(|(index, _)| faults.reaches(*index))
        {
            let relays = chip.relaying;
            if chip.baud() == baud {
                act(index, chip);
            }
            if !relays {
                break;
            }
        }
    }
}

fn read_reply(chip: &Chip, register: u8, celsius: f32) -> Reply {
    Reply::register(
        chip.read(register, celsius),
        chip.address,
        register,
        chip.long_replies(),
    )
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
