//! Nothing is allocated for a unit of work or for a nonce.
//!
//! A test binary of its own, because it replaces the allocator of the whole program by one that
//! counts.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests are tests too

use cgminer_rs::work::{
    ChainIndex, ChipNonce, CountedBy, Difficulty, Extranonce2Partition, Job, JobId, MidstateCount,
    Registry, SessionId, Target, Ticket, Verdict, VersionRolling, WorkSource,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;
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

fn allocations(action: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    action();
    COUNT.get() - before
}

fn job(received_at: Instant, sequence: u64) -> Arc<Job> {
    Arc::new(Job {
        session: SessionId(0),
        sequence,
        id: JobId("a".into()),
        version: 0x2000_0000,
        version_mask: 0x0001_E000,
        previous_hash: [7; 32],
        roots: cgminer_rs::work::MerkleRoots::Coinbase,
        coinbase_prefix: vec![1; 86].into(),
        extranonce2_size: 8,
        coinbase_suffix: vec![2; 106].into(),
        merkle_branches: vec![[3; 32]; 12].into(),
        nbits: 0x207F_FFFF,
        ntime: 1_700_000_000,
        ntime_roll_limit: 60,
        clean: true,
        share_target: Target::from_difficulty(Difficulty::new(2_f64.powi(-26)).unwrap()),
        network_target: Target::from_nbits(0x207F_FFFF).unwrap(),
        received_at,
        counted: CountedBy::default(),
    })
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(Box::new(1))), 1);
    assert!(allocations(|| drop(vec![0_u8; 100])) >= 1);
}

#[test]
fn work_and_nonces_allocate_nothing_in_steady_state() {
    let rollings = [
        VersionRolling::Chip,
        VersionRolling::Host(MidstateCount::Four),
    ];
    for rolling in rollings {
        let start = Instant::now();
        let mut source = WorkSource::new(Extranonce2Partition::WHOLE, rolling);
        let mut registry = Registry::new(ChainIndex(0), 16, Ticket::new(2, 2).unwrap());
        source.set_job(job(start, 1));
        let jobs: Vec<_> = (2..6).map(|sequence| job(start, sequence)).collect();
        let (mut shares, mut others) = (0, 0);
        let count = allocations(|| {
            for job in &jobs {
                source.set_job(Arc::clone(job));
                registry.begin_job(job);
                for unit in 0..100_u32 {
                    // ntime, versions, extranonce2, both on demand and ahead: all kinds of steps
                    // are among these.
                    let now = start + Duration::from_secs(u64::from(unit / 20));
                    if unit % 3 == 0 {
                        source.prepare_next();
                    }
                    let work = source.next_work(now).unwrap();
                    let midstate = (work.midstates.len() - 1) as u8;
                    let version_field = (work.chip_mask >> 14) as u16;
                    let slot = registry.insert(work);
                    for nonce in 0..50_u32 {
                        let nonce = nonce.to_le_bytes();
                        let found = ChipNonce {
                            slot,
                            midstate,
                            nonce,
                            version_field,
                        };
                        match registry.check(&found, now) {
                            Verdict::Share { .. } => shares += 1,
                            _ => others += 1,
                        }
                    }
                }
            }
        });
        assert_eq!(count, 0, "{rolling:?}");
        assert!(
            shares > 100 && others > 100,
            "{shares} shares, {others} others"
        );
    }
}
