//! What an event of the flight recorder costs: `cargo bench --bench flight`.
//!
//! Each goes the whole way, into the slot of a ring of 256 KiB in a file that is mapped into memory.

#![allow(
    missing_docs,
    reason = "criterion's macro makes a function without any"
)]
#![allow(clippy::expect_used)] // a bench that cannot start should say so and stop

use cgminer_hal::units::{DutyPercent, Megahertz};
use cgminer_rs::flight;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

/// The size that `docs/configuration.md` speaks of.
const KIB: u32 = 256;

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flight");
    group.bench_function("job sent, not recorded", |bencher| {
        bencher.iter(|| flight::job_sent(black_box(1), black_box(4_711), black_box(42)));
    });
    let directory = tempfile::tempdir().expect("a directory for the ring");
    flight::start(&directory.path().join(flight::FILE), KIB).expect("a ring");
    group.bench_function("job sent", |bencher| {
        bencher.iter(|| flight::job_sent(black_box(1), black_box(4_711), black_box(42)));
    });
    group.bench_function("nonce, a share", |bencher| {
        bencher.iter(|| {
            flight::nonce(
                black_box(1),
                black_box(0xbeef),
                Some(7),
                42,
                black_box("share"),
            );
        });
    });
    group.bench_function("register", |bencher| {
        bencher.iter(|| flight::register(black_box(1), 4, black_box(0x1362_0000), 0));
    });
    group.bench_function("wrong checksums", |bencher| {
        bencher.iter(|| flight::crc_errors(black_box(1), black_box(3)));
    });
    group.bench_function("clock", |bencher| {
        bencher.iter(|| flight::clock(black_box(1), black_box(Megahertz(525.0))));
    });
    group.bench_function("decision", |bencher| {
        bencher.iter(|| flight::decision(black_box("running"), true, DutyPercent(60.0)));
    });
    group.finish();
}

criterion_group!(group, benches);
criterion_main!(group);
