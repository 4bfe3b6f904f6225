//! A host's side of the chain protocol, written for the tests alone, and an independent double SHA-256.

use cgminer_emulator::chain::{Chain, ChainSettings, ChipType};
use sha2::{Digest, Sha256};
use std::time::Duration;

pub fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

pub fn settings(chip: ChipType, chips: usize) -> ChainSettings {
    ChainSettings {
        chip,
        chips,
        hardwired_zero_bits: 10,
        hashes_per_second: 200_000.0,
    }
}

/// Remainder of the polynomial division, done on a bit string; the chips' code keeps a register instead.
fn crc5(bytes: &[u8]) -> u8 {
    let mut bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |bit| byte >> (7 - bit) & 1))
        .collect();
    let length = bits.len();
    bits.extend([0; 5]);
    for bit in bits.iter_mut().take(5) {
        *bit ^= 1;
    }
    for at in 0..length {
        if bits[at] == 1 {
            for (offset, tap) in [1, 0, 0, 1, 0, 1].iter().enumerate() {
                bits[at + offset] ^= tap;
            }
        }
    }
    bits[length..].iter().fold(0, |crc, bit| crc << 1 | bit)
}

pub fn command(body: &[u8]) -> Vec<u8> {
    [&[0x55, 0xAA], body, &[crc5(body)]].concat()
}

pub fn write_all(register: u8, value: u32) -> Vec<u8> {
    command(&[&[0x51, 9, 0, register], &value.to_be_bytes()[..]].concat())
}

pub fn read_all(register: u8) -> Vec<u8> {
    command(&[0x52, 5, 0, register])
}

pub fn set_address(address: u8) -> Vec<u8> {
    command(&[0x40, 5, address, 0])
}

pub const INACTIVE: [u8; 4] = [0x53, 5, 0, 0];

/// A chain with a clock and a host that forgets nothing it hears.
pub struct Bench {
    pub chain: Chain,
    pub now: Duration,
    pub heard: Vec<u8>,
}

impl Bench {
    pub fn new(settings: ChainSettings) -> Self {
        Self {
            chain: Chain::new(settings, 1),
            now: Duration::ZERO,
            heard: Vec::new(),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        assert_eq!(self.chain.receive(bytes, self.now), bytes.len());
    }

    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        self.chain.advance(self.now);
        self.chain.transmit(self.now, &mut self.heard);
    }

    /// Sends, waits until all answers must be there, and gives them.
    pub fn ask(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.heard.clear();
        self.send(bytes);
        self.wait(Duration::from_millis(300));
        std::mem::take(&mut self.heard)
    }

    /// Addresses the chain and starts its cores, as stock firmware does in short.
    pub fn bring_up(&mut self, ticket_mask: u32) {
        self.send(&write_all(0xA4, 0x9000_FFFF));
        self.send(&command(&INACTIVE));
        for index in 0..self.chain.chips().len() {
            self.send(&set_address((index * 2) as u8));
            self.wait(Duration::from_millis(5));
        }
        self.send(&write_all(0x3C, 0x8000_82AA));
        self.send(&write_all(0x14, ticket_mask));
        self.send(&write_all(0x08, 0x40A8_0230));
        self.send(&write_all(0x10, 0x1381));
        self.wait(Duration::from_millis(50));
        self.heard.clear();
    }
}

/// The header that a full-header job means with this nonce reply, put together field by field.
pub fn header(job_frame: &[u8], nonce: &[u8], version_bits: u16) -> [u8; 80] {
    let payload = &job_frame[4..86];
    let words = |field: &[u8]| field.rchunks(4).flatten().copied().collect::<Vec<u8>>();
    let version =
        u32::from_le_bytes(payload[78..82].try_into().unwrap()) | u32::from(version_bits) << 13;
    let mut header = Vec::new();
    header.extend(version.to_le_bytes());
    header.extend(words(&payload[46..78]));
    header.extend(words(&payload[14..46]));
    header.extend(&payload[10..14]);
    header.extend(&payload[6..10]);
    header.extend(nonce);
    header.try_into().unwrap()
}

/// Double SHA-256, first byte the most significant.
pub fn hash(header: &[u8]) -> [u8; 32] {
    let mut hash: [u8; 32] = Sha256::digest(Sha256::digest(header)).into();
    hash.reverse();
    hash
}

pub fn leading_zero_bits(hash: &[u8]) -> u32 {
    u128::from_be_bytes(hash[..16].try_into().unwrap()).leading_zeros()
}
