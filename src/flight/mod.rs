//! The flight recorder: events of chips and of the keeper in a ring that survives the process, however it ends.
//!
//! A frame is what defmt puts on its wire, without its framing, as a slot of the ring is one: index of the format string
//! (`u16`), time (`{=u64:us}`, microseconds since 1970), then the arguments in the order of the format string, little
//! endian. Strings that are said often are interned (`{=istr}`). Unlike defmt's, the strings stand in the ring's own head and
//! not in an ELF file, so that the record of a version can be read by any other one, and the program may be stripped.
//!
//! Recording is a few stores to memory: no system call, no allocation, no wait. A frame that comes while another thread
//! records is left out and counted.

#[cfg(feature = "flight-recorder")]
mod decode;
#[cfg(feature = "flight-recorder")]
mod sink;

#[cfg(feature = "flight-recorder")]
pub use decode::{DecodeError, Decoded, Line, decode};
#[cfg(feature = "flight-recorder")]
pub use sink::start;

use cgminer_hal::units::{Celsius, DutyPercent, Megahertz, Millivolts};

/// Name of a ring's file.
pub const FILE: &str = "flight.ring";
/// Bytes of a frame at most.
const LONGEST: usize = 22;

/// What is recorded. The number is the index of its format string.
#[derive(Clone, Copy)]
#[repr(u16)]
enum Kind {
    Started,
    BringUp,
    JobSent,
    Nonce,
    CrcErrors,
    Register,
    Reset,
    Clock,
    Failed,
    Decision,
    Rail,
    Target,
    #[cfg_attr(
        not(feature = "flight-recorder"),
        expect(dead_code, reason = "without a ring nothing is left out")
    )]
    LeftOut,
}

/// Format strings by the number of their kind, then the interned strings. New ones go to the end of their part; a changed
/// table begins a new ring.
pub const STRINGS: [&str; 13 + NAMES.len()] = {
    let mut all = [""; 13 + NAMES.len()];
    let formats = [
        "process {=u32} began to record",
        "chain {=u8}: bring-up begins",
        "chain {=u8}: job {=u64} sent as work {=u8}",
        "chain {=u8}: nonce {=u32:08x} of chip {=u16} for work {=u8}: {=istr}",
        "chain {=u8}: {=u32} replies with a wrong CRC",
        "chain {=u8}: chip {=u8:#04x} says {=u32:#010x} in register {=u8:#04x}",
        "chain {=u8}: reset line {=istr}",
        "chain {=u8}: clock set to {=f32} MHz",
        "chain {=u8}: failed",
        "keeper: {=istr}, supply {=istr}, fans at {=f32} %",
        "keeper: rail asked for {=u32} mV",
        "keeper: cooling aims at {=f32} C, {=u8} fans must turn",
        "{=u32} events were left out: two threads recorded at once",
    ];
    let mut index = 0;
    while index < formats.len() {
        all[index] = formats[index];
        index += 1;
    }
    while index < all.len() {
        all[index] = NAMES[index - formats.len()];
        index += 1;
    }
    all
};

/// Interned strings.
const NAMES: [&str; 26] = [
    "?",
    "off",
    "on",
    "held",
    "released",
    "not known",
    "boot",
    "standby",
    "power-up",
    "running",
    "hot",
    "dangerous",
    "cool-down",
    "fan-only",
    "latched",
    "stopping",
    "stopped",
    "share",
    "right",
    "stale",
    "below the ticket mask",
    "wrong",
    "repeated",
    "no such work",
    "no such midstate",
    "forbidden version bits",
];

/// A process begins.
pub fn started(process: u32) {
    record(&Frame::of(Kind::Started).u32(process));
}

/// A chain is about to be brought up.
pub fn bring_up(chain: u8) {
    record(&Frame::of(Kind::BringUp).u8(chain));
}

/// Work was sent to a chain.
pub fn job_sent(chain: u8, job: u64, slot: u8) {
    record(&Frame::of(Kind::JobSent).u8(chain).u64(job).u8(slot));
}

