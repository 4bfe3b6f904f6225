//! What a line from a pool and a share to it cost: `cargo bench --bench pool`.
//!
//! The coinbase has 200 bytes and the merkle path 12 branches, as in a full block.

#![allow(
    missing_docs,
    reason = "criterion's macro makes a function without any"
)]
#![allow(clippy::unwrap_used)] // a bench that cannot start should say so and stop

use cgminer_rs::pool::message::Message;
use cgminer_rs::pool::session::{Counters, Manners, Session};
use cgminer_rs::pool::settings::StratumSettings;
use cgminer_rs::pool::source::Numbers;
use cgminer_rs::work::{ChainIndex, Extranonce2, Job, Share};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use std::hint::black_box;
use std::sync::Arc;
use tokio::time::Instant;

/// A `mining.notify`. Ids of even and odd numbers differ, so that none is a repetition.
fn notify(number: usize) -> String {
    let branches: Vec<String> = (0..12)
        .map(|index| format!("{index:02x}").repeat(32))
        .collect();
    let params = json!([
        format!("job{}", number % 2),
        "46f99360a6e97256d49f87304f087507a6e24f6b7e2e86bacad8d1e100000000",
        "21".repeat(86),
        "43".repeat(106),
        branches,
        "20000000",
        "1705ae3a",
        "64495522",
        false
    ]);
    json!({"id": null, "method": "mining.notify", "params": params}).to_string()
}

/// A session through its handshake.
fn session() -> Session {
    let url = "stratum+tcp://pool.example.com:3333".parse().unwrap();
    let settings = StratumSettings::new(url, "bc1qexampleexampleexampleexample.worker", "x");
    let now = Instant::now();
    let numbers = Arc::new(Numbers::default());
    let mut session = Session::new(
        Arc::new(settings),
        numbers,
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
        let line = json!({"id": asked["id"], "result": result, "error": null}).to_string();
        session.on_line(line.as_bytes(), now);
    }
    session
}

fn next_job(session: &mut Session, line: &str, now: Instant) -> Arc<Job> {
    session.on_line(line.as_bytes(), now);
    session.next_job().unwrap()
}

fn benches(criterion: &mut Criterion) {
    let lines = [notify(0), notify(1)];
    let now = Instant::now();
    criterion.bench_function("notify line to message", |bencher| {
        bencher.iter(|| Message::parse(black_box(lines[0].as_bytes())));
    });
    criterion.bench_function("notify line to job", |bencher| {
        let mut session = session();
        let mut number = 0;
        bencher.iter(|| {
            number += 1;
            next_job(&mut session, black_box(&lines[number % 2]), now)
        });
    });
    criterion.bench_function("share to submit line", |bencher| {
        let mut session = session();
        let job = next_job(&mut session, &lines[0], now);
        let share = Share {
            extranonce2: Extranonce2 {
                value: 0x0123_4567,
                size: job.extranonce2_size,
            },
            ntime: job.ntime,
            nonce: 0xdead_beef,
            version_bits: 0x0123_4000,
            hash: [0; 32],
            is_block: false,
            chain: ChainIndex(0),
            found_at: now,
            job,
        };
        bencher.iter(|| {
            session.submit(black_box(&share), now).unwrap();
            black_box(session.output()).clear();
        });
    });
}

criterion_group!(group, benches);
criterion_main!(group);
