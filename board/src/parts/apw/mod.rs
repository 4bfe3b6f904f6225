//! Bitmain's APW9 and APW12 supplies: frames, a byte at a time, through one I2C register.
//!
//! After "Protocol for interaction with power supplies Antminer S17" and `psu_test.c` of
//! `HashSource/hashsource_antminer_x19`, and skot/amlogic-cb-tools, whose publishers ran it on hardware; this project has
//! not. The supply has no current or power reading.

mod frame;

pub use frame::{FRAME_MAX, Frame, FrameError};

use super::error::{PartError, Problem, Register, Site, register};
use super::supply::{Supply, SupplyReply, SupplyRequest};
use crate::file::SupplyPart;
use crate::moment::Moment;
use crate::power::Measured;
use cgminer_hal::units::Millivolts;
use embedded_hal::i2c::I2c;
use std::ops::RangeInclusive;
use std::time::Duration;

const PROTOCOL: Register = register("PROTOCOL", 0x00);
const DATA: Register = register("DATA", 0x11);
const GET_TYPE: Register = register("GET_TYPE", 0x02);
const GET_VOLTAGE: Register = register("GET_VOLTAGE", 0x03);
const MEASURE_VOLTAGE: Register = register("MEASURE_VOLTAGE", 0x04);
const WATCHDOG: Register = register("WATCHDOG", 0x81);
const SET_VOLTAGE: Register = register("SET_VOLTAGE", 0x83);

/// PROTOCOL of a supply that speaks frames, and what DATA reads while it refuses or has no answer yet.
const SPEAKS_FRAMES: u8 = 0xF5;
/// From the last byte of a request to the first look for its answer.
const ANSWER_AFTER: Duration = Duration::from_millis(400);
/// From there to giving up.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_500);
/// Bytes looked at for the beginning of a frame, in one poll.
const SKIPPED_MAX: usize = 8;

/// What an APW9 can be set to (its protocol document).
pub(super) const APW9_RANGE: RangeInclusive<Millivolts> = Millivolts(14_300)..=Millivolts(21_360);
/// What an APW12 can be set to: its steps 246 to 9.
pub(super) const APW12_RANGE: RangeInclusive<Millivolts> = Millivolts(12_000)..=Millivolts(15_010);

/// Which APW.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApwModel {
    /// S17 generation.
    Apw9,
    /// S19 generation.
    Apw12,
}

impl ApwModel {
    /// The model that a board file names.
    pub const fn of(part: SupplyPart) -> Option<Self> {
        match part {
            SupplyPart::Apw9 => Some(Self::Apw9),
            SupplyPart::Apw12 => Some(Self::Apw12),
            SupplyPart::Pmbus => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Apw9 => "APW9",
            Self::Apw12 => "APW12",
        }
    }

    /// Type codes that public sources name: 0x41 in the APW9 document; 0x71 in `psu_test.c` for the APW12 whose steps the
    /// formula is of.
    const fn type_code(self) -> u16 {
        match self {
            Self::Apw9 => 0x41,
            Self::Apw12 => 0x71,
        }
    }

    /// Step of the converter for a voltage, held to the steps that the part has. More steps are fewer volts.
    pub fn step(self, voltage: Millivolts) -> u8 {
        let millivolts = i64::from(voltage.0);
        let step = match self {
            Self::Apw9 => ((21_360 - millivolts) * 253 + 3_530)
                .div_euclid(7_060)
                .clamp(0, 253),
            Self::Apw12 => ((1_190_935_338 - 78_743 * millivolts) / 1_000_000).clamp(9, 246),
        };
        step as u8
    }

    /// Voltage of a step; `None` for one that the part does not have.
    pub fn voltage(self, step: u16) -> Option<Millivolts> {
        let step = i64::from(step);
        let millivolts = match self {
            Self::Apw9 if step <= 253 => 21_360 - (7_060 * step + 126) / 253,
            Self::Apw12 if (9..=246).contains(&step) => (1_190_935_338 - step * 1_000_000) / 78_743,
            _ => return None,
        };
        u32::try_from(millivolts).ok().map(Millivolts)
    }
}

