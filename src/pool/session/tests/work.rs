//! Jobs: what each one carries, and how long it counts.

use super::*;

#[test]
fn a_difficulty_holds_from_the_next_job_on() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    talk.say(&json!({"method": "mining.set_difficulty", "params": [64]}));
    assert_eq!((talk.jobs.len(), difficulty(&talk.job())), (1, 1.0));
    talk.notify("2", HASH, false);
    assert_eq!(talk.job().share_target, target(64.0));
    let old = share(&talk.jobs[0]);
    assert!(
        talk.submit(&old).is_ok(),
        "judged by the difficulty of its own job"
    );
}

#[test]
fn the_first_difficulty_holds_for_a_job_that_was_made_without_one() {
    let mut talk = Talk::new(|_| ());
    talk.shake_hands();
    talk.notify("1", HASH, true);
    assert_eq!(talk.job().share_target, target(1.0));
    talk.say(&json!({"method": "mining.set_difficulty", "params": [64]}));
    assert_eq!((talk.jobs.len(), difficulty(&talk.job())), (2, 64.0));
    assert!(!talk.job().clean, "shares of its first make still count");
    talk.say(&json!({"method": "mining.set_difficulty", "params": [128]}));
    assert_eq!(talk.jobs.len(), 2);
}

#[test]
fn a_target_works_like_a_difficulty() {
    let mut talk = Talk::running();
    talk.say(&json!({"method": "mining.set_target", "params": [format!("{:0>64}", "ff")]}));
    talk.notify("1", HASH, true);
    assert_eq!(talk.job().share_target, Target([0, 0, 0, 0xff]));
}

#[test]
fn an_extranonce_holds_from_the_next_job_on_even_under_the_same_id() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    talk.say(&json!({"method": "mining.set_extranonce", "params": ["aabb", 6]}));
    assert_eq!(talk.jobs.len(), 1);
    talk.say(&json!({"method": "mining.set_version_mask", "params": ["00ffe000"]}));
    assert_eq!(
        talk.job().extranonce2_size,
        4,
        "a job made again keeps its extranonce"
    );
    talk.notify("1", HASH, false);
    assert_eq!(*talk.job().coinbase_prefix, [0x01, 0xaa, 0xbb]);
    assert_eq!(talk.job().extranonce2_size, 6);
    let old = share(&talk.jobs[0]);
    assert_eq!(
        talk.submit(&old),
        Err(Withheld::Stale),
        "the id now means another job"
    );
}

#[test]
fn an_unusable_extranonce_is_dropped_and_the_link_kept() {
    let mut talk = Talk::running();
    talk.say(&json!({"method": "mining.set_extranonce", "params": ["aabb", 0]}));
    talk.notify("1", HASH, true);
    assert_eq!(talk.job().extranonce2_size, 4);
    assert_eq!(talk.session.lines.bad_parameters, 1);
}

#[test]
fn a_version_mask_holds_at_once() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let mut rolled = share(&talk.job());
    rolled.version_bits = 0x1000_2000;
    assert_eq!(talk.submit(&rolled).unwrap()["params"][5], "10002000");
    talk.say(&json!({"method": "mining.set_version_mask", "params": ["0000ffff"]}));
    assert_eq!((talk.jobs.len(), talk.job().version_mask), (2, 0xe000));
    assert_eq!(
        talk.submit(&rolled),
        Err(Withheld::Stale),
        "the pool would refuse its version"
    );
    rolled.version_bits = 0x2000;
    assert_eq!(talk.submit(&rolled).unwrap()["params"][5], "00002000");
    talk.say(&json!({"method": "mining.set_version_mask", "params": ["0000ffff"]}));
    assert_eq!(talk.jobs.len(), 2, "the same mask again changes nothing");
}

