//! The chain protocol held to public captures, vendor-independent test benches and other drivers' tests.
//!
//! `tests/data/chain/bm13xx.json` names the source of each. Every vector must be checked: the counts at the end say so.

#![allow(clippy::expect_used)] // helpers of tests

use bitcoin::hashes::{Hash, sha256d};
use cgminer_hal::units::{Baud, Megahertz};
use cgminer_rs::chain::baud::BaudDivider;
use cgminer_rs::chain::crc::{crc5, crc16};
use cgminer_rs::chain::frame::{
    Command, Decoder, FrameBuffer, NonceReply, Reply, ReplyFormat, Target, full_header_job,
    midstate_job,
};
use cgminer_rs::chain::hcn::job_timeout;
use cgminer_rs::chain::model::ChipModel;
use cgminer_rs::chain::models;
use cgminer_rs::chain::pll::Pll;
use cgminer_rs::chain::registers::{HashCountingNumber, Register, VersionRolling};
use cgminer_rs::chain::ticket_mask::TicketMask;
use cgminer_rs::work::sha256::Midstate;
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn every_vector_holds() {
    let text = include_str!("data/chain/bm13xx.json");
    let file: Value = serde_json::from_str(text).expect("a JSON file");
    let vectors = file["vectors"].as_array().expect("a list");
    let mut checked = BTreeMap::<&str, usize>::new();
    for vector in vectors {
        let vector = Vector(vector);
        assert!(vector.has("source"), "{vector:?}");
        let kind = vector.text("kind");
        match kind {
            "cmd_frame_crc5" => command(&vector),
            "job_frame_crc16" => job(&vector),
            "response_crc5" => response(&vector),
            "job_nonce_hash" => nonce_hash(&vector),
            "pll" => pll(&vector),
            "ticket_mask" => ticket_mask(&vector),
            "baud_register" => baud_register(&vector),
            "baud_divisor" => baud_divisor(&vector),
            "hcn_factory" => version_epoch(&vector),
            "work_timeout" => work_timeout(&vector),
            "midstate" => midstate(&vector),
            "doc_error" => doc_error(&vector),
            other => panic!("no check for {other}"),
        }
        *checked.entry(kind).or_default() += 1;
    }
    let counts = [
        ("baud_divisor", 2),
        ("baud_register", 3),
        ("cmd_frame_crc5", 53),
        ("doc_error", 1),
        ("hcn_factory", 4),
        ("job_frame_crc16", 14),
        ("job_nonce_hash", 8),
        ("midstate", 1),
        ("pll", 14),
        ("response_crc5", 41),
        ("ticket_mask", 4),
        ("work_timeout", 2),
    ];
    assert_eq!(checked, BTreeMap::from(counts));
}

/// Known opcodes are built again from their fields; those of a BM1387, which no model here has, have their checksum checked.
fn command(vector: &Vector) {
    let bytes = vector.frame("frame");
    let body = &bytes[2..];
    let (last, covered) = body.split_last().expect("a checksum");
    assert_eq!(crc5(covered), *last, "{vector:?}");
    let command = match *covered {
        [0x40, 5, address, 0] => Command::SetAddress(address),
        [0x53, 5, 0, 0] => Command::ChainInactive,
        [kind @ (0x42 | 0x52), 5, chip, register] => Command::Read {
            target: target(kind, chip),
            register: Register(register),
        },
        [kind @ (0x41 | 0x51), 9, chip, register, a, b, c, d] => Command::Write {
            target: target(kind, chip),
            register: Register(register),
            value: u32::from_be_bytes([a, b, c, d]),
        },
        _ => {
            assert_eq!(vector.text("chip"), "BM1387", "{vector:?}");
            return;
        }
    };
    assert_eq!(command.encode()[..], bytes, "{vector:?}");
}

fn target(kind: u8, chip: u8) -> Target {
    if kind & 0x10 == 0 {
        Target::Chip(chip)
    } else {
        assert_eq!(chip, 0);
        Target::All
    }
}

/// Jobs are taken apart by hand here and put together again by the encoder.
fn job(vector: &Vector) {
    let frame = vector.frame("frame");
    assert_eq!(encoded_again(&frame), frame, "{vector:?}");
    for (name, place) in [("length_byte", 3), ("job_header", 4), ("job_id", 4)] {
        if vector.has(name) {
            assert_eq!(u64::from(frame[place]), vector.number(name), "{vector:?}");
        }
    }
}

