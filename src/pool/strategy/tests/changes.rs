//! What the owner changes while mining, and what a pool asks for itself.

use super::*;

/// Other pools for a running strategy: what was at which index before.
fn change(bench: &mut Bench, kind: StrategyKind, from: &[Option<usize>]) {
    bench.pools = from
        .iter()
        .map(|old| old.map_or(pool(1, 0), |old| bench.pools[old]))
        .collect();
    bench.strategy.change(kind, from);
}

#[test]
fn a_change_of_pools_forgets_neither_distrust_nor_accounts_nor_the_active_pool() {
    let mut bench = bench(StrategyKind::Failover, 2);
    bench.up(0);
    bench.up(1);
    bench.run(100 * SECOND);
    bench.down(0);
    assert_eq!(bench.run(10 * SECOND), Some(1));
    bench.up(0);
    let accounts = bench.strategy.accounts().to_vec();
    change(
        &mut bench,
        StrategyKind::Failover,
        &[None, Some(0), Some(1)],
    );
    assert_eq!(
        bench.strategy.accounts(),
        [0.0, accounts[0], accounts[1]],
        "each its own"
    );
    let wait = (2 * RETURN_AFTER).saturating_sub(SECOND);
    assert_eq!(bench.run(wait), Some(2), "it has failed before the change");
    assert_eq!(bench.run(SECOND), Some(1));
}

#[test]
fn a_pool_put_first_stays_first_until_the_owner_changes_the_order() {
    let mut bench = bench(StrategyKind::Failover, 3);
    for index in 0..3 {
        bench.up(index);
    }
    bench.strategy.prefer(2);
    assert_eq!(bench.decide(), Some(2));
    change(
        &mut bench,
        StrategyKind::Failover,
        &[Some(0), Some(2), None],
    );
    assert_eq!(bench.run(300 * SECOND), Some(1));
    change(&mut bench, StrategyKind::Failover, &[Some(1), Some(0)]);
    assert_eq!(bench.decide(), Some(0));
    change(&mut bench, StrategyKind::Failover, &[Some(1), Some(0)]);
    assert_eq!(bench.decide(), Some(0), "put first in the file");
}

#[test]
fn another_strategy_begins_with_the_same_accounts() {
    let mut bench = bench(StrategyKind::Failover, 2);
    bench.up(0);
    bench.up(1);
    bench.run(100 * SECOND);
    let accounts = bench.strategy.accounts().to_vec();
    change(&mut bench, StrategyKind::LoadBalance, &[Some(0), Some(1)]);
    assert_eq!(bench.strategy.accounts(), accounts);
    let parts = bench.parts(3600 * SECOND);
    assert!((parts[0] - 50.0).abs() < 1.0, "{parts:?}");
}

#[test]
fn parts_go_on_after_a_pool_was_taken_out() {
    let pools = vec![pool(1, 0), pool(4, 0), pool(1, 0)];
    let mut bench = Bench::new(StrategyKind::Quota, pools);
    for index in 0..3 {
        bench.up(index);
    }
    bench.run(3600 * SECOND);
    change(&mut bench, StrategyKind::Quota, &[Some(1), Some(2)]);
    let parts = bench.parts(3600 * SECOND);
    assert!((parts[0] - 80.0).abs() < 1.0, "{parts:?}");
}

#[test]
fn a_pool_that_only_changes_its_connection_is_worked_for_again_at_once() {
    let mut bench = bench(StrategyKind::Failover, 2);
    bench.up(0);
    bench.up(1);
    bench.run(100 * SECOND);
    bench.leave(0);
    assert_eq!(bench.run(3 * SECOND), Some(1));
    bench.up(0);
    assert_eq!(bench.decide(), Some(0));
    // Where it was sent to does not answer: that is a failure.
    bench.leave(0);
    bench.decide();
    bench.down(0);
    bench.run(3 * SECOND);
    bench.up(0);
    let wait = RETURN_AFTER.saturating_sub(SECOND);
    assert_eq!(bench.run(wait), Some(1));
    assert_eq!(bench.run(SECOND), Some(0));
}

#[test]
fn round_robin_begins_the_turn_of_a_pool_that_the_owner_wants_and_goes_on_from_there() {
    let mut bench = bench(StrategyKind::RoundRobin, 3);
    for index in 0..3 {
        bench.up(index);
    }
    assert_eq!(bench.run(10 * SECOND), Some(0));
    bench.strategy.prefer(2);
    assert_eq!(bench.decide(), Some(2));
    assert_eq!(bench.run(ROUND.saturating_sub(SECOND)), Some(2));
    assert_eq!(bench.run(2 * SECOND), Some(0));
}

#[test]
fn where_each_has_its_part_putting_one_first_changes_nothing() {
    for kind in [StrategyKind::LoadBalance, StrategyKind::Quota] {
        assert!(!kind.has_a_first());
        let mut bench = bench(kind, 2);
        bench.up(0);
        bench.up(1);
        let active = bench.run(10 * SECOND);
        bench.strategy.prefer(1 - active.unwrap());
        assert_eq!(bench.decide(), active);
        let parts = bench.parts(3600 * SECOND);
        assert!((parts[0] - 50.0).abs() < 1.0, "{parts:?}");
    }
}
