//! The way from reset to hashing, as data.
//!
//! A model has a [`Script`] of symbolic lines. [`prepare`] and [`open`] turn it, for one chain's settings, into plain
//! steps; the sequencer runs them and knows nothing of models.

use crate::chain::baud::BaudDivider;
use crate::chain::error::{SettingsError, StepName};
use crate::chain::frame::{Command, ReplyFormat, Target};
use crate::chain::pll::{Pll, Ramp};
use crate::chain::registers::{
    HashCountingNumber, IoDrive, NonceOffset, Register, UartRelay, VersionRolling,
};
use crate::chain::settings::ChainSettings;
use cgminer_hal::units::{Baud, Megahertz};
use std::time::Duration;

/// The lines of a model's bring-up.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// From reset to ready.
    pub prepare: &'static [Line],
    /// What is left once the first job is on its way.
    pub open: &'static [Line],
}

impl Script {
    /// How the clock is written: what goes before, and how often each write is sent.
    fn ramp_writes(&self) -> (&'static [(Register, u32)], u8) {
        let ramp = self.prepare.iter().find_map(|line| match line {
            Line::Ramp { before, times } => Some((*before, *times)),
            _ => None,
        });
        ramp.unwrap_or((&[], 1))
    }
}

/// One line of a script.
#[derive(Clone, Copy, Debug)]
pub enum Line {
    /// Hold and release the reset line.
    Reset,
    /// Write one value to every chip.
    Write(Register, u32),
    /// Write the version mask to every chip; replies have eleven bytes from then on.
    VersionRolling,
    /// Ask every chip for its identity, and count the answers.
    CountChips,
    /// Make the chain inactive and give addresses.
    Addresses,
    /// Write the ticket mask to every chip.
    TicketMask,
    /// Drive the clock strongly from the last chip of each domain.
    DomainClocks,
    /// Relay the serial lines at both ends of each domain.
    DomainRelays,
    /// Change to the speed that the settings ask for, at both ends, and see that every chip answers at it.
    Baud,
    /// Write values to each chip, one chip after the other.
    EachChip(&'static [(Register, u32)]),
    /// Raise the clock to its target in steps. Before each step these values are written; each write is sent so many times.
    Ramp {
        /// Written to every chip before each step.
        before: &'static [(Register, u32)],
        /// How often each of the writes is sent.
        times: u8,
    },
    /// Give each chip its own part of the nonce space.
    NonceOffsets,
    /// Write the sweep's deadline to every chip.
    HashCountingNumber,
    /// Let the chips settle.
    Settle,
}

/// A step that the sequencer can run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Part of the bring-up, for messages.
    pub part: &'static str,
    /// What to do.
    pub action: Action,
    /// How long to wait afterwards.
    pub pause: Duration,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Hold the chips in reset; the host's line goes back to the reset speed, replies to their reset format.
    HoldReset,
    /// Let the chips run.
    ReleaseReset,
    /// Send a command.
    Send(Command),
    /// Send the clock of the ramp's next step.
    Clock(Command, Megahertz),
    /// Read the chips' identity and wait for so many answers of this model.
    CountChips {
        /// How many.
        chips: u16,
        /// What their register 00 must say.
        chip_id: u16,
    },
    /// Read the identity again, now that both ends should speak at the same speed.
    ConfirmBaud {
        /// How many chips answer if they do.
        chips: u16,
        /// What their register 00 must say.
        chip_id: u16,
    },
    /// Take replies in another format from here on.
    Replies(ReplyFormat),
    /// Wait until everything written has left and `settle` longer, then set the host's speed.
    HostBaud {
        /// The speed.
        baud: Baud,
        /// For what is still in the chain.
        settle: Duration,
    },
}

impl Step {
    /// Names the step in messages.
    pub fn name(&self, number: usize, of: usize) -> StepName {
        let (register, target) = match self.action {
            Action::Send(command) | Action::Clock(command, _) => match command {
                Command::Write {
                    target, register, ..
                }
                | Command::Read { target, register } => (Some(register), target),
                Command::SetAddress(address) => (None, Target::Chip(address)),
                Command::ChainInactive => (None, Target::All),
            },
            Action::CountChips { .. } | Action::ConfirmBaud { .. } => {
                (Some(Register::CHIP_ID), Target::All)
            }
            _ => (None, Target::All),
        };
        StepName {
            number,
            of,
            part: self.part,
            register,
            chip: match target {
                Target::All => None,
                Target::Chip(address) => Some(address),
            },
        }
    }
}

/// The steps from reset to ready.
///
/// # Errors
/// When the settings do not hold together; nothing has been sent then.
pub fn prepare(settings: &ChainSettings) -> Result<Vec<Step>, SettingsError> {
    settings.validate()?;
    let mut plan = Plan::new(settings, VersionRolling::FULL);
    plan.lines(settings.model.script.prepare)?;
    Ok(plan.steps)
}