fn encoded_again(frame: &[u8]) -> Vec<u8> {
    let (job_header, count) = (frame[4], frame[5]);
    // A job of two midstates is as long as one of a whole header.
    if frame.len() == 88 && count == 1 {
        return full_header_job(job_header, frame[3], &header_of(frame)).to_vec();
    }
    let mut tail = [0; 12];
    tail[..4].copy_from_slice(&frame[18..22]);
    tail[4..8].copy_from_slice(&frame[14..18]);
    tail[8..].copy_from_slice(&frame[10..14]);
    let midstates: Vec<[u32; 8]> = frame[22..frame.len() - 2]
        .chunks(32)
        .map(|wire| {
            let mut words = [0; 8];
            for (word, bytes) in words.iter_mut().zip(wire.rchunks(4)) {
                *word = u32::from_be_bytes(bytes.try_into().expect("four bytes"));
            }
            words
        })
        .collect();
    assert_eq!(midstates.len(), usize::from(count));
    let mut again = FrameBuffer::new();
    assert!(midstate_job(&mut again, job_header, &tail, &midstates));
    again.to_vec()
}

fn header_of(frame: &[u8]) -> [u8; 80] {
    let words_reversed = |bytes: &[u8]| bytes.rchunks(4).flatten().copied().collect::<Vec<_>>();
    let header = [
        &frame[82..86],
        &words_reversed(&frame[50..82]),
        &words_reversed(&frame[18..50]),
        &frame[14..18],
        &frame[10..14],
        &[0; 4],
    ];
    header.concat().try_into().expect("eighty bytes")
}

fn response(vector: &Vector) {
    let frame = if vector.has("frame") {
        vector.bytes("frame")
    } else {
        vector.bytes("frame_no_preamble")
    };
    match decoded(&frame) {
        Reply::Register(reply) => {
            assert_eq!(vector.number("type"), 0);
            if vector.has("assigned_addr") {
                assert_eq!(u64::from(reply.chip_address), vector.hex("assigned_addr"));
            }
            let first = u64::from(reply.value >> 24);
            assert_eq!(first, u64::from(value_bytes(&frame)[0]));
        }
        Reply::Nonce(nonce) => {
            assert_eq!(vector.number("type"), 4);
            if let Some(model) = models::by_name(vector.text("chip")) {
                nonce_fields(vector, model, nonce);
            }
        }
    }
}

fn value_bytes(frame: &[u8]) -> &[u8] {
    frame.strip_prefix(&[0xAA, 0x55]).unwrap_or(frame)
}

fn decoded(frame: &[u8]) -> Reply {
    let format = match frame.len() {
        7 => ReplyFormat::Seven,
        9 => ReplyFormat::Nine,
        11 => ReplyFormat::Eleven,
        other => panic!("no reply has {other} bytes"),
    };
    let mut decoder = Decoder::new(format);
    assert_eq!(decoder.push(frame), frame.len());
    let reply = decoder.next_reply().expect("a reply");
    assert_eq!(decoder.counters().lost_bytes, 0);
    reply
}

fn nonce_fields(vector: &Vector, model: &ChipModel, nonce: NonceReply) {
    // So long a chain that addresses are two apart, as in the captures.
    let place = model.place(&nonce, 128);
    let mut fields = 0;
    let mut same = |name: &str, ours: u64| {
        if vector.has(name) {
            let theirs = if vector.0[name].is_string() {
                vector.hex(name)
            } else {
                vector.number(name)
            };
            assert_eq!(ours, theirs, "{name} of {vector:?}");
            fields += 1;
        }
    };
    let number = model.job_number.decode(nonce.result_header);
    same("nonce_le", nonce.header_nonce().into());
    same("core", place.core.into());
    same("version_bits", nonce.version_bits().into());
    same("subcore", place.subcore.into());
    same("job_id4", number.into());
    same("job_header", model.job_number.encode(number).into());
    assert!(fields >= 2, "{vector:?}");
    if vector.has("chip_addr") {
        let chip = place.chip.expect("a chip") * 2;
        assert_eq!(u64::from(chip), vector.hex("chip_addr") & 0xFE);
    }
}

