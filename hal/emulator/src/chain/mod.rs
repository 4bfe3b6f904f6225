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
pub mod job;
pub mod model;
mod sampler;
mod search;
mod wire;

pub use model::ChipType;
pub use search::Focus;

use chip::{Chip, Work};
use codec::{Command, Reply};
use job::Job;
use search::Search;
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
}

/// Time that a chip takes to start its answer, and each chip to pass it on.
const ANSWER_NANOS: u64 = 10_000;
const RELAY_NANOS: u64 = 1_000;

impl Chain {
    /// A chain that has power and is out of reset.
    pub fn new(settings: ChainSettings) -> Self {
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

    /// The host's speed changed; bytes that start from now on use it, in both directions.
    pub fn set_host_baud(&mut self, baud: u32) {
        self.inbound.host_baud = baud;
        self.outbound.host_baud = baud;
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
            match (byte, unit) {
                (Some(byte), unit) if unit.is_none_or(|unit| byte <= unit) => self.take_byte(byte),
                (_, Some(unit)) => {
                    self.now = unit;
                    self.search.unit(unit, &mut self.chips, &mut self.outbound);
                }
                _ => break,
            }
        }
        self.inbound.settle(now);
        self.now = now;
    }

    /// Bytes that have reached the host by this time.
    pub fn transmit(&mut self, now: Duration, into: &mut Vec<u8>) {
        self.outbound.deliver(nanos(now), into);
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

    /// Looks only where told, whenever a job comes; for replaying captures at full difficulty.
    pub fn set_focus(&mut self, focus: Option<Focus>) {
        self.search.focus = focus;
    }

    fn is_alive(&self) -> bool {
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
        let commands = self.inbound.take(&self.chips);
        if commands.is_empty() || !alive {
            return;
        }
        for (baud, command) in commands {
            self.obey(&command, baud, time);
        }
        let hashing = self.is_hashing();
        self.search.resume(time, hashing);
    }

    /// Carries a command down the chain to every chip that hears it, which are those that listen at its speed.
    fn obey(&mut self, command: &Command, baud: u32, now: u64) {
        let job = match command {
            Command::Job(payload) => {
                match Job::from_wire(self.settings.chip.job_style(), payload) {
                    Some(job) => {
                        self.jobs += 1;
                        Some(Work {
                            job: Arc::new(job),
                            since: now,
                            serial: self.jobs,
                        })
                    }
                    None => return,
                }
            }
            _ => None,
        };
        let mut answered_at = now + ANSWER_NANOS;
        for chip in &mut self.chips {
            let relays = chip.relaying;
            if chip.baud() == baud {
                match command {
                    Command::SetAddress(address) if !chip.addressed => chip.take_address(*address),
                    Command::SetAddress(_) => {}
                    Command::Inactive => chip.deactivate(),
                    Command::Write {
                        chip: only,
                        register,
                        value,
                    } => {
                        if only.is_none_or(|only| only == chip.address) {
                            chip.write(*register, *value);
                        }
                    }
                    Command::Read {
                        chip: only,
                        register,
                    } => {
                        if only.is_none_or(|only| only == chip.address) {
                            let value = chip.read(*register, self.celsius);
                            let reply = Reply::register(
                                value,
                                chip.address,
                                *register,
                                chip.long_replies(),
                            );
                            self.outbound.push(answered_at, chip.baud(), reply);
                        }
                    }
                    Command::Job(_) => chip.work.clone_from(&job),
                }
            }
            answered_at += RELAY_NANOS;
            if !relays {
                break;
            }
        }
        if job.is_some() {
            self.search
                .focused(now, &mut self.chips, &mut self.outbound);
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