/// A chip found something; `worth` is one of the interned strings.
pub fn nonce(chain: u8, nonce: u32, chip: Option<u16>, slot: u8, worth: &str) {
    let frame = Frame::of(Kind::Nonce).u8(chain).u32(nonce);
    record(&frame.u16(chip.unwrap_or(u16::MAX)).u8(slot).name(worth));
}

/// So many replies more had a wrong checksum.
pub fn crc_errors(chain: u8, more: u32) {
    record(&Frame::of(Kind::CrcErrors).u8(chain).u32(more));
}

/// A chip told a register.
pub fn register(chain: u8, chip: u8, value: u32, register: u8) {
    let frame = Frame::of(Kind::Register).u8(chain).u8(chip);
    record(&frame.u32(value).u8(register));
}

/// A chain's reset line is known to be held, or released; none: not known.
pub fn reset(chain: u8, held: Option<bool>) {
    let name = match held {
        Some(true) => "held",
        Some(false) => "released",
        None => "not known",
    };
    record(&Frame::of(Kind::Reset).u8(chain).name(name));
}

/// A step of a chain's clock was written.
pub fn clock(chain: u8, frequency: Megahertz) {
    record(&Frame::of(Kind::Clock).u8(chain).f32(frequency.0));
}

/// A chain failed.
pub fn failed(chain: u8) {
    record(&Frame::of(Kind::Failed).u8(chain));
}

/// The keeper decided something else than before.
pub fn decision(state: &str, supply: bool, fans: DutyPercent) {
    let supply = if supply { "on" } else { "off" };
    let frame = Frame::of(Kind::Decision).name(state).name(supply);
    record(&frame.f32(fans.0));
}

/// The keeper asks the supply for a voltage.
pub fn rail(voltage: Millivolts) {
    record(&Frame::of(Kind::Rail).u32(voltage.0));
}

/// The keeper granted another choice of cooling.
pub fn target(target: Celsius, fans: u8) {
    record(&Frame::of(Kind::Target).f32(target.0).u8(fans));
}

/// A frame in the making. What would be too long is left out, which a test rules out.
struct Frame {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Frame {
    fn of(kind: Kind) -> Self {
        let frame = Self {
            bytes: [0; LONGEST],
            length: 0,
        };
        frame.u16(kind as u16).u64(now())
    }

    fn put(mut self, bytes: &[u8]) -> Self {
        let end = self.length + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        } else {
            debug_assert!(false, "a frame is longer than a slot");
        }
        self
    }

    fn u8(self, value: u8) -> Self {
        self.put(&[value])
    }

    fn u16(self, value: u16) -> Self {
        self.put(&value.to_le_bytes())
    }

    fn u32(self, value: u32) -> Self {
        self.put(&value.to_le_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.put(&value.to_le_bytes())
    }

    fn f32(self, value: f32) -> Self {
        self.put(&value.to_le_bytes())
    }

    fn name(self, name: &str) -> Self {
        let index = STRINGS.iter().rposition(|known| *known == name);
        let unknown = STRINGS.len() - NAMES.len();
        self.u16(index.unwrap_or(unknown) as u16)
    }
}

#[cfg(feature = "flight-recorder")]
fn record(frame: &Frame) {
    sink::put(&frame.bytes);
}

#[cfg(feature = "flight-recorder")]
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

/// Without the recorder nothing of an event is kept, and nothing of its frame is left in the program.
#[cfg(not(feature = "flight-recorder"))]
#[inline]
fn record(_: &Frame) {}

#[cfg(not(feature = "flight-recorder"))]
fn now() -> u64 {
    0
}

/// Begins to record into a file of so many KiB, if any are wished for.
///
/// # Errors
/// Never where none are wished for; otherwise always, as this build has no recorder.
#[cfg(not(feature = "flight-recorder"))]
pub fn start(_: &std::path::Path, kib: u32) -> Result<(), &'static str> {
    if kib == 0 {
        Ok(())
    } else {
        Err("this build has none; build with the feature `flight-recorder`")
    }
}
