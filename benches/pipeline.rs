//! How long the house takes between the outside worlds: from a pool's line to the first byte on every chain's line, and from
//! a chip's nonce byte to the submit line.
//!
//! The pool is a thread behind a loopback TCP connection, the chips are the emulated L7 (3 x 126) in another. Between them runs
//! the daemon's own code: session, manager, chain tasks. Times are taken where bytes cross the process's edge.
#![allow(
    missing_docs,
    reason = "criterion's macro makes a function without any"
)]
#![allow(clippy::expect_used, reason = "what cannot go on says why")]

mod pipeline {
    pub mod pool;
    pub mod tap;
}

use cgminer_emulator::clock::Clock;
use cgminer_emulator::machine::{Machine, MachineSettings};
use cgminer_hal::devices::Devices;
use cgminer_hal::emulated::Wiring;
use cgminer_hal::gpio::{Output, Signal};
use cgminer_hal::uart::UartSpec;
use cgminer_hal::units::{Baud, Megahertz};
use cgminer_rs::chain::models::L7;
use cgminer_rs::chain::task::{self, ChainEnds};
use cgminer_rs::chain::{
    ChainPhase, ChainSettings, ChainStatus, Deadlines, Pacing, ResetError, ResetFuture, ResetLine,
    RestartPolicy, TicketMask,
};
use cgminer_rs::pool::connection::DirectConnector;
use cgminer_rs::pool::manager::{self, ConfiguredSource, ManagerPorts};
use cgminer_rs::pool::settings::{Place, StrategyKind, StratumSettings};
use cgminer_rs::pool::status::PoolsStatus;
use cgminer_rs::pool::stratum::StratumSource;
use cgminer_rs::work::{ChainIndex, Extranonce2Partition};
use criterion::{Criterion, criterion_group, criterion_main};
use pipeline::pool::BenchPool;
use pipeline::tap::{Tap, TappedUart};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Zero bits of the emulated chips: with the pool's difficulty below it, every nonce becomes a submit line.
const HARDWIRED_ZERO_BITS: u8 = 15;
/// Jobs and nonces that the percentiles are taken of.
const SAMPLES: usize = 1000;

fn pipeline(criterion: &mut Criterion) {
    let taps: Vec<_> = (0..3).map(|_| Tap::default()).collect();
    let pool = BenchPool::start(taps.clone());
    let ready = Arc::new(std::sync::Barrier::new(2));
    let daemon = std::thread::spawn({
        let (taps, url, ready) = (taps.clone(), pool.url(), Arc::clone(&ready));
        move || run_daemon(&taps, &url, &ready)
    });
    pool.welcome();
    ready.wait();

    let notify: Vec<_> = (0..SAMPLES).map(|_| pool.notify_to_frames()).collect();
    report(
        "notify line -> first frame byte on all three chains",
        notify,
    );
    let submit = pool.nonce_to_submit(SAMPLES);
    report("nonce byte -> submit line", submit);

    criterion.bench_function("pipeline/notify_to_frames", |bencher| {
        bencher.iter_custom(|rounds| (0..rounds).map(|_| pool.notify_to_frames()).sum());
    });
    drop(pool);
    // The daemon ends with its pool's settings; the process is about to end with it.
    drop(daemon);
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!(
        "{what}: {} samples, p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, max {:.1?}",
        times.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
    );
}

/// The daemon's side: one current-thread runtime, as in the program.
fn run_daemon(taps: &[Tap], url: &str, ready: &std::sync::Barrier) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut settings = MachineSettings::l7().expect("the compiled-in machine");
        settings.search.hardwired_zero_bits = u32::from(HARDWIRED_ZERO_BITS);
        settings.search.core_share = 0.3;
        // No keeper runs here to switch a supply on: the rail is simply there.
        settings.supply = None;
        let machine = Machine::new(settings, 1, Clock::tokio());
        let mut devices = machine.devices();
        let _running = machine.spawn_thread().expect("a thread for the machine");

        let (jobs, job) = watch::channel(None);
        let (shares, found) = mpsc::channel(256);
        let (status, _pools) = watch::channel(PoolsStatus::default());
        let (_hashes, hashes_done) = watch::channel(0.0);
        let (_commands, commands) = mpsc::channel(1);
        let source = StratumSource::new(
            StratumSettings::new(url.parse().expect("a URL"), "bench", "x"),
            Arc::new(DirectConnector::system()),
            1,
        );
        tokio::spawn(manager::run(
            vec![ConfiguredSource {
                source: Box::new(source),
                place: Place::default(),
                name: None,
            }],
            StrategyKind::Failover,
            ManagerPorts {
                jobs,
                shares: found,
                status,
                hashes_done,
                commands,
            },
        ));

        let mut statuses = Vec::new();
        let mut senders = Vec::new();
        for (index, tap) in (0u8..).zip(taps) {
            let settings = chain_settings(index);
            let (status, watched) = watch::channel(ChainStatus::new(&settings));
            let (sender, commands) = mpsc::channel(1);
            let ends = ChainEnds {
                uart: Box::new(TappedUart::new(open_uart(&mut devices, index), tap.clone())),
                reset: Box::new(GpioReset::open(&mut devices, index)),
                jobs: job.clone(),
                shares: shares.clone(),
                status,
                commands,
            };
            tokio::spawn(task::run(settings, ends));
            statuses.push(watched);
            senders.push(sender);
        }
        for status in &mut statuses {
            status
                .wait_for(|status| status.phase == ChainPhase::Hashing)
                .await
                .expect("the chain comes up");
        }
        ready.wait();
        std::future::pending::<()>().await;
    });
}

fn chain_settings(index: u8) -> ChainSettings {
    ChainSettings {
        chain: ChainIndex(index),
        model: &L7,
        chips: 126,
        domains: 42,
        frequency: Megahertz(525.0),
        frequency_bounds: (Megahertz(400.0), Megahertz(800.0)),
        baud: Baud(3_125_000),
        ticket_mask: TicketMask::ALL,
        hardwired_zero_bits: HARDWIRED_ZERO_BITS,
        partition: Extranonce2Partition::new(u32::from(index), 3).expect("part of three"),
        pacing: Pacing::EMULATED,
        deadlines: Deadlines::default(),
        restarts: RestartPolicy::default(),
    }
}

fn open_uart(devices: &mut Wiring, index: u8) -> Box<dyn cgminer_hal::uart::Uart> {
    let spec = UartSpec {
        device: format!("/dev/ttyS{}", index + 1),
        second_descriptor: false,
    };
    devices.uart(&spec).expect("an emulated line")
}

/// A reset line driven straight at the pin.
struct GpioReset(Signal<Output>);

impl GpioReset {
    fn open(devices: &mut Wiring, index: u8) -> Self {
        let board = cgminer_board::file::Catalog::load(None).expect("compiled-in boards");
        let spec = &board.get("l7").expect("the L7").chains[usize::from(index)].reset;
        Self(devices.output_signal(spec, true).expect("an emulated line"))
    }

    fn drive(&mut self, held: bool) -> Result<(), ResetError> {
        self.0.set(held).map_err(|error| ResetError {
            line: "bench".into(),
            doing: "drive",
            reason: error.to_string(),
        })
    }
}

impl ResetLine for GpioReset {
    fn name(&self) -> &'static str {
        "bench"
    }

    fn hold(&mut self) -> ResetFuture<'_> {
        let result = self.drive(true);
        Box::pin(async { result })
    }

    fn release(&mut self) -> ResetFuture<'_> {
        let result = self.drive(false);
        Box::pin(async { result })
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(5));
    targets = pipeline
}
criterion_main!(benches);
