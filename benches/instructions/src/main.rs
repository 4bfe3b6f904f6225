//! Does one step of work a number of times: `cgminer-instructions STEP TIMES`.
//!
//! Whoever counts the instructions of two runs knows what one step costs, whatever the start of a program costs:
//! `.ci/instructions.sh` does, on the processor of a control board. The job is the one of `benches/work.rs`.
//!
//! The daemon's room `work` is compiled along by itself, as it names no other room: with link-time optimisation, as in the
//! firmware, the whole daemon would take minutes.
#![forbid(unsafe_code)]

// The job is written for the daemon's crate, which the room stands in for here.
extern crate self as cgminer_rs;

#[allow(
    dead_code,
    unused_imports,
    reason = "the steps that are counted need not all of it"
)]
#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "clippy leaves what other crates may call alone, and nothing is so here"
)]
#[path = "../../../src/work/mod.rs"]
mod work;

#[path = "../../full_block/mod.rs"]
mod full_block;

use cgminer_rs::work::{
    ChainIndex, ChipNonce, Extranonce2Partition, Job, MidstateCount, Registry, Ticket,
    VersionRolling, WorkSource,
};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::time::Instant;

/// Two bits of version: one group of four midstates a root, so that each unit needs a new extranonce2.
const TWO_BITS: u32 = 0x0000_6000;
const ALL_BITS: u32 = 0x1FFF_E000;

const USAGE: &str = "usage: cgminer-instructions job|group|nonce|nonce-rolled TIMES";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let step = arguments.next().unwrap_or_default();
    let times = arguments.next().and_then(|times| times.parse().ok());
    if times.and_then(|times| run(&step, times)).is_some() {
        ExitCode::SUCCESS
    } else {
        eprintln!("{USAGE}");
        ExitCode::from(2)
    }
}

/// None when there is no such step, or it cannot be done.
fn run(step: &str, times: u32) -> Option<()> {
    let now = Instant::now();
    match step {
        "job" | "group" => {
            let mask = if step == "job" { TWO_BITS } else { ALL_BITS };
            let mut work = source(VersionRolling::Host(MidstateCount::Four), mask);
            // The first unit of a job is not like those after it.
            black_box(work.next_work(now).ok()?);
            for _ in 0..times {
                black_box(work.next_work(now).ok()?);
            }
        }
        "nonce" | "nonce-rolled" => {
            let version_field = if step == "nonce" { 0 } else { 0x1234 };
            let unit = source(VersionRolling::Chip, ALL_BITS).next_work(now).ok()?;
            // No hardwired zeros and no mask: every nonce passes and is remembered, as a chip's are.
            let mut registry = Registry::new(ChainIndex(0), 16, Ticket::new(0, 0).ok()?);
            let slot = registry.insert(unit);
            for number in 0..times {
                let found = ChipNonce {
                    slot,
                    midstate: 0,
                    nonce: number.wrapping_mul(0x0101_0101).to_le_bytes(),
                    version_field,
                };
                black_box(registry.check(black_box(&found), now));
            }
        }
        _ => return None,
    }
    Some(())
}

fn source(rolling: VersionRolling, version_mask: u32) -> WorkSource {
    let mut source = WorkSource::new(Extranonce2Partition::WHOLE, rolling);
    source.set_job(Arc::new(Job {
        version_mask,
        ..full_block::job()
    }));
    source
}
