//! `stats`: the chains first, then the pools, numbered through, as in cgminer.
//!
//! cgminer's figures of the getwork protocol stand for calls that no Stratum pool and no node here takes: they are truly 0,
//! and the least wait is the number that cgminer begins with.

use super::figures::difficulty;
use super::reply::{Members, Reply, Value};
use crate::telemetry::{Chain, Pool, Snapshot};
use Value::{Fixed, Truth, Unknown, Whole};

/// What cgminer has for the least of no waits.
const NO_WAIT: f64 = 99_999_999.0;

/// `stats`, `estats`, `dbgstats`.
pub fn stats(snapshot: &Snapshot) -> Reply {
    let elapsed = snapshot.machine.uptime_s as u64;
    let chains = snapshot.chains.iter().map(of_chain);
    let pools = snapshot.pools.list.iter().map(of_pool);
    let objects = chains.chain(pools).enumerate().map(|(number, (id, own))| {
        let mut members = vec![
            ("STATS", Whole(number as u64)),
            ("ID", Value::Text(id)),
            ("Elapsed", Whole(elapsed)),
        ];
        members.extend(getwork(["Calls", "Wait", "Max", "Min"]));
        members.extend(own);
        members
    });
    Reply::with(70, "CGMiner stats", "STATS", objects.collect())
}

fn getwork([calls, wait, most, least]: [&'static str; 4]) -> Members {
    vec![
        (calls, Whole(0)),
        (wait, Fixed(0.0, 6)),
        (most, Fixed(0.0, 6)),
        (least, Fixed(NO_WAIT, 6)),
    ]
}

/// Behind cgminer's own members each driver has some of its own.
fn of_chain(chain: &Chain) -> (String, Members) {
    let counters = &chain.counters;
    let optional = |count: Option<u16>| count.map_or(Unknown, |count| Whole(count.into()));
    let megahertz = chain.frequency.map(|frequency| frequency.0);
    let members = vec![
        ("Chips", optional(chain.chips_found)),
        ("Chips Expected", Whole(chain.chips_expected.into())),
        (
            "Frequency",
            megahertz.map_or(Unknown, |megahertz| Fixed(megahertz.into(), 2)),
        ),
        ("Baud", Whole(chain.baud.0.into())),
        ("Works", Whole(counters.work)),
        ("Nonces", Whole(counters.nonces)),
        ("Duplicates", Whole(counters.duplicates)),
        ("Wrong Nonces", Whole(counters.mismatches)),
        ("Checksum Errors", Whole(counters.crc_errors)),
        ("Bring Ups", Whole(counters.bring_ups)),
        ("Failures", Whole(counters.failures)),
    ];
    (format!("{}{}", chain.model, chain.index), members)
}

fn of_pool(pool: &Pool) -> (String, Members) {
    let jobs = pool.difficulties;
    let count = |count: Option<u64>| count.map_or(Unknown, Whole);
    // Without a job there is no difficulty, which in cgminer is 0.
    let or_zero = |value: Option<f64>| Fixed(value.unwrap_or(0.0), 8);
    let traffic = pool.traffic;
    // What TLS adds is not seen here.
    let on_wire = traffic.filter(|_| !pool.url.starts_with("stratum+tls"));
    let mut members = vec![
        ("Pool Calls", Whole(0)),
        ("Pool Attempts", Whole(0)),
        ("Pool Wait", Fixed(0.0, 6)),
        ("Pool Max", Fixed(0.0, 6)),
        ("Pool Min", Fixed(NO_WAIT, 6)),
        ("Pool Av", Fixed(0.0, 6)),
        ("Work Had Roll Time", Truth(false)),
        ("Work Can Roll", Truth(false)),
        ("Work Had Expire", Truth(false)),
        ("Work Roll Time", Whole(0)),
        ("Work Diff", difficulty(pool)),
    ];
    members.extend([
        ("Min Diff", or_zero(jobs.map(|jobs| jobs.least))),
        ("Max Diff", or_zero(jobs.map(|jobs| jobs.most))),
        (
            "Min Diff Count",
            Whole(jobs.map_or(0, |jobs| jobs.least_jobs)),
        ),
        (
            "Max Diff Count",
            Whole(jobs.map_or(0, |jobs| jobs.most_jobs)),
        ),
        ("Times Sent", count(traffic.map(|traffic| traffic.writes))),
        (
            "Bytes Sent",
            count(traffic.map(|traffic| traffic.written_bytes)),
        ),
        ("Times Recv", count(traffic.map(|traffic| traffic.lines))),
        (
            "Bytes Recv",
            count(traffic.map(|traffic| traffic.read_bytes)),
        ),
        (
            "Net Bytes Sent",
            count(on_wire.map(|traffic| traffic.written_bytes)),
        ),
        (
            "Net Bytes Recv",
            count(on_wire.map(|traffic| traffic.read_bytes)),
        ),
    ]);
    (format!("POOL{}", pool.index), members)
}