/// A captured job and a captured reply make a header with a captured hash.
fn nonce_hash(vector: &Vector) {
    if vector.has("job_no_preamble") {
        return bm1387_nonce_hash(vector);
    }
    let job = vector.bytes("job");
    let Reply::Nonce(nonce) = decoded(&vector.bytes("response")) else {
        panic!("{vector:?} is a nonce");
    };
    let model = models::by_name(vector.text("chip")).expect("a model");
    let number = model.job_number.decode(nonce.result_header);
    assert_eq!(model.job_number.encode(number), job[4]);

    let mut header: [u8; 80] = vector.bytes("header").try_into().expect("eighty bytes");
    assert_eq!(header[76..], nonce.nonce);
    let hash = sha256d::Hash::hash(&header);
    assert_eq!(hash.to_string(), vector.text("hash"));

    // The job carries the version without the bits that the chip rolled.
    let version = u32::from_le_bytes(header[..4].try_into().expect("four bytes"));
    let unrolled = version & !nonce.version_bits();
    assert_eq!(version, unrolled | nonce.version_bits());
    header[..4].copy_from_slice(&unrolled.to_le_bytes());
    assert_eq!(full_header_job(job[4], job[3], &header)[..], job);
}

/// All-zero work of a BM1387: its midstate is the job's, so the hash is computed from there.
fn bm1387_nonce_hash(vector: &Vector) {
    let job = vector.frame("job");
    assert_eq!(encoded_again(&job), job);
    let Reply::Nonce(nonce) = decoded(&vector.bytes("response_no_preamble")) else {
        panic!("{vector:?} is a nonce");
    };
    assert_eq!(u64::from(nonce.header_nonce()), vector.hex("nonce_le"));
    let mut block = [0; 64];
    block[..4].copy_from_slice(&job[18..22]);
    block[4..8].copy_from_slice(&job[14..18]);
    block[8..12].copy_from_slice(&job[10..14]);
    block[12..16].copy_from_slice(&nonce.nonce);
    block[16] = 0x80;
    block[62..].copy_from_slice(&640_u16.to_be_bytes());
    let first = Midstate([0; 8]).after(&block);
    let mut block = [0; 64];
    for (bytes, word) in block.chunks_mut(4).zip(first.0) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    block[32] = 0x80;
    block[62..].copy_from_slice(&256_u16.to_be_bytes());
    let hash = Midstate::INITIAL.after(&block);
    // The hash as a number, in units of 2^192, of which difficulty 1 has 0xFFFF0000.
    let upper =
        f64::from(hash.0[7].swap_bytes()) * 4_294_967_296.0 + f64::from(hash.0[6].swap_bytes());
    let difficulty = f64::from(0xFFFF_0000_u32) / upper;
    assert!(
        (difficulty - vector.real("difficulty")).abs() < 1e-5,
        "{difficulty}: {vector:?}"
    );
}

fn pll(vector: &Vector) {
    let value = vector.hex("reg") as u32;
    let less_one = vector.0["postdiv_stored_minus_one"]
        .as_bool()
        .expect("a flag");
    let pll = Pll::decode(value, less_one).expect("a running clock");
    assert_eq!(u64::from(pll.feedback), vector.number("fbdiv"));
    assert_eq!(u64::from(pll.reference), vector.number("refdiv"));
    assert_eq!(u64::from(pll.post1), vector.number("postdiv1"));
    assert_eq!(u64::from(pll.post2), vector.number("postdiv2"));
    let wanted = vector.real("expected_mhz") as f32;
    assert!((pll.frequency().0 - wanted).abs() < 1e-3, "{vector:?}");
    assert!((f64::from(pll.oscillator_mhz()) - vector.real("vco_mhz")).abs() < 1e-3);
    if let Some(model) = models::by_name(vector.text("chip")) {
        assert_eq!(pll.encode(&model.pll), value, "{vector:?}");
        let ours = Pll::solve(&model.pll, Megahertz(wanted)).expect("in bounds");
        assert!(
            (ours.frequency().0 - wanted).abs() < 1e-3,
            "{ours:?} for {vector:?}"
        );
    }
}

fn ticket_mask(vector: &Vector) {
    let mask = TicketMask::of_difficulty(vector.number("difficulty")).expect("a power of two");
    assert_eq!(mask.encode().to_be_bytes()[..], vector.bytes("reg_bytes"));
}

