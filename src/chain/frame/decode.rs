//! Replies from the chips, out of a stream of bytes that may be split, merged and damaged anywhere.
//!
//! ```text
//! 11 bytes  AA 55 | value[4] | b6 | b7 | version[2] | type, crc     BM136x and BM1370 once register A4 is written
//!  9 bytes  AA 55 | value[4] | b6 | b7 | type, crc                  BM1397 always, the others before that
//!  7 bytes          value[4] | b6 | b7 | type, crc                  BM1387
//! ```
//!
//! A candidate is taken when its preamble, its CRC-5 and its type are right. A rejected one costs its first byte only: the
//! search goes on behind it, so the next frame's `AA 55` is found even inside the rejected bytes.

use crate::chain::crc::reply_is_undamaged;
use crate::chain::registers::Register;

/// Opens every reply of a chip that has a preamble.
pub const PREAMBLE: [u8; 2] = [0xAA, 0x55];

/// How replies look at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyFormat {
    /// Seven bytes without preamble (BM1387).
    Seven,
    /// Nine bytes (BM1397; later chips until version rolling is switched on).
    Nine,
    /// Eleven bytes with rolled version bits.
    Eleven,
}

impl ReplyFormat {
    /// Bytes of a reply on the wire.
    pub fn bytes(self) -> usize {
        match self {
            Self::Seven => 7,
            Self::Nine => 9,
            Self::Eleven => 11,
        }
    }
}

/// A reply whose checksum and type are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A register's value.
    Register(RegisterReply),
    /// A found nonce.
    Nonce(NonceReply),
}

/// A register's value as a chip reports it, asked for or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterReply {
    /// The value.
    pub value: u32,
    /// Address of the chip that answers; 0 while it has none.
    pub chip_address: u8,
    /// Which register.
    pub register: Register,
}

/// A nonce as a chip reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceReply {
    /// The four bytes, as they stand in the header.
    pub nonce: [u8; 4],
    /// On BM1397 the number of the midstate, later the excess of difficulty over the ticket mask; not needed for either.
    pub sixth: u8,
    /// Job and place within the chip; how it divides is the model's.
    pub result_header: u8,
    /// Rolled version bits 28 to 13; 0 in formats that do not carry them.
    pub version: u16,
}

impl NonceReply {
    /// The nonce as the number in the header (little-endian there).
    pub fn header_nonce(&self) -> u32 {
        u32::from_le_bytes(self.nonce)
    }

    /// Rolled version bits at their place in the header's version.
    pub fn version_bits(&self) -> u32 {
        u32::from(self.version) << 13
    }
}

/// What the stream has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecoderCounters {
    /// Replies handed out.
    pub frames: u64,
    /// Bytes that belonged to no reply.
    pub lost_bytes: u64,
    /// Candidates behind a preamble whose checksum was wrong.
    pub crc_errors: u64,
    /// Candidates with a right checksum and a type that no chip sends.
    pub unknown_types: u64,
}

/// Bytes held at most: three full rounds of replies from the longest chain.
const CAPACITY: usize = 4096;

/// Takes bytes as they arrive and gives replies. Never allocates after it was made, never panics.
#[derive(Debug)]
pub struct Decoder {
    bytes: Box<[u8; CAPACITY]>,
    start: usize,
    end: usize,
    format: ReplyFormat,
    counters: DecoderCounters,
}

impl Decoder {
    /// A decoder without bytes.
    pub fn new(format: ReplyFormat) -> Self {
        Self {
            bytes: Box::new([0; CAPACITY]),
            start: 0,
            end: 0,
            format,
            counters: DecoderCounters::default(),
        }
    }

    /// The format that replies are taken to have.
    pub fn format(&self) -> ReplyFormat {
        self.format
    }

    /// Sets the format from the next byte on; what is held and not yet taken is then read in it too.
    pub fn set_format(&mut self, format: ReplyFormat) {
        self.format = format;
    }

    /// What the stream has been through since the decoder was made.
    pub fn counters(&self) -> DecoderCounters {
        self.counters
    }

    /// Forgets the bytes held, uncounted: for when the line itself was reset.
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Room to read into; never empty as long as [`Self::next_reply`] was called until `None`. Report what was read with
    /// [`Self::advance`].
    pub fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Says that the first `count` bytes of [`Self::room`] now hold what was received.
    pub fn advance(&mut self, count: usize) {
        self.end = (self.end + count).min(CAPACITY);
    }

