//! As much of DNS messages (RFC 1035) as multicast DNS (RFC 6762) and service discovery (RFC 6763) need here.

use std::net::Ipv4Addr;
use thiserror::Error;

/// Bytes of a message that is looked at: what fits a frame of Ethernet several times over.
pub const LONGEST: usize = 9000;
/// Questions and records of one message that are looked at.
const MOST_RECORDS: usize = 64;
/// Bytes of a name (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 255;
/// Jumps inside one name.
const MOST_JUMPS: usize = 16;

/// Kinds of records.
pub mod kind {
    /// IPv4 address.
    pub const A: u16 = 1;
    /// Another name.
    pub const PTR: u16 = 12;
    /// Texts.
    pub const TXT: u16 = 16;
    /// Host and port.
    pub const SRV: u16 = 33;
    /// Any of them, in questions.
    pub const ANY: u16 = 255;
}

/// Class of the internet.
const IN: u16 = 1;
/// In a record: what was known under this name before is no longer so.
const FLUSH: u16 = 0x8000;
/// An answer, from who knows it.
const RESPONSE: u16 = 0x8400;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no DNS message that is understood here")]
pub struct Malformed;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Name, in small letters, its labels parted by dots.
    pub name: String,
    /// Kind of record asked for.
    pub kind: u16,
}

/// A record that somebody told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Name, in small letters.
    pub name: String,
    /// Kind.
    pub kind: u16,
    /// Seconds that it holds.
    pub ttl: u32,
    /// What it says: a name for PTR, host and port for SRV, else its bytes.
    pub data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// An address.
    A(Ipv4Addr),
    /// A name, in small letters when it was read.
    Ptr(String),
    /// Port and host.
    Srv(u16, String),
    /// `key=value` texts.
    Txt(Vec<String>),
    /// Something else.
    Other,
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Number, 0 in multicast.
    pub id: u16,
    /// Whether it answers.
    pub response: bool,
    /// What is asked.
    pub questions: Vec<Question>,
    /// What is told; in a question, what is known already.
    pub records: Vec<Record>,
}

/// Reads a message. Bounded in everything that bytes could ask for.
///
/// # Errors
/// When it is none, or longer in any way than what is looked at.
pub fn parse(bytes: &[u8]) -> Result<Message, Malformed> {
    if bytes.len() > LONGEST {
        return Err(Malformed);
    }
    let mut at = 12;
    let count = |index: usize| number(bytes, index).map(usize::from);
    let (questions, answers) = (count(4)?, count(6)?);
    let further = count(8)? + count(10)?;
    if questions + answers + further > MOST_RECORDS {
        return Err(Malformed);
    }
    let mut message = Message {
        id: number(bytes, 0)?,
        response: number(bytes, 2)? & 0x8000 != 0,
        ..Message::default()
    };
    for _ in 0..questions {
        let name = name(bytes, &mut at)?;
        let kind = number(bytes, at)?;
        // The class, with the wish for an answer to the asker alone in its highest bit.
        let class = number(bytes, at + 2)? & !FLUSH;
        at += 4;
        if class == IN || class == 255 {
            message.questions.push(Question { name, kind });
        }
    }
    for _ in 0..answers + further {
        let name = name(bytes, &mut at)?;
        let kind = number(bytes, at)?;
        let (high, low) = (number(bytes, at + 4)?, number(bytes, at + 6)?);
        let length = usize::from(number(bytes, at + 8)?);
        at += 10;
        let data = bytes.get(at..at + length).ok_or(Malformed)?;
        let told = read_data(bytes, at, kind, data)?;
        at += length;
        message.records.push(Record {
            name,
            kind,
            ttl: u32::from(high) << 16 | u32::from(low),
            data: told,
        });
    }
    Ok(message)
}

