//! What the wire costs: `cargo bench --bench chain`.

#![allow(
    missing_docs,
    reason = "criterion's macro makes a function without any"
)]
#![allow(clippy::expect_used)] // a bench that cannot start should say so and stop

mod full_block;

use cgminer_hal::emulated::{DeviceUart, uart_pair};
use cgminer_hal::units::{Baud, Megahertz};
use cgminer_rs::chain::frame::{
    Command, Decoder, FrameBuffer, ReplyFormat, Target, full_header_job, midstate_job,
};
use cgminer_rs::chain::models::L7;
use cgminer_rs::chain::registers::Register;
use cgminer_rs::chain::{
    ChainCommand, ChainEnds, ChainPhase, ChainSettings, ChainStatus, Deadlines, Pacing,
    ResetFuture, ResetLine, RestartPolicy, TicketMask, task,
};
use cgminer_rs::work::{ChainIndex, Extranonce2Partition, Job};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// A captured nonce of an S19j Pro.
const NONCE: [u8; 11] = [
    0xAA, 0x55, 0x6D, 0xB8, 0x8E, 0xE1, 0x01, 0x04, 0x03, 0x54, 0x94,
];

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let header = [0x5A; 80];
    group.bench_function("job, full header", |bencher| {
        bencher.iter(|| full_header_job(black_box(0x28), 0x56, black_box(&header)));
    });
    let midstates = [[0x1234_5678; 8]; 4];
    let mut frame = FrameBuffer::new();
    group.bench_function("job, 4 midstates", |bencher| {
        bencher.iter(|| {
            frame.clear();
            midstate_job(&mut frame, black_box(4), &[7; 12], black_box(&midstates))
        });
    });
    let write = Command::Write {
        target: Target::All,
        register: Register::HASH_COUNTING_NUMBER,
        value: 6041,
    };
    group.bench_function("register write", |bencher| {
        bencher.iter(|| black_box(write).encode());
    });
    group.finish();
}

/// Frames per iteration: what one read of a busy chain gives.
const FRAMES: usize = 300;

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let clean = NONCE.repeat(FRAMES);
    group.throughput(Throughput::Elements(FRAMES as u64));
    group.bench_function("300 replies of 11 bytes", |bencher| {
        let mut decoder = Decoder::new(ReplyFormat::Eleven);
        bencher.iter(|| {
            decoder.push(&clean);
            let mut count = 0;
            while let Some(reply) = decoder.next_reply() {
                black_box(reply);
                count += 1;
            }
            assert_eq!(count, FRAMES);
        });
    });
    let noisy = noisy_stream();
    group.throughput(Throughput::Bytes(noisy.len() as u64));
    group.bench_function("resynchronise, every fourth reply damaged", |bencher| {
        let mut decoder = Decoder::new(ReplyFormat::Eleven);
        bencher.iter(|| {
            decoder.push(&noisy);
            while let Some(reply) = decoder.next_reply() {
                black_box(reply);
            }
        });
    });
    group.finish();
}

/// Every fourth reply has lost a byte, or has a flipped bit, or another byte before it.
fn noisy_stream() -> Vec<u8> {
    let mut stream = Vec::new();
    for number in 0..FRAMES {
        let mut frame = NONCE.to_vec();
        match number % 12 {
            3 => drop(frame.remove(5)),
            7 => frame[6] ^= 0x10,
            11 => frame.insert(0, 0xAA),
            _ => {}
        }
        stream.extend(frame);
    }
    stream
}

struct NoLine;

