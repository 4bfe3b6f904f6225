//! Groups: quotas between them, failover with its hysteresis inside each.

use super::*;

/// Two groups of two, quotas 3 and 1, all ready.
fn two_groups() -> Bench {
    let pools = vec![pool(3, 0), pool(9, 0), pool(1, 1), pool(9, 1)];
    let mut bench = Bench::new(StrategyKind::Groups, pools);
    for index in 0..4 {
        bench.up(index);
    }
    bench
}

fn near(parts: &[f64], wanted: [f64; 4]) {
    let is_near = |(part, wanted): (&f64, f64)| (part - wanted).abs() < 1.0;
    assert!(parts.iter().zip(wanted).all(is_near), "{parts:?}");
}

#[test]
fn a_flapping_primary_of_a_group_is_trusted_less_and_less_and_quotas_are_kept() {
    let mut bench = two_groups();
    bench.run(3600 * SECOND);
    bench.down(0);
    let mut expected = RETURN_AFTER;
    for _ in 0..6 {
        bench.decide();
        bench.up(0);
        let waiting = bench.parts(expected.saturating_sub(SECOND));
        assert!(
            waiting[0] < 1e-9,
            "not yet, after {expected:?}: {waiting:?}"
        );
        let back = bench.parts(60 * SECOND);
        assert!(back[0] > 50.0, "{back:?}");
        bench.down(0);
        expected = (2 * expected).min(LONGEST_RETURN);
    }
    bench.up(0);
    let parts = bench.parts(4 * 3600 * SECOND);
    assert!((parts[2] - 25.0).abs() < 1.0, "{parts:?}");
    assert!((parts[0] + parts[1] - 75.0).abs() < 1.0, "{parts:?}");
    near(&bench.parts(3600 * SECOND), [75.0, 0.0, 25.0, 0.0]);
}

#[test]
fn a_group_that_has_failed_as_a_whole_holds_out_before_it_has_its_part_again() {
    let mut bench = two_groups();
    bench.run(3600 * SECOND);
    bench.down(1);
    let mut expected = RETURN_AFTER;
    for _ in 0..6 {
        bench.down(0);
        near(&bench.parts(30 * SECOND), [0.0, 0.0, 100.0, 0.0]);
        bench.up(0);
        near(
            &bench.parts(expected.saturating_sub(SECOND)),
            [0.0, 0.0, 100.0, 0.0],
        );
        let parts = bench.parts(60 * SECOND);
        assert!(parts[0] > 50.0, "after {expected:?}: {parts:?}");
        expected = (2 * expected).min(LONGEST_RETURN);
    }
    near(&bench.parts(3600 * SECOND), [75.0, 0.0, 25.0, 0.0]);
}

#[test]
fn a_group_that_fails_again_before_it_had_work_begins_to_hold_out_anew() {
    let mut bench = two_groups();
    bench.run(3600 * SECOND);
    for _ in 0..5 {
        bench.down(0);
        bench.down(1);
        bench.run(SECOND);
        bench.up(1);
        near(&bench.parts(40 * SECOND), [0.0, 0.0, 100.0, 0.0]);
    }
    bench.run(RETURN_AFTER.saturating_sub(40 * SECOND));
    near(&bench.parts(3600 * SECOND), [0.0, 75.0, 25.0, 0.0]);
}

#[test]
fn where_no_other_group_is_good_a_group_is_taken_whatever_it_did() {
    let mut bench = two_groups();
    bench.run(100 * SECOND);
    for index in 0..4 {
        bench.down(index);
    }
    assert_eq!(bench.decide(), None);
    bench.up(1);
    assert_eq!(bench.decide(), Some(1), "there is nobody else");
    bench.run(10 * SECOND);
    bench.up(2);
    let parts = bench.parts(40 * SECOND);
    assert!(
        parts[1] > 50.0 && parts[2] > 1.0,
        "neither is better: {parts:?}"
    );
    bench.down(1);
    assert_eq!(bench.decide(), Some(2));
    // The other one is the first to have held out.
    bench.run(2 * RETURN_AFTER);
    bench.up(1);
    near(&bench.parts(RETURN_AFTER), [0.0, 0.0, 100.0, 0.0]);
}

#[test]
fn a_group_is_trusted_for_the_pool_that_has_not_failed_and_for_its_owners_word() {
    let mut bench = two_groups();
    bench.run(100 * SECOND);
    bench.leave(1);
    bench.down(0);
    bench.run(SECOND);
    bench.up(0);
    assert_eq!(bench.run(20 * SECOND), Some(2), "it has failed");
    bench.up(1);
    bench.run(20 * SECOND);
    let parts = bench.parts(30 * SECOND);
    assert!(parts[1] > 50.0 && parts[0] < 1e-9, "{parts:?}");
    bench.down(0);
    bench.down(1);
    bench.run(SECOND);
    bench.up(0);
    assert_eq!(bench.run(20 * SECOND), Some(2));
    bench.strategy.prefer(0);
    assert_eq!(bench.decide(), Some(0), "at once");
}

#[test]
fn a_pool_put_first_leads_its_group_and_changes_no_quota() {
    let mut bench = two_groups();
    bench.pools[1].place.quota = 0;
    bench.run(100 * SECOND);
    bench.strategy.prefer(1);
    assert_eq!(bench.decide(), Some(1), "at once");
    near(&bench.parts(3600 * SECOND), [0.0, 75.0, 25.0, 0.0]);
    bench.down(1);
    near(&bench.parts(3600 * SECOND), [75.0, 0.0, 25.0, 0.0]);
}

#[test]
fn a_group_whose_first_pool_has_no_quota_gets_none_by_a_pool_put_first() {
    let mut bench = two_groups();
    bench.pools[2].place.quota = 0;
    bench.strategy.prefer(3);
    near(&bench.parts(3600 * SECOND), [100.0, 0.0, 0.0, 0.0]);
    bench.down(0);
    bench.down(1);
    assert_eq!(bench.decide(), Some(3), "better than no work");
}