fn read_data(bytes: &[u8], at: usize, kind: u16, data: &[u8]) -> Result<Data, Malformed> {
    match kind {
        kind::A => {
            let address: [u8; 4] = data.try_into().map_err(|_| Malformed)?;
            Ok(Data::A(address.into()))
        }
        kind::PTR => {
            let mut inside = at;
            Ok(Data::Ptr(name(bytes, &mut inside)?))
        }
        kind::SRV => {
            let port = number(bytes, at + 4)?;
            let mut inside = at + 6;
            Ok(Data::Srv(port, name(bytes, &mut inside)?))
        }
        _ => Ok(Data::Other),
    }
}

fn number(bytes: &[u8], at: usize) -> Result<u16, Malformed> {
    let both = bytes.get(at..).and_then(<[u8]>::first_chunk);
    both.map(|both| u16::from_be_bytes(*both)).ok_or(Malformed)
}

/// Reads a name and moves behind it. A jump leads backwards only, and there are few of them.
fn name(bytes: &[u8], at: &mut usize) -> Result<String, Malformed> {
    let mut name = String::new();
    let (mut here, mut jumps) = (*at, 0);
    loop {
        let length = *bytes.get(here).ok_or(Malformed)?;
        match length {
            0 => {
                if jumps == 0 {
                    *at = here + 1;
                }
                return Ok(name);
            }
            1..=63 => {
                let label = bytes
                    .get(here + 1..here + 1 + usize::from(length))
                    .ok_or(Malformed)?;
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
                if name.len() > LONGEST_NAME {
                    return Err(Malformed);
                }
                here += 1 + usize::from(length);
            }
            0xC0..=0xFF => {
                let target = usize::from(number(bytes, here)? & 0x3FFF);
                if jumps == 0 {
                    *at = here + 2;
                }
                jumps += 1;
                if target >= here || jumps > MOST_JUMPS {
                    return Err(Malformed);
                }
                here = target;
            }
            _ => return Err(Malformed),
        }
    }
}

impl Message {
    /// Its bytes; no name is compressed. `unique` records, all but PTR, replace what was known before.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        let flags = if self.response { RESPONSE } else { 0 };
        // A question's records are what the asker wants to have for itself (RFC 6762, 8.2).
        let (answers, authorities) = if self.response {
            (self.records.len(), 0)
        } else {
            (0, self.records.len())
        };
        for word in [
            self.id,
            flags,
            self.questions.len() as u16,
            answers as u16,
            authorities as u16,
            0,
        ] {
            bytes.extend(word.to_be_bytes());
        }
        for question in &self.questions {
            write_name(&mut bytes, &question.name);
            for word in [question.kind, IN] {
                bytes.extend(word.to_be_bytes());
            }
        }
        for record in &self.records {
            write_name(&mut bytes, &record.name);
            let unique = self.response && self.id == 0 && record.kind != kind::PTR;
            let class = if unique { IN | FLUSH } else { IN };
            for word in [record.kind, class] {
                bytes.extend(word.to_be_bytes());
            }
            bytes.extend(record.ttl.to_be_bytes());
            let data = data_bytes(&record.data);
            bytes.extend((data.len() as u16).to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }
}

fn data_bytes(data: &Data) -> Vec<u8> {
    let mut bytes = Vec::new();
    match data {
        Data::A(address) => bytes.extend(address.octets()),
        Data::Ptr(name) => write_name(&mut bytes, name),
        Data::Srv(port, host) => {
            for word in [0, 0, *port] {
                bytes.extend(word.to_be_bytes());
            }
            write_name(&mut bytes, host);
        }
        Data::Txt(texts) => {
            for text in texts {
                let text = text.as_bytes();
                let text = text.get(..text.len().min(255)).unwrap_or_default();
                bytes.push(text.len() as u8);
                bytes.extend(text);
            }
        }
        Data::Other => {}
    }
    bytes
}

fn write_name(bytes: &mut Vec<u8>, name: &str) {
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = label.as_bytes();
        let label = label.get(..label.len().min(63)).unwrap_or_default();
        bytes.push(label.len() as u8);
        bytes.extend(label);
    }
    bytes.push(0);
}
