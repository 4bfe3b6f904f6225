//! Work on a root that the pool has made: no header twice, whatever jobs come between.

#![allow(clippy::unwrap_used)]

use cgminer_rs::work::{
    ChainIndex, CountedBy, Extranonce2Partition, Job, JobId, MerkleRoots, MidstateCount, NoWork,
    SessionId, Target, UnitCount, VersionRolling, WorkSource,
};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const ROOT: [u8; 32] = [7; 32];

fn job(sequence: u64, root: [u8; 32], received_at: Instant) -> Job {
    Job {
        session: SessionId(1),
        sequence,
        id: JobId("1".into()),
        version: 0x2000_0000,
        version_mask: 0x1fff_e000,
        previous_hash: [1; 32],
        roots: MerkleRoots::Fixed(root),
        coinbase_prefix: Box::default(),
        extranonce2_size: 0,
        coinbase_suffix: Box::default(),
        merkle_branches: Box::default(),
        nbits: 0x1705_ae3a,
        ntime: 1000,
        ntime_roll_limit: 600,
        clean: true,
        share_target: Target::MAX,
        network_target: Target::HARDEST,
        received_at,
        counted: CountedBy::default(),
    }
}

#[test]
fn the_chains_own_jobs_are_counted_for_who_made_them_under_any_number() {
    let now = Instant::now();
    let own = [None, Some(Arc::new(job(1, ROOT, now)))];
    let all = Job {
        roots: MerkleRoots::EachChain(own.into()),
        ..job(1, ROOT, now)
    };
    let (first, second) = (UnitCount::default(), UnitCount::default());
    all.count_by(&first);
    all.count_by(&second);
    for job in [all.restamped(9, true), all] {
        let own = Arc::new(job).for_chain(ChainIndex(1)).unwrap();
        own.counted.one_sent();
        assert_eq!(own.is_nearly_empty(), None);
    }
    assert_eq!((first.get(), second.get()), (2, 0));
}

fn source(rolling: VersionRolling) -> WorkSource {
    // The third of three chains: the part of a space that is not there.
    WorkSource::new(Extranonce2Partition::new(2, 3).unwrap(), rolling)
}

#[test]
fn every_chain_has_the_whole_of_its_root_and_steps_by_seconds() {
    let now = Instant::now();
    let mut source = source(VersionRolling::Chip);
    source.set_job(Arc::new(job(1, ROOT, now)));
    let work = source.next_work(now).unwrap();
    assert_eq!(
        (work.merkle_root, work.ntime, work.extranonce2.size),
        (ROOT, 1000, 0)
    );
    assert_eq!(work.chip_mask, 0x1fff_e000);
    assert!(!source.prepare_next());
    let more_at = Some(now + Duration::from_secs(1));
    assert_eq!(source.next_work(now), Err(NoWork::Exhausted { more_at }));
    assert_eq!(
        source
            .next_work(now + Duration::from_secs(1))
            .unwrap()
            .ntime,
        1001
    );
}

#[test]
fn a_root_that_comes_back_is_searched_on_and_never_again() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let mut source = source(VersionRolling::Chip);
    let own = Arc::new(job(1, ROOT, now));
    let other = Arc::new(job(2, [9; 32], now));
    let mut seen = HashSet::new();
    for second in 0..20 {
        // The same job once more, the same under another number, and another pool's between them.
        match second % 4 {
            0 => source.set_job(Arc::clone(&own)),
            1 => source.set_job(Arc::new(own.restamped(100 + second, false))),
            2 => source.set_job(Arc::clone(&other)),
            _ => source.clear_job(),
        }
        while let Ok(work) = source.next_work(at(second)) {
            assert!(
                seen.insert((work.merkle_root, work.ntime, work.version())),
                "{second}"
            );
            assert!(work.ntime <= 1000 + second as u32);
        }
    }
    assert!(seen.len() > 10);
}

#[test]
fn versions_rolled_by_the_host_come_once_a_second_each() {
    let now = Instant::now();
    let mut source = source(VersionRolling::Host(MidstateCount::Four));
    let narrow = Job {
        version_mask: 0x0001_e000,
        ..job(1, ROOT, now)
    };
    source.set_job(Arc::new(narrow));
    let mut versions = HashSet::new();
    while let Ok(work) = source.next_work(now) {
        for midstate in &work.midstates {
            assert!(versions.insert(midstate.version));
        }
    }
    assert_eq!(versions.len(), 16);
}

#[test]
fn a_job_for_each_chain_is_no_work_itself_and_keeps_its_parts_when_it_is_renumbered() {
    let now = Instant::now();
    let part = Arc::new(job(1, ROOT, now));
    let whole = Arc::new(Job {
        roots: MerkleRoots::EachChain([Some(Arc::clone(&part)), None].into()),
        ..job(2, ROOT, now)
    });
    assert!(Arc::ptr_eq(&whole.for_chain(ChainIndex(0)).unwrap(), &part));
    assert_eq!(whole.for_chain(ChainIndex(1)), None);
    assert_eq!(whole.for_chain(ChainIndex(9)), None);
    let renumbered = Arc::new(whole.restamped(77, false));
    let own = renumbered.for_chain(ChainIndex(0)).unwrap();
    assert_eq!(
        (renumbered.sequence, own.sequence, own.clean),
        (77, 77, false)
    );
    assert_eq!(own.roots, part.roots);
    let mut source = source(VersionRolling::Chip);
    source.set_job(whole);
    assert!(source.next_work(now).is_err());
}
