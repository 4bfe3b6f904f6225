//! The ways through a job's space: nothing is searched twice, nothing outside its bounds, every
//! share is one.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests are tests too

mod independent;

use bitcoin::hashes::{Hash, sha256d};
use cgminer_rs::work::version::ROLLABLE_BITS;
use cgminer_rs::work::{
    ChainIndex, ChipNonce, CountedBy, Difficulty, Extranonce2Partition, Job, JobId, MidstateCount,
    NoWork, Registry, SessionId, Share, Target, Ticket, Verdict, VersionRolling, Work, WorkSource,
};
use independent::assert_pool_agrees;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const FOUR: VersionRolling = VersionRolling::Host(MidstateCount::Four);

/// A job as a pool might send it, with a share in 256 hashes.
fn job(received_at: Instant) -> Job {
    Job {
        session: SessionId(3),
        sequence: 10,
        id: JobId("a".into()),
        version: 0x2000_0004,
        version_mask: 0x1FFF_E000,
        previous_hash: std::array::from_fn(|index| index as u8),
        roots: cgminer_rs::work::MerkleRoots::Coinbase,
        coinbase_prefix: (0..86).collect(),
        extranonce2_size: 8,
        coinbase_suffix: (0..106).collect(),
        merkle_branches: (0..12).map(|index| [index; 32]).collect(),
        nbits: 0x207F_FFFF,
        ntime: 1_700_000_000,
        ntime_roll_limit: 600,
        clean: false,
        share_target: Target::from_difficulty(Difficulty::new(2_f64.powi(-24)).unwrap()),
        network_target: Target::from_nbits(0x207F_FFFF).unwrap(),
        received_at,
        counted: CountedBy::default(),
    }
}

fn source(job: Job, rolling: VersionRolling) -> WorkSource {
    let mut source = WorkSource::new(Extranonce2Partition::WHOLE, rolling);
    source.set_job(Arc::new(job));
    source
}

/// A registry for chips with 4 zero bits wired in and a ticket mask of 2 bits.
fn registry() -> Registry {
    Registry::new(ChainIndex(1), 16, Ticket::new(4, 2).unwrap())
}

fn found(slot: u8, midstate: u8, nonce: u32, version_field: u16) -> ChipNonce {
    ChipNonce {
        slot,
        midstate,
        nonce: nonce.to_le_bytes(),
        version_field,
    }
}

/// Tries nonces until one is a share.
fn mine(registry: &mut Registry, slot: u8, midstate: u8, version_field: u16) -> (u32, Share) {
    let now = Instant::now();
    (0..20_000)
        .find_map(
            |nonce| match registry.check(&found(slot, midstate, nonce, version_field), now) {
                Verdict::Share { share, .. } => Some((nonce, share)),
                _ => None,
            },
        )
        .expect("one hash in 256 is a share")
}

/// The headers a unit stands for, as (extranonce2, version, ntime).
fn headers(work: &Work) -> Vec<(u64, u32, u32)> {
    let unit = |version| (work.extranonce2.value, version, work.ntime);
    work.midstates
        .iter()
        .map(|midstate| unit(midstate.version))
        .collect()
}

fn jobs() -> impl Strategy<Value = Job> {
    let coinbase = (
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(any::<u8>(), 0..300),
        1..=16_u8,
        prop::collection::vec(any::<[u8; 32]>(), 0..14),
    );
    let header = (any::<u32>(), any::<u32>(), any::<[u8; 32]>(), any::<u32>());
    (coinbase, header).prop_map(
        |((prefix, suffix, size, branches), (version, mask, hash, ntime))| Job {
            version,
            version_mask: mask,
            previous_hash: hash,
            roots: cgminer_rs::work::MerkleRoots::Coinbase,
            coinbase_prefix: prefix.into(),
            extranonce2_size: size,
            coinbase_suffix: suffix.into(),
            merkle_branches: branches.into(),
            ntime,
            ..job(Instant::now())
        },
    )
}

