//! Where pools share the work, one that has failed gets none before it has held out, as with failover.

use super::*;

const KINDS: [StrategyKind; 3] = [
    StrategyKind::RoundRobin,
    StrategyKind::LoadBalance,
    StrategyKind::Quota,
];

/// Three pools that have shared the work for two hours.
fn three(kind: StrategyKind) -> Bench {
    let mut bench = bench(kind, 3);
    for index in 0..3 {
        bench.up(index);
    }
    bench.run(7200 * SECOND);
    bench
}

/// Hashes done for a pool over `time`.
fn given(bench: &mut Bench, pool: usize, time: Duration) -> f64 {
    let before = bench.strategy.accounts()[pool];
    bench.run(time);
    bench.strategy.accounts()[pool] - before
}

/// Brings a pool back and expects it to have no work for so long, and its part from then on.
fn holds_out(bench: &mut Bench, pool: usize, wait: Duration) {
    let kind = bench.strategy.kind();
    bench.up(pool);
    let early = given(bench, pool, wait.saturating_sub(SECOND));
    assert!(
        early < 1.0,
        "{kind:?}: {early} hashes within {wait:?} of its return"
    );
    // The turns of both others, and the begin of its own.
    let back = given(bench, pool, 2 * ROUND + 120 * SECOND);
    assert!(
        back > 0.0,
        "{kind:?}: nothing after it has held out {wait:?}"
    );
}

#[test]
fn a_pool_that_came_back_gets_work_when_it_has_held_out() {
    for kind in KINDS {
        let mut bench = three(kind);
        bench.down(1);
        bench.run(30 * SECOND);
        holds_out(&mut bench, 1, RETURN_AFTER);
        let parts = bench.parts(12 * ROUND);
        assert!((parts[1] - 100.0 / 3.0).abs() < 1.0, "{kind:?} {parts:?}");
    }
}

#[test]
fn one_that_fails_again_soon_is_trusted_less_and_less() {
    for kind in [StrategyKind::LoadBalance, StrategyKind::Quota] {
        let mut bench = three(kind);
        bench.down(1);
        bench.run(5 * SECOND);
        let mut wait = RETURN_AFTER;
        for _ in 0..6 {
            bench.up(1);
            let early = given(&mut bench, 1, wait.saturating_sub(SECOND));
            assert!(early < 1.0, "{kind:?}: {early} hashes within {wait:?}");
            assert!(
                given(&mut bench, 1, 40 * SECOND) > 0.0,
                "{kind:?}: {wait:?}"
            );
            bench.down(1);
            bench.run(5 * SECOND);
            wait = (2 * wait).min(LONGEST_RETURN);
        }
        // What failed while it was holding out has cost nothing: the wait stays what it is.
        bench.up(1);
        bench.run(100 * SECOND);
        bench.down(1);
        bench.run(5 * SECOND);
        holds_out(&mut bench, 1, wait);
    }
}

#[test]
fn one_that_cost_work_waits_twenty_times_as_long() {
    let mut bench = three(StrategyKind::LoadBalance);
    bench.down(1);
    bench.run(SECOND);
    bench.up(1);
    let before = bench.strategy.accounts()[1];
    bench.run(3660 * SECOND);
    // A 120th part of what it was given within an hour: half a minute of its work, hence ten minutes.
    let given = bench.strategy.accounts()[1] - before;
    bench.pools[1].lost_in_a_row = given / 120.0;
    bench.down(1);
    bench.run(SECOND);
    holds_out(&mut bench, 1, 598 * SECOND);
}

#[test]
fn where_no_other_is_ready_it_is_worked_for_at_once() {
    for kind in KINDS {
        let mut bench = three(kind);
        for index in 0..3 {
            bench.down(index);
        }
        assert_eq!(bench.run(10 * SECOND), None);
        bench.up(2);
        assert_eq!(bench.run(5 * SECOND), Some(2), "{kind:?}");
        // All have failed: none is better than the others, and all share the work.
        bench.up(0);
        bench.up(1);
        let first = given(&mut bench, 0, 2 * ROUND + 30 * SECOND);
        assert!(first > 0.0, "{kind:?}");
        // One of a switched off pair is no reason for the other to wait.
        bench.down(0);
        bench.down(1);
        assert_eq!(bench.decide(), Some(2), "{kind:?}");
    }
}

#[test]
fn one_that_went_politely_or_was_only_slow_to_connect_need_not_hold_out() {
    for kind in [StrategyKind::LoadBalance, StrategyKind::Quota] {
        let mut bench = bench(kind, 2);
        bench.up(0);
        bench.run(600 * SECOND);
        bench.up(1);
        assert!(given(&mut bench, 1, 30 * SECOND) > 0.0, "{kind:?}: slow");
        bench.leave(1);
        bench.run(5 * SECOND);
        bench.up(1);
        assert!(given(&mut bench, 1, 30 * SECOND) > 0.0, "{kind:?}: polite");
        bench.pools[1].place.enabled = false;
        bench.run(100 * SECOND);
        bench.pools[1].place.enabled = true;
        assert!(
            given(&mut bench, 1, 30 * SECOND) > 0.0,
            "{kind:?}: off and on"
        );
    }
}

#[test]
fn the_owner_begins_the_turn_of_one_that_holds_out_at_once() {
    let mut bench = three(StrategyKind::RoundRobin);
    bench.down(1);
    bench.run(10 * SECOND);
    bench.up(1);
    assert_ne!(bench.run(10 * SECOND), Some(1));
    bench.strategy.prefer(1);
    assert_eq!(bench.decide(), Some(1), "forgiven");
    assert_eq!(bench.run(100 * SECOND), Some(1));
}

#[test]
fn a_change_of_pools_does_not_end_the_wait() {
    let mut bench = three(StrategyKind::Quota);
    bench.down(1);
    bench.run(10 * SECOND);
    bench.up(1);
    bench.run(30 * SECOND);
    let stayed = [Some(1), Some(2)];
    bench.pools = vec![bench.pools[1], bench.pools[2]];
    bench.strategy.change(StrategyKind::Quota, &stayed);
    assert!(given(&mut bench, 0, 29 * SECOND) < 1.0);
    assert!(given(&mut bench, 0, 30 * SECOND) > 0.0);
}
