//! A chain that follows a script, with a codec of its own: what it sends and takes is written by hand from captures.

use cgminer_hal::emulated::{DeviceUart, HostUart, uart_pair};
use cgminer_hal::units::Baud;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A frame that the host sent.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub baud: Baud,
    pub bytes: Vec<u8>,
}

impl Received {
    pub fn is_job(&self) -> bool {
        self.bytes[2] == 0x21
    }

    /// Register and value of a write to all chips.
    pub fn broadcast_write(&self) -> Option<(u8, u32)> {
        (self.bytes[2] == 0x51).then(|| {
            let value = self.bytes[6..10].try_into().expect("four bytes");
            (self.bytes[5], u32::from_be_bytes(value))
        })
    }
}

/// What the chips do.
#[derive(Clone, Debug)]
pub struct Script {
    pub chips: u16,
    /// First four bytes of register 00.
    pub identity: [u8; 4],
    /// Send a nonce for each job.
    pub finds: bool,
    /// Send each reply so many times.
    pub copies: usize,
    /// Sent ahead of each nonce.
    pub noise: Vec<u8>,
    /// Flip a bit of the nonce behind its check.
    pub wrong_nonce: bool,
    /// Understand this speed alone, whatever is written.
    pub only_at: Option<Baud>,
    /// Answer late: replies to a job are held back until the next one.
    pub late: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            chips: 126,
            identity: [0x13, 0x62, 0x03, 0x00],
            finds: true,
            copies: 1,
            noise: Vec::new(),
            wrong_nonce: false,
            only_at: None,
            late: false,
        }
    }
}

#[derive(Default)]
struct State {
    script: Script,
    log: Vec<Received>,
    long_replies: bool,
    held_back: Vec<u8>,
}

/// The test's hold on the chain.
#[derive(Clone)]
pub struct ScriptedChain {
    state: Arc<Mutex<State>>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl ScriptedChain {
    pub fn new(script: Script) -> (Self, HostUart) {
        let (host, device) = uart_pair("chain0", 16 * 1024);
        let state = Arc::new(Mutex::new(State {
            script,
            ..State::default()
        }));
        let chips = Arc::clone(&state);
        let task = tokio::spawn(async move { live(&device, &chips).await });
        let chain = Self {
            state,
            task: Arc::new(Mutex::new(Some(task))),
        };
        (chain, host)
    }

    pub fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.state().script);
    }

    pub fn log(&self) -> Vec<Received> {
        self.state().log.clone()
    }

    pub fn forget(&self) {
        self.state().log.clear();
    }

    /// Pulls the cable: the host's next read ends.
    pub fn unplug(&self) {
        if let Some(task) = self.task.lock().expect("no panic").take() {
            task.abort();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it was held")
    }
}

async fn live(device: &DeviceUart, state: &Mutex<State>) {
    let mut held = Vec::new();
    loop {
        let mut buffer = [0; 1024];
        loop {
            let count = device.try_read(&mut buffer);
            if count == 0 {
                break;
            }
            held.extend_from_slice(&buffer[..count]);
        }
        device.set_on_the_wire(0);
        while let Some(frame) = take_frame(&mut held) {
            let mut state = state.lock().expect("no panic while it was held");
            state.log.push(Received {
                at: Instant::now(),
                baud: device.host_baud().expect("the line has a speed"),
                bytes: frame.clone(),
            });
            let only_at = state.script.only_at;
            let deaf = only_at.is_some() && only_at != device.host_baud();
            let answer = if deaf {
                Vec::new()
            } else {
                state.answer(&frame)
            };
            assert_eq!(
                device.try_write(&answer),
                answer.len(),
                "the host reads too slowly"
            );
        }
        device.host_acted().await;
    }
}

fn take_frame(held: &mut Vec<u8>) -> Option<Vec<u8>> {
    if held.len() < 4 {
        return None;
    }
    assert_eq!(
        held[..2],
        [0x55, 0xAA],
        "host frames follow each other: {held:02x?}"
    );
    let length = if held[2] == 0x21 {
        88
    } else {
        usize::from(held[3]) + 2
    };
    (held.len() >= length).then(|| held.drain(..length).collect())
}

impl State {
    fn answer(&mut self, frame: &[u8]) -> Vec<u8> {
        match frame[2..] {
            [0x52, 5, 0, 0x00, ..] => self.registers(0x00),
            [0x52, 5, 0, 0x4C, ..] => self.registers(0x4C),
            [0x51, 9, 0, 0xA4, ..] => {
                self.long_replies = true;
                Vec::new()
            }
            [0x21, ..] if self.script.finds => {
                let nonce = self.nonce(frame);
                if self.script.late {
                    std::mem::replace(&mut self.held_back, nonce)
                } else {
                    nonce
                }
            }
            _ => Vec::new(),
        }
    }

    fn registers(&self, register: u8) -> Vec<u8> {
        let mut answer = Vec::new();
        for chip in 0..self.script.chips {
            let (value, address) = match register {
                0x00 => (self.script.identity, 0),
                _ => ([0, 0, 0, chip as u8 + 1], chip as u8 * 2),
            };
            let mut body = value.to_vec();
            body.extend([address, register]);
            answer.extend(self.reply(body, [0, 0], 0));
        }
        answer
    }

    /// Searches the job for a hash with eight zero bits and reports it as chip 110, core 54 of an S19j Pro would.
    fn nonce(&self, frame: &[u8]) -> Vec<u8> {
        let mut header = header_of_job(frame);
        for low in 0..=u16::MAX {
            let nonce = (0x6DB8_0000 | u32::from(low)).to_be_bytes();
            header[76..].copy_from_slice(&nonce);
            let hash: [u8; 32] = Sha256::digest(Sha256::digest(header)).into();
            if hash[31] != 0 {
                continue;
            }
            let mut body = nonce.to_vec();
            if self.script.wrong_nonce {
                body[3] ^= 1;
            }
            body.extend([0, frame[4] | 4]);
            let reply = self.reply(body, [0, 0], 4);
            let mut bytes = self.script.noise.clone();
            for _ in 0..self.script.copies {
                bytes.extend(&reply);
            }
            return bytes;
        }
        panic!("65536 nonces without eight zero bits");
    }

    fn reply(&self, mut body: Vec<u8>, version: [u8; 2], kind: u8) -> Vec<u8> {
        if self.long_replies {
            body.extend(version);
        }
        body.push(kind << 5);
        let last = body.len() - 1;
        body[last] |= crc5_of_reply(&body);
        [vec![0xAA, 0x55], body].concat()
    }
}

/// Rebuilds the header from a full-header job: both hashes cross the wire with their words reversed.
pub fn header_of_job(frame: &[u8]) -> [u8; 80] {
    let reversed = |bytes: &[u8]| -> Vec<u8> { bytes.chunks(4).rev().flatten().copied().collect() };
    let mut header = Vec::new();
    header.extend(&frame[82..86]);
    header.extend(reversed(&frame[50..82]));
    header.extend(reversed(&frame[18..50]));
    header.extend(&frame[14..18]);
    header.extend(&frame[10..14]);
    header.extend([0; 4]);
    header.try_into().expect("eighty bytes")
}

/// CRC-5 over all bits but the last five, a bit at a time.
fn crc5_of_reply(body: &[u8]) -> u8 {
    let bits = body.len() * 8 - 5;
    (0..bits).fold(0x1F, |register: u8, bit| {
        let input = body[bit / 8] >> (7 - bit % 8) & 1;
        let carry = register >> 4 ^ input;
        (register << 1 & 0x1F) ^ if carry & 1 == 1 { 0x05 } else { 0 }
    })
}
