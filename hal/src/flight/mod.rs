//! A ring of small records in a memory-mapped file: what was stored before a process died, however it died, is there.
//!
//! ```text
//!   0     4096     4128     4160
//!   ├──────┼────────┼────────┼─ … ─┤
//!   head   slot 0   slot 1         a slot: number (8), check (2), payload (22), little endian
//!   head:  magic (8), slots (4), bytes of the table (4), table, zeros
//! ```
//!
//! Slots are of one size and each proves itself by its check, so there is no pointer that could be torn from what it points
//! to: of a process that is killed at any moment one slot at most is lost, and a reader sorts the rest by number.
//! The file is allocated whole when it is made, so that no later store can miss a page of a full file system.

mod map;

use crate::linux::hold;
use map::Map;
use nix::errno::Errno;
use nix::fcntl::Flock;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Bytes that one record may say.
pub const PAYLOAD: usize = 22;
/// Bytes of a slot.
pub const SLOT: usize = 32;
/// Bytes before the first slot.
pub const HEAD: usize = 4096;
/// Bytes of a table at most.
pub const TABLE_LIMIT: usize = HEAD - TABLE_AT;
/// Slots of a ring at most: 16 MiB.
pub const SLOTS_LIMIT: usize = 512 * 1024;

const MAGIC: &[u8; 8] = b"CGFLIGH1";
const TABLE_AT: usize = 16;

/// Why there is no ring.
#[derive(Debug, Error)]
pub enum RingError {
    /// The file cannot be had.
    #[error("{}: {doing}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Another process writes it.
    #[error("{}: another process writes it", .0.display())]
    Taken(PathBuf),
    /// It is no ring, or one of another kind.
    #[error("no flight record: {0}")]
    NotARing(&'static str),
}

/// What stands in a ring's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What the payloads mean, as the writer had it.
    pub table: Vec<u8>,
    /// Whole records by rising number.
    pub records: Vec<Record>,
    /// Slots that hold something and are not whole.
    pub torn: usize,
    /// Slots that the ring has.
    pub slots: usize,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counts from 1 over the life of the file.
    pub number: u64,
    /// What it says; zeros behind it.
    pub payload: [u8; PAYLOAD],
}

/// A ring being written. One for each file.
pub struct Ring {
    map: Map,
    slots: usize,
    next: u64,
}

impl Ring {
    /// Goes on with the ring of a file, or begins one. A file of another kind, size or table is kept as `.old`.
    ///
    /// # Errors
    /// When the file cannot be had, or another process writes it.
    pub fn open(path: &Path, table: &[u8], slots: usize) -> Result<Self, RingError> {
        let slots = slots.clamp(1, SLOTS_LIMIT);
        if table.len() > TABLE_LIMIT {
            return Err(RingError::NotARing("its table is longer than a head"));
        }
        let failed = |doing| {
            let path = path.to_owned();
            move |source| RingError::File {
                path,
                doing,
                source,
            }
        };
        let (mut file, mut contents) = look(path)?;
        let size = HEAD + slots * SLOT;
        let there = file.metadata().map_err(failed("looking at it"))?.len();
        let fits = |found: &Contents| {
            // One that a full disk cut off when it was made cannot be mapped.
            found.table == table && found.slots == slots && there == size as u64
        };
        if !contents.as_ref().is_some_and(fits) {
            if there > 0 {
                let mut old = path.as_os_str().to_owned();
                old.push(".old");
                fs::rename(path, PathBuf::from(old)).map_err(failed("putting it aside"))?;
                (file, contents) = look(path)?;
            }
            write_empty(&mut file, table, slots).map_err(failed("writing it"))?;
        }
        let last = contents.and_then(|contents| contents.records.last().map(|last| last.number));
        let map = Map::of(file, size).map_err(failed("mapping it"))?;
        Ok(Self {
            map,
            slots,
            next: last.unwrap_or(0) + 1,
        })
    }

    /// Stores a record over the oldest one: a few stores to memory, no system call, no allocation.
    pub fn append(&mut self, payload: &[u8; PAYLOAD]) {
        let slot = slot_of(self.next, payload);
        let index = (self.next % self.slots as u64) as usize;
        self.map.write(HEAD + index * SLOT, &slot);
        self.next += 1;
    }
}

/// Opens a ring's file for one writer, and reads what is in it.
fn look(path: &Path) -> Result<(Flock<File>, Option<Contents>), RingError> {
    let failed = |doing| {
        let path = path.to_owned();
        move |source| RingError::File {
            path,
            doing,
            source,
        }
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .map_err(failed("opening it"))?;
    let file = hold(file).map_err(|error| match error {
        Errno::EWOULDBLOCK => RingError::Taken(path.to_owned()),
        error => failed("locking it")(error.into()),
    })?;
    let mut bytes = Vec::new();
    let limit = (HEAD + SLOTS_LIMIT * SLOT) as u64;
    (&*file)
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(failed("reading it"))?;
    Ok((file, parse(&bytes).ok()))
}

/// Every byte is written, not only promised.
fn write_empty(file: &mut File, table: &[u8], slots: usize) -> io::Result<()> {
    let mut bytes = vec![0; HEAD + slots * SLOT];
    let head = [
        MAGIC,
        &(slots as u32).to_le_bytes()[..],
        &(table.len() as u32).to_le_bytes(),
        table,
    ];
    for (into, from) in bytes.iter_mut().zip(head.into_iter().flatten()) {
        *into = *from;
    }
    file.write_all(&bytes)
}

/// Reads a ring's file, whatever is in it.
///
/// # Errors
/// When it is no ring.
pub fn parse(bytes: &[u8]) -> Result<Contents, RingError> {
    if bytes.get(..8) != Some(MAGIC) {
        return Err(RingError::NotARing("the file does not begin like one"));
    }
    let number = |at: usize| {
        let bytes = bytes.get(at..at + 4)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes) as usize)
    };
    let slots = number(8).filter(|slots| (1..=SLOTS_LIMIT).contains(slots));
    let slots = slots.ok_or(RingError::NotARing("it has no possible number of slots"))?;
    let length = number(12).filter(|length| *length <= TABLE_LIMIT);
    let table = length.and_then(|length| bytes.get(TABLE_AT..TABLE_AT + length));
    let table = table.ok_or(RingError::NotARing("its table is cut off"))?;
    let mut contents = Contents {
        table: table.to_vec(),
        records: Vec::new(),
        torn: 0,
        slots,
    };
    let body = bytes.get(HEAD..).unwrap_or_default();
    for slot in body.chunks(SLOT).take(slots) {
        match record(slot) {
            Some(record) => contents.records.push(record),
            None => contents.torn += usize::from(slot.iter().any(|byte| *byte != 0)),
        }
    }
    contents.records.sort_by_key(|record| record.number);
    Ok(contents)
}

