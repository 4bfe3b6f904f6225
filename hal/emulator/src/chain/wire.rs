//! The serial line itself: bytes take time, and a wrong speed turns them into others.

use super::{
    chip::Chip,
    codec::{Command, Receiver, Reply},
    fault::ChainFaults,
    model::JobStyle,
    sampler::Sampler,
};
use std::collections::VecDeque;

/// Host bytes that may be on their way; a real line's FIFO and driver buffer.
const INBOUND_LIMIT: usize = 4096;
const RESET_BAUD: u32 = 115_200;

/// From the host to the chips.
#[derive(Debug)]
pub(super) struct Inbound {
    host_baud: u32,
    /// The host has no speed of its own and is heard at any.
    follows: bool,
    style: JobStyle,
    bytes: VecDeque<u8>,
    /// When the first of `bytes` is complete.
    arrival: Option<u64>,
    /// When the line was last busy.
    busy_until: u64,
    /// One listener per speed at which any chip listens.
    listeners: Vec<Listener>,
}

#[derive(Debug)]
struct Listener {
    baud: u32,
    sampler: Sampler,
    receiver: Receiver,
}

impl Inbound {
    pub(super) fn new(style: JobStyle) -> Self {
        Self {
            host_baud: RESET_BAUD,
            follows: false,
            style,
            bytes: VecDeque::new(),
            arrival: None,
            busy_until: 0,
            listeners: Vec::new(),
        }
    }

    pub(super) fn set_host_baud(&mut self, baud: Option<u32>) {
        self.follows = baud.is_none();
        self.host_baud = baud.unwrap_or(self.host_baud);
    }