    /// Copies received bytes in and returns how many there was room for.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let count = room.len().min(bytes.len());
        if let (Some(room), Some(bytes)) = (room.get_mut(..count), bytes.get(..count)) {
            room.copy_from_slice(bytes);
        }
        self.advance(count);
        count
    }

    /// The next reply, or `None` until more bytes arrive.
    #[inline]
    pub fn next_reply(&mut self) -> Option<Reply> {
        loop {
            let held = self.bytes.get(self.start..self.end)?;
            let candidate = match self.format {
                ReplyFormat::Eleven => eleven(held),
                ReplyFormat::Nine => nine(held),
                ReplyFormat::Seven => seven(held),
            };
            match candidate {
                Candidate::TooShort => return None,
                Candidate::Reply(reply) if !self.hides_another() => {
                    self.start += self.format.bytes();
                    self.counters.frames += 1;
                    return Some(reply);
                }
                Candidate::Reply(_) | Candidate::Damaged => {
                    self.counters.crc_errors += 1;
                    self.skip(1);
                }
                Candidate::UnknownType => {
                    self.counters.unknown_types += 1;
                    self.skip(1);
                }
                Candidate::NoPreamble => self.skip_to_preamble(),
            }
        }
    }

    /// Whether a candidate with a right checksum is more likely a damaged frame with the next one's head in its tail.
    ///
    /// One damaged frame in 128 passes a check of five bits and a type. When bytes were lost from it, it reaches into the
    /// next frame; then no preamble follows it, and that next frame stands whole inside and behind it.
    #[inline]
    fn hides_another(&self) -> bool {
        if self.format == ReplyFormat::Seven {
            return false;
        }
        let length = self.format.bytes();
        let held = self.bytes.get(self.start..self.end).unwrap_or_default();
        let behind = held.get(length..).unwrap_or_default();
        if behind.is_empty() || begins_like_preamble(behind) {
            return false;
        }
        (1..length).any(|offset| {
            let inner = held.get(offset..).unwrap_or_default();
            let inner = match self.format {
                ReplyFormat::Eleven => eleven(inner),
                _ => nine(inner),
            };
            matches!(inner, Candidate::Reply(_))
        })
    }

    fn skip(&mut self, count: usize) {
        self.start += count;
        self.counters.lost_bytes += count as u64;
    }

    fn skip_to_preamble(&mut self) {
        let held = self.bytes.get(self.start..self.end).unwrap_or_default();
        let found =
            (1..held.len()).find(|&offset| held.get(offset..).is_some_and(begins_like_preamble));
        self.skip(found.unwrap_or(held.len()));
    }
}

/// Reads any bytes in each format and says whether every one of them is in a reply, or counted as lost, or held for more to
/// come. What the fuzz target calls.
pub fn account_for(bytes: &[u8]) -> bool {
    let formats = [ReplyFormat::Seven, ReplyFormat::Nine, ReplyFormat::Eleven];
    formats.into_iter().all(|format| {
        let mut decoder = Decoder::new(format);
        let mut pushed = 0;
        for piece in bytes.chunks(CAPACITY / 2) {
            pushed += decoder.push(piece);
            while decoder.next_reply().is_some() {}
        }
        let counters = decoder.counters();
        let replied = counters.frames * format.bytes() as u64;
        let held = (decoder.end - decoder.start) as u64;
        pushed == bytes.len()
            && replied + counters.lost_bytes + held == pushed as u64
            && held < format.bytes() as u64
    })
}

enum Candidate {
    Reply(Reply),
    Damaged,
    UnknownType,
    NoPreamble,
    TooShort,
}

/// Whether bytes are a preamble, or the half of one that has arrived.
#[inline]
fn begins_like_preamble(bytes: &[u8]) -> bool {
    match bytes {
        [first, second, ..] => [*first, *second] == PREAMBLE,
        [first] => *first == PREAMBLE[0],
        [] => true,
    }
}

#[inline]
fn eleven(held: &[u8]) -> Candidate {
    let Some(frame) = held.first_chunk::<11>() else {
        return incomplete(held);
    };
    let [p0, p1, body @ ..] = frame;
    if [*p0, *p1] != PREAMBLE {
        return Candidate::NoPreamble;
    }
    let body: &[u8; 9] = body;
    if !reply_is_undamaged(body) {
        return Candidate::Damaged;
    }
    let [a, b, c, d, sixth, seventh, v0, v1, last] = *body;
    reply(
        [a, b, c, d],
        sixth,
        seventh,
        u16::from_be_bytes([v0, v1]),
        last,
    )
}

#[inline]
fn nine(held: &[u8]) -> Candidate {
    let Some(frame) = held.first_chunk::<9>() else {
        return incomplete(held);
    };
    let [p0, p1, body @ ..] = frame;
    if [*p0, *p1] != PREAMBLE {
        return Candidate::NoPreamble;
    }
    short(*body)
}

fn seven(held: &[u8]) -> Candidate {
    held.first_chunk::<7>()
        .map_or(Candidate::TooShort, |body| short(*body))
}

#[inline]
fn short(body: [u8; 7]) -> Candidate {
    if !reply_is_undamaged(&body) {
        return Candidate::Damaged;
    }
    let [a, b, c, d, sixth, seventh, last] = body;
    reply([a, b, c, d], sixth, seventh, 0, last)
}

#[inline]
fn reply(value: [u8; 4], sixth: u8, seventh: u8, version: u16, last: u8) -> Candidate {
    match last >> 5 {
        0 => Candidate::Reply(Reply::Register(RegisterReply {
            value: u32::from_be_bytes(value),
            chip_address: sixth,
            register: Register(seventh),
        })),
        4 => Candidate::Reply(Reply::Nonce(NonceReply {
            nonce: value,
            sixth,
            result_header: seventh,
            version,
        })),
        _ => Candidate::UnknownType,
    }
}

/// Fewer bytes than a frame: wait, unless they cannot become one.
fn incomplete(held: &[u8]) -> Candidate {
    if begins_like_preamble(held) {
        Candidate::TooShort
    } else {
        Candidate::NoPreamble
    }
}