fn record(slot: &[u8]) -> Option<Record> {
    let number = u64::from_le_bytes(*slot.first_chunk()?);
    let payload = *slot.get(10..)?.first_chunk::<PAYLOAD>()?;
    let whole = slot_of(number, &payload) == *slot.first_chunk::<SLOT>()?;
    (whole && number > 0).then_some(Record { number, payload })
}

fn slot_of(number: u64, payload: &[u8; PAYLOAD]) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    let number = number.to_le_bytes();
    let check = check(number.iter().chain(payload)).to_le_bytes();
    let bytes = number.iter().chain(&check).chain(payload);
    for (into, from) in slot.iter_mut().zip(bytes) {
        *into = *from;
    }
    slot
}

/// CRC-16/CCITT-FALSE.
fn check<'a>(bytes: impl Iterator<Item = &'a u8>) -> u16 {
    bytes.fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn payload(seed: u8) -> [u8; PAYLOAD] {
        std::array::from_fn(|index| seed.wrapping_add(index as u8))
    }

    fn filled(slots: usize, records: u8) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.ring");
        let mut ring = Ring::open(&path, b"table", slots).unwrap();
        for seed in 0..records {
            ring.append(&payload(seed));
        }
        (directory, path)
    }

    #[test]
    fn the_newest_records_are_read_in_their_order_and_the_ring_never_grows() {
        let (_directory, path) = filled(8, 20);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), HEAD + 8 * SLOT);
        let contents = parse(&bytes).unwrap();
        assert_eq!(
            (contents.torn, contents.table.as_slice()),
            (0, &b"table"[..])
        );
        let numbers: Vec<_> = contents.records.iter().map(|one| one.number).collect();
        assert_eq!(numbers, (13..=20).collect::<Vec<_>>());
        assert_eq!(contents.records[7].payload, payload(19));
    }

    #[test]
    fn the_next_process_goes_on_behind_what_the_last_one_said() {
        let (_directory, path) = filled(8, 3);
        Ring::open(&path, b"table", 8).unwrap().append(&payload(99));
        let contents = parse(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(contents.records.len(), 4);
        assert_eq!(
            contents.records[3],
            Record {
                number: 4,
                payload: payload(99)
            }
        );
    }

    #[test]
    fn a_file_of_another_kind_is_put_aside_and_two_writers_are_not_had() {
        let (_directory, path) = filled(8, 3);
        let ring = Ring::open(&path, b"another", 8).unwrap();
        assert!(parse(&fs::read(&path).unwrap()).unwrap().records.is_empty());
        let old = fs::read(path.with_extension("ring.old")).unwrap();
        assert_eq!(parse(&old).unwrap().records.len(), 3);
        let second = Ring::open(&path, b"another", 8);
        assert!(matches!(second, Err(RingError::Taken(_))));
        drop(ring);
        assert!(Ring::open(&path, b"another", 8).is_ok());
    }

    #[test]
    fn a_file_that_was_cut_off_is_put_aside() {
        let (_directory, path) = filled(8, 3);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len((HEAD + 4 * SLOT) as u64).unwrap();
        drop(file);
        Ring::open(&path, b"table", 8).unwrap().append(&payload(1));
        let contents = parse(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(contents.records.len(), 1);
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let path = directory.path().join("a.ring");
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(matches!(
            Ring::open(&path, b"t", 8),
            Err(RingError::File { .. })
        ));
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }

    proptest! {
        #[test]
        fn whatever_is_torn_costs_the_slots_it_touches_and_no_more(
            at in 0usize..8 * SLOT, length in 1usize..40, noise in any::<u8>(), cut in 0usize..9 * SLOT,
        ) {
            let (_directory, path) = filled(8, 8);
            let mut bytes = fs::read(&path).unwrap();
            for byte in bytes.iter_mut().skip(HEAD + at).take(length) {
                *byte ^= noise;
            }
            let touched = if noise == 0 { 0 } else { (at + length - 1).min(8 * SLOT - 1) / SLOT - at / SLOT + 1 };
            let contents = parse(&bytes).unwrap();
            prop_assert!(contents.records.len() >= 8 - touched);
            for record in &contents.records {
                prop_assert_eq!(record.payload, payload((record.number - 1) as u8));
            }
            bytes.truncate(HEAD + cut);
            prop_assert!(parse(&bytes).unwrap().records.len() <= cut / SLOT);
        }

        #[test]
        fn any_bytes_are_a_ring_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200), begin in any::<bool>()) {
            let mut file = if begin { MAGIC.to_vec() } else { Vec::new() };
            file.extend(bytes);
            let _ = parse(&file);
        }
    }
}