    pub(super) fn push(&mut self, bytes: &[u8], now: u64) -> usize {
        let count = bytes.len().min(self.room());
        self.bytes.extend(bytes.iter().take(count));
        if self.arrival.is_none() && !self.bytes.is_empty() {
            self.settle(now);
            self.arrival = Some(self.busy_until.max(now) + byte_nanos(self.host_baud));
        }
        count
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn room(&self) -> usize {
        INBOUND_LIMIT - self.bytes.len()
    }

    pub(super) fn next_arrival(&self) -> Option<u64> {
        self.arrival
    }

    /// The first byte is complete: gives the commands that it ends, each with the speed it was heard at.
    pub(super) fn take(
        &mut self,
        chips: &[Chip],
        faults: &ChainFaults,
        chance: &mut fastrand::Rng,
    ) -> Vec<(u32, Command)> {
        let (Some(byte), Some(time)) = (self.bytes.pop_front(), self.arrival) else {
            return Vec::new();
        };
        self.busy_until = time;
        self.arrival = (!self.bytes.is_empty()).then(|| time + byte_nanos(self.host_baud));
        self.listen_as(chips, faults);
        let mut commands = Vec::new();
        let host_baud = self.host_baud;
        let listeners = &mut self.listeners;
        damaged(byte, faults, chance, &mut |byte| {
            for Listener {
                baud,
                sampler,
                receiver,
            } in listeners.iter_mut()
            {
                sampler.byte(byte, host_baud, faults.skewed(*baud), &mut |heard| {
                    commands.extend(receiver.push(heard).map(|command| (*baud, command)));
                });
            }
        });
        commands
    }

    /// An idle line ends what a listener at another speed had begun.
    pub(super) fn settle(&mut self, now: u64) {
        if self.arrival.is_none() && now > self.busy_until + 2 * byte_nanos(self.host_baud) {
            for Listener {
                sampler, receiver, ..
            } in &mut self.listeners
            {
                sampler.idle(&mut |heard| {
                    receiver.push(heard);
                });
            }
        }
    }

    /// Chips forgot everything.
    pub(super) fn restart(&mut self) {
        self.listeners.clear();
    }

    fn listen_as(&mut self, chips: &[Chip], faults: &ChainFaults) {
        if let (true, Some(first)) = (self.follows, chips.first()) {
            self.host_baud = faults.skewed(first.baud());
        }
        self.listeners
            .retain(|listener| chips.iter().any(|chip| chip.baud() == listener.baud));
        for chip in chips {
            if !self
                .listeners
                .iter()
                .any(|listener| listener.baud == chip.baud())
            {
                self.listeners.push(Listener {
                    baud: chip.baud(),
                    sampler: Sampler::default(),
                    receiver: Receiver::new(self.style),
                });
            }
        }
    }
}

/// From the chips to the host.
#[derive(Debug)]
pub(super) struct Outbound {
    /// None is right at any speed of the chips.
    host_baud: Option<u32>,
    limit: usize,
    replies: VecDeque<Waiting>,
    /// Bytes of the first reply that have gone.
    sent: usize,
    /// When the line was last busy.
    busy_until: u64,
    sampler: Sampler,
}

#[derive(Debug)]
struct Waiting {
    ready: u64,
    baud: u32,
    reply: Reply,
}

impl Outbound {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            host_baud: Some(RESET_BAUD),
            limit,
            replies: VecDeque::new(),
            sent: 0,
            busy_until: 0,
            sampler: Sampler::default(),
        }
    }

    pub(super) fn set_host_baud(&mut self, baud: Option<u32>) {
        self.host_baud = baud;
    }

    /// Queues a reply; false when the chain has no more room, and the reply is lost.
    pub(super) fn push(&mut self, ready: u64, baud: u32, reply: Reply) -> bool {
        let room = self.replies.len() < self.limit;
        if room {
            self.replies.push_back(Waiting { ready, baud, reply });
        }
        room
    }

    /// When the first reply will have left whole.
    pub(super) fn next_departure(&self) -> Option<u64> {
        let first = self.replies.front()?;
        let left = first.reply.bytes().len().saturating_sub(self.sent) as u64;
        Some(self.start_of(first) + left * byte_nanos(first.baud))
    }

    pub(super) fn deliver(
        &mut self,
        now: u64,
        faults: &ChainFaults,
        chance: &mut fastrand::Rng,
        into: &mut Vec<u8>,
    ) {
        while let Some(first) = self.replies.front() {
            let start = self.start_of(first);
            let end = start + byte_nanos(first.baud);
            if end > now {
                break;
            }
            if start > self.busy_until + 2 * byte_nanos(first.baud) {
                self.sampler.idle(&mut |byte| into.push(byte));
            }
            let (baud, byte) = (first.baud, first.reply.bytes().get(self.sent).copied());
            if let Some(byte) = byte.filter(|_| !faults.mute) {
                damaged(byte, faults, chance, &mut |byte| {
                    let skewed = faults.skewed(baud);
                    let heard_at = self.host_baud.unwrap_or(skewed);
                    self.sampler
                        .byte(byte, skewed, heard_at, &mut |byte| into.push(byte));
                });
            }
            self.sent += 1;
            self.busy_until = end;
            if self.sent >= first.reply.bytes().len() {
                self.replies.pop_front();
                self.sent = 0;
            }
        }
        if self.replies.is_empty()
            && now > self.busy_until + 2 * byte_nanos(self.host_baud.unwrap_or(RESET_BAUD))
        {
            self.sampler.idle(&mut |byte| into.push(byte));
        }
    }

    /// Chips forgot everything.
    pub(super) fn restart(&mut self) {
        self.replies.clear();
        self.sent = 0;
    }

    fn start_of(&self, waiting: &Waiting) -> u64 {
        self.busy_until.max(waiting.ready)
    }
}

fn damaged(byte: u8, faults: &ChainFaults, chance: &mut fastrand::Rng, out: &mut impl FnMut(u8)) {
    match faults.noise {
        Some(noise) => noise.pass(byte, chance, out),
        None => out(byte),
    }
}

/// Start bit, eight data bits, stop bit.
fn byte_nanos(baud: u32) -> u64 {
    10_000_000_000 / u64::from(baud.max(1))
}
