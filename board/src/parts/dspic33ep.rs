//! dsPIC33EP on the hash boards of S17 and later: frames `55 AA len command data.. sum`, answered by
//! `len command data.. sum` without the preamble. `len` counts itself, the command, the data and the sum.
//!
//! After `DCentralTech/DCENT_OS` (frame format, its table of checked frames, captured answers); this project has run it on no
//! hardware. The scale of its voltage setting is not public, so the driver leaves that alone: the rail of these machines
//! is set at the supply.

use super::controller::VoltageController;
use super::error::{PartError, Problem, Register, Site, register};
use cgminer_hal::units::Millivolts;
use embedded_hal::i2c::I2c;
use heapless::Vec;

const SET_VOLTAGE: Register = register("SET_VOLTAGE", 0x10);
const ENABLE_VOLTAGE: Register = register("ENABLE_VOLTAGE", 0x15);
const SEND_HEART_BEAT: Register = register("SEND_HEART_BEAT", 0x16);
const GET_VERSION: Register = register("GET_VERSION", 0x17);
const GET_VOLTAGE: Register = register("GET_VOLTAGE", 0x18);

const PREAMBLE: [u8; 2] = [0x55, 0xAA];
/// First byte of an answer that refuses.
const REFUSED: u8 = 0xF5;
/// Longest answer that the driver asks for.
const ANSWER_MAX: usize = 6;

/// A controller of an S17 or S19 hash board.
pub struct Dspic33ep<I> {
    bus: I,
    site: Site,
}

impl<I: I2c> Dspic33ep<I> {
    /// A controller at a 7-bit address, 0x20 to 0x22.
    pub fn new(bus: I, address: u8) -> Self {
        Self {
            bus,
            site: Site {
                part: "dsPIC33EP",
                address,
            },
        }
    }

    /// The setting of the converter, in the controller's own steps, whose scale is not public.
    pub fn setting(&mut self) -> Result<[u8; 2], PartError> {
        let answer = self.exchange(GET_VOLTAGE, &[0], 6)?;
        match answer.as_slice() {
            [first, second, ..] => Ok([*first, *second]),
            short => Err(self.short(GET_VOLTAGE, short.len())),
        }
    }

    /// Sends a frame and reads the body of its answer, of so many bytes with length and sum.
    fn exchange(
        &mut self,
        command: Register,
        data: &[u8],
        length: usize,
    ) -> Result<Vec<u8, ANSWER_MAX>, PartError> {
        self.bus
            .write(self.site.address, &encode(command.code, data))
            .map_err(self.site.bus(command))?;
        let mut raw = [0; ANSWER_MAX];
        let raw = raw.get_mut(..length).unwrap_or_default();
        self.bus
            .read(self.site.address, raw)
            .map_err(self.site.bus(command))?;
        decode(command.code, raw).map_err(|problem| self.site.error(command, problem))
    }

    fn short(&self, command: Register, length: usize) -> PartError {
        self.site.error(
            command,
            Problem::Damaged(format!("an answer with {length} bytes of data")),
        )
    }
}

/// A request of at most one byte of data.
pub fn encode(command: u8, data: &[u8]) -> Vec<u8, 6> {
    let data = data.iter().copied().take(1);
    let length = 3 + data.len() as u8;
    let sum = [length, command]
        .into_iter()
        .chain(data.clone())
        .fold(0_u8, u8::wrapping_add);
    PREAMBLE
        .into_iter()
        .chain([length, command])
        .chain(data)
        .chain([sum])
        .collect()
}

/// The data of an answer to `command`.
pub fn decode(command: u8, raw: &[u8]) -> Result<Vec<u8, ANSWER_MAX>, Problem> {
    let damaged = |text: String| Err(Problem::Damaged(text));
    match raw {
        [REFUSED, ..] => return Err(Problem::Refused),
        [0xFF, 0xFF, ..] => {
            return damaged("the bus reads 0xff, as one that nobody drives".to_owned());
        }
        _ => {}
    }
    let [length, echoed, rest @ ..] = raw else {
        return damaged(format!("{} bytes", raw.len()));
    };
    if usize::from(*length) != raw.len() {
        return damaged(format!("length {length} where {} bytes are due", raw.len()));
    }
    if *echoed != command {
        return damaged(format!("an answer to {echoed:#04x}, not to {command:#04x}"));
    }
    let Some((got, data)) = rest.split_last() else {
        return damaged(format!("{} bytes", raw.len()));
    };
    let expected = [length, echoed]
        .into_iter()
        .chain(data)
        .fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    if *got != expected {
        return damaged(format!("sum {got:#04x} where {expected:#04x} is due"));
    }
    Vec::from_slice(data).map_err(|()| Problem::Damaged(format!("{} bytes", raw.len())))
}

impl<I: I2c + Send> VoltageController for Dspic33ep<I> {
    fn start(&mut self) -> Result<u8, PartError> {
        let answer = self.exchange(GET_VERSION, &[], 5)?;
        answer
            .first()
            .copied()
            .ok_or_else(|| self.short(GET_VERSION, 0))
    }

    fn heartbeat(&mut self) -> Result<(), PartError> {
        let answer = self.exchange(SEND_HEART_BEAT, &[0], 6)?;
        match answer.first() {
            Some(1) => Ok(()),
            _ => Err(self.site.error(SEND_HEART_BEAT, Problem::Refused)),
        }
    }

    fn switch(&mut self, on: bool) -> Result<(), PartError> {
        let answer = self.exchange(ENABLE_VOLTAGE, &[u8::from(on)], 5)?;
        match answer.first() {
            Some(state) if *state == u8::from(on) => Ok(()),
            Some(state) => {
                let problem = Problem::NotTaken {
                    set: u8::from(on).to_string(),
                    read: state.to_string(),
                };
                Err(self.site.error(ENABLE_VOLTAGE, problem))
            }
            None => Err(self.short(ENABLE_VOLTAGE, 0)),
        }
    }

    fn set_voltage(&mut self, _: Millivolts) -> Result<Millivolts, PartError> {
        let problem =
            Problem::Unsupported("setting its voltage, whose scale is not public; set the supply");
        Err(self.site.error(SET_VOLTAGE, problem))
    }
}