/// The steps that follow the first job, with the versions that it allows.
///
/// # Errors
/// When the settings do not hold together; nothing has been sent then.
pub fn open(
    settings: &ChainSettings,
    frequency: Megahertz,
    rolling: VersionRolling,
) -> Result<Vec<Step>, SettingsError> {
    settings.validate()?;
    let mut plan = Plan::new(settings, rolling);
    plan.frequency = frequency;
    plan.lines(settings.model.script.open)?;
    Ok(plan.steps)
}

/// The sweep's deadline for a clock.
///
/// # Errors
/// When the clock is out of bounds.
pub fn hash_counting_number(
    settings: &ChainSettings,
    frequency: Megahertz,
) -> Result<HashCountingNumber, SettingsError> {
    let pll = Pll::solve(&settings.model.pll, frequency)?;
    Ok(settings
        .model
        .sweep
        .hash_counting_number(settings.chips, &pll))
}

/// The writes that lead chips at work from one clock to another, steps of the ramp apart.
///
/// The sweep's deadline fits one clock only. It is shortened before the clock rises and lengthened after it fell, so that
/// no core ever leaves its part of the nonces.
///
/// # Errors
/// When the clock is out of bounds; nothing has been sent then.
pub fn change_frequency(
    settings: &ChainSettings,
    from: Megahertz,
    to: Megahertz,
) -> Result<Vec<Step>, SettingsError> {
    settings.check_frequency(to)?;
    let mut plan = Plan::new(settings, VersionRolling::FULL);
    plan.part = "change of frequency";
    plan.frequency = to;
    let rises = to.0 > from.0;
    if rises {
        plan.hash_counting_number()?;
    }
    let (before, times) = settings.model.script.ramp_writes();
    plan.ramp(Ramp::between(from, to), before, times)?;
    if !rises {
        plan.hash_counting_number()?;
    }
    Ok(plan.steps)
}

/// Wait of the relay behind the longest path, in the unit of its register: captured gaps are the count of chips from there
/// to the chain's end, and 14 more (S21 Pro: 65 chips, 0x4F to 0x13; S19 XP: 110 chips, 0x7C first).
const RELAY_GAP_BEYOND_CHIPS: u16 = 14;
/// Chains of no more domains work without relays (factory tool, as mujina REFERENCE.md tells).
const DOMAINS_WITHOUT_RELAY: u16 = 9;

struct Plan<'a> {
    settings: &'a ChainSettings,
    rolling: VersionRolling,
    frequency: Megahertz,
    part: &'static str,
    steps: Vec<Step>,
}

impl<'a> Plan<'a> {
    fn new(settings: &'a ChainSettings, rolling: VersionRolling) -> Self {
        Self {
            settings,
            rolling,
            frequency: settings.frequency,
            part: "",
            steps: Vec::new(),
        }
    }