#[test]
fn bits_that_the_pool_has_set_itself_are_left_alone_and_submitted() {
    let mut talk = Talk::running();
    let params = json!([
        "1",
        HASH,
        "01",
        "02",
        [],
        "20006000",
        "1705c739",
        "64495522",
        true
    ]);
    talk.say(&json!({"method": "mining.notify", "params": params}));
    assert_eq!(talk.job().version_mask, 0x1fff_8000);
    let mut rolled = share(&talk.job());
    rolled.version_bits = 0x8000;
    assert_eq!(talk.submit(&rolled).unwrap()["params"][5], "0000e000");
}

#[test]
fn a_mask_that_was_not_asked_for_is_ignored() {
    let mut talk = Talk::new(|settings| settings.version_rolling = false);
    talk.say(&json!({"method": "mining.set_version_mask", "params": ["1fffe000"]}));
    talk.shake_hands();
    talk.notify("1", HASH, true);
    assert_eq!(talk.job().version_mask, 0);
}

#[test]
fn a_clean_job_makes_earlier_shares_stale_and_others_do_not() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    talk.notify("2", HASH, false);
    let first = share(&talk.jobs[0]);
    assert!(talk.submit(&first).is_ok());
    talk.notify("3", HASH, true);
    assert!(talk.job().clean);
    assert_eq!(talk.submit(&first), Err(Withheld::Stale));
    assert_eq!(talk.shares().stale_withheld, 1);
    let block = Share {
        is_block: true,
        ..first
    };
    assert!(talk.submit(&block).is_ok(), "a block is worth a reject");
}

#[test]
fn a_new_block_counts_as_clean_whatever_the_flag_says() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, false);
    assert!(talk.job().clean, "the first job of a session");
    talk.notify("2", OTHER_HASH, false);
    assert!(talk.job().clean);
    let old = share(&talk.jobs[0]);
    assert_eq!(talk.submit(&old), Err(Withheld::Stale));
}

#[test]
fn a_repeated_notify_makes_no_new_job_but_shows_life() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    for _ in 0..20 {
        talk.wait(Duration::from_secs(60));
        talk.notify("1", HASH, false);
    }
    assert_eq!((talk.jobs.len(), talk.session.ended()), (1, None));
    let old = share(&talk.job());
    assert!(talk.submit(&old).is_ok());
}

#[test]
fn ids_that_differ_by_a_prefix_or_by_case_are_distinct_jobs() {
    let mut talk = Talk::running();
    for id in ["6b033e1d", "Q6b033e1d", "6B033E1D"] {
        talk.notify(id, HASH, false);
    }
    assert_eq!(talk.jobs.len(), 3);
    let first = share(&talk.jobs[0]);
    assert_eq!(talk.submit(&first).unwrap()["params"][1], "6b033e1d");
}

#[test]
fn a_job_sent_again_with_another_difficulty_keeps_shares_that_meet_it() {
    for clean in [false, true] {
        let mut talk = Talk::running();
        talk.notify("1", HASH, true);
        let first = talk.job();
        talk.say(&json!({"method": "mining.set_difficulty", "params": [64]}));
        talk.notify("1", HASH, clean);
        assert_eq!(talk.job().share_target, target(64.0));
        let mut old = share(&first);
        let hash = |limit: Target| {
            let mut hash = [0; 32];
            for (bytes, limb) in hash.chunks_exact_mut(8).rev().zip(limit.0) {
                bytes.copy_from_slice(&limb.to_le_bytes());
            }
            hash
        };
        old.hash = hash(target(1.0));
        assert_eq!(
            talk.submit(&old),
            Err(Withheld::Stale),
            "the pool asks for more by now"
        );
        old.hash = hash(target(64.0));
        assert!(talk.submit(&old).is_ok());
    }
}

#[test]
fn an_id_used_again_for_other_work_retires_the_old_job() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    let params = json!([
        "1",
        HASH,
        "01",
        "99",
        [],
        "20000000",
        "1705c739",
        "64495522",
        false
    ]);
    talk.say(&json!({"method": "mining.notify", "params": params}));
    assert_eq!(talk.jobs.len(), 2);
    let (old, new) = (share(&talk.jobs[0]), share(&talk.jobs[1]));
    assert_eq!(talk.submit(&old), Err(Withheld::Stale));
    assert!(talk.submit(&new).is_ok());
}