fn rollings() -> impl Strategy<Value = VersionRolling> {
    prop::sample::select(vec![
        VersionRolling::Chip,
        VersionRolling::Host(MidstateCount::One),
        VersionRolling::Host(MidstateCount::Two),
        FOUR,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_share_of_any_job_is_one_to_the_pool_too(
        job in jobs(),
        rolling in rollings(),
        ahead in 0..4_u32,
        version_field: u16,
        index in 0..3_u32,
    ) {
        let partition = Extranonce2Partition::new(index, 3).unwrap();
        let mut source = WorkSource::new(partition, rolling);
        source.set_job(Arc::new(job.clone()));
        let now = job.received_at;
        let mut work = source.next_work(now).unwrap();
        for _ in 0..ahead {
            source.prepare_next();
            work = source.next_work(now).unwrap();
        }
        // What a chip can roll within the mask it was given.
        let field = version_field & (work.chip_mask >> 13) as u16;
        let midstates = work.midstates.len() as u8;
        let mut registry = registry();
        let slot = registry.insert(work);
        for midstate in 0..midstates {
            let (_, share) = mine(&mut registry, slot, midstate, field);
            assert_pool_agrees(&share);
            prop_assert_eq!(share.chain, ChainIndex(1));
            prop_assert_eq!(share.extranonce2.value % 3, u64::from(index));
        }
    }

    #[test]
    fn no_header_is_given_twice(
        rolling in rollings(),
        mask in prop::sample::select(vec![0, 0x2000, 0x6000, 0x0001_E000]),
        size in 1..=2_u8,
        limit in 0..4_u32,
        steps in prop::collection::vec((0..3000_u64, any::<bool>()), 1..400),
    ) {
        let start = Instant::now();
        let job = Job {
            version_mask: mask,
            extranonce2_size: size,
            ntime_roll_limit: limit,
            roots: cgminer_rs::work::MerkleRoots::Coinbase,
            coinbase_prefix: [1].into(),
            coinbase_suffix: [2].into(),
            merkle_branches: Box::default(),
            ..job(start)
        };
        let ntime = job.ntime;
        let mut source = WorkSource::new(Extranonce2Partition::new(1, 60).unwrap(), rolling);
        source.set_job(Arc::new(job));
        let mut seen = BTreeSet::new();
        let mut roots = BTreeMap::new();
        let mut passed = 0;
        for (milliseconds, prepare) in steps {
            passed += milliseconds / 30;
            if prepare {
                source.prepare_next();
            }
            let now = start + Duration::from_millis(passed);
            match source.next_work(now) {
                Ok(work) => {
                    for header in headers(&work) {
                        prop_assert!(seen.insert(header), "{:?} again", header);
                        prop_assert_eq!(header.1 & !mask, 0x2000_0004);
                    }
                    let rolled = u64::from(work.ntime - ntime);
                    prop_assert!(rolled <= u64::from(limit) && rolled <= passed / 1000);
                    prop_assert_eq!(work.extranonce2.value % 60, 1);
                    // One root a value, and one value a root.
                    let known = roots.insert(work.extranonce2.value, work.merkle_root);
                    prop_assert!(known.is_none_or(|root| root == work.merkle_root));
                }
                Err(NoWork::Exhausted { more_at: Some(at) }) => prop_assert!(at > now),
                Err(NoWork::Exhausted { more_at: None }) => {
                    prop_assert!(passed / 1000 >= u64::from(limit) || limit == 0);
                }
                Err(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }

    #[test]
    fn roots_made_ahead_are_the_roots_made_in_time(
        prepares in prop::collection::vec(any::<bool>(), 1..30),
    ) {
        let now = Instant::now();
        let mut plain = source(job(now), VersionRolling::Chip);
        let mut ahead = source(job(now), VersionRolling::Chip);
        for prepare in prepares {
            if prepare {
                ahead.prepare_next();
            }
            let (expected, work) = (plain.next_work(now).unwrap(), ahead.next_work(now).unwrap());
            prop_assert_eq!(work.extranonce2, expected.extranonce2);
            prop_assert_eq!(work.merkle_root, expected.merkle_root);
            prop_assert_eq!(work.midstates, expected.midstates);
        }
    }
}

#[test]
fn a_small_space_is_used_up_wholly_before_the_source_says_so() {
    let start = Instant::now();
    let job = Job {
        extranonce2_size: 1,
        version_mask: 0x6000,
        ntime_roll_limit: 2,
        ..job(start)
    };
    let ntime = job.ntime;
    let mut source = WorkSource::new(Extranonce2Partition::new(2, 3).unwrap(), FOUR);
    source.set_job(Arc::new(job));
    let mut seen = BTreeSet::new();
    for second in 0..3 {
        let now = start + Duration::from_secs(u64::from(second));
        // 2, 5 .. 254: 85 values, each with the four versions in one group.
        for _ in 0..85 {
            let work = source.next_work(now).unwrap();
            assert_eq!(work.ntime, ntime + second);
            assert!(headers(&work).into_iter().all(|header| seen.insert(header)));
        }
        let next = (second < 2).then(|| start + Duration::from_secs(u64::from(second) + 1));
        for _ in 0..2 {
            assert_eq!(
                source.next_work(now).unwrap_err(),
                NoWork::Exhausted { more_at: next }
            );
        }
    }
    assert_eq!(seen.len(), 3 * 85 * 4);
    let late = source
        .next_work(start + Duration::from_secs(9999))
        .unwrap_err();
    assert_eq!(late, NoWork::Exhausted { more_at: None });
}

#[test]
fn chains_share_no_header() {
    let now = Instant::now();
    let mut seen = BTreeSet::new();
    for index in 0..3 {
        let part = Extranonce2Partition::new(index, 3).unwrap();
        let mut source = WorkSource::new(part, VersionRolling::Chip);
        source.set_job(Arc::new(job(now)));
        for _ in 0..200 {
            let work = source.next_work(now).unwrap();
            assert!(seen.insert(work.merkle_root), "{:?}", work.extranonce2);
        }
    }
}

#[test]
fn ntime_steps_before_anything_is_hashed_and_versions_before_extranonce2() {
    let start = Instant::now();
    let mut source = source(
        Job {
            version_mask: 0xE000,
            ..job(start)
        },
        FOUR,
    );
    let first = source.next_work(start).unwrap();
    let later = source.next_work(start + Duration::from_secs(1)).unwrap();
    assert_eq!(later.ntime, first.ntime + 1);
    assert_eq!(later.midstates, first.midstates);
    let rolled = source.next_work(start + Duration::from_secs(1)).unwrap();
    assert_eq!(rolled.extranonce2, first.extranonce2);
    assert_ne!(rolled.midstates, first.midstates);
    let next = source.next_work(start + Duration::from_secs(1)).unwrap();
    assert_ne!(next.extranonce2, first.extranonce2);
}

#[test]
fn without_a_mask_the_host_has_one_version() {
    let now = Instant::now();
    let work = source(
        Job {
            version_mask: 0,
            ..job(now)
        },
        FOUR,
    )
    .next_work(now)
    .unwrap();
    assert_eq!(work.midstates.len(), 1);
    assert_eq!(work.version(), 0x2000_0004);
}

#[test]
fn a_job_sent_again_goes_on_with_new_extranonce2() {
    let now = Instant::now();
    let mut source = source(job(now), VersionRolling::Chip);
    let first = source.next_work(now).unwrap();
    source.set_job(Arc::new(job(now)));
    assert_ne!(
        source.next_work(now).unwrap().extranonce2,
        first.extranonce2
    );
}

#[test]
fn a_part_that_is_empty_says_so() {
    let now = Instant::now();
    let part = Extranonce2Partition::new(256, 300).unwrap();
    let mut source = WorkSource::new(part, VersionRolling::Chip);
    assert_eq!(source.next_work(now).unwrap_err(), NoWork::NoJob);
    source.set_job(Arc::new(Job {
        extranonce2_size: 1,
        ..job(now)
    }));
    assert_eq!(
        source.next_work(now).unwrap_err(),
        NoWork::EmptyPart { size: 1, part }
    );
    assert!(!source.prepare_next());
    source.set_job(Arc::new(job(now)));
    assert_eq!(source.next_work(now).unwrap().extranonce2.value, 256);
    source.clear_job();
    assert_eq!(source.next_work(now).unwrap_err(), NoWork::NoJob);
}

#[test]
fn bits_that_the_pool_set_within_the_mask_are_rolled_like_the_others() {
    // The version sent has bits of the mask set: setting and replacing would differ.
    let now = Instant::now();
    let job = Job {
        version: 0x3FFF_E004,
        ..job(now)
    };
    let work = source(job, VersionRolling::Chip).next_work(now).unwrap();
    assert_eq!(work.version(), 0x2000_0004);
    let mut registry = registry();
    let slot = registry.insert(work);
    let (_, share) = mine(&mut registry, slot, 0, 0x0001);
    assert_eq!(share.version_bits, 0x2000);
    assert_pool_agrees(&share);
}

#[test]
fn bits_beyond_the_chips_reach_stay_as_the_pool_set_them() {
    let now = Instant::now();
    let job = Job {
        version: 0x2000_0004,
        version_mask: u32::MAX,
        ..job(now)
    };
    let work = source(job, VersionRolling::Chip).next_work(now).unwrap();
    assert_eq!(work.chip_mask, ROLLABLE_BITS);
    assert_eq!(work.version(), 0x2000_0004);
    let mut registry = registry();
    let slot = registry.insert(work);
    let (_, share) = mine(&mut registry, slot, 0, 0xFFFF);
    assert_eq!(share.version_bits, 0x3FFF_E004);
    assert_pool_agrees(&share);
}

#[test]
fn verdicts_follow_the_hash() {
    let now = Instant::now();
    let work = source(job(now), VersionRolling::Chip)
        .next_work(now)
        .unwrap();
    let mut registry = registry();
    let slot = registry.insert(work.clone());
    let mut counts = BTreeMap::new();
    for nonce in 0..4096 {
        // The hash by other means: zero bits lead the displayed form, which is the reversed one.
        let header = work.header(work.version(), nonce);
        let mut hash = sha256d::Hash::hash(&header).to_byte_array();
        hash.reverse();
        let zeros = u64::from_be_bytes(*hash.first_chunk().unwrap()).leading_zeros();
        let target = bitcoin::Target::from_be_bytes(independent::as_bytes(&work.job.share_target));
        let is_share = bitcoin::Target::from_be_bytes(hash) <= target;

        let verdict = registry.check(&found(slot, 0, nonce, 0), now);
        let name = match &verdict {
            Verdict::Share { share, .. } => {
                assert_pool_agrees(share);
                assert!(is_share);
                "share"
            }
            Verdict::Ticket { .. } => {
                assert!(zeros >= 6 && !is_share);
                "ticket"
            }
            Verdict::BelowTicket => {
                assert!((4..6).contains(&zeros));
                "below ticket"
            }
            Verdict::Mismatch => {
                assert!(zeros < 4);
                "mismatch"
            }
            other => panic!("{other:?}"),
        };
        let credit = if zeros >= 6 { 64.0 } else { 0.0 };
        assert!((verdict.hashes() - credit).abs() < f64::EPSILON);
        *counts.entry(name).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 4, "{counts:?}");
}

#[test]
fn a_nonce_counts_once_in_its_slot_and_anew_in_the_next_work() {
    let now = Instant::now();
    let mut source = source(job(now), VersionRolling::Chip);
    let mut registry = registry();
    let slot = registry.insert(source.next_work(now).unwrap());
    let (nonce, share) = mine(&mut registry, slot, 0, 7);
    let again = |registry: &mut Registry, field| {
        registry.check(&found(slot, 0, nonce, field), Instant::now())
    };
    assert!(matches!(again(&mut registry, 7), Verdict::Duplicate));
    // The same nonce under another version is another header.
    assert!(!matches!(again(&mut registry, 8), Verdict::Duplicate));
    // All slots in turn, until this one holds new work.
    for expected in (1..16).chain([0]) {
        assert_eq!(registry.insert(source.next_work(now).unwrap()), expected);
    }
    assert!(!matches!(again(&mut registry, 7), Verdict::Duplicate));
    assert_eq!(share.nonce, nonce);
}

#[test]
fn replies_that_fit_no_work_are_told_apart() {
    let now = Instant::now();
    let mut registry = registry();
    let unknown = |registry: &mut Registry, slot| registry.check(&found(slot, 0, 1, 0), now);
    assert!(matches!(unknown(&mut registry, 0), Verdict::UnknownSlot));
    assert!(matches!(unknown(&mut registry, 255), Verdict::UnknownSlot));

    let masked = Job {
        version_mask: 0x6000,
        ..job(now)
    };
    let slot = registry.insert(
        source(masked.clone(), VersionRolling::Chip)
            .next_work(now)
            .unwrap(),
    );
    let verdict = registry.check(&found(slot, 0, 1, 0b100), now);
    assert!(matches!(verdict, Verdict::BadVersion));
    assert!(matches!(
        registry.check(&found(slot, 1, 1, 0), now),
        Verdict::UnknownMidstate
    ));
    let (_, share) = mine(&mut registry, slot, 0, 0b11);
    assert_pool_agrees(&share);

    // Where the host rolls, a version field is an error whatever the mask.
    let slot = registry.insert(source(masked, FOUR).next_work(now).unwrap());
    assert!(matches!(
        registry.check(&found(slot, 3, 1, 1), now),
        Verdict::BadVersion
    ));

    registry.clear();
    assert!(matches!(unknown(&mut registry, slot), Verdict::UnknownSlot));
}

#[test]
fn late_shares_count_until_a_clean_job_comes() {
    let now = Instant::now();
    let old = job(now);
    let newer = Job {
        sequence: 11,
        ..old.clone()
    };
    let clean = Job {
        sequence: 12,
        clean: true,
        ..old.clone()
    };
    let mut source = source(old.clone(), VersionRolling::Chip);
    let mut registry = registry();
    registry.begin_job(&old);
    let slot = registry.insert(source.next_work(now).unwrap());

    registry.begin_job(&newer);
    let (nonce, share) = mine(&mut registry, slot, 0, 0);
    assert_eq!(share.job.sequence, 10);

    registry.begin_job(&clean);
    source.set_job(Arc::new(clean));
    let fresh = registry.insert(source.next_work(now).unwrap());
    let stale = (nonce + 1..nonce + 20_000)
        .map(|nonce| registry.check(&found(slot, 0, nonce, 0), now))
        .find(|verdict| !matches!(verdict, Verdict::Mismatch))
        .unwrap();
    assert!(matches!(stale, Verdict::Stale { .. }), "{stale:?}");
    // Work of the chip all the same: a ticket among stale nonces has its credit.
    let credit = (nonce + 20_000..nonce + 40_000)
        .map(|nonce| registry.check(&found(slot, 0, nonce, 0), now).hashes())
        .fold(0.0, f64::max);
    assert!((credit - 64.0).abs() < f64::EPSILON);
    assert_eq!(mine(&mut registry, fresh, 0, 0).1.job.sequence, 12);
}
