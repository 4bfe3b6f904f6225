//! What a unit of work and a nonce cost: `cargo bench --bench work`.

#![allow(
    missing_docs,
    reason = "criterion's macro makes a function without any"
)]
#![allow(clippy::expect_used)] // a bench that cannot start should say so and stop

mod full_block;

use cgminer_rs::work::sha256::Midstate;
use cgminer_rs::work::{
    ChainIndex, ChipNonce, Extranonce2Partition, Job, MidstateCount, Registry, Ticket,
    VersionRolling, WorkSource,
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use tokio::time::Instant;

fn job(version_mask: u32) -> Arc<Job> {
    Arc::new(Job {
        version_mask,
        ..full_block::job()
    })
}

fn source(rolling: VersionRolling, version_mask: u32) -> WorkSource {
    let mut source = WorkSource::new(Extranonce2Partition::WHOLE, rolling);
    source.set_job(job(version_mask));
    source
}

/// Two bits of version: one group of four midstates a root.
const TWO_BITS: u32 = 0x0000_6000;
const ALL_BITS: u32 = 0x1FFF_E000;

fn jobs(criterion: &mut Criterion) {
    let now = Instant::now();
    let four = VersionRolling::Host(MidstateCount::Four);
    let cases = [
        ("1 midstate", VersionRolling::Chip, ALL_BITS),
        ("4 midstates", four, TWO_BITS),
    ];
    for (name, rolling, mask) in cases {
        let mut work = source(rolling, mask);
        criterion.bench_function(&format!("extranonce2 job, {name}"), |bencher| {
            bencher.iter(|| black_box(work.next_work(now)));
        });
        let mut work = source(rolling, mask);
        // Two jobs an iteration: halve the figure.
        criterion.bench_function(&format!("two jobs side by side, {name}"), |bencher| {
            bencher.iter(|| {
                work.prepare_next();
                black_box(work.next_work(now)).ok();
                black_box(work.next_work(now))
            });
        });
    }
    let mut work = source(four, ALL_BITS);
    criterion.bench_function("version-rolled group of 4", |bencher| {
        bencher.iter(|| black_box(work.next_work(now)));
    });
    let mut work = source(VersionRolling::Chip, ALL_BITS);
    let job = job(ALL_BITS);
    criterion.bench_function("new job to first unit", |bencher| {
        bencher.iter(|| {
            work.set_job(Arc::clone(&job));
            black_box(work.next_work(now))
        });
    });
}

fn nonces(criterion: &mut Criterion) {
    let now = Instant::now();
    let mut work = source(VersionRolling::Chip, ALL_BITS);
    let mut unit = || {
        work.next_work(now)
            .expect("a job is set and its space is large")
    };
    // No hardwired zeros and no mask: every nonce passes and is remembered, as a chip's are.
    let ticket = Ticket::new(0, 0).expect("within bounds");
    for (name, version_field) in [("kept midstate", 0), ("version rolled on the chip", 0x1234)] {
        let mut registry = Registry::new(ChainIndex(0), 16, ticket);
        let slot = registry.insert(unit());
        let mut nonce = 0_u32;
        criterion.bench_function(&format!("nonce check, {name}"), |bencher| {
            bencher.iter(|| {
                nonce = nonce.wrapping_add(0x0101_0101);
                let nonce = nonce.to_le_bytes();
                let found = ChipNonce {
                    slot,
                    midstate: 0,
                    nonce,
                    version_field,
                };
                black_box(registry.check(black_box(&found), now))
            });
        });
    }
    let mut registry = Registry::new(ChainIndex(0), 16, ticket);
    let unit = unit();
    criterion.bench_function("keep a unit in its slot", |bencher| {
        bencher.iter(|| black_box(registry.insert(unit.clone())));
    });
}

/// The limits of this machine: compressions one after the other, each on the state before it, and
/// eight of them side by side.
fn limits(criterion: &mut Criterion) {
    let block = black_box([0; 64]);
    let mut state = Midstate::INITIAL;
    criterion.bench_function("one compression, serial", |bencher| {
        bencher.iter(|| state.absorb(&block));
    });
    let mut states = [Midstate::INITIAL; 8];
    criterion.bench_function("eight compressions, side by side", |bencher| {
        bencher.iter(|| states.iter_mut().for_each(|state| state.absorb(&block)));
    });
}

criterion_group!(benches, limits, jobs, nonces);
criterion_main!(benches);