    fn lines(&mut self, lines: &[Line]) -> Result<(), SettingsError> {
        for line in lines {
            self.line(line)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line) -> Result<(), SettingsError> {
        let pacing = self.settings.pacing;
        let model = self.settings.model;
        let chips = self.settings.chips;
        self.part = part_name(line);
        match *line {
            Line::Reset => {
                self.push(Action::HoldReset, pacing.reset_hold);
                self.push(Action::ReleaseReset, pacing.reset_settle);
            }
            Line::Write(register, value) => self.broadcast(register, value),
            Line::VersionRolling => {
                self.broadcast(Register::MIDSTATE_CONFIG, self.rolling.encode());
                self.push(Action::Replies(model.reply), Duration::ZERO);
            }
            Line::CountChips => self.push(
                Action::CountChips {
                    chips,
                    chip_id: model.chip_id,
                },
                pacing.milestone,
            ),
            Line::Addresses => self.addresses(),
            Line::TicketMask => {
                self.broadcast(Register::TICKET_MASK, self.settings.ticket_mask.encode());
            }
            Line::DomainClocks => {
                for (_, last) in self.domain_ends() {
                    self.write(last, Register::IO_DRIVER_STRENGTH, IoDrive::STRONG_CLOCK.0);
                }
            }
            Line::DomainRelays => self.domain_relays(),
            Line::Baud => self.baud()?,
            Line::EachChip(writes) => {
                for index in 0..chips {
                    for (register, value) in writes {
                        self.write(index, *register, *value);
                    }
                }
            }
            Line::Ramp { before, times } => {
                self.ramp(Ramp::from_reset(self.frequency), before, times)?;
            }
            Line::NonceOffsets => {
                for index in 0..chips {
                    if let Some(offset) = NonceOffset::of_chip(index, chips) {
                        self.write(index, Register::CHIP_NONCE_OFFSET, offset.encode());
                    }
                }
            }
            Line::HashCountingNumber => self.hash_counting_number()?,
            Line::Settle => {
                if let Some(last) = self.steps.last_mut() {
                    last.pause = last.pause.max(pacing.milestone);
                }
            }
        }
        Ok(())
    }

    fn addresses(&mut self) {
        let pacing = self.settings.pacing;
        let addressing = self.settings.model.addressing;
        for _ in 0..addressing.inactive_times {
            let pause = if addressing.inactive_times > 1 {
                pacing.milestone
            } else {
                pacing.write
            };
            self.push(Action::Send(Command::ChainInactive), pause);
        }
        let chips = self.settings.chips;
        for index in 0..addressing.commands(chips) {
            if let Some(address) = addressing.address(index, chips) {
                self.push(Action::Send(Command::SetAddress(address)), pacing.write);
            }
        }
    }

    fn domain_relays(&mut self) {
        if self.settings.domains <= DOMAINS_WITHOUT_RELAY {
            return;
        }
        for (first, last) in self.domain_ends() {
            let relay = UartRelay {
                gap: self.settings.chips + RELAY_GAP_BEYOND_CHIPS - first,
                replies: true,
                commands: true,
            };
            self.write(first, Register::UART_RELAY, relay.encode());
            self.write(last, Register::UART_RELAY, relay.encode());
        }
    }

    /// First and last chip of each domain, from the host's end.
    fn domain_ends(&self) -> Vec<(u16, u16)> {
        let each = self.settings.chips / self.settings.domains.max(1);
        (0..self.settings.domains)
            .map(|domain| (domain * each, domain * each + each.saturating_sub(1)))
            .collect()
    }

    fn baud(&mut self) -> Result<(), SettingsError> {
        let divider = BaudDivider::nearest(self.settings.baud)?;
        if divider == BaudDivider::RESET {
            return Ok(());
        }
        let register = self.settings.model.baud;
        self.broadcast(register.register, register.encode(divider));
        if let Some(last) = self.steps.last_mut() {
            last.pause = Duration::ZERO;
        }
        let pause = self.settings.pacing.milestone;
        let host = Action::HostBaud {
            baud: divider.baud(),
            settle: self.settings.pacing.baud,
        };
        self.push(host, pause);
        // Not among the bytes of captures: stock firmware goes on, and finds a speed that was not taken by hearing nothing.
        let confirm = Action::ConfirmBaud {
            chips: self.settings.chips,
            chip_id: self.settings.model.chip_id,
        };
        self.push(confirm, self.settings.pacing.write);
        Ok(())
    }

    fn hash_counting_number(&mut self) -> Result<(), SettingsError> {
        if self.settings.model.has_hash_counting_number {
            let number = hash_counting_number(self.settings, self.frequency)?;
            self.broadcast(Register::HASH_COUNTING_NUMBER, number.0);
        }
        Ok(())
    }

    fn ramp(
        &mut self,
        ramp: Ramp,
        before: &[(Register, u32)],
        times: u8,
    ) -> Result<(), SettingsError> {
        let range = &self.settings.model.pll;
        for frequency in ramp {
            let pll = Pll::solve(range, frequency)?;
            for (register, value) in before {
                for _ in 0..times {
                    self.broadcast(*register, *value);
                }
            }
            let clock = Command::Write {
                target: Target::All,
                register: Register::PLL0_PARAMETER,
                value: pll.encode(range),
            };
            for _ in 1..times {
                self.push(Action::Send(clock), self.settings.pacing.write);
            }
            self.push(Action::Clock(clock, frequency), self.settings.pacing.ramp);
        }
        Ok(())
    }

    fn broadcast(&mut self, register: Register, value: u32) {
        let command = Command::Write {
            target: Target::All,
            register,
            value,
        };
        self.push(Action::Send(command), self.settings.pacing.write);
    }

    /// Writes to the chip at a place in the chain; the settings were checked, so it has an address.
    fn write(&mut self, index: u16, register: Register, value: u32) {
        let addressing = self.settings.model.addressing;
        if let Some(address) = addressing.address(index, self.settings.chips) {
            let command = Command::Write {
                target: Target::Chip(address),
                register,
                value,
            };
            self.push(Action::Send(command), self.settings.pacing.write);
        }
    }

    fn push(&mut self, action: Action, pause: Duration) {
        self.steps.push(Step {
            part: self.part,
            action,
            pause,
        });
    }
}

fn part_name(line: &Line) -> &'static str {
    match line {
        Line::Reset => "reset",
        Line::Write(..) => "common settings",
        Line::VersionRolling => "version rolling",
        Line::CountChips => "counting chips",
        Line::Addresses => "addresses",
        Line::TicketMask => "ticket mask",
        Line::DomainClocks => "domain clocks",
        Line::DomainRelays => "domain relays",
        Line::Baud => "change of baud rate",
        Line::EachChip(_) => "settings of each chip",
        Line::Ramp { .. } => "frequency ramp",
        Line::NonceOffsets => "nonce offsets",
        Line::HashCountingNumber => "hash counting number",
        Line::Settle => "settling",
    }
}
