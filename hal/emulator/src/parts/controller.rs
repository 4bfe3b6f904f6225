//! Controllers of hash-board converters: PIC16F1704 of an S9 (Braiins OS, bitmaintech/cgminer) and dsPIC33EP of S17
//! and later (`DCentralTech/DCENT_OS`). Both switch the converter off when heartbeats stay away.

use super::frame;
use crate::fault::Fault;
use crate::machine::{Controller, ControllerPart, SharedWorld};
use cgminer_hal::emulated::{BusError, I2cDevice};
use std::{collections::VecDeque, time::Duration};

const JUMP: u8 = 0x06;
const RESET: u8 = 0x07;
const SET_VOLTAGE: u8 = 0x10;
const ENABLE: u8 = 0x15;
const HEARTBEAT: u8 = 0x16;
const GET_VERSION: u8 = 0x17;
const GET_VOLTAGE: u8 = 0x18;

/// Time without a heartbeat after which the converter goes off.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time that the PIC takes from boot loader to program.
const START: Duration = Duration::from_millis(500);
/// What its boot loader gives as version.
const LOADER_VERSION: u8 = 0xCC;
const VERSION: u8 = 0x5E;

/// The controller of one chain's board.
pub struct VoltageController {
    world: SharedWorld,
    part: ControllerPart,
    chain: usize,
    frame: Vec<u8>,
    answer: VecDeque<u8>,
    /// When the PIC's program runs; none while it is in its boot loader.
    runs_from: Option<Duration>,
    setting: u8,
}

impl VoltageController {
    /// A controller that was just switched on: a PIC in its boot loader, a dsPIC in its program.
    pub fn new(world: SharedWorld, part: ControllerPart, chain: usize) -> Self {
        Self {
            world,
            part,
            chain,
            frame: Vec::new(),
            answer: VecDeque::new(),
            runs_from: (part == ControllerPart::Dspic33ep).then_some(Duration::ZERO),
            setting: 0,
        }
    }

    fn runs(&self) -> bool {
        self.runs_from.is_some_and(|from| self.world.now() >= from)
    }

    fn change(&self, change: impl FnOnce(&mut Controller)) {
        self.world
            .with(|world| world.controller(self.chain).map(change));
    }

    fn beat(&self) {
        let until = self.world.now() + PATIENCE;
        self.change(|controller| controller.until = until);
    }

    fn switch(&self, on: bool) {
        self.beat();
        self.change(|controller| controller.on = on);
    }

    fn has(&self, fault: &Fault) -> bool {
        self.world
            .with(|world| world.faults().any(|active| active == fault))
    }

    fn acknowledges(&self) -> Result<(), BusError> {
        let chain = self.chain;
        if self.has(&Fault::ControllerNak { chain }) {
            return Err(BusError::AddressNak);
        }
        Ok(())
    }

    fn take(&mut self, byte: u8) {
        match (frame::push(&mut self.frame, byte), self.part) {
            (None, _) => {}
            (Some(command), ControllerPart::Pic16f1704) => self.take_bare(command),
            (Some(length), ControllerPart::Dspic33ep) => self.take_counted(length),
        }
    }

    /// The PIC's frames: command and, for two of them, a byte.
    fn take_bare(&mut self, command: u8) {
        let data = self.frame.get(3).copied();
        if matches!(command, SET_VOLTAGE | ENABLE) && data.is_none() {
            return;
        }
        self.frame.clear();
        self.answer.clear();
        if self.has(&Fault::ControllerRefuses { chain: self.chain }) {
            return;
        }
        match (command, data) {
            (GET_VERSION, _) if !self.runs() => self.answer.push_back(LOADER_VERSION),
            (JUMP, _) => self.runs_from = self.runs_from.or(Some(self.world.now() + START)),
            (RESET, _) => {
                self.runs_from = None;
                self.switch(false);
            }
            _ if !self.runs() => {}
            (GET_VERSION, _) => self.answer.push_back(VERSION),
            (GET_VOLTAGE, _) => self.answer.push_back(self.setting),
            (HEARTBEAT, _) => self.beat(),
            (ENABLE, Some(on)) => self.switch(on != 0),
            (SET_VOLTAGE, Some(setting)) => {
                self.setting = setting;
                let told_mv = (1_608.420_4 - f32::from(setting)) / 170.423_5 * 1000.0;
                self.change(|controller| controller.told_mv = Some(told_mv));
            }
            _ => {}
        }
    }

    /// The dsPIC's frames: a length that counts itself, command, data and a sum of eight bits.
    fn take_counted(&mut self, length: u8) {
        if !(3..=16).contains(&length) {
            self.frame.clear();
            return;
        }
        if self.frame.len() < usize::from(length) + 2 {
            return;
        }
        let frame = std::mem::take(&mut self.frame);
        self.answer.clear();
        let Some((sum, body)) = frame.get(2..).and_then(<[u8]>::split_last) else {
            return;
        };
        if sum8(body) != *sum || self.has(&Fault::ControllerRefuses { chain: self.chain }) {
            self.answer.push_back(0xF5);
            return;
        }
        let data = match *body {
            [_, GET_VERSION] => vec![VERSION, 0],
            [_, HEARTBEAT, ..] => {
                self.beat();
                vec![1, 0, 0]
            }
            [_, ENABLE, on] => {
                self.switch(on != 0);
                vec![on, 0]
            }
            [_, GET_VOLTAGE, ..] => vec![0, self.setting, 0],
            _ => {
                self.answer.push_back(0xF5);
                return;
            }
        };
        let command = body.get(1).copied().unwrap_or(0);
        let counted = [&[data.len() as u8 + 3, command][..], &data].concat();
        self.answer = counted.iter().copied().chain([sum8(&counted)]).collect();
    }
}

impl I2cDevice for VoltageController {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BusError> {
        self.acknowledges()?;
        for byte in bytes {
            self.take(*byte);
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), BusError> {
        self.acknowledges()?;
        for slot in into {
            *slot = self.answer.pop_front().unwrap_or(0xFF);
        }
        Ok(())
    }
}

fn sum8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
