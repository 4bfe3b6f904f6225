//! Nothing is allocated on the way from a job through a chain to the pool's line: not for a unit of work, not for a nonce, not for
//! the line that submits it.
//!
//! A test binary of its own, because it replaces the allocator of the whole program by one that counts. `work_allocations` does
//! the same for the room `work` alone.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests are tests too

use cgminer_hal::uart::{Uart, UartError};
use cgminer_hal::units::{Baud, Megahertz};
use cgminer_rs::chain::models::L7;
use cgminer_rs::chain::{
    ChainEnds, ChainSettings, ChainStatus, Deadlines, Pacing, ResetFuture, ResetLine,
    RestartPolicy, TicketMask, task,
};
use cgminer_rs::pool::session::{Counters, Manners, Session};
use cgminer_rs::pool::settings::StratumSettings;
use cgminer_rs::work::{ChainIndex, Extranonce2Partition, Job, Share};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

thread_local! {
    /// Allocations of this thread alone, so that the test harness does not disturb the count.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes on to the system's allocator unchanged. The counter neither allocates nor
// unwinds: a constant-initialised cell without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    // `realloc` is provided in terms of `alloc` and so counts as well.
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CHIPS: u16 = 126;
/// Zero bits of the script's hashes.
const ZERO_BITS: u8 = 8;
/// Nonces that it gives for a unit of work.
const NONCES: usize = 4;

/// Chips that follow a script inside the line itself: whoever writes to it gets the answers to read.
struct ScriptedUart {
    baud: Baud,
    received: VecDeque<u8>,
    answers: VecDeque<u8>,
    long_replies: bool,
    reader: Option<Waker>,
}

impl ScriptedUart {
    fn new() -> Self {
        Self {
            baud: Baud::RESET,
            received: VecDeque::with_capacity(4096),
            answers: VecDeque::with_capacity(8192),
            long_replies: false,
            reader: None,
        }
    }

    /// Answers each whole frame.
    fn take_frames(&mut self) {
        while self.received.len() > 3 {
            let length = if self.received[2] == 0x21 {
                88
            } else {
                usize::from(self.received[3]) + 2
            };
            if self.received.len() < length {
                break;
            }
            let mut frame = [0; 88];
            for byte in &mut frame[..length] {
                *byte = self.received.pop_front().unwrap();
            }
            match frame[2..6] {
                [0x52, 5, 0, 0] => {
                    for _ in 0..CHIPS {
                        self.reply([0x13, 0x62, 0x03, 0x00, 0, 0], 0);
                    }
                }
                [0x51, 9, 0, 0xA4] => self.long_replies = true,
                [0x21, ..] => self.find(&frame),
                _ => {}
            }
        }
        if let Some(reader) = self.reader.take().filter(|_| !self.answers.is_empty()) {
            reader.wake();
        }
    }

    /// Searches a job for hashes that chip 110, core 54 of an S19j Pro would report.
    fn find(&mut self, frame: &[u8; 88]) {
        // Both hashes cross the wire with their words reversed.
        let mut header = [0; 80];
        header[..4].copy_from_slice(&frame[82..86]);
        for word in 0..8 {
            let (at, from) = (4 * word, 4 * (7 - word));
            header[4 + at..8 + at].copy_from_slice(&frame[50 + from..54 + from]);
            header[36 + at..40 + at].copy_from_slice(&frame[18 + from..22 + from]);
        }
        header[68..72].copy_from_slice(&frame[14..18]);
        header[72..76].copy_from_slice(&frame[10..14]);
        let mut found = 0;
        for low in 0..=u16::MAX {
            let [a, b, c, d] = (0x6DB8_0000 | u32::from(low)).to_be_bytes();
            header[76..].copy_from_slice(&[a, b, c, d]);
            if Sha256::digest(Sha256::digest(header))[31] == 0 {
                self.reply([a, b, c, d, 0, frame[4] | 4], 4);
                found += 1;
            }
            if found == NONCES {
                return;
            }
        }
    }

    fn reply(&mut self, body: [u8; 6], kind: u8) {
        let mut bytes = [0; 9];
        bytes[..6].copy_from_slice(&body);
        let length = if self.long_replies { 9 } else { 7 };
        bytes[length - 1] = kind << 5;
        bytes[length - 1] |= crc5(&bytes[..length]);
        self.answers.extend([0xAA, 0x55]);
        self.answers.extend(&bytes[..length]);
    }
}

/// CRC-5 over all bits but the last five, a bit at a time.
fn crc5(body: &[u8]) -> u8 {
    (0..body.len() * 8 - 5).fold(0x1F, |register: u8, bit| {
        let input = body[bit / 8] >> (7 - bit % 8) & 1;
        let carry = register >> 4 ^ input;
        (register << 1 & 0x1F) ^ if carry & 1 == 1 { 0x05 } else { 0 }
    })
}

impl AsyncRead for ScriptedUart {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.answers.is_empty() {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        while buffer.remaining() > 0 {
            let Some(byte) = self.answers.pop_front() else {
                break;
            };
            buffer.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ScriptedUart {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.received.extend(bytes);
        self.take_frames();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Uart for ScriptedUart {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn baud(&self) -> Baud {
        self.baud
    }

    fn set_baud(&mut self, baud: Baud) -> Result<Baud, UartError> {
        self.baud = baud;
        Ok(baud)
    }

    fn is_drained(&self) -> Result<bool, UartError> {
        Ok(true)
    }

    fn discard_input(&mut self) -> Result<(), UartError> {
        self.answers.clear();
        Ok(())
    }
}

struct NoReset;

impl ResetLine for NoReset {
    fn name(&self) -> &'static str {
        "none"
    }

    fn hold(&mut self) -> ResetFuture<'_> {
        Box::pin(async { Ok(()) })
    }

    fn release(&mut self) -> ResetFuture<'_> {
        Box::pin(async { Ok(()) })
    }
}

fn settings() -> ChainSettings {
    ChainSettings {
        chain: ChainIndex(0),
        model: &L7,
        chips: CHIPS,
        domains: 42,
        frequency: Megahertz(525.0),
        frequency_bounds: (Megahertz(400.0), Megahertz(800.0)),
        baud: Baud(3_125_000),
        ticket_mask: TicketMask::ALL,
        hardwired_zero_bits: ZERO_BITS,
        partition: Extranonce2Partition::WHOLE,
        pacing: Pacing::CAPTURED,
        deadlines: Deadlines::default(),
        restarts: RestartPolicy::default(),
    }
}

/// A session through its handshake, with its first job.
fn session() -> (Session, Arc<Job>) {
    let url = "stratum+tcp://pool.example.com:3333".parse().unwrap();
    let settings = StratumSettings::new(url, "bc1qexampleexampleexampleexample.worker", "x");
    let now = Instant::now();
    let mut session = Session::new(
        Arc::new(settings),
        Arc::default(),
        Manners::default(),
        Counters::default(),
        now,
    );
    for result in [
        json!({"version-rolling": true, "version-rolling.mask": "1fffe000"}),
        json!([[["mining.notify", "1"]], "c0ffee00", 8]),
        json!(true),
    ] {
        let output = std::mem::take(session.output());
        let asked: Value = serde_json::from_slice(&output).unwrap();
        answer(&mut session, &asked["id"], &result);
    }
    let easy = json!({"id": null, "method": "mining.set_difficulty", "params": [1e-9]});
    session.on_line(easy.to_string().as_bytes(), now);
    let branches = vec!["11".repeat(32); 12];
    let params = json!([
        "job",
        "00".repeat(32),
        "21".repeat(86),
        "43".repeat(106),
        branches,
        "20000000",
        "1705ae3a",
        "64495522",
        true
    ]);
    let notify = json!({"id": null, "method": "mining.notify", "params": params});
    session.on_line(notify.to_string().as_bytes(), now);
    session.output().clear();
    let job = session.next_job().unwrap();
    (session, job)
}

fn answer(session: &mut Session, id: &Value, result: &Value) {
    let line = json!({"id": id, "result": result, "error": null});
    session.on_line(line.to_string().as_bytes(), Instant::now());
}

/// Submits a share and has it accepted; gives the allocations of the submission alone.
fn submit(session: &mut Session, share: &Share) -> u64 {
    let before = COUNT.get();
    session.submit(share, Instant::now()).unwrap();
    let count = COUNT.get() - before;
    let line: Value = serde_json::from_slice(session.output()).unwrap();
    session.output().clear();
    answer(session, &line["id"], &json!(true));
    count
}

#[tokio::test(start_paused = true)]
async fn units_of_work_nonces_and_submit_lines_allocate_nothing_in_steady_state() {
    // Not even while each of them is recorded.
    let directory = tempfile::tempdir().unwrap();
    #[cfg(feature = "flight-recorder")]
    cgminer_rs::flight::start(&directory.path().join("flight.ring"), 16).unwrap();
    let settings = settings();
    let (session_of_job, job) = session();
    let mut session = session_of_job;
    let (jobs, jobs_end) = watch::channel(None);
    let (shares_end, mut shares) = mpsc::channel(64);
    let (status_end, status) = watch::channel(ChainStatus::new(&settings));
    let (_commands, commands_end) = mpsc::channel(1);
    let ends = ChainEnds {
        uart: Box::new(ScriptedUart::new()),
        reset: Box::new(NoReset),
        jobs: jobs_end,
        shares: shares_end,
        status: status_end,
        commands: commands_end,
    };
    tokio::spawn(async move { task::run(settings, ends).await.expect("valid settings") });
    jobs.send_replace(Some(job));
    // The channel's blocks, the session's lists and buffers come to their size.
    for _ in 0..400 {
        submit(&mut session, &shares.recv().await.unwrap());
    }

    let before = status.borrow().counters;
    let (mut of_the_chain, mut of_submissions) = (0, 0);
    for _ in 0..2000 {
        let count = COUNT.get();
        let share = shares.recv().await.unwrap();
        of_the_chain += COUNT.get() - count;
        of_submissions += submit(&mut session, &share);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = status.borrow().counters;
    let units = after.work - before.work;
    assert!(units > 400, "{units} units of work");
    assert!(after.nonces - before.nonces >= 2000, "{after:?}");
    assert_eq!(of_submissions, 0, "for 2000 submit lines");
    assert_eq!(
        of_the_chain, 0,
        "for {units} units of work, 2000 nonces and a status a second"
    );
    #[cfg(feature = "flight-recorder")]
    {
        let bytes = std::fs::read(directory.path().join("flight.ring")).unwrap();
        let lines = cgminer_rs::flight::decode(&bytes).unwrap().lines;
        assert!(lines.last().unwrap().number > 2400);
        assert!(lines.iter().any(|line| line.text.contains("nonce")));
    }
    drop(directory);
}