/// The output that an APW12 measured.
pub fn measured_voltage(raw: u16) -> Millivolts {
    Millivolts(((f32::from(raw) + 0.8615) / 63.017 * 1000.0).round() as u32)
}

/// An APW9 or APW12.
pub struct Apw<I> {
    bus: I,
    site: Site,
    model: ApwModel,
    allowed: RangeInclusive<Millivolts>,
    under_way: Option<UnderWay>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    request: SupplyRequest,
    command: Register,
    sent: Moment,
}

impl<I: I2c> Apw<I> {
    /// A supply at a 7-bit address, 0x10, that may be set to the voltages of the board file.
    pub fn new(bus: I, address: u8, model: ApwModel, allowed: RangeInclusive<Millivolts>) -> Self {
        let site = Site {
            part: model.name(),
            address,
        };
        Self {
            bus,
            site,
            model,
            allowed,
            under_way: None,
        }
    }

    fn send(&mut self, command: Register, payload: &[u8]) -> Result<(), PartError> {
        let frame = Frame::new(command.code, payload).map_err(|error| {
            self.site
                .error(command, Problem::Damaged(error.to_string()))
        })?;
        for byte in frame.encode() {
            self.bus
                .write(self.site.address, &[DATA.code, byte])
                .map_err(self.site.bus(command))?;
        }
        Ok(())
    }

    fn check_protocol(&mut self) -> Result<(), PartError> {
        let mut protocol = [0];
        self.bus
            .write_read(self.site.address, &[PROTOCOL.code], &mut protocol)
            .map_err(self.site.bus(PROTOCOL))?;
        if protocol == [SPEAKS_FRAMES] {
            return Ok(());
        }
        let read = format!("protocol {:#04x}", protocol[0]);
        Err(self.site.error(
            PROTOCOL,
            Problem::WrongPart {
                read,
                expected: "protocol 0xf5",
            },
        ))
    }

    fn byte(&mut self, command: Register) -> Result<u8, PartError> {
        let mut byte = [0];
        self.bus
            .write_read(self.site.address, &[DATA.code], &mut byte)
            .map_err(self.site.bus(command))?;
        Ok(byte[0])
    }

    /// The frame that is there now, if any.
    fn receive(&mut self, command: Register) -> Result<Frame, PartError> {
        let mut first = self.byte(command)?;
        for _ in 0..SKIPPED_MAX {
            match first {
                frame::PREAMBLE_1 => {
                    let mut raw = heapless::Vec::<u8, FRAME_MAX>::new();
                    let mut next = first;
                    // The vector's bound ends the loop whatever the bytes say.
                    while raw.push(next).is_ok() && !frame::is_whole(&raw) {
                        next = self.byte(command)?;
                    }
                    return Frame::decode(&raw).map_err(|error| {
                        self.site
                            .error(command, Problem::Damaged(format!("{error} in {raw:02x?}")))
                    });
                }
                SPEAKS_FRAMES => return Err(self.site.error(command, Problem::Refused)),
                _ => first = self.byte(command)?,
            }
        }
        let problem = Problem::Damaged(format!("no frame, but {first:#04x}"));
        Err(self.site.error(command, problem))
    }