fn baud_register(vector: &Vector) {
    let (register, value) = vector.text("reg").split_once(':').expect("register:value");
    assert_eq!(register, "28");
    let value = u32::from_str_radix(value, 16).expect("hexadecimal");
    let divider = BaudDivider::decode(value);
    // Sources round a broken rate up or down.
    let difference = u64::from(divider.baud().0).abs_diff(vector.number("baud"));
    assert!(difference <= 1, "{vector:?}");
}

fn baud_divisor(vector: &Vector) {
    assert_eq!(vector.number("xtal"), 25_000_000);
    let baud = Baud(vector.number("baud") as u32);
    let divider = BaudDivider::closest(baud).expect("not 0");
    assert_eq!(
        u64::from(divider.value()),
        vector.number("divisor"),
        "{vector:?}"
    );
}

fn version_epoch(vector: &Vector) {
    let model = models::by_name(vector.text("chip")).expect("a model");
    let number = HashCountingNumber(vector.hex("hcn") as u32);
    let epoch = model.sweep.version_epoch(number, VersionRolling::FULL);
    let told = vector.real("epoch_s");
    assert!(
        (epoch.as_secs_f64() - told).abs() <= 0.006,
        "{epoch:?}: {vector:?}"
    );
}

fn work_timeout(vector: &Vector) {
    let timeout = job_timeout(
        vector.number("cores") as u16,
        vector.number("small_cores") as u32,
        vector.number("asics") as u16,
        vector.number("versions") as u32,
        Megahertz(vector.real("freq_mhz") as f32),
        vector.real("fraction"),
    );
    let told = vector.real("expected_ms");
    assert!(
        (timeout.as_secs_f64() * 1000.0 - told).abs() < 1e-3 * told.max(1.0),
        "{vector:?}"
    );
}

fn midstate(vector: &Vector) {
    let block: [u8; 64] = vector.bytes("header64").try_into().expect("a block");
    let state = Midstate::INITIAL.after(&block);
    let in_order: Vec<u8> = state.0.iter().flat_map(|word| word.to_be_bytes()).collect();
    assert_eq!(in_order, vector.bytes("midstate_be"));
    let mut frame = FrameBuffer::new();
    assert!(midstate_job(&mut frame, 0, &[0; 12], &[state.0]));
    assert_eq!(frame[22..54], vector.bytes("wire_bytes"));
}

/// A public document prints 15 as the last byte of this frame. That is the checksum of another one.
fn doc_error(vector: &Vector) {
    assert_eq!(Command::SetAddress(4).encode()[..], vector.bytes("correct"));
    assert_eq!(crc5(&[0x41, 0x05, 0x00, 0x00]), 0x15);
}

#[test]
fn checksums_of_jobs_cover_everything_behind_the_preamble() {
    let mut frame = full_header_job(0x28, 0x56, &[0x5A; 80]);
    let (body, checksum) = frame[2..].split_at(84);
    assert_eq!(crc16(body).to_be_bytes(), checksum);
    frame[40] ^= 1;
    assert_ne!(crc16(&frame[2..86]).to_be_bytes(), frame[86..]);
}

/// One vector, by names.
#[derive(Debug)]
struct Vector<'a>(&'a Value);

impl<'a> Vector<'a> {
    fn has(&self, name: &str) -> bool {
        !self.0[name].is_null()
    }

    fn text(&self, name: &str) -> &'a str {
        self.0[name]
            .as_str()
            .unwrap_or_else(|| panic!("no text {name}: {self:?}"))
    }

    fn number(&self, name: &str) -> u64 {
        self.0[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no number {name}: {self:?}"))
    }

    fn real(&self, name: &str) -> f64 {
        self.0[name]
            .as_f64()
            .unwrap_or_else(|| panic!("no number {name}: {self:?}"))
    }

    fn hex(&self, name: &str) -> u64 {
        let digits = self.text(name).trim_start_matches("0x");
        u64::from_str_radix(digits, 16)
            .unwrap_or_else(|_| panic!("no hexadecimal {name}: {self:?}"))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let digits = self.text(name).as_bytes();
        digits
            .chunks(2)
            .map(|pair| {
                let pair = std::str::from_utf8(pair).expect("text");
                u8::from_str_radix(pair, 16).expect("hexadecimal")
            })
            .collect()
    }

    /// A frame to the chips, its preamble added where the source leaves it out.
    fn frame(&self, name: &str) -> Vec<u8> {
        if self.has(name) {
            return self.bytes(name);
        }
        [vec![0x55, 0xAA], self.bytes(&format!("{name}_no_preamble"))].concat()
    }
}
