//! A serial line that notes when bytes cross it.

use cgminer_hal::uart::{Uart, UartError};
use cgminer_hal::units::Baud;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that a line gave and that are remembered.
const REMEMBERED: usize = 64 * 1024;
/// Bytes of a reply with its nonce: preamble and what follows.
const REPLY: usize = 11;
/// Where a reply has its nonce.
const NONCE: usize = 2;
/// Opens a job frame.
const JOB: [u8; 3] = [0x55, 0xAA, 0x21];
/// Where a full-header job has the last word of the previous block's hash.
const LAST_WORD: std::ops::Range<usize> = 50..54;

/// What crossed a line and when, seen from the bench's thread.
#[derive(Clone, Default)]
pub struct Tap(Arc<Mutex<Crossed>>);

#[derive(Default)]
struct Crossed {
    /// The job that is waited for, by the last word of its previous hash, and when its first frame was written.
    awaited: Option<([u8; 4], Option<Instant>)>,
    /// The last bytes read.
    read: VecDeque<u8>,
    /// Which of the bytes ever read is the first of those.
    first: u64,
    /// Up to which of the bytes ever read each read went.
    reads: VecDeque<(u64, Instant)>,
}

impl Tap {
    /// Waits for a frame of the job whose previous hash ends like this.
    pub fn arm(&self, last_word: [u8; 4]) {
        self.crossed().awaited = Some((last_word, None));
    }

    /// When the first frame of that job was written.
    pub fn written(&self) -> Option<Instant> {
        self.crossed().awaited?.1
    }

    /// When the last byte of the newest reply with this nonce was read.
    pub fn read(&self, nonce: [u8; 4]) -> Option<Instant> {
        self.crossed().reply_at(nonce)
    }

    fn crossed(&self) -> std::sync::MutexGuard<'_, Crossed> {
        self.0.lock().expect("no holder panics")
    }
}

impl Crossed {
    fn write(&mut self, bytes: &[u8]) {
        let Some((last_word, at @ None)) = &mut self.awaited else {
            return;
        };
        let job = bytes.windows(JOB.len()).position(|opening| opening == JOB);
        let word = job.and_then(|job| bytes[job..].get(LAST_WORD));
        if word == Some(last_word.as_slice()) {
            *at = Some(Instant::now());
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.read.extend(bytes);
        let end = self.first + self.read.len() as u64;
        self.reads.push_back((end, Instant::now()));
        let surplus = self.read.len().saturating_sub(REMEMBERED);
        self.read.drain(..surplus);
        self.first += surplus as u64;
        while self.reads.front().is_some_and(|(end, _)| *end < self.first) {
            self.reads.pop_front();
        }
    }

    fn reply_at(&mut self, nonce: [u8; 4]) -> Option<Instant> {
        let bytes = self.read.make_contiguous();
        let reply = bytes
            .windows(REPLY)
            .rposition(|reply| reply[..2] == [0xAA, 0x55] && reply[NONCE..NONCE + 4] == nonce)?;
        let end = self.first + (reply + REPLY) as u64;
        let (_, at) = self.reads.iter().find(|(read, _)| *read >= end)?;
        Some(*at)
    }
}

/// The line with its tap.
pub struct TappedUart {
    inner: Box<dyn Uart>,
    tap: Tap,
}

impl TappedUart {
    /// Puts a tap on a line.
    pub fn new(inner: Box<dyn Uart>, tap: Tap) -> Self {
        Self { inner, tap }
    }
}

impl AsyncRead for TappedUart {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(context, buffer);
        if result.is_ready() {
            self.tap.crossed().read(&buffer.filled()[before..]);
        }
        result
    }
}

impl AsyncWrite for TappedUart {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = result {
            self.tap.crossed().write(&bytes[..count]);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl Uart for TappedUart {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn baud(&self) -> Baud {
        self.inner.baud()
    }

    fn set_baud(&mut self, baud: Baud) -> Result<Baud, UartError> {
        self.inner.set_baud(baud)
    }

    fn is_drained(&self) -> Result<bool, UartError> {
        self.inner.is_drained()
    }

    fn discard_input(&mut self) -> Result<(), UartError> {
        self.inner.discard_input()
    }
}