    fn answer(&self, under_way: UnderWay, frame: &Frame) -> Result<SupplyReply, PartError> {
        let UnderWay {
            request, command, ..
        } = under_way;
        let error = |problem| self.site.error(command, problem);
        if frame.command() != command.code {
            let read = format!("an answer to {:#04x}", frame.command());
            return Err(error(Problem::Damaged(read)));
        }
        let [low, high] = *frame.payload() else {
            let read = format!("a body of {} bytes, two are due", frame.payload().len());
            return Err(error(Problem::Damaged(read)));
        };
        let word = u16::from_le_bytes([low, high]);
        let no_such_step = || {
            error(Problem::Implausible {
                read: format!("step {word}"),
                hint: "the part has no such step",
            })
        };
        match request {
            SupplyRequest::Identify if word == self.model.type_code() => Ok(SupplyReply::Identity(
                format!("{} type {word:#04x}", self.model.name()),
            )),
            SupplyRequest::Identify => {
                let expected = match self.model {
                    ApwModel::Apw9 => "type 0x41",
                    ApwModel::Apw12 => "type 0x71",
                };
                Err(error(Problem::WrongPart {
                    read: format!("type {word:#04x}"),
                    expected,
                }))
            }
            SupplyRequest::SetVoltage(asked) => {
                let step = u16::from(self.model.step(asked));
                if word != step {
                    let problem = Problem::NotTaken {
                        set: format!("step {step}"),
                        read: format!("step {word}"),
                    };
                    return Err(error(problem));
                }
                self.model
                    .voltage(step)
                    .map(SupplyReply::Set)
                    .ok_or_else(no_such_step)
            }
            SupplyRequest::Setting => self
                .model
                .voltage(word)
                .map(SupplyReply::Setting)
                .ok_or_else(no_such_step),
            SupplyRequest::Measure => {
                let volts = measured_voltage(word);
                if volts > crate::limits::RAIL_MAX {
                    let hint = "no such supply delivers that";
                    return Err(error(Problem::Implausible {
                        read: volts.to_string(),
                        hint,
                    }));
                }
                let measured = Measured {
                    volts,
                    power: None,
                    temperature: None,
                    tripped: false,
                };
                Ok(SupplyReply::Measured(measured))
            }
            SupplyRequest::Watchdog(on) if word == u16::from(on) => Ok(SupplyReply::Done),
            SupplyRequest::Watchdog(on) => Err(error(Problem::NotTaken {
                set: format!("{}", u16::from(on)),
                read: word.to_string(),
            })),
            SupplyRequest::Switch(_) => Err(error(Problem::Unsupported(
                "switching; use its enable line",
            ))),
        }
    }
}

impl<I: I2c + Send> Supply for Apw<I> {
    fn begin(&mut self, request: SupplyRequest, now: Moment) -> Result<(), PartError> {
        if let Some(UnderWay { command, .. }) = self.under_way {
            return Err(self.site.error(command, Problem::Busy(command.name)));
        }
        let command = match request {
            SupplyRequest::Identify => {
                self.check_protocol()?;
                self.send(GET_TYPE, &[])?;
                GET_TYPE
            }
            SupplyRequest::SetVoltage(voltage) => {
                if !self.allowed.contains(&voltage) {
                    let (least, most) = (self.allowed.start(), self.allowed.end());
                    let problem = Problem::OutOfRange {
                        asked: voltage.to_string(),
                        allowed: format!("{least} to {most}"),
                    };
                    return Err(self.site.error(SET_VOLTAGE, problem));
                }
                self.send(SET_VOLTAGE, &[self.model.step(voltage), 0])?;
                SET_VOLTAGE
            }
            SupplyRequest::Setting => {
                self.send(GET_VOLTAGE, &[])?;
                GET_VOLTAGE
            }
            SupplyRequest::Measure if self.model == ApwModel::Apw9 => {
                let problem = Problem::Unsupported("measuring: no public document gives its scale");
                return Err(self.site.error(MEASURE_VOLTAGE, problem));
            }
            SupplyRequest::Measure => {
                self.send(MEASURE_VOLTAGE, &[])?;
                MEASURE_VOLTAGE
            }
            SupplyRequest::Watchdog(on) => {
                self.send(WATCHDOG, &[u8::from(on), 0])?;
                WATCHDOG
            }
            SupplyRequest::Switch(_) => {
                let problem = Problem::Unsupported("switching; use its enable line");
                return Err(self.site.error(DATA, problem));
            }
        };
        self.under_way = Some(UnderWay {
            request,
            command,
            sent: now,
        });
        Ok(())
    }

    fn poll(&mut self, now: Moment) -> Option<Result<SupplyReply, PartError>> {
        let under_way = self.under_way?;
        let waited = now.since(under_way.sent);
        if waited < ANSWER_AFTER {
            return None;
        }
        let result = self.receive(under_way.command);
        let may_still_come = matches!(
            &result,
            Err(PartError {
                problem: Problem::Refused | Problem::Bus { .. },
                ..
            })
        );
        if may_still_come && waited < ANSWER_WITHIN {
            return None;
        }
        self.under_way = None;
        Some(result.and_then(|frame| self.answer(under_way, &frame)))
    }
}