impl ResetLine for NoLine {
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

/// A chain that is up and idle, its far end in hand.
struct Idle {
    device: DeviceUart,
    commands: mpsc::Sender<ChainCommand>,
}

async fn idle_chain(index: u8, jobs: watch::Receiver<Option<Arc<Job>>>) -> Idle {
    let (host, device) = uart_pair("bench", 64 * 1024);
    let settings = ChainSettings {
        chain: ChainIndex(index),
        model: &L7,
        chips: 126,
        domains: 42,
        frequency: Megahertz(525.0),
        frequency_bounds: (Megahertz(400.0), Megahertz(800.0)),
        baud: Baud(3_125_000),
        ticket_mask: TicketMask::DIFFICULTY_256,
        hardwired_zero_bits: 32,
        partition: Extranonce2Partition::new(index.into(), 3).expect("a part"),
        pacing: Pacing {
            reset_hold: Duration::ZERO,
            reset_settle: Duration::ZERO,
            write: Duration::ZERO,
            milestone: Duration::ZERO,
            baud: Duration::ZERO,
            ramp: Duration::ZERO,
        },
        deadlines: Deadlines::default(),
        restarts: RestartPolicy::default(),
    };
    let (shares, _) = mpsc::channel(4);
    let (status, mut phase) = watch::channel(ChainStatus::new(&settings));
    let (commands, commands_end) = mpsc::channel(4);
    let ends = ChainEnds {
        uart: Box::new(host),
        reset: Box::new(NoLine),
        jobs,
        shares,
        status,
        commands: commands_end,
    };
    tokio::spawn(async move { task::run(settings, ends).await.expect("valid settings") });
    let identity = [
        0xAA, 0x55, 0x13, 0x62, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1E,
    ];
    let mut bytes = Vec::new();
    while phase.borrow_and_update().phase != ChainPhase::Idle {
        drain(&device, &mut bytes);
        if let Some(read) = bytes.windows(3).position(|it| it == [0x52, 5, 0]) {
            bytes.drain(..read + 3);
            device.try_write(&identity.repeat(126));
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    Idle { device, commands }
}

fn drain(device: &DeviceUart, into: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    loop {
        let count = device.try_read(&mut buffer);
        if count == 0 {
            break;
        }
        into.extend(&buffer[..count]);
    }
    device.set_on_the_wire(0);
}

fn job(sequence: u64) -> Arc<Job> {
    Arc::new(Job {
        sequence,
        previous_hash: [sequence as u8; 32],
        ntime_roll_limit: 600,
        ..full_block::job()
    })
}

/// From a published job to its frames on all three lines.
fn spread(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let (jobs, jobs_end) = watch::channel(None);
    let chains = runtime.block_on(async {
        let mut chains = Vec::new();
        for index in 0..3 {
            chains.push(idle_chain(index, jobs_end.clone()).await);
        }
        chains
    });
    let mut times = Vec::new();
    let mut group = criterion.benchmark_group("spread");
    group.bench_function("a job to 3 chains", |bencher| {
        bencher.iter_custom(|rounds| {
            let rounds = (0..rounds).map(|_| one_spread(&runtime, &jobs, &chains));
            let start = times.len();
            times.extend(rounds);
            times[start..].iter().sum()
        });
    });
    group.finish();
    times.sort();
    if let Some(p99) = times.get(times.len() * 99 / 100) {
        println!(
            "spread/a job to 3 chains: p99 {p99:?} of {} jobs",
            times.len()
        );
    }
    for chain in chains {
        let _ = chain.commands.try_send(ChainCommand::Stop);
    }
}

fn one_spread(
    runtime: &Runtime,
    jobs: &watch::Sender<Option<Arc<Job>>>,
    chains: &[Idle],
) -> Duration {
    runtime.block_on(async {
        // What went out before, by the chains' own timers.
        let mut bytes = Vec::with_capacity(64 * 1024);
        for chain in chains {
            drain(&chain.device, &mut bytes);
        }
        let sequence = jobs.borrow().as_ref().map_or(1, |job| job.sequence + 1);
        let job = job(sequence);
        let start = Instant::now();
        jobs.send_replace(Some(job));
        for chain in chains {
            bytes.clear();
            while bytes.is_empty() {
                tokio::task::yield_now().await;
                drain(&chain.device, &mut bytes);
            }
        }
        start.elapsed()
    })
}

criterion_group!(benches, encode, decode, spread);
criterion_main!(benches);
